//! Switches of the whole host.

use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use crate::error::Error;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// A directory an interface.
const IPV6_SETTINGS: &str = "/proc/sys/net/ipv6/conf";
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

/// Lets the host's interface take nothing of IPv6: no address or route that somebody announces on
/// its link, and no packet. A kernel without IPv6 has nothing to set.
pub(super) fn refuse_ipv6(interface: &str) -> Result<(), Error> {
    let directory = Path::new(IPV6_SETTINGS).join(interface);
    for (name, value) in [("accept_ra", "0"), ("autoconf", "0"), ("disable_ipv6", "1")] {
        let path = directory.join(name);
        match std::fs::write(&path, value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(|source| Error::Setting { path, value, source })?,
        }
    }
    Ok(())
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

fn read(path: &str) -> io::Result<String> {
    std::fs::read_to_string(path)
}
