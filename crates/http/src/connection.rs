//! The loop of one connection: heads in, exchanges served, the end without losing the last answer.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use sys::memory_budget::{Budget, Reservation};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::exchange::After;
use super::head::{HeadError, RequestHead, take_head};
use super::{Exchange, Transport};

/// A head must be complete so long after its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a closed connection still takes what the client was sending, so that it reads the answer.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes of each request that are not counted, so that small requests are served however full the budget is.
const UNCOUNTED: usize = 4 * 1024;

/// The memory limit of all connections for heads and for bodies that are collected in memory.
#[must_use]
pub fn request_budget(bytes: usize) -> Arc<Budget> {
    Arc::new(Budget::new(bytes, UNCOUNTED))
}

/// The handler of requests.
pub trait Service: Send + Sync + 'static {
    /// Answers one request through the exchange.
    fn call<'a>(&'a self, exchange: &'a mut Exchange) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// The shared settings of all connections.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Fields of every answer, each line ended by CR LF.
    pub common_headers: Arc<str>,
    /// The memory limit of unfinished requests; beyond it the response is 503.
    pub budget: Arc<Budget>,
    /// True once the daemon is about to stop: idle connections close, others after their answer.
    pub stopping: watch::Receiver<bool>,
}

/// Serves a connection until it ends.
pub async fn serve(transport: Transport, service: Arc<dyn Service>, settings: Settings) {
    let transport = Arc::new(transport);
    let mut buffer = BytesMut::new();
    let mut stopping = settings.stopping.clone();
    loop {
        let head = tokio::select! {
            biased;
            head = next_head(&transport, &mut buffer, &settings.budget) => head,
            _ = stopping.wait_for(|stopping| *stopping) => Ok(None),
        };
        let (head, reservation) = match head {
            Ok(Some(request)) => request,
            // A TLS client can tell that nothing was cut off; one that is gone does not matter.
            Ok(None) => return drop(transport.close_write().await),
            Err(refusal) => return Box::pin(refuse(&transport, &settings, &refusal)).await,
        };
        let rest = std::mem::take(&mut buffer);
        // What an idle connection does not need is in boxes of its own.
        match Box::pin(exchange(head, (rest, reservation), &transport, &*service, &settings)).await {
            After::Reuse(rest) => buffer = rest,
            After::Linger => return Box::pin(linger(&transport)).await,
            After::Drop => return,
        }
    }
}

/// Serves one request.
async fn exchange(
    head: Box<RequestHead>,
    read: (BytesMut, Reservation),
    transport: &Arc<Transport>,
    service: &dyn Service,
    settings: &Settings,
) -> After {
    let common = Arc::clone(&settings.common_headers);
    let mut exchange = Exchange::new(*head, read, Arc::clone(transport), common, settings.stopping.clone());
    service.call(&mut exchange).await;
    exchange.conclude().await
}

/// The next head and what it holds of the budget; `None` when the client left between requests.
async fn next_head(
    transport: &Transport,
    buffer: &mut BytesMut,
    budget: &Arc<Budget>,
) -> Result<Option<(Box<RequestHead>, Reservation)>, HeadError> {
    if buffer.is_empty() {
        // An idle connection holds no buffer.
        *buffer = BytesMut::new();
        if transport.readable().await.is_err() {
            return Ok(None);
        }
    }
    let mut reservation = Reservation::new(Arc::clone(budget));
    let mut scanned = 0;
    let mut deadline = None;
    loop {
        reservation.raise_to(buffer.len()).map_err(|_| HeadError::Busy)?;
        if let Some(head) = take_head(buffer, &mut scanned)? {
            return Ok(Some((Box::new(head), reservation)));
        }
        let read = transport.read_little(buffer);
        let read = match deadline {
            None => read.await,
            Some(deadline) => timeout_at(deadline, read).await.map_err(|_| HeadError::Timeout)?,
        };
        match read {
            Ok(0) | Err(_) => return Ok(None),
            Ok(_) => deadline = deadline.or_else(|| Some(Instant::now() + HEAD_TIMEOUT)),
        }
    }
}

async fn refuse(transport: &Transport, settings: &Settings, refusal: &HeadError) {
    let status = refusal.status();
    let text = format!("{} {refusal}\n", status.as_u16());
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        settings.common_headers,
        text.len(),
    );
    let written: io::Result<()> =
        transport.write_all(&mut [IoSlice::new(head.as_bytes()), IoSlice::new(text.as_bytes())]).await;
    if written.is_ok() {
        linger(transport).await;
    }
}

/// Closes our side, then reads and drops what the client still sends: closing with unread bytes would reset
/// the connection and could destroy the response on its way (RFC 9112, section 9.6).
async fn linger(transport: &Transport) {
    let _ = timeout(LINGER, async {
        transport.close_write().await?;
        let mut sink = BytesMut::new();
        while transport.read_little(&mut sink).await? != 0 {
            sink.clear();
        }
        io::Result::Ok(())
    })
    .await;
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
