//! From the start request to the first answer at a published port.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use crate::arguments::Arguments;
use crate::engine::Engine;
use crate::sample::{Sample, median};

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut body = engine.body(&["httpd", "-f", "-p", "80", "-h", "/etc"], "bridge");
    body["ExposedPorts"] = json!({ "80/tcp": {} });
    body["HostConfig"]["PortBindings"] = json!({ "80/tcp": [{ "HostPort": "" }] });
    let mut session = engine.session();
    let time = median(Duration::from_secs(arguments.seconds), || {
        let id = session.create(&body)?;
        let begin = Instant::now();
        session.start(&id)?;
        let inspected = session.ask("GET", &format!("/containers/{id}/json"), None)?.json();
        let port =
            inspected["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"].as_str().context("no port")?;
        let port: u16 = port.parse()?;
        while !answers(port) {
            if begin.elapsed() > Duration::from_secs(20) {
                bail!("the published port {port} does not answer");
            }
        }
        let time = begin.elapsed();
        session.remove(&id)?;
        Ok(time)
    })?;
    Ok(vec![Sample::milliseconds("published port answers after start", time)])
}

/// Whether a web server behind the port gives an answer.
fn answers(port: u16) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(b"GET /passwd HTTP/1.0\r\n\r\n")?;
        let mut bytes = [0; 16];
        Ok(stream.read(&mut bytes)? > 0)
    };
    ask().unwrap_or(false)
}
