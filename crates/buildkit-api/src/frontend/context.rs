//! The client's directories, received when a step needs them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::builder::{ContextProvider, ContextTree, StepError};
use model::ErrorKind;
use tokio::task::JoinSet;

use super::documents;
use super::graph::{InlineTree, LocalSource};
use super::policy::SessionPolicy;
use super::remote::{Remote, cancelled};
use crate::parts::Parts;
use crate::session::SyncRequest;
use crate::synced::SyncError;

/// So many bytes are worth a message.
const PIECE: u64 = 1 << 20;

/// The directories that one build may request.
pub(super) struct ClientContexts {
    pub(super) parts: Arc<Parts>,
    pub(super) remote: Remote,
    /// The name that the client offers the main context by.
    pub(super) main: String,
    /// The names that it offers the others by.
    pub(super) named: BTreeMap<String, String>,
    /// The parts of directories that a graph uses, by the name of its context.
    pub(super) locals: BTreeMap<String, LocalSource>,
    /// The files that a graph has in itself.
    pub(super) inline: BTreeMap<String, InlineTree>,
    /// The excludes of the main context.
    pub(super) excludes: Vec<String>,
    /// Which client's directories these are.
    pub(super) key: Option<String>,
    /// The policy for them.
    pub(super) policy: Option<SessionPolicy>,
}

impl ClientContexts {
    /// The name of a step that receives a context, and its request to the client.
    fn request(&self, name: Option<&str>, paths: &[String]) -> (String, SyncRequest) {
        let paths = paths.to_vec();
        let Some(name) = name else {
            let (directory, excludes) = (self.main.clone(), self.excludes.clone());
            let request = SyncRequest { directory, excludes, paths, ..SyncRequest::default() };
            return ("[internal] load build context".to_owned(), request);
        };
        if let Some(local) = self.locals.get(name).cloned() {
            let title = format!("[internal] load {} from client", local.directory);
            let LocalSource { directory, includes, excludes, paths } = local;
            return (title, SyncRequest { directory, includes, excludes, paths });
        }
        let directory = self.named.get(name).map_or(name, String::as_str).to_owned();
        let request = SyncRequest { directory, paths, ..SyncRequest::default() };
        (format!("[context {name}] load from client"), request)
    }

    /// The excludes of a named context; those of graphs have their own.
    fn named_excludes(&self, name: Option<&str>, directory: &str) -> Result<Vec<String>, StepError> {
        let Some(name) = name.filter(|name| !self.locals.contains_key(*name)) else { return Ok(Vec::new()) };
        let session = self.remote.session().map_err(|status| StepError::new(status.kind(), status))?;
        let (parts, build) = (&self.parts, &self.remote.build);
        self.remote.ask(documents::load_excludes(parts, build, session, (name, directory)))
    }
}

impl ContextProvider for ClientContexts {
    fn context(
        &self,
        name: Option<&str>,
        paths: &[String],
    ) -> Result<Arc<dyn ContextTree + Send + Sync>, StepError> {
        if let Some(inline) = name.and_then(|name| self.inline.get(name)) {
            return Ok(Arc::new(inline.clone()));
        }
        let (title, mut request) = self.request(name, paths);
        if let Some(policy) = &self.policy {
            self.remote.ask(policy.admit(&format!("local://{}", request.directory)))?;
        }
        request.excludes.extend(self.named_excludes(name, &request.directory)?);
        // The main one may come more than once, each time another part of it.
        let key = format!("context {} {}", request.directory, request.paths.join("\n"));
        let step = self.remote.build.progress.start(&key, &title);
        let part = step.part("transferring context:");
        let key = self.key.as_ref().map(|key| format!("{key}:{}", request.directory));
        let session = self.remote.session_handle().map_err(|status| StepError::new(status.kind(), status));
        let (session, parts) = (step.conclude_failure(session)?, Arc::clone(&self.parts));
        // A task of its own, that takes turns with the session's connection on one thread: each entry is a message, and to
        // wake another thread for every one takes longer than to read them.
        let mut receiving = JoinSet::new();
        let receive = async move {
            let reported = AtomicU64::new(0);
            let progress = |bytes: u64| {
                if bytes >= reported.load(Ordering::Relaxed) + PIECE {
                    reported.store(bytes, Ordering::Relaxed);
                    part.advance(bytes);
                }
            };
            let arrived = parts.received.receive(&session, &request, key.as_deref(), &progress).await?;
            part.advance(arrived.sent);
            part.complete();
            Ok::<_, SyncError>(arrived)
        };
        receiving.spawn_on(receive, &self.remote.runtime);
        let received = match self.remote.wait(receiving.join_next()).flatten() {
            None => Err(cancelled()),
            Some(Ok(received)) => received.map_err(|error| StepError::new(error.kind(), error)),
            Some(Err(error)) => Err(StepError::new(ErrorKind::Internal, error)),
        };
        Ok(step.conclude(received)?.tree)
    }
}
