//! The syslog driver: RFC 3164's form, with the time as RFC 3339 over a network (as Docker's).

use std::io;
use std::path::{Path, PathBuf};

use model::{ContainerSpec, LogSpec};
use sys::stream::Peer;

use super::{Line, host_name, socket_address};

/// The port of RFC 3164 and RFC 6587.
const PORT: u16 = 514;

/// Where a host's own syslog listens.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// RFC 3164, section 4.1.1: the facilities' numbers are their places here.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
    "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
];

/// The facility without `syslog-facility`.
const DAEMON: u8 = 3;

/// How lines are written for one container.
pub(super) struct Syslog {
    facility: u8,
    /// `docker/<tag>[<pid>]: `, as filters of log servers expect it.
    tag: String,
    /// The host's name, over a network only.
    host: Option<String>,
}

impl Syslog {
    /// Options: `syslog-address`, `syslog-facility`, `syslog-tag` or `tag` (the attribute `tag`).
    pub(super) fn new(spec: &LogSpec, container: &ContainerSpec) -> io::Result<(Self, Peer)> {
        let peer = peer(spec.options.get("syslog-address").map(String::as_str))?;
        let facility = spec.options.get("syslog-facility").map_or(Some(DAEMON), |name| facility(name));
        let tag = spec.attributes.get("tag").map_or_else(|| container.id.short(), String::as_str);
        let network = matches!(peer, Peer::Udp(_) | Peer::Tcp(_));
        let syslog = Self {
            facility: facility.ok_or_else(|| io::Error::other("invalid syslog facility"))?,
            tag: format!("docker/{tag}[{}]: ", std::process::id()),
            host: network.then(host_name),
        };
        Ok((syslog, peer))
    }

    pub(super) fn packet(&self, line: &Line<'_>) -> Vec<u8> {
        let priority = self.facility * 8 + line.severity();
        let time = match &self.host {
            Some(host) => format!("{} {host}", whole_second(line)),
            None => sys::local_time::stamp(line.at.unix_seconds()),
        };
        let mut packet = format!("<{priority}>{time} {}", self.tag).into_bytes();
        packet.extend_from_slice(line.text);
        packet.push(b'\n');
        packet
    }
}

fn whole_second(line: &Line<'_>) -> String {
    let text = line.at.to_string();
    format!("{}Z", text.get(..19).unwrap_or(&text))
}

fn facility(name: &str) -> Option<u8> {
    let number =
        FACILITIES.iter().position(|known| *known == name).and_then(|place| u8::try_from(place).ok());
    number.or_else(|| name.parse().ok().filter(|number| *number <= 23))
}

fn peer(address: Option<&str>) -> io::Result<Peer> {
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        return local(LOCAL.iter().map(Path::new));
    };
    match address.split_once("://") {
        Some(("udp", rest)) => Ok(Peer::Udp(socket_address(rest, PORT)?)),
        Some(("tcp", rest)) => Ok(Peer::Tcp(socket_address(rest, PORT)?)),
        Some(("unix", path)) => local(std::iter::once(Path::new(path))),
        Some(("unixgram", path)) => Ok(Peer::Datagram(PathBuf::from(path))),
        _ => {
            Err(io::Error::other(format!("syslog-address should be in form proto://address, got {address}")))
        }
    }
}

/// A local server is a datagram socket mostly, a stream sometimes.
fn local<'a>(paths: impl Iterator<Item = &'a Path>) -> io::Result<Peer> {
    for path in paths {
        for peer in [Peer::Datagram(path.to_owned()), Peer::Stream(path.to_owned())] {
            if sys::stream::connect(&peer).is_ok() {
                return Ok(peer);
            }
        }
    }
    Err(io::Error::other("Unix syslog delivery error"))
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use shim_protocol::log::Stream;

    use super::*;

    #[test]
    fn a_line_over_a_network() {
        let syslog = Syslog { facility: 16, tag: "docker/abc[1]: ".into(), host: Some("here".into()) };
        let at = Timestamp::parse("2026-11-23T12:05:01.79Z").expect("a time");
        let packet = syslog.packet(&Line { stream: Stream::Stderr, text: b"oh", at });
        assert_eq!(String::from_utf8_lossy(&packet), "<131>2026-11-23T12:05:01Z here docker/abc[1]: oh\n");
    }

    #[test]
    fn facilities_by_name_and_number() {
        assert_eq!(
            [facility("daemon"), facility("local7"), facility("5"), facility("24"), facility("x")],
            [Some(3), Some(23), Some(5), None, None]
        );
    }
}
