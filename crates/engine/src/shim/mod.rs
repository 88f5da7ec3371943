//! The daemon's end of the conversation with one container's shim.
//!
//! ```text
//! Lost ──connected, the shim's first packet──▶ Open
//!  ▲ │                                          │
//!  │ └──the shim's process has ended──▶ Gone    │
//!  └───────────connection lost──────────────────┘
//! ```
//!
//! A lost connection is made again. Only the end of the shim's process is the end of the container.

mod channel;
mod connection;
mod found;
mod process;
mod program;
mod request;
mod source;
#[cfg(test)]
mod tests;
mod undo;

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shim_protocol::{
    Answer, Envelope, Failure, FailureKind, Notice, Pieces, Received, Request, RunDirectory,
};
use tokio::sync::{mpsc, watch};

use self::channel::Channel;
use self::connection::{Connection, Pending};
pub(crate) use self::found::{FoundShim, RECORD_LIMIT, left_by, process_of};
use self::process::Process;
pub(crate) use self::program::ShimProgram;
pub(crate) use self::request::RequestError;
pub(crate) use self::source::{NewNetwork, ShimSource};
use crate::error::Error;

/// How long a daemon waits before it connects again; doubled after each attempt without a packet…
const FIRST_RETRY: Duration = Duration::from_millis(10);

/// …up to this.
const LONGEST_RETRY: Duration = Duration::from_secs(1);

/// A number that no request has; that of the greeting is 0.
const NO_REQUEST: u64 = u64::MAX;

/// How often it is checked whether a shim that takes long is stopped.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What the shim sends by itself, with its descriptor.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The message.
    pub(crate) notice: Notice,
    /// The descriptor that came with it.
    pub(crate) descriptor: Option<OwnedFd>,
}

/// Notices in order; the end is that of the shim. Each is in a place of its own: a queue has room for 32 at once, for every
/// container.
pub(crate) type Notices = mpsc::UnboundedReceiver<Box<Incoming>>;

/// One shim. Notices arrive in order on the receiver made with it, those of a snapshot again after every lost
/// connection; it ends when the shim does.
pub(crate) struct Shim {
    directory: RunDirectory,
    process: Process,
    state: watch::Sender<State>,
    next: AtomicU64,
    /// The number of the request that allows the shim to end, or [`NO_REQUEST`].
    release: AtomicU64,
    /// The shim has been allowed to end: a connection that is lost then is not made again, for the next shim of the
    /// container listens in the same place.
    released: AtomicBool,
    /// The shim has been killed, with the same effect. Locked while a connection is made.
    killed: Mutex<bool>,
}

/// Whether requests can be sent to the shim.
enum State {
    /// Not now: no connection is there on which the shim has sent its first packet.
    Lost,
    Open(Connection),
    /// Never again.
    Gone,
}

impl Shim {
    /// Gives a shim to the container whose `spec.json` is in the run directory.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn begin(
        source: &ShimSource,
        directory: &RunDirectory,
        held_mounts: &[BorrowedFd<'_>],
    ) -> Result<(Arc<Self>, Notices), Error> {
        let failed = |source| Error::Shim { act: "start", source };
        let (process, channel) = source.obtain(directory, held_mounts).map_err(failed)?;
        Ok(Self::serve(directory, process, Some(channel)))
    }

    /// Takes over a shim that an earlier daemon started.
    ///
    /// # Errors
    /// When the process that the run directory names is not there any more.
    pub(crate) fn adopt(directory: &RunDirectory) -> Result<(Arc<Self>, Notices), Error> {
        FoundShim::look(directory).map(|found| Self::of_found(directory, found)).ok_or(Error::ShimGone)
    }

    /// Takes over a shim that was found.
    pub(crate) fn of_found(directory: &RunDirectory, found: FoundShim) -> (Arc<Self>, Notices) {
        let channel = found.socket.and_then(|socket| Channel::of_nonblocking(socket).ok());
        Self::serve(directory, found.process, channel)
    }

    fn serve(directory: &RunDirectory, process: Process, channel: Option<Channel>) -> (Arc<Self>, Notices) {
        let shim = Arc::new(Self {
            directory: directory.clone(),
            process,
            state: watch::Sender::new(State::Lost),
            next: AtomicU64::new(1),
            release: AtomicU64::new(NO_REQUEST),
            released: AtomicBool::new(false),
            killed: Mutex::default(),
        });
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(Arc::clone(&shim).keep_connected(sender, channel));
        (shim, receiver)
    }

    /// Reads from one connection after the other until the shim has ended.
    async fn keep_connected(
        self: Arc<Self>,
        notices: mpsc::UnboundedSender<Box<Incoming>>,
        mut channel: Option<Channel>,
    ) {
        let mut wait = FIRST_RETRY;
        loop {
            if let Some(channel) = channel.take()
                && self.read(Arc::new(channel), &notices).await
            {
                wait = FIRST_RETRY;
            }
            if self.released.load(Ordering::Relaxed) || self.process.ends_within(wait).await {
                break;
            }
            wait = (wait * 2).min(LONGEST_RETRY);
            match self.connect_again() {
                None => {}
                Some(Ok(connected)) => channel = Some(connected),
                // Over, and without a daemon, it accepts no connection any more; its record has the exit.
                Some(Err(_)) if self.directory.exit_record().exists() => break,
                Some(Err(error)) => {
                    tracing::debug!("cannot connect to {:?}: {error}", self.directory.socket());
                }
            }
        }
        self.state.send_replace(State::Gone);
        drop(notices);
        self.process.reap().await;
    }

    /// Connects once more; `None` to a shim that has been killed.
    fn connect_again(&self) -> Option<io::Result<Channel>> {
        let killed = self.killed.lock().unwrap_or_else(PoisonError::into_inner);
        (!*killed).then(|| found::connect(&self.directory).and_then(Channel::of_nonblocking))
    }

