//! Whether shards can be pinned to their processors. Tested before anything starts: an executor that cannot be pinned ends the program.

use super::machine::Missing;
use crate::driver::executor::online_cpus;
use rustix::io::Errno;
use rustix::thread::{CpuSet, sched_setaffinity};

/// The first reason why shards cannot be pinned to these processors.
pub fn missing(cpus: &[usize]) -> Option<Missing> {
    let online = match online_cpus() {
        Ok(online) => online,
        Err(error) => return Some(Missing::Processors { error: error.to_string() }),
    };
    if let Some(cpu) = cpus.iter().find(|cpu| !online.contains(cpu)) {
        let error = format!("processor {cpu} is not in it");
        return Some(Missing::Processors { error });
    }
    let cpus = cpus.to_vec();
    // On a separate thread, so that the main thread's affinity does not change.
    let tried = std::thread::Builder::new().name("pinning".to_owned()).spawn(move || denied(&cpus));
    match tried.map(std::thread::JoinHandle::join) {
        Ok(Ok(denied)) => denied,
        Ok(Err(_)) => None,
        Err(error) => Some(Missing::Thread { error: error.to_string() }),
    }
}

/// The first processor to which this thread cannot be pinned.
fn denied(cpus: &[usize]) -> Option<Missing> {
    cpus.iter().find_map(|&cpu| {
        let mut set = CpuSet::new();
        set.set(cpu);
        let error: Errno = sched_setaffinity(None, &set).err()?;
        Some(Missing::Pinning { cpu, error: error.to_string() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::cpus::allowed;

    #[test]
    fn h14_what_may_be_used_can_be_pinned_to() {
        assert_eq!(missing(&allowed()), None);
        let told = missing(&[CpuSet::MAX_CPU - 1]).expect("no machine has it").to_string();
        assert!(told.contains("processor 1023 is not in it"), "{told}");
        assert!(matches!(denied(&[CpuSet::MAX_CPU - 1]), Some(Missing::Pinning { cpu: 1_023, .. })));
    }
}
