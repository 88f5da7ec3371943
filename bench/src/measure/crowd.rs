//! Many containers with published ports at once: the last must be as quick as the first.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, middle, timed};
use crate::session::Session;

/// Over how many starts a value is the median.
const WINDOW: usize = 20;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut body = engine.body(&["sleep", "3600"], "bridge");
    body["ExposedPorts"] = json!({ "80/tcp": {} });
    body["HostConfig"]["PortBindings"] = json!({ "80/tcp": [{ "HostPort": "" }] });
    start_many(&mut engine.session(), "start with a published port", &body, arguments.crowd)
}

/// Starts a few containers and removes them; gives the middle of the times of their starts.
pub(super) fn start_some(session: &mut Session, what: &str, body: &Value) -> anyhow::Result<Vec<Sample>> {
    let mut times = Vec::with_capacity(WINDOW);
    for _ in 0..WINDOW {
        let id = session.create(body)?;
        times.push(timed(|| session.start(&id))?);
        session.remove(&id)?;
    }
    Ok(vec![Sample::milliseconds(what, middle(&times))])
}

/// Starts containers that stay; gives the times of the first and of the last.
pub(super) fn start_many(
    session: &mut Session,
    what: &str,
    body: &Value,
    count: usize,
) -> anyhow::Result<Vec<Sample>> {
    let count = count.max(WINDOW);
    let mut times: Vec<Duration> = Vec::with_capacity(count);
    for _ in 0..count {
        let id = session.create(body)?;
        let begin = Instant::now();
        session.start(&id)?;
        times.push(begin.elapsed());
    }
    let (first, last) = (middle(&times[..WINDOW]), middle(&times[count - WINDOW..]));
    Ok(vec![
        Sample::milliseconds(&format!("{what}, the first {WINDOW}"), first),
        Sample::milliseconds(&format!("{what}, the last {WINDOW} of {count}"), last),
    ])
}
