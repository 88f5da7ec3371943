//! What health checks cost beside the probes: the processor time of the daemon and of the processes that serve the containers.

use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::Context;
use serde_json::json;

use super::memory::processes_of;
use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::Sample;

/// Between the probes of one container.
const INTERVAL: Duration = Duration::from_secs(10);
/// Until every container has been probed once.
const WARM_UP: Duration = Duration::from_secs(15);
/// How long is looked.
const PERIOD: Duration = Duration::from_secs(60);
/// The version of the API that brought health checks is 1.24.
const VERSION: &str = "1.24";

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let daemon = engine.pid()?;
    let mut session = engine.session();
    let mut body = engine.body(&["sleep", "3600"], "none");
    body["Healthcheck"] = json!({ "Test": ["CMD", "true"], "Interval": INTERVAL.as_nanos() });
    let mut ids = Vec::with_capacity(arguments.checked);
    for _ in 0..arguments.checked {
        let answer = session.ask_at(VERSION, "POST", "/containers/create", Some(&body))?;
        let id = answer.json()["Id"].as_str().context("no id in the answer")?.to_owned();
        session.start(&id)?;
        ids.push(id);
    }
    thread::sleep(WARM_UP);
    let mut processes = processes_of(&ids);
    processes.push(daemon);
    let (before, begin) = (processor_time(&processes)?, Instant::now());
    thread::sleep(PERIOD);
    let used = processor_time(&processes)?.saturating_sub(before);
    let share = used.as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0;
    let name = format!("{} health checks every {} s, beside the probes", ids.len(), INTERVAL.as_secs());
    Ok(vec![Sample::percent_of_a_processor(&name, share)])
}

/// What processes have used themselves, without their children: fields 14 and 15 of /proc/pid/stat, proc_pid_stat(5).
fn processor_time(processes: &[u32]) -> anyhow::Result<Duration> {
    let ticks_a_second = rustix::param::clock_ticks_per_second();
    let mut ticks = 0;
    for pid in processes {
        // One that has ended uses nothing any more.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let (_, fields) = stat.rsplit_once(')').context("a line of /proc/pid/stat")?;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u64>()?;
        }
    }
    Ok(Duration::from_millis(ticks * 1000 / ticks_a_second.max(1)))
}
