//! Where something was measured, without which no figure means anything.

use procfs::{CpuInfo, Current as _, KernelVersion, LoadAverage, Meminfo};

/// The machine in a line: processor, memory, system, and how busy it is at this moment.
#[must_use]
pub fn facts() -> String {
    let (count, model) = CpuInfo::current()
        .map_or((0, None), |info| (info.num_cores(), info.model_name(0).map(str::to_owned)));
    let memory = Meminfo::current().map_or(0, |memory| memory.mem_total >> 30);
    let kernel = KernelVersion::current().map_or_else(|_| "?".into(), |v| format!("{}.{}", v.major, v.minor));
    let load = LoadAverage::current().map_or_else(|_| "?".into(), |load| format!("{:.1}", load.one));
    format!(
        "{count} x {}, {memory} GiB, Linux {kernel}, load of the machine {load}",
        model.as_deref().unwrap_or("unknown processor")
    )
}
