//! The process, under the names that every exporter gives them.

use super::{Family, Value};
#[cfg(target_os = "linux")]
use procfs::{
    ProcResult, WithCurrentSystemInfo as _,
    process::{LimitValue, Process},
};

/// What the operating system tells of this process; nothing where it does not.
pub(super) fn families() -> Vec<Family> {
    #[cfg(target_os = "linux")]
    return read().unwrap_or_default();
    #[cfg(not(target_os = "linux"))]
    return Vec::new();
}

/// Resident memory of this process in bytes, where the operating system tells.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return Process::myself().and_then(|process| process.stat()).map(|stat| stat.rss_bytes().get()).ok();
    #[cfg(not(target_os = "linux"))]
    return None;
}

#[cfg(target_os = "linux")]
fn read() -> ProcResult<Vec<Family>> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let ticks = procfs::ticks_per_second() as f64;
    let started = procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks;
    let open_files = process.limits()?.max_open_files.soft_limit;
    let mut families = vec![
        Family::counter("process_cpu_seconds", "Time on processors, in user and system mode")
            .value(Value::Real((stat.utime + stat.stime) as f64 / ticks)),
        Family::gauge("process_resident_memory_bytes", "Memory in use").value(stat.rss_bytes().get()),
        Family::gauge("process_virtual_memory_bytes", "Address space in use").value(stat.vsize),
        Family::gauge("process_open_fds", "File descriptors open").value(process.fd_count()? as u64),
        Family::gauge("process_start_time_seconds", "When the process started, in Unix time")
            .value(Value::Real(started)),
        Family::gauge("process_threads", "Threads").value(stat.num_threads.unsigned_abs()),
    ];
    if let LimitValue::Value(limit) = open_files {
        families.push(Family::gauge("process_max_fds", "File descriptors allowed").value(limit));
    }
    Ok(families)
}
