//! The machine that a capacity was found on.

use crate::report::machine::machine;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs;

/// What decides how fast a machine is, as far as the system tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineFacts {
    /// Processor model.
    pub model: String,
    /// Processors that could be used.
    pub processors: usize,
    /// Kernel name and release.
    pub kernel: String,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// How processors choose their frequency, e.g. `performance`; none: the system does not tell, as on most virtual machines.
    pub governor: Option<String>,
    /// The processor says that it runs under a hypervisor.
    pub is_virtual: bool,
    /// Largest receive buffer of a socket in bytes (`net.core.rmem_max`).
    pub receive_buffer_bytes_max: Option<u64>,
    /// Largest send buffer of a socket in bytes (`net.core.wmem_max`).
    pub send_buffer_bytes_max: Option<u64>,
}

/// This machine.
pub fn facts() -> MachineFacts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let number = |path: &str| read(path).trim().parse().ok();
    let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").trim().to_owned();
    let machine = machine();
    MachineFacts {
        model: machine.model,
        processors: machine.processors,
        kernel: machine.kernel,
        memory_bytes: memory_bytes(&read("/proc/meminfo")),
        governor: Some(governor).filter(|governor| !governor.is_empty()),
        is_virtual: is_virtual(&read("/proc/cpuinfo")),
        receive_buffer_bytes_max: number("/proc/sys/net/core/rmem_max"),
        send_buffer_bytes_max: number("/proc/sys/net/core/wmem_max"),
    }
}

/// `MemTotal` of /proc/meminfo.
fn memory_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The flag `hypervisor` of /proc/cpuinfo.
fn is_virtual(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "hypervisor")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_as_the_kernel_writes_them() {
        assert_eq!(memory_bytes("MemTotal:        8048712 kB\nMemFree: 1 kB\n"), Some(8_048_712 * 1024));
        assert_eq!(memory_bytes("MemFree: 1 kB\n"), None);
        assert!(is_virtual("model name\t: x\nflags\t\t: fpu hypervisor lm\n"));
        assert!(!is_virtual("flags\t\t: fpu lm\nbugs: hypervisor\n"));
        assert!(facts().memory_bytes.is_some_and(|bytes| bytes > 1 << 20));
    }
}
