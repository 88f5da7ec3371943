//! Switches of the whole host.

use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::error::Error;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// A directory an interface.
const IPV6_SETTINGS: &str = "/proc/sys/net/ipv6/conf";
/// The routes of IPv4 in the thread's network namespace.
const ROUTES: &str = "/proc/thread-self/net/route";
const EPHEMERAL_PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// The kernel's default.
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

/// Turns the host's forwarding of IPv6 on, unless it is. A host that forwards accepts router advertisements only
/// with accept_ra 2, so interfaces that accept them now are set to that first: the host keeps its own addresses
/// and routes (Documentation/networking/ip-sysctl.rst, accept_ra). A kernel without IPv6 has nothing to set.
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

/// Lets an interface have addresses of IPv6, but accept none from router advertisements.
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

/// Lets the host's interface accept nothing of IPv6: no address or route that is advertised on it, and no
/// packet. A kernel without IPv6 has nothing to set.
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

/// The name of the interface through which the host's default route of IPv4 leads. The kernel shows the routes of the
/// main table in the order of their destinations, so it is in the first lines, however many there are (proc_net(5)).
pub(super) fn interface_of_default_route() -> Option<String> {
    const FIRST_LINES: u64 = 4096;
    let mut lines = String::new();
    File::open(ROUTES).ok()?.take(FIRST_LINES).read_to_string(&mut lines).ok()?;
    default_route(&lines).map(str::to_owned)
}

fn default_route(lines: &str) -> Option<&str> {
    const ANYWHERE: &str = "00000000";
    let mut first = lines.lines().skip(1).map_while(columns).take_while(|(_, to, _)| *to == ANYWHERE);
    // One that leads through no interface refuses what has no other route.
    first.find(|(_, _, mask)| *mask == ANYWHERE).map(|(interface, ..)| interface).filter(|name| *name != "*")
}

/// Interface, destination and mask of a route.
fn columns(line: &str) -> Option<(&str, &str, &str)> {
    let mut columns = line.split_whitespace();
    let (interface, destination) = (columns.next()?, columns.next()?);
    Some((interface, destination, columns.nth(5)?))
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

#[cfg(test)]
mod tests {
    use super::default_route;

    #[test]
    fn the_default_route_is_the_one_that_leads_everywhere() {
        const HEADER: &str =
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
        let find = |routes: &str| default_route(&format!("{HEADER}{routes}")).map(str::to_owned);
        let first = "eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n";
        let second = "wlan0\t00000000\t0100A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n";
        let part = "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n";
        let other = "br0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        assert_eq!(find(&format!("{first}{second}{other}")).as_deref(), Some("eth0"));
        assert_eq!(find(&format!("{part}{second}{other}")).as_deref(), Some("wlan0"));
        assert_eq!(find(&format!("{part}{other}")), None);
        assert_eq!(find("*\t00000000\t00000000\t0200\t0\t0\t0\t00000000\t0\t0\t0\n"), None);
        assert_eq!(find(""), None);
    }
}
