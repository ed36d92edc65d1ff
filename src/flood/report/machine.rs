//! The machine that a run was made on.

use std::fs;

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
