//! Whether anything was sent in a network namespace.

use std::fs;

use model::ProcessReference;

/// How many packets each interface of a network namespace has sent. A namespace in which nothing was sent holds nothing of the
/// processes that were in it: no connection, no neighbour, no tracked flow, no route that was learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Traffic(Vec<(String, u64)>);

impl Traffic {
    /// Reads it in the namespace of a process; `None` when it cannot be read.
    pub(super) fn of(process: ProcessReference) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{}/net/dev", process.pid)).ok()?;
        if !sys::process::is_alive(process.pid, process.start_time) {
            return None;
        }
        parse(&text).map(Self)
    }
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
}
