//! Whether anything was sent in a network namespace.

use std::fs;

use model::ProcessReference;

/// The interface that every network namespace has.
const LOOPBACK: &str = "lo";

/// How many packets each interface of a network namespace has sent. A namespace in which nothing was sent while a process was in it
/// holds nothing of that process: no connection, no neighbour, no tracked flow, no route that was learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Traffic(Vec<(String, u64)>);

impl Traffic {
    /// Reads it in the namespace of a process; `None` when it cannot be read.
    pub(super) fn of(process: ProcessReference) -> Option<Self> {
        read(process, "dev").and_then(|text| parse(&text)).map(Self)
    }

    /// Whether packets that were sent since an earlier reading, while no step ran, may be the kernel's own: where an interface has
    /// IPv6 it sends router solicitations, duplicate address detection and multicast reports.
    pub(super) fn may_be_of_the_kernel(&self, earlier: &Self, process: ProcessReference) -> bool {
        self.has_interfaces_of(earlier) && read(process, "if_inet6").is_some_and(|text| has_ipv6(&text))
    }

    fn has_interfaces_of(&self, earlier: &Self) -> bool {
        let names = |traffic: &Self| traffic.0.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        names(self) == names(earlier)
    }
}

/// A file of a process's network namespace.
fn read(process: ProcessReference, file: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{}/net/{file}", process.pid)).ok()?;
    sys::process::is_alive(process.pid, process.start_time).then_some(text)
}

/// Two lines of heads, then `name: received ×8 sent ×8`, proc_pid_net(5).
fn parse(text: &str) -> Option<Vec<(String, u64)>> {
    let sent = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let packets = numbers.split_whitespace().nth(9)?.parse().ok()?;
        Some((name.trim().to_owned(), packets))
    };
    text.lines().skip(2).map(sent).collect()
}

/// Whether an interface other than the loopback has an address: lines of `address number prefix scope flags name`,
/// proc_pid_net(5).
fn has_ipv6(text: &str) -> bool {
    text.lines().filter_map(|line| line.split_whitespace().nth(5)).any(|name| name != LOOPBACK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_packets_are_read_of_every_interface() {
        let heads = "Inter-| Receive\n face |bytes\n";
        let lines = "    lo: 1 2 0 0 0 0 0 0 3 4 0 0 0 0 0 0\n  eth0:10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n";
        let expected = vec![("lo".to_owned(), 4), ("eth0".to_owned(), 6)];
        assert_eq!(parse(&format!("{heads}{lines}")), Some(expected));
        assert_eq!(parse(&format!("{heads}  lo: 1 2\n")), None);
    }

    #[test]
    fn the_kernel_sends_of_itself_where_an_interface_has_ipv6() {
        let loopback = "00000000000000000000000000000001 01 80 10 80       lo\n";
        assert!(!has_ipv6(loopback));
        assert!(has_ipv6(&format!("{loopback}fe80000000000000042ab2fffe3c1ad2 02 40 20 80     eth0\n")));
    }

    #[test]
    fn an_interface_more_is_not_of_the_kernel() {
        let of = |names: &[&str]| Traffic(names.iter().map(|name| ((*name).to_owned(), 3)).collect());
        assert!(of(&["lo", "eth0"]).has_interfaces_of(&of(&["lo", "eth0"])));
        assert!(!of(&["lo", "eth0", "eth1"]).has_interfaces_of(&of(&["lo", "eth0"])));
    }
}
