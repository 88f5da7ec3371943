//! Sends each line to a log server, in its driver's format.

mod transport;

use std::io;

use log_drivers::{Destination, Format, Line};
use model::Timestamp;
use shim_protocol::log::Stream;
use sys::epoll::Event;

use self::transport::Transport;
use super::lines::Lines;
use crate::event_loop::EventLoop;

/// A log on a server.
pub(crate) struct Remote {
    format: Box<dyn Format>,
    lines: Lines,
    transport: Transport,
}

impl Remote {
    /// Makes ready to send; servers on this host must be there, others may come later.
    pub(crate) fn open(Destination { format, peer, delivery }: Destination) -> io::Result<Self> {
        Ok(Self { format, lines: Lines::default(), transport: Transport::open(peer, delivery)? })
    }

    /// Sends each whole line, without its newline; what the server does not take waits or is dropped.
    pub(crate) fn write(&mut self, stream: Stream, output: &[u8], shared: &mut EventLoop) {
        let at = Timestamp::now();
        let (format, transport) = (&mut *self.format, &mut self.transport);
        self.lines.take(stream, output, |text| {
            let (text, ends) = text.strip_suffix(b"\n").map_or((text, false), |text| (text, true));
            send(format, transport, &Line { stream, text, ends, at });
        });
        self.transport.flush(shared);
    }

    /// Sends what is left of begun lines.
    pub(crate) fn finish(&mut self, shared: &mut EventLoop) {
        let at = Timestamp::now();
        let (format, transport) = (&mut *self.format, &mut self.transport);
        self.lines.finish(|stream, text| send(format, transport, &Line { stream, text, ends: true, at }));
        self.transport.last_chance(shared);
    }

    /// The server can take more.
    pub(crate) fn on_event(&mut self, event: Event, shared: &mut EventLoop) {
        self.transport.on_event(event, shared);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, shared: &mut EventLoop) {
        self.transport.tick(shared);
    }

    /// Lines that were dropped so far.
    pub(crate) const fn dropped(&self) -> u64 {
        self.transport.dropped()
    }

    /// Whether something is still to be sent at the end.
    pub(crate) fn is_busy(&self, shared: &EventLoop) -> bool {
        self.transport.is_busy(shared.now)
    }

    /// The part of a line that is not sent yet.
    pub(crate) fn pending(&self, stream: Stream) -> &[u8] {
        self.lines.pending(stream)
    }
}

fn send(format: &mut dyn Format, transport: &mut Transport, line: &Line<'_>) {
    if let Some(packets) = format.packets(line) {
        transport.push(packets, format.acknowledgment());
    }
}
