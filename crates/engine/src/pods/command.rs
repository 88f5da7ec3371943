//! Runs a command in a container of a pod to its end, with what it writes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use shim_protocol::log::Stream;
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use super::connect::{OpenCommand, PodStreams};
use crate::container::saved_exec::{ExecConfig, ExecState};
use crate::error::Error;
use crate::streams::Frames;

/// Bytes of both streams together that are kept; the rest is thrown away (CVE-2022-1708). Kubelets take answers of 16 MiB.
const OUTPUT_LIMIT: usize = (16 << 20) - (16 << 10);

/// How long a command that was killed may take to be gone.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// The outcome of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandEnd {
    /// It ended.
    Ended(CommandOutput),
    /// It took too long and was killed.
    TimedOut,
}

/// The output of a command, and how it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandOutput {
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its error output.
    pub stderr: Vec<u8>,
    /// 0 to 255; 128 + n after signal n.
    pub exit_code: i32,
}

impl PodStreams {
    /// Runs a command in a container; one that takes longer than `timeout` is killed, and so is one whose caller stops
    /// waiting for it.
    ///
    /// # Errors
    /// Unknown container, one that does not run, or a program that cannot be run.
    pub async fn run_command(
        self: &Arc<Self>,
        reference: &str,
        command: Vec<String>,
        timeout: Option<Duration>,
    ) -> Result<CommandEnd, Error> {
        let (streams, reference) = (Arc::clone(self), reference.to_owned());
        // Dropped with the caller.
        let (_caller, left) = oneshot::channel::<()>();
        crate::outcome::finish(async move {
            let config = ExecConfig {
                cmd: command,
                attach_stdout: true,
                attach_stderr: true,
                ..ExecConfig::default()
            };
            let OpenCommand { id, socket } = streams.open_command(&reference, config).await?;
            let end = async {
                let mut output = CommandOutput::default();
                let read = read_frames(socket, &mut output).await;
                read.map_err(|source| Error::Shim { act: "read from", source })?;
                output.exit_code = streams.exit_code_of(id.as_str()).await?;
                Ok(output)
            };
            tokio::select! {
                end = end => return end.map(CommandEnd::Ended),
                () = after(timeout) => {}
                _ = left => {}
            }
            streams.kill_command(id.as_str()).await?;
            Ok(CommandEnd::TimedOut)
        })
        .await
    }

    /// Kills a command with all that is in its session, and waits until it is gone.
    async fn kill_command(&self, id: &str) -> Result<(), Error> {
        let (exec, _) = self.realm.execs.inspect(id).await?;
        if let ExecState::Running(pid) = exec.state()
            && let Some(leader) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        {
            // It leads a session of its own; gone already, it needs no end.
            let _ = rustix::process::kill_process_group(leader, Signal::KILL);
            if tokio::time::timeout(KILL_TIMEOUT, exec.ended()).await.is_err() {
                tracing::warn!("a command of container {} does not end", exec.container);
            }
        }
        Ok(())
    }
}

/// Waits for a time that may have no end.
async fn after(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// Reads a stream to its end.
async fn read_frames(mut stream: tokio::net::UnixStream, output: &mut CommandOutput) -> io::Result<()> {
    let (mut frames, mut part) = (Frames::default(), vec![0; 32 << 10]);
    let mut room = OUTPUT_LIMIT;
    loop {
        let count = stream.read(&mut part).await?;
        if count == 0 {
            return if frames.is_cut() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) };
        }
        frames.push(&part[..count], &mut |stream, text| {
            let kept = match stream {
                Stream::Stdout => &mut output.stdout,
                Stream::Stderr => &mut output.stderr,
            };
            let text = &text[..text.len().min(room)];
            kept.extend_from_slice(text);
            room -= text.len();
        });
    }
}
