//! A command run in a running container: create, start attached, read to the end, inspect.

use std::time::Duration;

use anyhow::Context;
use serde_json::json;

use crate::Arguments;
use crate::engine::Engine;
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
    Ok(vec![Sample::milliseconds("exec", time)])
}
