//! The daemon's start, and its start again after `kill -9` while containers run.

use anyhow::ensure;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::Sample;

/// How many containers run meanwhile.
const CONTAINERS: usize = 50;

pub(super) fn measure(engine: &mut Engine, _arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    engine.kill()?;
    let Some(idle) = engine.start()? else {
        return Ok(Vec::new());
    };
    let mut session = engine.session();
    let body = engine.body(&["sleep", "3600"], "bridge");
    for _ in 0..CONTAINERS {
        let id = session.create(&body)?;
        session.start(&id)?;
    }
    engine.kill()?;
    let busy = engine.start()?.unwrap_or_default();
    let running = engine.session().ask("GET", "/containers/json", None)?.json();
    let running = running.as_array().map_or(0, Vec::len);
    ensure!(running == CONTAINERS, "{running} of {CONTAINERS} containers run after the daemon's restart");
    Ok(vec![
        Sample::milliseconds("daemon ready after start", idle),
        Sample::milliseconds(&format!("daemon ready after kill -9, {CONTAINERS} running"), busy),
    ])
}
