//! One request and its answer, as handlers see them.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use sys::memory_budget::Reservation;
use tokio::sync::watch;

use super::body::Body;
use super::output::{Form, Output};
use super::{Hijacked, RequestHead, Response, Transport};

/// Bytes of an unread body that are skipped for the sake of the connection.
const SKIPPED_BODY: usize = 256 * 1024;

/// The content type of the stream that follows HTTP on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// Bytes as they are; before the kinds had names, frames too.
    Raw,
    /// Frames of several streams.
    Multiplexed,
}

impl StreamKind {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Raw => "application/vnd.docker.raw-stream",
            Self::Multiplexed => "application/vnd.docker.multiplexed-stream",
        }
    }
}

/// The client has left, or the daemon is about to stop: the rest of the response is not needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// One request with its body, and the way to answer it.
#[derive(Debug)]
pub struct Exchange {
    /// The request's head.
    pub head: RequestHead,
    /// Its body.
    pub body: Body,
    output: Output,
    transport: Arc<Transport>,
    stopping: watch::Receiver<bool>,
    hijacked: bool,
}

/// The connection's state after the exchange.
pub(super) enum After {
    /// It serves the next request, which may have begun already.
    Reuse(BytesMut),
    /// It is closed so that the client can still read the answer.
    Linger,
    /// It is not ours any more, or broken.
    Drop,
}

impl Exchange {
    pub(super) fn new(
        head: RequestHead,
        read: (BytesMut, Reservation),
        transport: Arc<Transport>,
        common: Arc<str>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let form = Form {
            version: head.version,
            head_only: head.method == Method::HEAD,
            keep_alive: head.keep_alive && !*stopping.borrow(),
        };
        let body = Body::new(Arc::clone(&transport), read, head.framing, head.expects_continue);
        let output = Output::new(Arc::clone(&transport), common, form);
        Self { head, body, output, transport, stopping, hijacked: false }
    }

    /// Sends a whole answer.
    pub async fn respond(&mut self, response: &Response) -> io::Result<()> {
        self.body.answer_has_begun();
        if !self.body.skip_arrived(SKIPPED_BODY).await {
            self.output.give_up_keep_alive();
        }
        self.output.send(response).await
    }

    /// Sends the head of a streamed answer; body and output can then be used side by side.
    pub async fn begin(
        &mut self,
        status: StatusCode,
        headers: &[(HeaderName, HeaderValue)],
    ) -> io::Result<(&mut Body, &mut Output)> {
        self.output.begin(status, headers).await?;
        Ok((&mut self.body, &mut self.output))
    }

    /// Body and output side by side, whether the answer has begun or not.
    pub const fn parts(&mut self) -> (&mut Body, &mut Output) {
        (&mut self.body, &mut self.output)
    }

    /// Whether the answer's head is out, so that an error can no longer change the status.
    pub fn has_begun(&self) -> bool {
        self.output.has_begun()
    }

    /// The way out of an answer that has begun.
    pub const fn output(&mut self) -> &mut Output {
        &mut self.output
    }

    /// A future that ends when the client no longer waits for the response.
    pub fn departure(&self) -> impl Future<Output = Gone> + Send + use<> {
        let (transport, mut stopping) = (Arc::clone(&self.transport), self.stopping.clone());
        async move {
            tokio::select! {
                () = transport.closed() => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
            Gone
        }
    }

    /// A watch that ends when the daemon is about to stop.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut stopping = self.stopping.clone();
        // The sender is gone only when the daemon is.
        async move { drop(stopping.wait_for(|stopping| *stopping).await) }
    }

    /// Runs a future until it is done or the client no longer waits for it.
    pub async fn while_waited_for<T>(&self, work: impl Future<Output = T>) -> Result<T, Gone> {
        tokio::select! {
            biased;
            result = work => Ok(result),
            gone = self.departure() => Err(gone),
        }
    }

    /// Whether the listener authenticated the client: it came by a unix socket, or with a verified
    /// certificate.
    pub fn is_client_known(&self) -> bool {
        self.transport.is_client_known()
    }

    /// Whether the client requests an upgrade of the connection (`Connection: Upgrade`, `Upgrade: tcp`).
    pub fn wants_upgrade(&self) -> bool {
        self.head.headers.contains_key(header::UPGRADE)
    }

    /// Ends HTTP on this connection (the specification's section 3.2), and gives it away. On a unix socket no read with
    /// room for the head takes what follows together with it: some clients (docker-py) lose that.
    pub async fn hijack(&mut self, kind: StreamKind) -> io::Result<Hijacked> {
        let (hijacked, head) = self.hijack_unsent(kind);
        self.output.send_head(&head).await?;
        Ok(hijacked)
    }

    /// The same, but leaves it to the new owner to send the head that this gives.
    pub fn hijack_unsent(&mut self, kind: StreamKind) -> (Hijacked, String) {
        let (line, upgrade) = if self.wants_upgrade() {
            ("101 UPGRADED", "Connection: Upgrade\r\nUpgrade: tcp\r\n")
        } else {
            ("200 OK", "")
        };
        self.hijack_as(line, &format!("Content-Type: {}\r\n{upgrade}", kind.content_type()))
    }

    /// Ends HTTP with a head of this status and these fields, which the new owner sends.
    pub fn hijack_as(&mut self, status_line: &str, fields: &str) -> (Hijacked, String) {
        self.body.answer_has_begun();
        let head = self.output.hijack(status_line, fields);
        self.hijacked = true;
        let early = self.body.take_rest();
        (Hijacked::new(Arc::clone(&self.transport), early), head)
    }

    pub(super) async fn conclude(mut self) -> After {
        if self.hijacked || self.output.is_broken() {
            return After::Drop;
        }
        if !self.output.has_begun() {
            return After::Drop;
        }
        if self.output.is_reusable() && self.body.skip_arrived(SKIPPED_BODY).await {
            return After::Reuse(self.body.into_rest());
        }
        After::Linger
    }
}
