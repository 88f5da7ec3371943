//! Drivers that send each line to a log server: syslog, journald, gelf.

mod gelf;
mod journald;
mod syslog;
mod transport;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use model::{ContainerSpec, LogSpec, Timestamp};
use shim_protocol::log::Stream;
use sys::epoll::Event;

use self::gelf::Gelf;
use self::journald::Journald;
use self::syslog::Syslog;
use self::transport::Transport;
use super::lines::Lines;
use crate::surroundings::Surroundings;

/// One line on its way.
struct Line<'a> {
    stream: Stream,
    text: &'a [u8],
    at: Timestamp,
}

impl Line<'_> {
    /// syslog(3): errors for the error output, information for the other.
    const fn severity(&self) -> u8 {
        match self.stream {
            Stream::Stdout => 6,
            Stream::Stderr => 3,
        }
    }
}

/// How a line becomes packets.
enum Format {
    Syslog(Syslog),
    Journald(Journald),
    Gelf(Gelf),
}

impl Format {
    fn packets(&mut self, line: &Line<'_>) -> Vec<Vec<u8>> {
        match self {
            Self::Syslog(syslog) => vec![syslog.packet(line)],
            Self::Journald(journald) => vec![journald.packet(line)],
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
    pub(crate) fn write(&mut self, stream: Stream, output: &[u8], shared: &mut Surroundings) {
        let at = Timestamp::now();
        let (format, transport) = (&mut self.format, &mut self.transport);
        self.lines.take(stream, output, |text| send(format, transport, &Line { stream, text, at }));
        self.transport.flush(shared);
    }

    /// Sends what is left of begun lines.
    pub(crate) fn finish(&mut self, shared: &mut Surroundings) {
        let at = Timestamp::now();
        let (format, transport) = (&mut self.format, &mut self.transport);
        self.lines.finish(|stream, text| send(format, transport, &Line { stream, text, at }));
        self.transport.last_chance(shared);
    }

    /// The server can take more.
    pub(crate) fn on_event(&mut self, event: Event, shared: &mut Surroundings) {
        self.transport.on_event(event, shared);
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, shared: &mut Surroundings) {
        self.transport.tick(shared);
    }

    /// Lines that were dropped so far.
    pub(crate) const fn dropped(&self) -> u64 {
        self.transport.dropped()
    }

    /// Whether something is still to be sent at the end.
    pub(crate) fn is_busy(&self, shared: &Surroundings) -> bool {
        self.transport.is_busy(shared.now)
    }

    /// What of a line is not sent yet.
    pub(crate) fn pending(&self, stream: Stream) -> &[u8] {
        self.lines.pending(stream)
    }
}

fn send(format: &mut Format, transport: &mut Transport, line: &Line<'_>) {
    let text = line.text.strip_suffix(b"\n").unwrap_or(line.text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if !text.is_empty() {
        transport.push(format.packets(&Line { text, ..*line }));
    }
}

/// Parses `host:port`, port optional; the host is an address or a name of /etc/hosts. Names of the
/// DNS are the daemon's business: the shim has no resolver.
fn socket_address(text: &str, default_port: u16) -> io::Result<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| io::Error::other(format!("invalid port in {text}")))?)
        }
        _ => (text, default_port),
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse()
        .ok()
        .or_else(|| known_host(bare))
        .ok_or_else(|| io::Error::other(format!("no address is known for the log server {host}")))?;
    Ok(SocketAddr::new(address, port))
}

fn known_host(name: &str) -> Option<IpAddr> {
    if name == "localhost" {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let hosts = std::fs::read_to_string("/etc/hosts").ok()?;
    hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?;
        words.any(|word| word == name).then(|| address.parse().ok())?
    })
}

/// The host's name.
fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "localhost".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers() {
        for (text, wanted) in [
            ("127.0.0.1:5514", "127.0.0.1:5514"),
            ("127.0.0.1", "127.0.0.1:514"),
            ("localhost:9", "127.0.0.1:9"),
            ("[::1]:9", "[::1]:9"),
            ("[::1]", "[::1]:514"),
        ] {
            assert_eq!(
                socket_address(text, 514).map(|address| address.to_string()).ok().as_deref(),
                Some(wanted)
            );
        }
        assert!(socket_address("no.such.name.invalid:1", 514).is_err());
        assert!(socket_address("127.0.0.1:x", 514).is_err());
    }
}
