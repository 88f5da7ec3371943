//! Addresses of log servers.

use std::io;
use std::net::SocketAddr;

/// Refuses an address with another scheme than these, or without a place.
pub(crate) fn check_address(address: &str, schemes: &[&str]) -> Result<(), String> {
    let is_usable = |scheme: &str, rest: &str| match scheme {
        "unix" | "unixgram" => rest.starts_with('/'),
        _ => split(rest, 1).is_some(),
    };
    match address.split_once("://") {
        Some((scheme, rest)) if schemes.contains(&scheme) && is_usable(scheme, rest) => Ok(()),
        _ => Err(format!(
            "invalid log server address '{address}': {}:// and a place are needed",
            schemes.join("://, ")
        )),
    }
}

/// Parses the address of a server. Names were resolved by the engine: the shim has no resolver.
pub(crate) fn server_address(text: &str) -> io::Result<SocketAddr> {
    text.parse().map_err(|_| io::Error::other(format!("the log server's address {text} is not resolved")))
}

/// Splits `host`, `host:port`, `[address]` or `[address]:port`; `None` for anything else.
#[must_use]
pub fn split(text: &str, default_port: u16) -> Option<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':')?) };
            (host, port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Some(default_port), |port| port.parse().ok().filter(|port| *port > 0))?;
    Some((host, port)).filter(|(host, _)| !host.is_empty() && !host.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        for (text, host, port) in [
            ("127.0.0.1:5514", "127.0.0.1", 5514),
            ("logs.example.com", "logs.example.com", 514),
            ("[::1]:9", "::1", 9),
            ("[::1]", "::1", 514),
        ] {
            assert_eq!(split(text, 514), Some((host, port)));
        }
        for bad in ["", ":5", "h:", "h:x", "h:0", "h:70000", "::1", "[::1", "[::1]5", "h/x"] {
            assert_eq!(split(bad, 514), None, "{bad}");
        }
    }
}
