//! What the engine's own processes hold, idle and for each running container.

use std::collections::BTreeSet;
use std::fs;

use crate::Arguments;
use crate::engine::{Engine, proportional_megabytes};
use crate::sample::Sample;

/// How many containers run while memory is looked at.
const CONTAINERS: u32 = 20;

pub(super) fn measure(engine: &mut Engine, _arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let daemon = engine.pid()?;
    let before = processes();
    let mut session = engine.session();
    let body = engine.body(&["sleep", "3600"], "bridge");
    for _ in 0..CONTAINERS {
        let id = session.create(&body)?;
        session.start(&id)?;
    }
    let mut added = 0.0;
    for pid in processes().difference(&before) {
        added += proportional_megabytes(*pid).unwrap_or_default();
    }
    let idle = Sample::megabytes(
        &format!("memory of the daemon, {CONTAINERS} running"),
        proportional_megabytes(daemon)?,
    );
    let each = Sample::megabytes("memory for each container beside its own", added / f64::from(CONTAINERS));
    Ok(vec![idle, each])
}

/// The processes in the host's pid namespace; a container's own are in another.
fn processes() -> BTreeSet<u32> {
    let own = fs::read_link("/proc/self/ns/pid").ok();
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok() == own)
        .collect()
}
