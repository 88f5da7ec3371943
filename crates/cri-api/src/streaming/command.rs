//! Commands in containers, and attachments to containers, over a client's streams.

use std::time::Duration;

use engine::{AttachRequest, ExecConfig};
use model::ProcessReference;
use serde_json::json;

use super::exchange::{Resized, Streams, Wanted};
use super::stream::Accepted;
use crate::wire::session;

/// Why the output of a container that runs on has ended.
const TOO_SLOW: &str = "the client took no output for seconds, and the container and its log do not wait for it: \
                        what was written since then is in the log";
/// How often and with which pauses the end of a container is polled for.
const END_POLLS: u32 = 20;
const END_PAUSE: Duration = Duration::from_millis(50);

/// Runs a command and carries its streams.
pub(super) async fn exec(engine: &engine::Engine, asked: session::ExecRequest, mut accepted: Accepted) {
    let wanted = Wanted::of_exec(&asked);
    let Some(mut streams) = Streams::gather(&mut accepted, wanted).await else { return };
    let config = ExecConfig {
        cmd: asked.cmd,
        tty: asked.tty,
        attach_stdin: asked.stdin,
        attach_stdout: asked.stdout,
        attach_stderr: asked.stderr,
        ..ExecConfig::default()
    };
    let opened = engine.pods.streams.open_command(&asked.container_id, config).await;
    let run = async {
        let command = opened?;
        let id = command.id.to_string();
        let _ =
            streams.carry(&engine.pods.streams, command.socket, wanted, &Resized::Command(id.clone())).await;
        engine.pods.streams.exit_code_of(&id).await
    };
    let status = match while_there(&mut accepted, run).await {
        Some(Ok(0)) => success(),
        Some(Ok(code)) => exit_status(code),
        Some(Err(error)) => failure(&error),
        None => return,
    };
    streams.report(&status).await;
    drop(streams);
    until_left(&mut accepted).await;
}

/// Joins a container's own stdio and carries it.
pub(super) async fn attach(engine: &engine::Engine, asked: session::AttachRequest, mut accepted: Accepted) {
    let wanted = Wanted::of_attach(&asked);
    let Some(mut streams) = Streams::gather(&mut accepted, wanted).await else { return };
    let request = AttachRequest {
        stdin: asked.stdin,
        stdout: asked.stdout,
        stderr: asked.stderr,
        stream: true,
        ..AttachRequest::default()
    };
    let process = engine.pods.container(&asked.container_id).ok().and_then(|record| record.phase.process());
    let opened = engine.pods.streams.open_attachment(&asked.container_id, request).await;
    // A user at a terminal can detach by keys, while the container keeps running.
    let can_detach = asked.tty && asked.stdin;
    let join = async {
        let resized = Resized::Container(asked.container_id);
        // Without more input a client is disconnected once it has taken all output until then.
        let has_left = streams.carry(&engine.pods.streams, opened?, wanted, &resized).await || can_detach;
        Ok::<bool, engine::Error>(has_left || has_ended(process).await)
    };
    let status = match while_there(&mut accepted, join).await {
        Some(Ok(true)) => success(),
        Some(Ok(false)) => internal_error(TOO_SLOW),
        Some(Err(error)) => failure(&error),
        None => return,
    };
    streams.report(&status).await;
    drop(streams);
    until_left(&mut accepted).await;
}

/// Whether a container's first process has ended, or ends within a moment; its output ends with it.
async fn has_ended(process: Option<ProcessReference>) -> bool {
    let Some(ProcessReference { pid, start_time, .. }) = process else { return true };
    for _ in 0..END_POLLS {
        if !engine::sys::process::is_alive(pid, start_time) {
            return true;
        }
        tokio::time::sleep(END_PAUSE).await;
    }
    false
}

/// The result of work for a client; `None` when the client leaves before.
async fn while_there<T>(accepted: &mut Accepted, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = work => Some(done),
        () = until_left(accepted) => None,
    }
}

/// Waits until the client has closed its connection: what it has not read yet would be lost with it.
async fn until_left(accepted: &mut Accepted) {
    while accepted.recv().await.is_some() {}
}

fn success() -> serde_json::Value {
    json!({ "metadata": {}, "status": "Success" })
}

fn failure(error: &engine::Error) -> serde_json::Value {
    internal_error(&model::with_causes(error))
}

fn internal_error(message: &str) -> serde_json::Value {
    json!({ "metadata": {}, "status": "Failure", "reason": "InternalError", "message": message, "code": 500 })
}

/// How an exit code other than 0 is reported to clients.
fn exit_status(code: i32) -> serde_json::Value {
    json!({
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: {code}"),
        "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
    })
}
