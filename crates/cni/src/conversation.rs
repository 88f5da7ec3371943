//! A plugin's input and output, until it has ended.
//!
//! A plugin may start processes that keep running, with its output still open: the plugin's own output is in the pipes when
//! it has ended, and nothing is waited for after that.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStdin};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionbio;

use crate::cancellation::Cancellation;

/// Bytes of a result or a message that are read; what is longer is no result.
const OUTPUT_LIMIT: usize = 1 << 20;
/// Bytes that are read at once.
const PIECE: usize = 32 << 10;

/// How a conversation with a plugin ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The plugin has ended, and wrote this.
    Written(Written),
    /// It took longer than the limit.
    TooLong,
    /// Its work is no longer needed.
    Cancelled,
}

/// The output of a plugin.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// Gives a plugin its input and reads what it writes until the process has ended, takes longer than the limit or is
/// not wanted any more.
pub(crate) fn converse(
    child: &mut Child,
    process: impl AsFd,
    input: &[u8],
    (limit, cancellation): (Duration, Option<&Cancellation>),
) -> io::Result<End> {
    let deadline = Instant::now() + limit;
    let mut input = Input::new(child.stdin.take(), input)?;
    let (mut stdout, mut stderr) = (Output::new(child.stdout.take())?, Output::new(child.stderr.take())?);
    loop {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return Ok(End::TooLong) };
        let mut waiting = vec![PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        let cancelled = cancellation.map(|cancellation| PollFd::new(cancellation, PollFlags::IN));
        let watched = cancelled.iter().len();
        waiting.extend(cancelled);
        waiting.extend(input.pipe().map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::OUT)));
        waiting.extend([stdout.pipe(), stderr.pipe()].into_iter().flatten().map(readable));
        let left = Timespec { tv_sec: seconds(left), tv_nsec: left.subsec_nanos().into() };
        match poll(&mut waiting, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // Read before the pipes are: what was written until the end is read then.
        let has_ended = waiting.first().is_some_and(|process| !process.revents().is_empty());
        let is_cancelled = waiting.iter().skip(1).take(watched).any(|it| !it.revents().is_empty());
        input.send();
        stdout.take();
        stderr.take();
        if has_ended {
            return Ok(End::Written(Written { stdout: stdout.bytes, stderr: stderr.bytes }));
        }
        if is_cancelled {
            return Ok(End::Cancelled);
        }
    }
}

fn readable(pipe: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(pipe, PollFlags::IN)
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// A plugin's standard input, closed when all is sent or the plugin does not read.
struct Input<'b> {
    pipe: Option<ChildStdin>,
    unsent: &'b [u8],
}

impl<'b> Input<'b> {
    fn new(pipe: Option<ChildStdin>, unsent: &'b [u8]) -> io::Result<Self> {
        pipe.iter().try_for_each(|pipe| ioctl_fionbio(pipe, true))?;
        Ok(Self { pipe, unsent })
    }

    fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    fn send(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        match pipe.write(self.unsent) {
            Ok(count) => self.unsent = &self.unsent[count..],
            Err(error) if is_for_later(&error) => return,
            // One that does not read its input is not harmed.
            Err(_) => self.unsent = &[],
        }
        if self.unsent.is_empty() {
            self.pipe = None;
        }
    }
}

/// One of a plugin's outputs, closed at its end and when there is too much.
struct Output<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<R: Read + AsFd> Output<R> {
    fn new(pipe: Option<R>) -> io::Result<Self> {
        pipe.iter().try_for_each(|pipe| ioctl_fionbio(pipe, true))?;
        Ok(Self { pipe, bytes: Vec::new() })
    }

    fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Takes what is there.
    fn take(&mut self) {
        let mut piece = [0; PIECE];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut piece) {
                Ok(count) if count > 0 && self.bytes.len() + count <= OUTPUT_LIMIT => {
                    self.bytes.extend_from_slice(&piece[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_for_later(&error) => return,
                Ok(0) => self.pipe = None,
                // Output that breaks off, or has no end, is no result.
                Ok(_) | Err(_) => {
                    self.pipe = None;
                    self.bytes.clear();
                }
            }
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
