//! Drivers that send each line to a log server: syslog, journald, gelf.

mod gelf;
mod journald;
mod line;
mod syslog;
mod transport;

use std::io;

use model::{ContainerSpec, LogSpec, Timestamp};
use shim_protocol::log::Stream;
use sys::epoll::Event;

use self::gelf::Gelf;
use self::journald::Journald;
use self::line::{Line, host_name, server_address};
use self::syslog::Syslog;
use self::transport::Transport;
use super::lines::Lines;
use crate::event_loop::EventLoop;

/// How a line becomes packets.
enum Format {
    Syslog(Syslog),
    Journald(Journald),
    Gelf(Gelf),
}

impl Format {
    /// Nothing for a line that the server has no use for; no packet for one that it cannot take.
    fn packets(&mut self, line: &Line<'_>) -> Option<Vec<Vec<u8>>> {
        match self {
            Self::Syslog(syslog) => Some(vec![syslog.packet(line)]),
            Self::Journald(journald) => Some(vec![journald.packet(line)]),
            Self::Gelf(gelf) => gelf.packets(line),
        }
    }
}

/// A log on a server.
pub(crate) struct Remote {
    format: Format,
    lines: Lines,
    transport: Transport,
}

impl Remote {
    /// Makes ready to send; servers on this host must be there, others may come later.
    pub(crate) fn open(spec: &LogSpec, container: &ContainerSpec) -> io::Result<Self> {
        let (format, peer) = match spec.driver.as_str() {
            "syslog" => {
                let (syslog, peer) = Syslog::new(spec, container)?;
                (Format::Syslog(syslog), peer)
            }
            "journald" => (Format::Journald(Journald::new(spec, container)), journald::peer()),
            _ => {
                let (gelf, peer) = Gelf::new(spec, container)?;
                (Format::Gelf(gelf), peer)
            }
        };
        Ok(Self { format, lines: Lines::default(), transport: Transport::open(peer)? })
    }

    /// Sends each whole line, without its newline; what the server does not take waits or is dropped.
    pub(crate) fn write(&mut self, stream: Stream, output: &[u8], shared: &mut EventLoop) {
        let at = Timestamp::now();
        let (format, transport) = (&mut self.format, &mut self.transport);
        self.lines.take(stream, output, |text| {
            let (text, ends) = text.strip_suffix(b"\n").map_or((text, false), |text| (text, true));
            send(format, transport, &Line { stream, text, ends, at });
        });
        self.transport.flush(shared);
    }

    /// Sends what is left of begun lines.
    pub(crate) fn finish(&mut self, shared: &mut EventLoop) {
        let at = Timestamp::now();
        let (format, transport) = (&mut self.format, &mut self.transport);
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

    /// What of a line is not sent yet.
    pub(crate) fn pending(&self, stream: Stream) -> &[u8] {
        self.lines.pending(stream)
    }
}

fn send(format: &mut Format, transport: &mut Transport, line: &Line<'_>) {
    if let Some(packets) = format.packets(line) {
        transport.push(packets);
    }
}
