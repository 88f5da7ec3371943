//! One connection to a shim: whole packets each way, and the requests on it that wait for an answer.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};

use shim_protocol::{Answer, Envelope, Failure, PROTOCOL, Request, UNNUMBERED, packets};
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::channel::Channel;
use super::request::RequestError;

/// The number of the daemon's first packet; requests with an answer have others.
const HELLO: u64 = 0;

/// A connection on which the shim has sent its first packet.
#[derive(Clone)]
pub(super) struct Connection {
    channel: Arc<Channel>,
    /// The protocol of the shim.
    protocol: u32,
    pending: Arc<Pending>,
    /// Held while a message is sent in several packets: those of two messages would mix.
    in_pieces: Arc<AsyncMutex<()>>,
}

/// Requests without an answer; `None` once the connection is lost.
#[derive(Default)]
pub(super) struct Pending(Mutex<Option<HashMap<u64, oneshot::Sender<Reply>>>>);

type Reply = Result<Answer, Failure>;

impl Pending {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Some(HashMap::new()))))
    }

    /// Gives an answer to the request of this number, if it still waits.
    pub(super) fn answer(&self, number: u64, reply: Reply) {
        let waiting = self.lock().as_mut().and_then(|pending| pending.remove(&number));
        if let Some(waiting) = waiting {
            let _ = waiting.send(reply);
        }
    }

    /// The connection is lost: nothing waits any more.
    pub(super) fn close(&self) {
        self.lock().take();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Reply>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Takes a channel whose first packet has come; with a protocol number in it, the daemon's is sent.
    pub(super) async fn greet(
        channel: Arc<Channel>,
        pending: Arc<Pending>,
        protocol: Option<u32>,
    ) -> io::Result<Self> {
        if protocol.is_some() {
            let hello = Envelope { number: HELLO, request: Request::Hello { protocol: PROTOCOL } };
            channel.send(&serde_json::to_vec(&hello)?, None).await?;
        }
        Ok(Self { channel, protocol: protocol.unwrap_or(UNNUMBERED), pending, in_pieces: Arc::default() })
    }

    /// Whether this is the connection that another value stands for too.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }

    /// The protocol of the shim.
    pub(super) const fn protocol(&self) -> u32 {
        self.protocol
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`RequestError::TooLong`] for a request that this shim cannot get, [`RequestError::Lost`] when the connection is
    /// lost first, or what the shim answered.
    pub(super) async fn exchange(
        &self,
        envelope: &Envelope,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<Answer, RequestError> {
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting { pending: &self.pending, number: envelope.number };
        self.pending.lock().as_mut().ok_or(RequestError::Lost)?.insert(envelope.number, sender);
        let message = serde_json::to_vec(envelope).map_err(RequestError::Unsendable)?;
        self.send(&message, descriptor).await?;
        let answer = answer.await.map_err(|_| RequestError::Lost)?;
        drop(waiting);
        answer.map_err(RequestError::Refused)
    }

    async fn send(&self, message: &[u8], descriptor: Option<BorrowedFd<'_>>) -> Result<(), RequestError> {
        let packets = packets(message, self.protocol).map_err(|_| RequestError::TooLong)?;
        let last = packets.len() - 1;
        let _order = if last == 0 { None } else { Some(self.in_pieces.lock().await) };
        for (number, packet) in packets.iter().enumerate() {
            let beside = descriptor.filter(|_| number == last);
            self.channel.send(packet, beside).await.map_err(|_| RequestError::Lost)?;
        }
        Ok(())
    }
}

/// Removes a request from the list when its caller no longer waits for the answer.
struct Waiting<'p> {
    pending: &'p Pending,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(pending) = self.pending.lock().as_mut() {
            pending.remove(&self.number);
        }
    }
}
