//! Offered sessions by URL, until they are taken or a minute has passed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::wire::session::{AttachRequest, ExecRequest, PortForwardRequest};

/// How long a URL is good.
const LIFETIME: Duration = Duration::from_secs(60);
/// Offers at once: beyond this, the oldest ones make room for new ones.
const LIMIT: usize = 1000;
/// Letters of a token.
const LENGTH: usize = 8;
/// Of which it is made; as many as divide a byte's values.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The session of a URL.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Session {
    /// A command.
    Exec(ExecRequest),
    /// A container's own stdio.
    Attach(AttachRequest),
    /// Ports of a pod.
    PortForward(PortForwardRequest),
}

impl Session {
    /// The first part of its URL's path.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
            Self::Attach(_) => "attach",
            Self::PortForward(_) => "portforward",
        }
    }
}

/// All offers.
#[derive(Default)]
pub(super) struct Offers {
    /// By their tokens.
    waiting: Mutex<HashMap<String, (Instant, Session)>>,
    taken: Notify,
}

impl Offers {
    /// Offers a session; returns its token, or nothing when too many are open.
    pub(super) fn add(&self, session: Session) -> Option<String> {
        let mut offers = self.waiting();
        if offers.len() >= LIMIT {
            return None;
        }
        let bytes: [u8; LENGTH] = engine::sys::random::bytes();
        let token: String = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 63)])).collect();
        offers.insert(token.clone(), (Instant::now(), session));
        Some(token)
    }

    /// Whether an offer waits at the path of a URL.
    pub(super) fn has(&self, path: &str) -> bool {
        let token = path.strip_prefix('/').and_then(|path| path.split_once('/')).map(|(_, token)| token);
        token.is_some_and(|token| self.waiting().contains_key(token))
    }

    /// Takes an offer by the path of its URL, `/exec/TOKEN`: it is good once.
    pub(super) fn take(&self, path: &str) -> Option<Session> {
        let (kind, token) = path.strip_prefix('/')?.split_once('/')?;
        let (_, session) = self.waiting().remove(token)?;
        self.taken.notify_one();
        (session.kind() == kind).then_some(session)
    }

    /// Waits until an offer was taken, or may have become too old.
    pub(super) async fn change(&self) {
        let _ = tokio::time::timeout(LIFETIME, self.taken.notified()).await;
    }

    /// Whether no offer waits.
    pub(super) fn are_none(&self) -> bool {
        self.waiting().is_empty()
    }

    /// The offers that are good.
    fn waiting(&self) -> MutexGuard<'_, HashMap<String, (Instant, Session)>> {
        let mut offers = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        offers.retain(|_, (since, _)| since.elapsed() < LIFETIME);
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_is_good_once_and_under_its_own_path() {
        let offers = Offers::default();
        let session = || Session::Exec(ExecRequest::default());
        let token = offers.add(session()).expect("a token");
        assert_eq!(token.len(), LENGTH);
        assert!(offers.has(&format!("/exec/{token}")) && !offers.has("/exec/") && !offers.has("exec"));
        assert_eq!(offers.take(&format!("/exec/{token}")), Some(session()));
        assert_eq!(offers.take(&format!("/exec/{token}")), None);
        let other = offers.add(session()).expect("a token");
        assert_eq!(offers.take(&format!("/attach/{other}")), None);
        assert!(offers.are_none());
        for number in 0..LIMIT {
            assert!(offers.add(session()).is_some(), "{number}");
        }
        assert_eq!(offers.add(session()), None);
    }
}
