//! The syslog driver: RFC 3164's form with the time of Docker's, or a form that `syslog-format` names.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use model::{ContainerSpec, LogSpec};
use shim_protocol::log::parse_facility;
use sys::stream::Peer;

use crate::address::{check_address, server_address};
use crate::destination::{Delivery, Destination, Format};
use crate::line::{Line, host_name};
use crate::options::Options;

/// Where a host's own syslog listens.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// The facility without `syslog-facility`.
const DAEMON: u8 = 3;

/// RFC 5424, section 6.2.5 and 6.3.3: how long APP-NAME and a parameter's name may be.
const LONGEST: (usize, usize) = (48, 32);

/// How lines begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `<30>Nov 23 12:05:01 `, as the host's own syslog takes them.
    Local,
    /// `<30>2026-11-23T12:05:01Z host `, as Docker sends them over a network.
    Network,
    /// `<30>Nov 23 12:05:01 host `, section 4.1 of RFC 3164.
    Rfc3164,
    /// `<30>1 2026-11-23T12:05:01Z host `, RFC 5424; with microseconds or without.
    Rfc5424 { microseconds: bool },
}

/// How lines are written for one container.
pub(crate) struct Syslog {
    form: Form,
    facility: u8,
    host: String,
    /// The part between the time and host, and the text.
    tag: String,
}

/// Checks the values of the options.
pub(crate) fn check(options: &Options<'_>) -> Result<(), String> {
    if options.find("syslog-facility").is_some_and(|facility| parse_facility(facility).is_none()) {
        return Err("invalid syslog facility".to_owned());
    }
    let format = options.find("syslog-format").unwrap_or_default();
    if !matches!(format, "" | "rfc3164" | "rfc5424" | "rfc5424micro") {
        return Err(format!("invalid syslog format '{format}': rfc3164, rfc5424 and rfc5424micro are known"));
    }
    if !format.starts_with("rfc5424") && (options.find("labels").is_some() || options.find("env").is_some()) {
        return Err("labels and env need the syslog format rfc5424, which has a place for them".to_owned());
    }
    match options.find("syslog-address").filter(|address| !address.is_empty()) {
        Some(address) => {
            check_address(address, &["udp", "tcp", "unix", "unixgram"])?;
            match address.strip_prefix("unix://").or_else(|| address.strip_prefix("unixgram://")) {
                Some(path) if !Path::new(path).exists() => Err("Unix syslog delivery error".to_owned()),
                _ => Ok(()),
            }
        }
        None if LOCAL.iter().any(|path| Path::new(path).exists()) => Ok(()),
        None => Err("Unix syslog delivery error".to_owned()),
    }
}

/// Options: `syslog-address`, `syslog-facility`, `syslog-format`, `syslog-tag` or `tag` (the attribute
/// `tag`); `labels` and `env` where the format has room for them.
pub(crate) fn open(spec: &LogSpec, container: &ContainerSpec) -> io::Result<Destination> {
    let (syslog, peer) = Syslog::new(spec, container)?;
    Ok(Destination { format: Box::new(syslog), peer, delivery: Delivery::default() })
}

impl Syslog {
    fn new(spec: &LogSpec, container: &ContainerSpec) -> io::Result<(Self, Peer)> {
        let option = |name: &str| spec.options.get(name).map(String::as_str);
        let peer = peer(option("syslog-address"))?;
        let facility = option("syslog-facility").map_or(Some(DAEMON), parse_facility);
        let tag = spec.attributes.get("tag").map_or_else(|| container.id.short(), String::as_str);
        let form = match option("syslog-format").unwrap_or_default() {
            "rfc3164" => Form::Rfc3164,
            "rfc5424" => Form::Rfc5424 { microseconds: false },
            "rfc5424micro" => Form::Rfc5424 { microseconds: true },
            _ if matches!(peer, Peer::Udp(_) | Peer::Tcp(_)) => Form::Network,
            _ => Form::Local,
        };
        let process = std::process::id();
        let tag = match form {
            Form::Local | Form::Network | Form::Rfc3164 => format!("docker/{tag}[{process}]: "),
            Form::Rfc5424 { .. } => {
                let name = printable(&format!("docker/{tag}"), LONGEST.0);
                format!("{name} {process} - {} ", structured(spec))
            }
        };
        let syslog = Self {
            form,
            facility: facility.ok_or_else(|| io::Error::other("invalid syslog facility"))?,
            host: host_name(),
            tag,
        };
        Ok((syslog, peer))
    }
}

