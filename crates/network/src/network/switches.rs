//! Switches of the whole host.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

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

/// Turns the host's forwarding of IPv6 on, unless it is. A host that forwards takes announcements of routers only
/// where it is told to take them all the same, so interfaces that take them now are told so first: the host keeps
/// its own addresses and routes (Documentation/networking/ip-sysctl.rst, accept_ra). A kernel without IPv6 has
/// nothing to set.
pub(super) fn forward_ipv6() -> Result<(), Error> {
    let all = Path::new(IPV6_SETTINGS).join("all/forwarding");
    match std::fs::read_to_string(&all) {
        Ok(content) if content.trim() == "0" => {}
        _ => return Ok(()),
    }
    for interface in std::fs::read_dir(IPV6_SETTINGS).into_iter().flatten().flatten() {
        let path = interface.path().join("accept_ra");
        let is_accepted = std::fs::read_to_string(&path).is_ok_and(|content| content.trim() == "1");
        let is_of_all = interface.file_name() == "all" || interface.file_name() == "default";
        if is_accepted && !is_of_all {
            write_setting(path, "2")?;
        }
    }
    write_setting(all, "1")
}

fn write_setting(path: PathBuf, value: &'static str) -> Result<(), Error> {
    std::fs::write(&path, value).map_err(|source| Error::Setting { path, value, source })
}

/// Lets an interface have addresses of IPv6, but take none that somebody announces.
pub(super) fn allow_ipv6(interface: &str) -> Result<(), Error> {
    let directory = Path::new(IPV6_SETTINGS).join(interface);
    for (name, value) in [("accept_ra", "0"), ("autoconf", "0"), ("disable_ipv6", "0")] {
        write_setting(directory.join(name), value)?;
    }
    Ok(())
}

/// Lets the host's interface answer for addresses of IPv6 that the host reaches by others.
pub(super) fn answer_for_others_by_ipv6(interface: &str) -> Result<(), Error> {
    write_setting(Path::new(IPV6_SETTINGS).join(interface).join("proxy_ndp"), "1")
}

/// Lets the host's interface take nothing of IPv6: no address or route that somebody announces on
/// its interface, and no packet. A kernel without IPv6 has nothing to set.
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

/// The ephemeral ports of the kernel.
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
