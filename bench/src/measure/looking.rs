//! Looking into a running container: its processes and its counters, once and for a thousand followers.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use berth_tests::http::Connection;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median, timed};
use crate::session::allow_descriptors;

/// How many follow one container's counters at once.
const FOLLOWERS: u32 = 1000;
/// For how long they are watched.
const WATCHED: Duration = Duration::from_secs(5);
/// Milliseconds of a clock tick of /proc (100 a second on x86-64).
const TICK: f64 = 10.0;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut session = engine.session();
    let id = session.create(&engine.body(&["sleep", "3600"], "bridge"))?;
    session.start(&id)?;
    let budget = Duration::from_secs(arguments.seconds);
    let mut samples = Vec::new();
    for (name, path) in [("top", "top"), ("top, aux", "top?ps_args=aux"), ("stats", "stats?stream=false")] {
        let path = format!("/containers/{id}/{path}");
        let time = median(budget, || timed(|| session.ask("GET", &path, None).map(drop)))?;
        samples.push(Sample::milliseconds(name, time));
    }
    samples.push(followers(engine, &id)?);
    Ok(samples)
}

/// The daemon's processor time while many follow one container.
fn followers(engine: &Engine, id: &str) -> anyhow::Result<Sample> {
    allow_descriptors(u64::from(FOLLOWERS) + 100)?;
    let client = engine.client();
    let open = |_| client.open("GET", &format!("/containers/{id}/stats"), &[], b"").1;
    let mut streams: Vec<Connection> = (0..FOLLOWERS).map(open).collect();
    for stream in &mut streams {
        stream.read_some()?;
    }
    let before = ticks(engine.pid()?)?;
    std::thread::sleep(WATCHED);
    let spent = (ticks(engine.pid()?)? - before) * TICK / WATCHED.as_secs_f64();
    let name = format!("processor time a second, {FOLLOWERS} followers of stats");
    Ok(Sample::milliseconds(&name, Duration::from_secs_f64(spent / 1e3)))
}

/// User and kernel time of a process (proc_pid_stat(5), fields 14 and 15).
fn ticks(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").context("a process's counters")?;
    let times = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
    Ok(times.sum())
}
