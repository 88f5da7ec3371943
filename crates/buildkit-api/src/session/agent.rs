//! A client's ssh agents: sockets on this host whose connections are forwarded to the client.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::ContainerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::registry::Session;
use crate::grpc::{Channel, Code, Status};
use buildkit_messages::file_sync::BytesMessage;
use buildkit_messages::session::{CheckAgentRequest, CheckAgentResponse};

const CHECK: &str = "/moby.sshforward.v1.SSH/CheckAgent";
const FORWARD: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
/// The field with the agent's id.
const ID: HeaderName = HeaderName::from_static("buildkit.ssh.id");
/// One read of a connection.
const PIECE: usize = 32 * 1024;
/// Connections of one agent at once.
const CONNECTION_LIMIT: usize = 64;

/// The agents of one build; they end with it.
#[derive(Debug)]
pub(crate) struct Agents {
    directory: PathBuf,
    open: Mutex<HashMap<String, Agent>>,
}

/// A socket, and the task that serves it.
#[derive(Debug)]
struct Agent {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Agents {
    /// No agent yet; their sockets will be in `directory`.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, open: Mutex::default() }
    }

    /// The socket of an agent; `None` where the client does not have this id.
    ///
    /// # Errors
    /// [`Status`] of the client, or a socket that cannot be made.
    pub(crate) async fn socket(&self, session: &Session, id: &str) -> Result<Option<PathBuf>, Status> {
        let mut open = self.open.lock().await;
        if let Some(agent) = open.get(id) {
            return Ok(Some(agent.path.clone()));
        }
        if !session.fields.serves(CHECK) {
            return Ok(None);
        }
        let request = CheckAgentRequest { id: id.to_owned() };
        match session.channel.unary::<CheckAgentResponse>(CHECK, &request).await {
            Ok(CheckAgentResponse {}) => {}
            // A client returns `Unknown` for an id that it does not have.
            Err(status) if matches!(status.code, Code::NotFound | Code::Unimplemented | Code::Unknown) => {
                return Ok(None);
            }
            Err(status) => return Err(status),
        }
        let name = ContainerId::from_random(engine::sys::random::bytes());
        let path = self.directory.join(format!("ssh-{}", name.short()));
        let failed = |error| Status::new(Code::Internal, format!("cannot make {}: {error}", path.display()));
        let listener = UnixListener::bind(&path).map_err(failed)?;
        let (channel, id) = (session.channel.clone(), id.to_owned());
        let task = tokio::spawn(serve(listener, channel, id.clone()));
        open.insert(id, Agent { path: path.clone(), task });
        Ok(Some(path))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove an agent's socket");
    }
}

async fn serve(listener: UnixListener, channel: Channel, id: String) {
    // Dropped with this task, and so are the connections.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if connections.len() < CONNECTION_LIMIT {
            connections.spawn(forward(stream, channel.clone(), id.clone()));
        }
    }
}

async fn forward(stream: UnixStream, channel: Channel, id: String) {
    let mut metadata = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&id) {
        metadata.insert(ID, value);
    }
    let Ok((mut requests, mut answers)) = channel.call(FORWARD, metadata).await else { return };
    let (mut read, mut write) = stream.into_split();
    let outward = async {
        let mut piece = vec![0; PIECE];
        while let Ok(count) = read.read(&mut piece).await {
            let data = Bytes::copy_from_slice(&piece[..count]);
            if count == 0 || requests.send(&BytesMessage { data }).await.is_err() {
                break;
            }
        }
        requests.finish();
    };
    let inward = async {
        while let Ok(Some(BytesMessage { data })) = answers.next().await {
            if write.write_all(&data).await.is_err() {
                break;
            }
        }
        // A peer that does not read any more needs no end of the stream.
        let _ = write.shutdown().await;
    };
    tokio::join!(outward, inward);
}
