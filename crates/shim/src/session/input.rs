//! The way into a process: one pipe or terminal, never more held back than one read.

use std::io;
use std::os::fd::OwnedFd;

use sys::epoll::{Interest, Poller};
use sys::stream;

/// Where a process's input goes.
pub(super) enum Sink {
    /// It has none; input is thrown away.
    Nothing,
    /// Its terminal is made when it runs; input waits at the clients until then.
    Awaited,
    /// Its pipe or terminal.
    Open(OwnedFd),
}

/// A process's input.
pub(super) struct Input {
    sink: Sink,
    token: u64,
    pending: Vec<u8>,
    written: usize,
    /// Ends when what is pending is written.
    ends: bool,
    registered: bool,
}

impl Input {
    pub(super) const fn new(sink: Sink, token: u64) -> Self {
        Self { sink, token, pending: Vec::new(), written: 0, ends: false, registered: false }
    }

    /// The terminal is there now.
    pub(super) fn open(&mut self, sink: OwnedFd) {
        self.sink = Sink::Open(sink);
    }

    /// Whether clients should be read.
    pub(super) const fn accepts(&self) -> bool {
        match self.sink {
            Sink::Nothing => true,
            Sink::Awaited => false,
            Sink::Open(_) => self.pending.is_empty(),
        }
    }

    /// Whether the process can still be given anything.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.sink, Sink::Open(_) | Sink::Awaited) && !self.ends
    }

    /// Whether nothing waits to be written, and the process has read all that was written into its pipe.
    pub(super) fn is_drained(&self) -> bool {
        let is_read = match &self.sink {
            // Of a terminal it is the output that waits.
            Sink::Open(sink) => stream::unread(sink).is_ok_and(|count| count == 0),
            Sink::Nothing | Sink::Awaited => true,
        };
        self.pending.is_empty() && is_read
    }

    /// Writes; what the process does not take now is kept. Only while [`Input::accepts`].
    pub(super) fn write(&mut self, bytes: &[u8], poller: &Poller) {
        let mut rest = bytes;
        while let Sink::Open(sink) = &self.sink
            && !rest.is_empty()
            && !self.ends
        {
            match stream::write(sink, rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.pending.extend_from_slice(rest);
                    break;
                }
                Err(_) => self.close(poller),
            }
        }
        self.register(poller);
    }

    /// There is room again.
    pub(super) fn advance(&mut self, poller: &Poller) {
        while let Sink::Open(sink) = &self.sink
            && self.written < self.pending.len()
        {
            match stream::write(sink, &self.pending[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.close(poller),
            }
        }
        self.pending.clear();
        self.written = 0;
        if self.ends {
            self.close(poller);
        }
        self.register(poller);
    }

    /// Gives the process the end of its input, behind what is pending.
    pub(super) fn end(&mut self, poller: &Poller) {
        self.ends = true;
        if self.pending.is_empty() {
            self.close(poller);
        }
    }

    /// Closes it at once; it has no reader any more.
    pub(super) fn close(&mut self, poller: &Poller) {
        if let (true, Sink::Open(sink)) = (self.registered, &self.sink) {
            let _ = poller.remove(sink);
        }
        self.registered = false;
        self.sink = Sink::Nothing;
        self.pending = Vec::new();
        self.written = 0;
    }

    /// Waits for room only while something is pending: a pipe without reader would be reported for ever.
    fn register(&mut self, poller: &Poller) {
        let Sink::Open(sink) = &self.sink else {
            return;
        };
        let wanted = !self.pending.is_empty();
        if wanted == self.registered {
            return;
        }
        let write = Interest { read: false, write: true };
        let done = if wanted { poller.add(sink, self.token, write) } else { poller.remove(sink) };
        if done.is_ok() {
            self.registered = wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_is_drained_when_the_process_has_read_it() {
        let (reading, writing) = stream::pipe(4096).expect("a pipe");
        let poller = Poller::new().expect("a poller");
        let mut input = Input::new(Sink::Open(writing), 1);
        assert!(input.is_drained());
        input.write(b"two", &poller);
        assert!(!input.is_drained());
        for (length, is_drained) in [(2, false), (1, true)] {
            assert_eq!(stream::read(&reading, &mut vec![0; length]).expect("bytes"), length);
            assert_eq!(input.is_drained(), is_drained);
        }
    }
}
