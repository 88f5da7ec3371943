//! Registries, real and hostile: Debian's `docker-registry` and a small server that misbehaves.

mod fake;
mod hostile;
mod images;
mod login;
mod mutation;
mod outages;
mod pull;
mod push;
mod real;
mod resume;
mod search;
mod server;
mod session;

use std::sync::Arc;
use std::time::Duration;

use super::transport::Transport;
use super::*;

/// Settings that lose no time.
fn quick() -> RegistrySettings {
    let retry = Retry {
        attempts: 3,
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_millis(100),
    };
    RegistrySettings {
        certificate_directories: Vec::new(),
        proxies: Some(ProxySettings::default()),
        retry,
        download_retry: Retry { attempts: 6, ..retry },
        ..RegistrySettings::default()
    }
}

fn client() -> Client {
    Client::new(quick())
}

fn transport(settings: RegistrySettings) -> Transport {
    Transport::new(Arc::new(settings), &Cancellation::new())
}

fn joe(password: &str, address: &str) -> Credentials {
    Credentials {
        username: "joe".into(),
        password: password.into(),
        server_address: address.into(),
        ..Credentials::default()
    }
}
