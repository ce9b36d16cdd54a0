//! What processes use, by /proc.

use std::fs;

/// Microseconds of a clock tick in /proc: `USER_HZ` is 100 on every Linux.
const TICK_US: u64 = 10_000;

/// CPU time of a process in microseconds, in user and system mode; `None` when there is no such process.
#[must_use]
pub fn cpu_us(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, parentheses included: fields are counted behind the last one.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) * TICK_US)
}

/// The most memory this process ever used, in KiB.
#[must_use]
pub fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}
