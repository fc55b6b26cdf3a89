//! What a process or a thread has used.

use procfs::{
    ProcError, WithCurrentSystemInfo as _,
    process::{Process, Task},
};
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::time::Duration;

/// Processor time of this thread: what it did, however often others had the processor meanwhile.
#[must_use]
pub fn thread_time() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// Resident memory of a process, this one unless told otherwise, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn resident(process: Option<u32>) -> Result<u64, ProcError> {
    let process = match process {
        Some(id) => Process::new(id.try_into().unwrap_or(i32::MAX))?,
        None => Process::myself()?,
    };
    Ok(process.stat()?.rss_bytes().get())
}

/// Pages that the system has given to this thread so far, each of which takes a while.
///
/// # Errors
/// When the system does not tell.
pub fn page_faults() -> Result<u64, ProcError> {
    let process = Process::myself()?;
    let main: Task = process.task_main_thread()?;
    Ok(main.stat()?.minflt)
}

fn duration(time: Timespec) -> Duration {
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
