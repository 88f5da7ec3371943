//! The sessions that are open, by id.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use super::fields::Fields;
use super::paced::Pace;
use crate::grpc::{Channel, Code, Status};

/// How long a build waits for the session that it names: clients open both at once.
const OPENING: Duration = Duration::from_secs(5);
/// Sessions at once.
const SESSION_LIMIT: usize = 1024;

/// The open sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<String, Arc<Session>>>,
    changed: Notify,
}

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) fields: Fields,
    pub(crate) channel: Channel,
    /// How often its connection is read.
    pub(super) pace: Pace,
    /// The sender is dropped with the connection.
    open: watch::Receiver<()>,
}

impl Session {
    /// Waits until the client is gone.
    pub(crate) async fn closed(&self) {
        let mut open = self.open.clone();
        while open.changed().await.is_ok() {}
    }

    /// Refuses to call what the client does not serve.
    ///
    /// # Errors
    /// `Unimplemented` where it does not.
    pub(crate) fn require(&self, method: &str) -> Result<(), Status> {
        if self.fields.serves(method) {
            return Ok(());
        }
        Err(Status::unimplemented(format!("the client's session does not serve {method}")))
    }
}

impl Sessions {
    /// Runs a session on a connection until the connection ends; it may be one that is read at a pace.
    ///
    /// # Errors
    /// [`Status`] when its id is taken, there are too many, or the peer does not use HTTP/2.
    pub(crate) async fn run(
        &self,
        fields: Fields,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        pace: Pace,
    ) -> Result<(), Status> {
        let id = fields.id.clone();
        let (channel, connection) = Channel::open(stream).await?;
        let (sender, open) = watch::channel(());
        self.add(Arc::new(Session { fields, channel, pace, open }))?;
        // The connection ends when the client closes it or this future is dropped.
        let _entry = Entry { sessions: self, id };
        let result = connection.await;
        drop(sender);
        Ok(result?)
    }

    fn add(&self, session: Arc<Session>) -> Result<(), Status> {
        let mut open = self.lock();
        let id = session.fields.id.clone();
        if open.len() >= SESSION_LIMIT {
            return Err(Status::new(Code::ResourceExhausted, "too many sessions are open"));
        }
        if open.contains_key(&id) {
            return Err(Status::new(Code::AlreadyExists, format!("session {id} is open already")));
        }
        open.insert(id, session);
        drop(open);
        self.changed.notify_waiters();
        Ok(())
    }

    /// Finds a session, waiting a moment for one that is about to be opened.
    ///
    /// # Errors
    /// `NotFound` when it does not come.
    pub(crate) async fn find(&self, id: &str) -> Result<Arc<Session>, Status> {
        let search = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Registered before the check, so that no change between the two is lost.
                changed.as_mut().enable();
                if let Some(session) = self.lock().get(id) {
                    return Arc::clone(session);
                }
                changed.await;
            }
        };
        let missing = |_| Status::new(Code::NotFound, format!("no active session for {id}"));
        timeout(OPENING, search).await.map_err(missing)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place in the registry.
struct Entry<'a> {
    sessions: &'a Sessions,
    id: String,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.id);
    }
}
