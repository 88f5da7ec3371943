//! EXPOSE's ports: `80`, `53/udp`, `8000-8010`, `[address:][host port:]port`.

use std::ops::RangeInclusive;

use super::DockerfileError;

/// As many ports as one EXPOSE may name: all there are, of three protocols.
pub(crate) const PORT_LIMIT: usize = 3 << 16;

/// Counts the ports of one word of EXPOSE, in addition to those that the instruction named before it.
///
/// # Errors
/// [`DockerfileError`] naming the port or the protocol, or when there are too many.
pub(crate) fn count_ports(word: &str, before: usize) -> Result<usize, DockerfileError> {
    let count = ports_of(word)?.0.count();
    if before + count > PORT_LIMIT { Err(DockerfileError::TooManyPorts(PORT_LIMIT)) } else { Ok(count) }
}

/// Parses one word of EXPOSE to the keys of `ExposedPorts`; what is published is left out.
///
/// # Errors
/// [`DockerfileError`] naming the port or the protocol.
pub(crate) fn parse_ports(word: &str) -> Result<Vec<String>, DockerfileError> {
    let (ports, protocol) = ports_of(word)?;
    Ok(ports.map(|port| format!("{port}/{protocol}")).collect())
}

fn ports_of(word: &str) -> Result<(RangeInclusive<u16>, String), DockerfileError> {
    let (ports, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = match protocol.to_ascii_lowercase() {
        empty if empty.is_empty() => "tcp".to_owned(),
        known if matches!(known.as_str(), "tcp" | "udp" | "sctp") => known,
        _ => return Err(DockerfileError::Protocol(protocol.to_owned())),
    };
    let container = ports.rsplit(':').next().unwrap_or(ports);
    let invalid = || DockerfileError::Port(container.to_owned());
    let (first, last) = container.split_once('-').unwrap_or((container, container));
    let number = |text: &str| text.parse::<u16>().map_err(|_| invalid());
    let (first, last) = (number(first)?, number(last)?);
    if last < first {
        return Err(invalid());
    }
    Ok((first..=last, protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_ranges_and_protocols() {
        for (word, want) in [
            ("80", vec!["80/tcp"]),
            ("53/udp", vec!["53/udp"]),
            ("53/UDP", vec!["53/udp"]),
            ("80/", vec!["80/tcp"]),
            ("0", vec!["0/tcp"]),
            ("7000-7002", vec!["7000/tcp", "7001/tcp", "7002/tcp"]),
            ("80:8080", vec!["8080/tcp"]),
            ("1.2.3.4:80:8080", vec!["8080/tcp"]),
        ] {
            assert_eq!(parse_ports(word).unwrap(), want, "{word}");
        }
        assert_eq!(parse_ports("0-65535").unwrap().len(), 65536);
        for (word, want) in [
            ("abc", "Invalid containerPort: abc"),
            ("70000", "Invalid containerPort: 70000"),
            ("9-8", "Invalid containerPort: 9-8"),
            ("80/foo", "Invalid proto: foo"),
            ("", "Invalid containerPort: "),
            ("-1", "Invalid containerPort: -1"),
        ] {
            assert_eq!(parse_ports(word).unwrap_err().to_string(), want);
        }
    }
}
