//! The client's credentials for registries, requested when a pull needs them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use engine::CredentialSource;
use engine::images::registry::{CredentialMap, Credentials};

use super::remote::Remote;

/// A session's credentials; each registry's are requested once.
#[derive(Debug)]
pub(super) struct SessionCredentials {
    remote: Remote,
    /// The request's own credentials.
    given: CredentialMap,
    known: Mutex<HashMap<String, Option<Credentials>>>,
}

impl SessionCredentials {
    pub(super) fn new(remote: Remote, given: CredentialMap) -> Self {
        Self { remote, given, known: Mutex::default() }
    }
}

impl CredentialSource for SessionCredentials {
    fn credentials(&self, host: &str) -> Option<Credentials> {
        if let Some(given) = self.given.for_host(host) {
            return Some(given.clone());
        }
        let session = self.remote.session.as_ref()?;
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known().get(host) {
            return found.clone();
        }
        let found = match self.remote.ask(session.credentials(host)) {
            Ok(found) => found,
            Err(error) => {
                // The pull continues without them, and the registry decides whether it needs some.
                tracing::info!("no credentials for {host} from the client: {error}");
                None
            }
        };
        known().insert(host.to_owned(), found.clone());
        found
    }
}
