//! What the engine's own processes hold: the daemon, and what each container needs beside its own.

use std::time::Duration;
use std::{fs, thread};

use crate::arguments::Arguments;
use crate::engine::{Engine, proportional_megabytes};
use crate::sample::Sample;

/// How many containers run while memory is measured.
const CONTAINERS: u32 = 20;

/// A daemon without requests for so long is idle.
const IDLE: Duration = Duration::from_secs(3);

pub(super) fn measure(engine: &mut Engine, _arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let daemon = engine.pid()?;
    thread::sleep(IDLE);
    let idle = proportional_megabytes(daemon)?;
    let mut session = engine.session();
    let body = engine.body(&["sleep", "3600"], "bridge");
    let mut ids = Vec::new();
    for _ in 0..CONTAINERS {
        let id = session.create(&body)?;
        session.start(&id)?;
        ids.push(id);
    }
    thread::sleep(IDLE);
    let beside: f64 = processes_of(&ids).into_iter().flat_map(proportional_megabytes).sum();
    let running = format!("memory of the daemon, {CONTAINERS} running");
    Ok(vec![
        Sample::megabytes("memory of the daemon, idle", idle),
        Sample::megabytes(&running, proportional_megabytes(daemon)?),
        Sample::megabytes("memory for each container beside its own", beside / f64::from(CONTAINERS)),
    ])
}

/// The processes that serve containers: one of the ids stands in their command line.
pub(super) fn processes_of(ids: &[String]) -> Vec<u32> {
    let serves = |pid: &u32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        ids.iter().any(|id| command.contains(id.as_str()))
    };
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(serves).collect()
}
