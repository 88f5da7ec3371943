//! The streams of one command or attachment, and what is carried between them and the container's shim.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::{Frames, OutputStream, PodStreams};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::stream::{Accepted, PIECE, Piece, Stream};
use crate::wire::session::{AttachRequest, ExecRequest};

/// How long a client may take to open its streams.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Which streams a client opens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    /// Whether there is one terminal: its output has no frames, and its size changes.
    pub(super) terminal: bool,
}

impl Wanted {
    /// Those of a command.
    pub(super) const fn of_exec(asked: &ExecRequest) -> Self {
        let ExecRequest { stdin, stdout, stderr, tty, .. } = *asked;
        Self { stdin, stdout, stderr: stderr && !tty, terminal: tty }
    }

    /// Those of a container's own stdio.
    pub(super) const fn of_attach(asked: &AttachRequest) -> Self {
        let AttachRequest { stdin, stdout, stderr, tty, .. } = *asked;
        Self { stdin, stdout, stderr: stderr && !tty, terminal: tty }
    }

    /// Their kinds.
    pub(super) fn kinds(self) -> Vec<&'static str> {
        let all = [
            ("error", true),
            ("stdin", self.stdin),
            ("stdout", self.stdout),
            ("stderr", self.stderr),
            ("resize", self.terminal),
        ];
        all.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind).collect()
    }
}

/// The streams that a client opened.
#[derive(Default)]
pub(super) struct Streams {
    error: Option<Stream>,
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<Stream>,
}

/// The terminal to be resized.
pub(super) enum Resized {
    /// A command, by its id.
    Command(String),
    /// A container's own terminal.
    Container(String),
}

/// A terminal's size, as clients send it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    width: u16,
    height: u16,
}

impl Streams {
    /// Waits until a client has opened its requested streams; `None` when it does not.
    pub(super) async fn gather(accepted: &mut Accepted, wanted: Wanted) -> Option<Self> {
        let gather = async {
            let mut streams = Self::default();
            while !streams.are_all(wanted) {
                streams.put(accepted.recv().await?);
            }
            Some(streams)
        };
        tokio::time::timeout(TIMEOUT, gather).await.ok().flatten()
    }

    const fn are_all(&self, wanted: Wanted) -> bool {
        self.error.is_some()
            && self.stdin.is_some() == wanted.stdin
            && self.stdout.is_some() == wanted.stdout
            && self.stderr.is_some() == wanted.stderr
            && self.resize.is_some() == wanted.terminal
    }

    fn put(&mut self, stream: Stream) {
        let place = match stream.header("streamtype") {
            "error" => &mut self.error,
            "stdin" => &mut self.stdin,
            "stdout" => &mut self.stdout,
            "stderr" => &mut self.stderr,
            "resize" => &mut self.resize,
            // A stream of another kind is dropped: nothing is sent on it.
            _ => return,
        };
        *place = Some(stream);
    }

    /// Carries everything between the client and a shim's connection until the output ends. Whether the client has ended its
    /// input.
    pub(super) async fn carry(
        &mut self,
        pods: &PodStreams,
        socket: UnixStream,
        wanted: Wanted,
        resized: &Resized,
    ) -> bool {
        let input_ended = Arc::new(AtomicBool::new(false));
        let (read, write) = socket.into_split();
        // Without input its half stays open to the end: closed, it would be the end of the client.
        let mut kept = None;
        match self.stdin.take() {
            Some(stdin) => drop(tokio::spawn(send_input(stdin, write, Arc::clone(&input_ended)))),
            None => kept = Some(write),
        }
        let resizes = self.resize.take().map(|resize| resize.split().0);
        let output = self.send_output(read, wanted);
        tokio::select! {
            sent = output => {
                if let Err(error) = sent {
                    tracing::debug!("the output of a container could not be sent: {error}");
                }
            }
            () = follow_sizes(pods, resizes, resized) => {}
        }
        drop(kept);
        for stream in [&self.stdout, &self.stderr].into_iter().flatten() {
            let _ = stream.finish().await;
        }
        input_ended.load(Ordering::Acquire)
    }

    async fn send_output(&self, mut output: OwnedReadHalf, wanted: Wanted) -> io::Result<()> {
        let (mut piece, mut frames) = (vec![0; PIECE], Frames::default());
        loop {
            let count = output.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            if wanted.terminal {
                send(self.stdout.as_ref(), &piece[..count]).await?;
                continue;
            }
            let mut texts = Vec::new();
            frames.push(&piece[..count], &mut |stream, text| texts.push((stream, text.to_vec())));
            for (stream, text) in texts {
                let target = match stream {
                    OutputStream::Stdout => &self.stdout,
                    OutputStream::Stderr => &self.stderr,
                };
                send(target.as_ref(), &text).await?;
            }
        }
    }

    /// Sends the result, as a Kubernetes `Status`, and nothing more.
    pub(super) async fn report(&self, status: &serde_json::Value) {
        if let Some(error) = &self.error {
            let _ = error.send(status.to_string().as_bytes()).await;
            let _ = error.finish().await;
        }
    }
}

async fn send(stream: Option<&Stream>, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Some(stream) => stream.send(bytes).await,
        None => Ok(()),
    }
}

/// Passes a client's input on; its end ends the input. What is not taken soon after the client has left is thrown away.
async fn send_input(stdin: Stream, mut socket: OwnedWriteHalf, ended: Arc<AtomicBool>) {
    let departure = stdin.departure();
    let (mut pieces, _) = stdin.split();
    let passing = async {
        while let Some(piece) = pieces.recv().await {
            if socket.write_all(&piece).await.is_err() {
                return;
            }
        }
        ended.store(true, Ordering::Release);
        let _ = socket.shutdown().await;
    };
    tokio::select! {
        () = passing => {}
        () = departure.wait_for_last_words() => {}
    }
}

/// Passes a terminal's sizes on, for as long as it is polled.
async fn follow_sizes(pods: &PodStreams, sizes: Option<mpsc::Receiver<Piece>>, resized: &Resized) {
    if let Some(mut sizes) = sizes {
        while let Some(bytes) = sizes.recv().await {
            let parsed =
                serde_json::Deserializer::from_slice(&bytes).into_iter::<Size>().map_while(Result::ok);
            for Size { width, height } in parsed {
                let done = match resized {
                    Resized::Command(id) => pods.resize_command(id, height, width).await,
                    Resized::Container(id) => pods.resize(id, height, width).await,
                };
                if let Err(error) = done {
                    tracing::debug!("a terminal's size could not be set: {error}");
                }
            }
        }
    }
    std::future::pending().await
}
