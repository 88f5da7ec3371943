//! Reading a log back: all of it, and its last lines.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::Arguments;
use crate::engine::{Engine, TEXT_BYTES};
use crate::sample::{Sample, median, timed};

pub(super) fn measure(engine: &mut Engine, _arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut session = engine.session();
    let id = session.create(&engine.body(&["cat", "/text"], "none"))?;
    session.start(&id)?;
    session.wait(&id)?;
    let path = format!("/containers/{id}/logs?stdout=1&stderr=1");
    let all = median(Duration::from_secs(2), || {
        let begin = Instant::now();
        let answer = session.ask("GET", &path, None)?;
        ensure!(answer.body.len() >= TEXT_BYTES, "the log has {} bytes", answer.body.len());
        Ok(begin.elapsed())
    })?;
    let path = format!("{path}&tail=10");
    let tail = median(Duration::from_secs(1), || timed(|| session.ask("GET", &path, None).map(drop)))?;
    Ok(vec![
        Sample::megabytes_a_second("logs, all", TEXT_BYTES, all),
        Sample::milliseconds("logs, the last 10 lines", tail),
    ])
}
