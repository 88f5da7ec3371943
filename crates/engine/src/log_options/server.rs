//! Finds the address of a log server: the daemon resolves names, so that shims need no resolver.

use std::net::IpAddr;
use std::time::Duration;

use model::{LogConfig, LogDriver, LogServer};

/// How long a name server may take before the start fails.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Replaces the names of log servers by their addresses, at every start anew.
///
/// # Errors
/// When a name is not known.
pub(crate) async fn resolve(config: &LogConfig) -> Result<LogConfig, String> {
    let mut resolved = config.clone();
    let row = config.driver.as_ref().and_then(LogDriver::row);
    if let Some(LogServer { option, port }) = row.and_then(|row| row.server)
        && let Some(address) = resolved.options.get_mut(option)
        && let (scheme @ ("udp" | "tcp"), rest) = address.split_once("://").unwrap_or(("tcp", address))
        && let Some((host, port)) = split(rest, port)
    {
        *address = format!("{scheme}://{}", look_up(host, port).await?);
    }
    Ok(resolved)
}

async fn look_up(host: &str, port: u16) -> Result<std::net::SocketAddr, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok((address, port).into());
    }
    let failed = |cause: &str| format!("cannot resolve the log server {host}: {cause}");
    match tokio::time::timeout(TIMEOUT, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(mut found)) => found.next().ok_or_else(|| failed("it has no address")),
        Ok(Err(error)) => Err(failed(&error.to_string())),
        Err(_) => Err(failed("the name server does not answer")),
    }
}

/// Refuses an address with another scheme than these, or without a place.
pub(super) fn check_address(address: &str, schemes: &[&str]) -> Result<(), String> {
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

/// Splits `host`, `host:port`, `[address]` or `[address]:port`.
fn split(text: &str, default_port: u16) -> Option<(&str, u16)> {
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

    #[tokio::test]
    async fn names_become_addresses() {
        let config = |address: &str| LogConfig {
            driver: Some(LogDriver::Gelf),
            options: [("gelf-address".to_owned(), address.to_owned())].into(),
        };
        let resolved = resolve(&config("udp://localhost")).await.expect("an address");
        assert!(
            ["udp://127.0.0.1:12201", "udp://[::1]:12201"]
                .contains(&resolved.options["gelf-address"].as_str())
        );
        let error = resolve(&config("udp://no.such.name.invalid:1")).await.expect_err("no such name");
        assert!(error.starts_with("cannot resolve the log server no.such.name.invalid: "), "{error}");
    }
}
