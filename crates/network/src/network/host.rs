//! Switches below /proc/sys/net.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::error::Error;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
const EPHEMERAL_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// What the kernel has by default.
const DEFAULT_EPHEMERAL_PORTS: RangeInclusive<u16> = 32768..=60999;

/// Turns the host's forwarding on, unless it is.
pub(super) fn forward() -> Result<(), Error> {
    if forwards() {
        return Ok(());
    }
    let path = Path::new(FORWARDING);
    std::fs::write(path, "1").map_err(|source| Error::Setting { path: path.to_owned(), value: "1", source })
}

/// Whether the host forwards packets.
pub(super) fn forwards() -> bool {
    read(FORWARDING).is_ok_and(|content| content.trim() == "1")
}

/// The ports that the kernel gives to whoever asks for any.
pub(super) fn ephemeral_ports() -> RangeInclusive<u16> {
    let parse = |content: String| {
        let mut words = content.split_whitespace();
        let (first, last) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (0 < first && first <= last).then_some(first..=last)
    };
    read(EPHEMERAL_PORTS).ok().and_then(parse).unwrap_or(DEFAULT_EPHEMERAL_PORTS)
}

/// Keeps IPv6 off a link of the calling thread's network namespace. It has no use there, but
/// would announce itself to all other containers at each start.
pub(super) fn disable_ipv6(link: &str) -> Result<(), Error> {
    let path = Path::new("/proc/sys/net/ipv6/conf").join(link).join("disable_ipv6");
    match std::fs::write(&path, "1") {
        Ok(()) => Ok(()),
        Err(error) => match error.kind() {
            // A kernel without IPv6 has nothing to keep off, and where nothing can be set (in a
            // container of another engine) IPv6 does no harm.
            io::ErrorKind::NotFound | io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            _ => Err(Error::Setting { path, value: "1", source: error }),
        },
    }
}

fn read(path: &str) -> io::Result<String> {
    std::fs::read_to_string(path)
}
