//! Parts of a step's output in the form of the stream.

use crate::event::{BuildEvent, EventSink};
use crate::runner::OutputStream;

/// Wraps a part of standard error in the colour that clients show it in.
pub(super) fn stderr_piece(text: &str) -> String {
    format!("\u{1b}[91m{text}\u{1b}[0m")
}

/// Sends output as text: the first bytes of a character wait for the others.
pub(super) struct Output<'a> {
    events: &'a dyn EventSink,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl<'a> Output<'a> {
    pub(super) fn new(events: &'a dyn EventSink) -> Self {
        Self { events, stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Takes a part of the output.
    pub(super) fn write(&mut self, stream: OutputStream, bytes: &[u8]) {
        let waiting = self.waiting(stream);
        waiting.extend_from_slice(bytes);
        let cut = waiting.len() - unfinished(waiting);
        let rest = waiting.split_off(cut);
        let whole = std::mem::replace(waiting, rest);
        self.send(stream, &whole);
    }

    /// Sends the bytes of characters that were never completed.
    pub(super) fn finish(mut self) {
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let rest = std::mem::take(self.waiting(stream));
            self.send(stream, &rest);
        }
    }

    fn waiting(&mut self, stream: OutputStream) -> &mut Vec<u8> {
        match stream {
            OutputStream::Stdout => &mut self.stdout,
            OutputStream::Stderr => &mut self.stderr,
        }
    }

    fn send(&self, stream: OutputStream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        self.events.send(BuildEvent::Stream(match stream {
            OutputStream::Stdout => text.into_owned(),
            OutputStream::Stderr => stderr_piece(&text),
        }));
    }
}

/// How many bytes at the end begin a character whose rest is missing.
fn unfinished(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.len() - error.valid_up_to(),
        Err(error) => unfinished(&bytes[error.valid_up_to() + error.error_len().unwrap_or(1)..]),
        Ok(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn characters_stay_whole() {
        let seen = Mutex::new(Vec::new());
        let sink = |event| seen.lock().unwrap().push(event);
        let mut output = Output::new(&sink);
        output.write(OutputStream::Stdout, b"a\xc3");
        output.write(OutputStream::Stderr, b"x");
        output.write(OutputStream::Stdout, b"\xa9b\xff\xff\xe2\x82");
        output.finish();
        let stream = |text: &str| BuildEvent::Stream(text.to_owned());
        let want = ["a", "\u{1b}[91mx\u{1b}[0m", "éb\u{fffd}\u{fffd}", "\u{fffd}"].map(stream);
        assert_eq!(*seen.lock().unwrap(), want);
    }
}
