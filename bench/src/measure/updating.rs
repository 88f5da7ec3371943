//! Changing the limits of a container, while it runs and while it does not.

use std::time::Duration;

use serde_json::json;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median, timed};

/// The version of the API that brought updates is 1.22.
const VERSION: &str = "1.24";
/// Two limits of memory in turn, in bytes, so that every update changes something.
const LIMITS: [u64; 2] = [64 << 20, 128 << 20];

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let budget = Duration::from_secs(arguments.seconds);
    let mut session = engine.session();
    let id = session.create(&engine.body(&["sleep", "3600"], "none"))?;
    let path = format!("/containers/{id}/update");
    let mut samples = Vec::new();
    for state in ["stopped", "running"] {
        if state == "running" {
            session.start(&id)?;
        }
        let mut limits = LIMITS.into_iter().cycle();
        let time = median(budget, || {
            let memory = limits.next();
            let body = json!({ "Memory": memory, "MemorySwap": -1, "CpuShares": 512, "CpuPeriod": 100_000,
                               "CpuQuota": 50_000 });
            timed(|| session.ask_at(VERSION, "POST", &path, Some(&body)).map(drop))
        })?;
        samples.push(Sample::milliseconds(&format!("update of a {state} container"), time));
    }
    session.remove(&id)?;
    Ok(samples)
}
