//! Create, inspect and list while few and while many containers exist.

use std::time::Duration;

use anyhow::Context;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median, timed};
use crate::session::Session;

/// The first number of containers.
const FEW: usize = 200;
/// The versions at which lists are requested, each with a shape of its own, as far as an engine serves them.
const MINOR_VERSIONS: [u32; 4] = [20, 24, 44, 55];

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
        let newest = newest_minor_version(&mut session)?;
        for minor in MINOR_VERSIONS.into_iter().filter(|minor| *minor <= newest) {
            let version = format!("1.{minor}");
            let time = median(second, || {
                timed(|| session.ask_at(&version, "GET", "/containers/json?all=1", None).map(drop))
            })?;
            samples.push(Sample::milliseconds(&format!("list, {count} containers, API {version}"), time));
        }
    }
    Ok(samples)
}

/// The second number of the newest version of the API that the engine serves.
fn newest_minor_version(session: &mut Session) -> anyhow::Result<u32> {
    let answer = session.ask("GET", "/version", None)?.json();
    let version = answer["ApiVersion"].as_str().context("no version in the answer")?;
    let (_, minor) = version.split_once('.').with_context(|| format!("the version {version:?}"))?;
    Ok(minor.parse()?)
}
