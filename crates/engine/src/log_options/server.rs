//! Finds the address of a log server: the daemon resolves names, so that shims need no resolver.

use std::net::IpAddr;
use std::time::Duration;

use log_drivers::split;
use model::{LogConfig, LogDriver, LogServer};

/// How long a name server may take before the start fails.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Resolves the names of log servers to their addresses, at every start.
///
/// # Errors
/// When a name cannot be resolved.
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

#[cfg(test)]
mod tests {
    use super::*;

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
