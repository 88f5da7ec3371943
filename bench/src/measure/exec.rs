//! A command run in a running container: create, start attached, read to the end, inspect.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::json;

use crate::arguments::Arguments;
use crate::engine::{Engine, TEXT_BYTES};
use crate::sample::{Sample, median, timed};

pub(super) fn measure(engine: &mut Engine, arguments: &Arguments) -> anyhow::Result<Vec<Sample>> {
    let mut session = engine.session();
    let id = session.create(&engine.body(&["sleep", "3600"], "none"))?;
    session.start(&id)?;
    let client = engine.client();
    let body = json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": ["true"] });
    let time = median(Duration::from_secs(arguments.seconds), || {
        timed(|| {
            let made = session.ask("POST", &format!("/containers/{id}/exec"), Some(&body))?.json();
            let exec = made["Id"].as_str().context("no id in the answer")?;
            let mut stream = client.exec_start(exec, &json!({ "Detach": false, "Tty": false }));
            stream.read_to_end()?;
            let inspected = session.ask("GET", &format!("/exec/{exec}/json"), None)?.json();
            anyhow::ensure!(inspected["ExitCode"] == 0, "the command failed: {inspected}");
            Ok(())
        })
    })?;
    let mut samples = vec![Sample::milliseconds("exec", time)];
    for (name, command) in [("exec, output", OUTPUT), ("exec, input", INPUT)] {
        samples.push(stream(engine, &id, name, command, arguments.megabytes)?);
    }
    Ok(samples)
}

/// A command that writes so many chunks, and one that reads to the end.
const OUTPUT: &str = "read line; i=0; while [ $i -lt PIECES ]; do cat /text; i=$((i+1)); done";
const INPUT: &str = "cat > /dev/null";

/// Bytes through the attached stream of a command, one way.
fn stream(engine: &Engine, id: &str, name: &str, command: &str, megabytes: usize) -> anyhow::Result<Sample> {
    let pieces = (megabytes * 1_000_000).div_ceil(TEXT_BYTES);
    let wanted = pieces * TEXT_BYTES;
    let body = json!({
        "AttachStdin": true, "AttachStdout": true, "AttachStderr": true,
        "Cmd": ["sh", "-c", command.replace("PIECES", &pieces.to_string())],
    });
    let client = engine.client();
    let exec = client.exec_create(id, &body);
    let mut connection = client.exec_start(&exec, &json!({ "Detach": false, "Tty": false }));
    let begin = Instant::now();
    if command == INPUT {
        let piece = vec![b'x'; TEXT_BYTES];
        for _ in 0..pieces {
            connection.send(&piece)?;
        }
        connection.half_close()?;
    } else {
        connection.send(b"go\n")?;
    }
    let mut count = 0;
    loop {
        let bytes = connection.read_some()?;
        if bytes.is_empty() {
            break;
        }
        count += bytes.len();
    }
    let time = begin.elapsed();
    anyhow::ensure!(command == INPUT || count >= wanted, "the stream brought {count} of {wanted} bytes");
    Ok(Sample::megabytes_a_second(name, wanted, time))
}
