//! The daemon's end of the conversation with one container's shim.

mod channel;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use shim_protocol::{
    Answer, CONTROL_DESCRIPTOR, Envelope, Failure, Notice, Request, RunDirectory, ShimProcesses,
};
use sys::program::SealedProgram;
use tokio::sync::{mpsc, oneshot};

use self::channel::Channel;
use crate::error::Error;

type Pending = HashMap<u64, oneshot::Sender<Result<Answer, Failure>>>;

/// What the shim tells unasked, with the descriptor beside it.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The message.
    pub(crate) notice: Notice,
    /// The descriptor that came with it.
    pub(crate) descriptor: Option<OwnedFd>,
}

/// A connection to one shim. Notices arrive in order on the receiver made beside it; it ends when
/// the shim is gone.
pub(crate) struct Shim {
    channel: Channel,
    next: AtomicU64,
    /// Requests without an answer; `None` once the shim is gone.
    pending: Mutex<Option<Pending>>,
}

impl Shim {
    /// Starts a shim for the container whose `spec.json` is in the run directory.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn spawn(
        program: &SealedProgram,
        directory: &RunDirectory,
    ) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Incoming>), Error> {
        let failed = |source| Error::Shim { act: "start", source };
        let (ours, theirs) = sys::seqpacket::pair().map_err(failed)?;
        let arguments = [OsStr::new("berth-shim"), directory.path().as_os_str()];
        let pid = program.spawn(&arguments, theirs.as_fd(), CONTROL_DESCRIPTOR).map_err(failed)?;
        drop(theirs);
        Self::serve(ours, Some(pid)).map_err(failed)
    }

    /// Connects to a shim that an earlier daemon started.
    ///
    /// # Errors
    /// When nobody listens there any more.
    pub(crate) fn adopt(
        directory: &RunDirectory,
    ) -> Result<(Arc<Self>, mpsc::UnboundedReceiver<Incoming>), Error> {
        let failed = |source| Error::Shim { act: "connect to", source };
        let socket = sys::seqpacket::connect(&directory.socket()).map_err(failed)?;
        Self::serve(socket, None).map_err(failed)
    }

    fn serve(
        socket: OwnedFd,
        child: Option<u32>,
    ) -> io::Result<(Arc<Self>, mpsc::UnboundedReceiver<Incoming>)> {
        let shim = Arc::new(Self {
            channel: Channel::new(socket)?,
            next: AtomicU64::new(1),
            pending: Mutex::new(Some(HashMap::new())),
        });
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(Arc::clone(&shim).read(sender, child));
        Ok((shim, receiver))
    }

    /// Reads until the shim is gone: answers go to those who asked, all else to `notices`.
    async fn read(self: Arc<Self>, notices: mpsc::UnboundedSender<Incoming>, child: Option<u32>) {
        while let Ok(Some((packet, descriptor))) = self.channel.receive().await {
            match serde_json::from_slice(&packet) {
                Ok(Notice::Reply { number, result }) => {
                    if let Some(asker) = self.lock().as_mut().and_then(|pending| pending.remove(&number)) {
                        let _ = asker.send(result);
                    }
                }
                Ok(notice) => {
                    let _ = notices.send(Incoming { notice, descriptor });
                }
                Err(error) => tracing::warn!("cannot read a shim's message: {error}"),
            }
        }
        self.lock().take();
        drop(notices);
        if let Some(pid) = child {
            let _ = tokio::task::spawn_blocking(move || sys::program::reap(pid)).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the shim for something and waits for its answer.
    ///
    /// # Errors
    /// [`RequestError::Gone`] when the shim is, or what the shim said.
    pub(crate) async fn request(
        &self,
        request: Request,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<Answer, RequestError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.lock().as_mut().ok_or(RequestError::Gone)?.insert(number, sender);
        let packet = serde_json::to_vec(&Envelope { number, request }).map_err(io::Error::other)?;
        if let Err(error) = self.channel.send(&packet, descriptor).await {
            self.lock().as_mut().and_then(|pending| pending.remove(&number));
            return Err(error.into());
        }
        answer.await.map_err(|_| RequestError::Gone)?.map_err(RequestError::Refused)
    }

    /// Whether the shim can still be asked.
    pub(crate) fn is_gone(&self) -> bool {
        self.lock().is_none()
    }
}

/// What a shim wrote about itself and its container.
pub(crate) fn left_by(directory: &RunDirectory) -> Option<ShimProcesses> {
    serde_json::from_slice(&std::fs::read(directory.processes()).ok()?).ok()
}

/// Why a request to a shim had no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The shim is not there any more.
    #[error("the container's shim is gone")]
    Gone,
    /// The shim's refusal.
    #[error("{}", .0.message)]
    Refused(Failure),
    /// The socket failed.
    #[error("cannot talk to the container's shim: {0}")]
    Socket(#[from] io::Error),
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Gone => Self::ShimGone,
            RequestError::Refused(failure) => failure.into(),
            RequestError::Socket(source) => Self::Shim { act: "talk to", source },
        }
    }
}