impl Format for Syslog {
    fn packets(&mut self, line: &Line<'_>) -> Option<Vec<Vec<u8>>> {
        let priority = self.facility * 8 + line.severity();
        let stamp = || sys::local_time::stamp(line.at.unix_seconds());
        let host = &self.host;
        let head = match self.form {
            Form::Local => format!("<{priority}>{} ", stamp()),
            Form::Network => format!("<{priority}>{} {host} ", fraction(line, 0)),
            Form::Rfc3164 => format!("<{priority}>{} {host} ", stamp()),
            Form::Rfc5424 { microseconds } => {
                let digits = if microseconds { 6 } else { 0 };
                format!("<{priority}>1 {} {host} ", fraction(line, digits))
            }
        };
        let text = line.without_return();
        Some(vec![[head.as_bytes(), self.tag.as_bytes(), text, b"\n"].concat()])
    }
}

/// The time of RFC 3339 with so many digits behind the second.
fn fraction(line: &Line<'_>, digits: usize) -> String {
    let text = line.at.to_string();
    let length = if digits == 0 { 19 } else { 20 + digits };
    let nanoseconds = format!("{}.{:09}", &text[..19.min(text.len())], line.at.subsecond_nanoseconds());
    format!("{}Z", nanoseconds.get(..length).unwrap_or(&nanoseconds))
}

/// Printable ASCII without spaces, as RFC 5424 requires of names.
fn printable(text: &str, longest: usize) -> String {
    let valid = |letter: char| if letter.is_ascii_graphic() { letter } else { '_' };
    text.chars().map(valid).take(longest).collect()
}

/// The requested labels and variables, as one element of structured data (RFC 5424, section 6.3). 32473 is
/// the enterprise number that RFC 5612 reserves for documentation.
fn structured(spec: &LogSpec) -> String {
    if spec.selected.is_empty() {
        return "-".to_owned();
    }
    let mut text = "[container@32473".to_owned();
    for (name, value) in &spec.selected {
        let name = printable(name, LONGEST.1).replace(['=', ']', '"'], "_");
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let _ = write!(text, " {name}=\"{value}\"");
    }
    text.push(']');
    text
}

fn peer(address: Option<&str>) -> io::Result<Peer> {
    let Some(address) = address.filter(|address| !address.is_empty()) else {
        return local(LOCAL.iter().map(Path::new));
    };
    match address.split_once("://") {
        Some(("udp", rest)) => Ok(Peer::Udp(server_address(rest)?)),
        Some(("tcp", rest)) => Ok(Peer::Tcp(server_address(rest)?)),
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

    fn packet(form: Form, text: &[u8]) -> String {
        let mut syslog = Syslog { form, facility: 16, host: "here".into(), tag: "docker/abc[1]: ".into() };
        let at = Timestamp::parse("2026-11-23T12:05:01.791234567Z").expect("a time");
        let line = Line { stream: Stream::Stderr, text, ends: true, at };
        String::from_utf8_lossy(&syslog.packets(&line).expect("a packet")[0]).into_owned()
    }

    #[test]
    fn every_form_has_its_time() {
        assert_eq!(packet(Form::Network, b"oh\r"), "<131>2026-11-23T12:05:01Z here docker/abc[1]: oh\n");
        let plain = Form::Rfc5424 { microseconds: false };
        assert_eq!(packet(plain, b"oh"), "<131>1 2026-11-23T12:05:01Z here docker/abc[1]: oh\n");
        let exact = Form::Rfc5424 { microseconds: true };
        assert_eq!(packet(exact, b""), "<131>1 2026-11-23T12:05:01.791234Z here docker/abc[1]: \n");
        assert!(packet(Form::Rfc3164, b"oh").ends_with(" here docker/abc[1]: oh\n"));
        assert!(packet(Form::Local, b"oh").starts_with("<131>Nov 23 "));
    }
}
