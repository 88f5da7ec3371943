//! Where to listen: `-H` values parsed.

use std::path::PathBuf;

/// Host and port of a `tcp://` without them.
const DEFAULT_TCP_HOST: &str = "127.0.0.1";
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// One place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    /// A unix socket at this path.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
    /// Sockets that systemd passed: all, or the one of this descriptor number or name.
    Passed(Option<String>),
}

/// A `-H` value names no place to listen at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid host {0:?}: want unix://PATH, tcp://ADDRESS:PORT or fd://")]
pub(crate) struct AddressError(String);

impl ListenAddress {
    /// The host of a TCP address, without its port.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp(address) => address.rsplit_once(':').map(|(host, _)| host),
            Self::Unix(_) | Self::Passed(_) => None,
        }
    }

    /// Parses a `-H` value. `default_socket` is the path of a bare `unix://`.
    pub(crate) fn parse(text: &str, default_socket: PathBuf, tls: bool) -> Result<Self, AddressError> {
        let error = || AddressError(text.to_owned());
        match text.split_once("://") {
            Some(("unix", "")) => Ok(Self::Unix(default_socket)),
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("unix", path)) => Ok(Self::Unix(format!("/{path}").into())),
            Some(("fd", "" | "*")) => Ok(Self::Passed(None)),
            Some(("fd", name)) => Ok(Self::Passed(Some(name.to_owned()))),
            Some(("tcp", rest)) => tcp(rest.trim_end_matches('/'), tls).ok_or_else(error),
            None if !text.is_empty() => tcp(text, tls).ok_or_else(error),
            _ => Err(error()),
        }
    }
}

fn tcp(text: &str, tls: bool) -> Option<ListenAddress> {
    let default_port = if tls { TLS_PORT } else { PLAIN_PORT };
    if text.contains(['/', '?', '#', '@', ' ']) {
        return None;
    }
    let bracket_end = text.find(']').map_or(0, |at| at + 1);
    let (host, port) = match text[bracket_end..].rfind(':') {
        Some(colon) => (&text[..bracket_end + colon], Some(&text[bracket_end + colon + 1..])),
        None => (text, None),
    };
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return None;
    }
    let port: u16 = match port {
        None | Some("") => default_port,
        Some(digits) => digits.parse().ok()?,
    };
    let host =
        if host.is_empty() { if text.is_empty() { DEFAULT_TCP_HOST } else { "0.0.0.0" } } else { host };
    Some(ListenAddress::Tcp(format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_hosts() {
        let parse = |text: &str| ListenAddress::parse(text, "/run/default.sock".into(), false);
        let tcp = |text: &str| Ok(ListenAddress::Tcp(text.to_owned()));
        assert_eq!(parse("unix:///x/y.sock"), Ok(ListenAddress::Unix("/x/y.sock".into())));
        assert_eq!(parse("unix://"), Ok(ListenAddress::Unix("/run/default.sock".into())));
        assert_eq!(parse("fd://"), Ok(ListenAddress::Passed(None)));
        assert_eq!(parse("fd://3"), Ok(ListenAddress::Passed(Some("3".into()))));
        assert_eq!(parse("tcp://1.2.3.4:5"), tcp("1.2.3.4:5"));
        assert_eq!(parse("tcp://:2375"), tcp("0.0.0.0:2375"));
        assert_eq!(parse("tcp://"), tcp("127.0.0.1:2375"));
        assert_eq!(parse("tcp://localhost"), tcp("localhost:2375"));
        assert_eq!(parse("tcp://[::1]:7/"), tcp("[::1]:7"));
        assert_eq!(parse("tcp://[::1]"), tcp("[::1]:2375"));
        assert_eq!(parse("10.0.0.1:80"), tcp("10.0.0.1:80"));
        assert_eq!(ListenAddress::parse("tcp://h", PathBuf::new(), true), tcp("h:2376"));
        assert_eq!(parse("tcp://engine.example:7").expect("TCP").host(), Some("engine.example"));
        for bad in ["", "npipe://x", "tcp://a:b", "tcp://a:70000", "tcp://a/b", "tcp://::1", "http://x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
