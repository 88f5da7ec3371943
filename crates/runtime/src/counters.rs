//! Counters of the container's network interfaces.

use model::InterfaceCounters;

use crate::Host;

/// Reads `/proc/pid/net/dev`; empty for an ended container, and for one in the network of this process, which is the
/// host's: the container may have joined one that has that.
pub(crate) fn interfaces(host: &Host, pid: u32) -> Vec<InterfaceCounters> {
    let namespace = |process: &str| std::fs::read_link(host.proc.join(process).join("ns/net")).ok();
    let process = pid.to_string();
    if namespace(&process) == namespace("self") {
        return Vec::new();
    }
    let path = host.proc.join(process).join("net/dev");
    std::fs::read_to_string(path).map(|text| parse(&text)).unwrap_or_default()
}

/// Two lines of heads, then `name: received ×8 sent ×8`, proc_pid_net(5).
fn parse(text: &str) -> Vec<InterfaceCounters> {
    text.lines().skip(2).filter_map(parse_line).filter(|counters| counters.name != "lo").collect()
}

fn parse_line(line: &str) -> Option<InterfaceCounters> {
    let (name, numbers) = line.split_once(':')?;
    let numbers: Vec<u64> = numbers.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let [
        received_bytes,
        received_packets,
        received_errors,
        received_dropped,
        _,
        _,
        _,
        _,
        sent_bytes,
        sent_packets,
        sent_errors,
        sent_dropped,
        ..,
    ] = numbers[..]
    else {
        return None;
    };
    Some(InterfaceCounters {
        name: name.trim().to_owned(),
        received_bytes,
        received_packets,
        received_errors,
        received_dropped,
        sent_bytes,
        sent_packets,
        sent_errors,
        sent_dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_left_out() {
        let text = "Inter-| Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0:10 2 3 4 0 0 0 0 50 6 7 8 0 0 0 0\n";
        let counters = parse(text);
        assert_eq!(counters.len(), 1);
        assert_eq!(
            (counters[0].name.as_str(), counters[0].received_bytes, counters[0].sent_dropped),
            ("eth0", 10, 8)
        );
    }
}
