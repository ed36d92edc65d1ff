//! What the machine tells of itself.

use std::fs;
use std::io;

/// Datagrams that the kernel dropped at UDP sockets of this process with these local ports.
pub fn udp_drops(ports: &[u16]) -> u64 {
    let files = ["/proc/self/net/udp", "/proc/self/net/udp6"];
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.map(|text| text.lines().filter_map(|line| drops(line, ports)).sum::<u64>()).sum()
}

/// One line: `sl local_address rem_address ... drops`.
fn drops(line: &str, ports: &[u16]) -> Option<u64> {
    let mut words = line.split_whitespace();
    let (_, port) = words.nth(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !ports.contains(&port) {
        return None;
    }
    words.last()?.parse().ok()
}

/// Processor model, number of processors, kernel.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// As /proc/cpuinfo has it.
    pub model: String,
    /// Processors that may be used.
    pub processors: usize,
    /// Kernel name and release.
    pub kernel: String,
}

/// This machine.
pub fn machine() -> Machine {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let uname = rustix::system::uname();
    Machine {
        model: model.trim_start_matches([' ', '\t', ':']).to_owned(),
        processors: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        kernel: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
    }
}

/// Pins the calling thread to a processor, and has its timers fire when they are due.
pub fn pin(cpu: Option<usize>) -> io::Result<()> {
    if let Some(cpu) = cpu {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        rustix::thread::sched_setaffinity(None, &set)?;
    }
    // Where it is refused, waits are up to 50 us longer.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1_000));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_a_port() {
        let line =
            " 1234: 0100007F:9C41 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 39 2 0000 17";
        assert_eq!(drops(line, &[40001]), Some(17));
        assert_eq!(drops(line, &[40002]), None);
        assert_eq!(drops("  sl  local_address rem_address   st tx_queue drops", &[40001]), None);
    }
}
