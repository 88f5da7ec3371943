//! Create, inspect and list while few and while many containers exist.

use std::time::Duration;

use crate::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median, timed};

/// The first number of containers.
const FEW: usize = 200;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let body = engine.body(&["true"], "bridge");
    let mut session = engine.session();
    let mut samples = Vec::new();
    let mut made = 0;
    let mut last = String::new();
    for count in [FEW, arguments.many] {
        let mut times = Vec::new();
        while made < count {
            times.push(timed(|| {
                last = session.create(&body)?;
                Ok(())
            })?);
            made += 1;
        }
        times.sort_unstable();
        if let Some(time) = times.get(times.len() / 2) {
            samples.push(Sample::milliseconds(&format!("create, up to {count} containers"), *time));
        }
        let second = Duration::from_secs(1);
        let inspect = format!("/containers/{last}/json");
        let time = median(second, || timed(|| session.ask("GET", &inspect, None).map(drop)))?;
        samples.push(Sample::milliseconds(&format!("inspect, of {count} containers"), time));
        let time = median(second, || timed(|| session.ask("GET", "/containers/json?all=1", None).map(drop)))?;
        samples.push(Sample::milliseconds(&format!("list, {count} containers"), time));
    }
    Ok(samples)
}
