//! Where a thread runs.

use std::io;

/// Pins the calling thread to a processor, and asks for precise timers.
pub fn pin(cpu: Option<usize>) -> io::Result<()> {
    if let Some(cpu) = cpu {
        let mut set = rustix::thread::CpuSet::new();
        set.set(cpu);
        rustix::thread::sched_setaffinity(None, &set)?;
    }
    // If this is refused, waits are up to 50 us longer.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1_000));
    Ok(())
}
