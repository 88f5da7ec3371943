//! Bytes through an attached connection, both ways.

use std::time::Instant;

use anyhow::ensure;
use serde_json::json;

use crate::arguments::Arguments;
use crate::engine::{Engine, TEXT_BYTES};
use crate::sample::Sample;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for driver in ["none", "json-file"] {
        samples.push(output(engine, driver, arguments.megabytes)?);
    }
    samples.push(input(engine, arguments.megabytes)?);
    Ok(samples)
}

/// What a container writes, read by an attached client.
fn output(engine: &Engine, driver: &str, megabytes: usize) -> anyhow::Result<Sample> {
    let times = (megabytes * 1_000_000).div_ceil(TEXT_BYTES);
    let script = format!("read line; i=0; while [ $i -lt {times} ]; do cat /text; i=$((i+1)); done");
    let mut body = engine.body(&["sh", "-c", &script], "none");
    body["OpenStdin"] = json!(true);
    body["StdinOnce"] = json!(true);
    body["HostConfig"]["LogConfig"] = json!({ "Type": driver, "Config": {} });
    let client = engine.client();
    let id = engine.session().create(&body)?;
    let mut stream = client.attach(&id, "stream=1&stdin=1&stdout=1&stderr=1");
    client.start(&id);
    let begin = Instant::now();
    stream.send(b"go\n")?;
    let mut count = 0;
    loop {
        let bytes = stream.read_some()?;
        if bytes.is_empty() {
            break;
        }
        count += bytes.len();
    }
    let time = begin.elapsed();
    let wanted = times * TEXT_BYTES;
    ensure!(count >= wanted, "the stream brought {count} of {wanted} bytes");
    engine.session().remove(&id)?;
    Ok(Sample::megabytes_a_second(&format!("attach, log {driver}"), wanted, time))
}

/// What an attached client sends, read by a container.
fn input(engine: &Engine, megabytes: usize) -> anyhow::Result<Sample> {
    let mut body = engine.body(&["cat"], "none");
    body["OpenStdin"] = json!(true);
    body["StdinOnce"] = json!(true);
    body["Cmd"] = json!(["sh", "-c", "cat > /dev/null"]);
    let client = engine.client();
    let id = engine.session().create(&body)?;
    let mut stream = client.attach(&id, "stream=1&stdin=1");
    client.start(&id);
    let piece = vec![b'x'; 65_536];
    let pieces = (megabytes * 1_000_000).div_ceil(piece.len());
    let begin = Instant::now();
    for _ in 0..pieces {
        stream.send(&piece)?;
    }
    stream.half_close()?;
    engine.session().wait(&id)?;
    let time = begin.elapsed();
    engine.session().remove(&id)?;
    Ok(Sample::megabytes_a_second("stdin", pieces * piece.len(), time))
}
