//! Logs: written by each driver without a client, read back whole, and their last lines.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::engine::{Engine, TEXT_BYTES};
use crate::sample::{Sample, median, timed};
use crate::session::Session;

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut session = engine.session();
    let mut samples = written(engine, &mut session, arguments.megabytes)?;
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
    samples.push(Sample::megabytes_a_second("logs, all", TEXT_BYTES, all));
    samples.push(Sample::milliseconds("logs, the last 10 lines", last_lines(&mut session, &path)?));
    let (id, _) = write(engine, &mut session, &json!({ "Type": "json-file", "Config": {} }), 1000)?;
    let path = format!("/containers/{id}/logs?stdout=1&stderr=1");
    let time = last_lines(&mut session, &path)?;
    samples.push(Sample::milliseconds("logs, the last 10 lines of 1 GB", time));
    Ok(samples)
}

fn last_lines(session: &mut Session, path: &str) -> anyhow::Result<Duration> {
    let path = format!("{path}&tail=10");
    median(Duration::from_secs(1), || timed(|| session.ask("GET", &path, None).map(drop)))
}

/// Writes with each driver; the engine must share this program's network.
fn written(engine: &Engine, session: &mut Session, megabytes: usize) -> anyhow::Result<Vec<Sample>> {
    let stream = TcpListener::bind("127.0.0.1:0")?;
    let datagrams = UdpSocket::bind("127.0.0.1:0")?;
    let syslog = format!("tcp://{}", stream.local_addr()?);
    let gelf = format!("udp://{}", datagrams.local_addr()?);
    std::thread::spawn(move || {
        while let Ok((mut connection, _)) = stream.accept() {
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 20];
                while connection.read(&mut buffer).is_ok_and(|count| count > 0) {}
            });
        }
    });
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while datagrams.recv(&mut buffer).is_ok() {}
    });
    let mut samples = Vec::new();
    for (driver, options, part) in [
        ("none", json!({}), 1),
        ("json-file", json!({}), 1),
        ("json-file", json!({ "max-size": "10m", "max-file": "3" }), 1),
        ("syslog", json!({ "syslog-address": syslog }), 4),
        ("gelf", json!({ "gelf-address": gelf }), 8),
    ] {
        let rotates = if options.get("max-size").is_some() { ", rotating" } else { "" };
        let config = json!({ "Type": driver, "Config": options });
        let (id, sample) = write(engine, session, &config, megabytes / part)?;
        session.remove(&id)?;
        samples.push(Sample { name: format!("written, log {driver}{rotates}"), ..sample });
    }
    Ok(samples)
}

/// Runs a container that writes so much to its log; gives its id.
fn write(
    engine: &Engine,
    session: &mut Session,
    log: &Value,
    megabytes: usize,
) -> anyhow::Result<(String, Sample)> {
    let times = (megabytes * 1_000_000).div_ceil(TEXT_BYTES);
    let script = format!("i=0; while [ $i -lt {times} ]; do cat /text; i=$((i+1)); done");
    let mut body = engine.body(&["sh", "-c", &script], "none");
    body["HostConfig"]["LogConfig"] = log.clone();
    let id = session.create(&body)?;
    let begin = Instant::now();
    session.start(&id)?;
    session.wait(&id)?;
    Ok((id, Sample::megabytes_a_second("", times * TEXT_BYTES, begin.elapsed())))
}
