//! Many containers with published ports at once: the last must be as quick as the first.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Arguments;
use crate::engine::Engine;
use crate::sample::Sample;

/// Over how many starts a value is the median.
const WINDOW: usize = 20;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut body = engine.body(&["sleep", "3600"], "bridge");
    body["ExposedPorts"] = json!({ "80/tcp": {} });
    body["HostConfig"]["PortBindings"] = json!({ "80/tcp": [{ "HostPort": "" }] });
    let mut session = engine.session();
    let mut times = Vec::with_capacity(arguments.crowd);
    for _ in 0..arguments.crowd.max(WINDOW) {
        let id = session.create(&body)?;
        let begin = Instant::now();
        session.start(&id)?;
        times.push(begin.elapsed());
    }
    let count = times.len();
    Ok(vec![
        Sample::milliseconds("start with a published port, the first 20", median(&times[..WINDOW])),
        Sample::milliseconds(
            &format!("start with a published port, the last 20 of {count}"),
            median(&times[count - WINDOW..]),
        ),
    ])
}

fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}