    /// Reads until the connection is lost or the shim has ended: answers go to their requests, all else to `notices`. True
    /// when the shim sent anything.
    async fn read(&self, channel: Arc<Channel>, notices: &mpsc::UnboundedSender<Box<Incoming>>) -> bool {
        let pending = Pending::new();
        let mut is_open = false;
        let mut pieces = Pieces::default();
        // A copy of the shim that has not executed its program holds the connection too, however long that takes.
        let mut end = std::pin::pin!(self.process.end());
        let mut has_ended = false;
        loop {
            let received = match has_ended {
                true => channel.receive_now(),
                false => tokio::select! {
                    biased;
                    received = channel.receive() => received,
                    () = &mut end => {
                        has_ended = true;
                        continue;
                    }
                },
            };
            let Ok(Some((packet, descriptor))) = received else { break };
            let Ok(taken) = pieces.take(packet) else { continue };
            let Some(message) = taken else { continue };
            let received = Notice::read(&message);
            if !is_open {
                let protocol = match &received {
                    Received::Known(Notice::Hello { protocol }) => Some(*protocol),
                    _ => None,
                };
                let greeted = Connection::greet(Arc::clone(&channel), Arc::clone(&pending), protocol).await;
                let Ok(connection) = greeted else { break };
                self.state.send_replace(State::Open(connection));
                is_open = true;
            }
            match received {
                Received::Known(Notice::Hello { .. }) => {}
                Received::Known(Notice::Reply { number, result }) => {
                    if result.is_ok() && number == self.release.load(Ordering::Relaxed) {
                        self.released.store(true, Ordering::Relaxed);
                    }
                    pending.answer(number, result);
                }
                Received::Known(notice) => {
                    let _ = notices.send(Box::new(Incoming { notice, descriptor }));
                }
                Received::Unknown { number } => pending.answer(number, Err(unknown_answer())),
                Received::Unreadable(error) => tracing::warn!("cannot read a shim's message: {error}"),
            }
        }
        self.state.send_replace(State::Lost);
        pending.close();
        is_open
    }

    /// Sends the shim a request and waits for its answer, over a new connection if need be.
    ///
    /// # Errors
    /// [`RequestError::Gone`] when the shim is, [`RequestError::Silent`] when the answer does not come in
    /// time, or what the shim answered.
    pub(crate) async fn request(
        &self,
        request: Request,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<Answer, RequestError> {
        self.request_within(request::time_limit(&request), request, descriptor).await
    }

    /// Sends the shim a request, with a time limit of the caller's own.
    ///
    /// # Errors
    /// Those of [`Self::request`].
    pub(crate) async fn request_within(
        &self,
        limit: Duration,
        request: Request,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<Answer, RequestError> {
        self.within(limit, self.request_without_limit(request, descriptor))
            .await
            .unwrap_or(Err(RequestError::Silent))
    }

    /// Waits for what the shim has to do, at most so long; `None` when it took longer. A stopped shim does
    /// nothing, so that it is not given all that time.
    pub(crate) async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.time_limit(limit) => None,
        }
    }

    async fn time_limit(&self, limit: Duration) {
        let end = tokio::time::Instant::now() + limit;
        tokio::time::sleep(request::PROMPT.min(limit)).await;
        while tokio::time::Instant::now() < end && !self.process.is_stopped() {
            tokio::time::sleep_until(end.min(tokio::time::Instant::now() + POLL_INTERVAL)).await;
        }
    }

    /// Sends the shim a request, however long the answer takes.
    ///
    /// # Errors
    /// Those of [`Self::request`] but for [`RequestError::Silent`].
    pub(crate) async fn request_without_limit(
        &self,
        request: Request,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<Answer, RequestError> {
        let is_release = matches!(request, Request::Release);
        let mut envelope = Envelope { number: 0, request };
        let mut lost = None;
        loop {
            let connection = self.connection(lost.as_ref()).await?;
            if envelope.request.since() > connection.protocol() {
                return Err(RequestError::Refused(unsupported()));
            }
            envelope.number = self.next.fetch_add(1, Ordering::Relaxed);
            if is_release {
                self.release.store(envelope.number, Ordering::Relaxed);
            }
            match connection.exchange(&envelope, descriptor).await {
                Err(RequestError::Lost)
                    if request::is_repeatable(&envelope.request, connection.protocol()) =>
                {
                    lost = Some(connection);
                }
                result => return result,
            }
        }
    }

    /// Waits for a connection that is not the lost one.
    async fn connection(&self, lost: Option<&Connection>) -> Result<Connection, RequestError> {
        let mut state = self.state.subscribe();
        let is_known = |state: &State| match state {
            State::Lost => false,
            State::Open(connection) => lost.is_none_or(|lost| !connection.is(lost)),
            State::Gone => true,
        };
        match state.wait_for(is_known).await.as_deref() {
            Ok(State::Open(connection)) => Ok(connection.clone()),
            Ok(State::Lost | State::Gone) | Err(_) => Err(RequestError::Gone),
        }
    }

    /// Whether no request can reach the shim any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(*self.state.borrow(), State::Gone)
    }

    /// Kills a shim that does not answer. Its container is taken down as that of any shim that died.
    pub(crate) fn kill(&self) {
        *self.killed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.process.kill();
    }
}

fn unsupported() -> Failure {
    let message = "the container's shim is of an older release and cannot do this";
    Failure { kind: FailureKind::Unsupported, message: message.to_owned() }
}

fn unknown_answer() -> Failure {
    let message = "the container's shim is of a newer release, and its answer is not known here";
    Failure { kind: FailureKind::Unknown, message: message.to_owned() }
}
