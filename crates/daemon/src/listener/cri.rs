//! The socket of Kubernetes' container runtime interface, and its connections.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cri_api::Api;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::accept::ACCEPT_PAUSE;
use super::{ListenError, unix};

/// The bound socket.
pub(crate) struct CriListener {
    listener: UnixListener,
    path: PathBuf,
}

impl CriListener {
    /// Binds the socket: mode 0660, with a group of choice.
    pub(crate) async fn bind(path: &Path, group: Option<&str>) -> Result<Self, ListenError> {
        Ok(Self { listener: unix::bind(path, group).await?, path: path.to_owned() })
    }

    /// The socket's place in the file system.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Serves connections until the daemon stops and the calls under way have ended.
    pub(crate) async fn serve(self, api: Arc<Api>, mut stopping: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                _ = stopping.wait_for(|stopping| *stopping) => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(cri_api::serve(stream, Arc::clone(&api), stopping.clone()));
                }
                Err(error) => {
                    tracing::error!("cannot accept a connection at {}: {error}", self.path.display());
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // Gone already when the directory was cleared: as intended.
        let _ = std::fs::remove_file(&self.path);
        while connections.join_next().await.is_some() {}
    }
}
