//! Clients that attached before their container started: kept until it starts, dropped when they leave.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shim_protocol::Attach;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::AbortHandle;

use crate::readiness;

/// How long a client of a network may wait that has closed its sending direction. TCP does not distinguish it from
/// one that has left, and clients that send no input close that direction as soon as they attach.
const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(60);

/// The clients that wait for one container's start.
#[derive(Default)]
pub(crate) struct WaitingClients(Arc<Mutex<BTreeMap<u64, WaitingClient>>>);

/// A client that waits.
pub(crate) struct WaitingClient {
    /// Its requested streams.
    pub(crate) attach: Attach,
    /// Its connection.
    pub(crate) socket: OwnedFd,
    /// Watches whether it leaves.
    watch: Watch,
}

/// A task that ends with its owner.
struct Watch(AbortHandle);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl WaitingClients {
    /// Keeps a client until it leaves, but no longer than a limit.
    ///
    /// # Errors
    /// When no descriptor is left to watch its connection with.
    pub(crate) fn add(
        &self,
        attach: Attach,
        socket: OwnedFd,
        limit: Option<Duration>,
    ) -> std::io::Result<()> {
        let number = attach.client;
        let departure = Departure::of(&socket)?;
        let clients = Arc::clone(&self.0);
        // Held until the client is on the list, so that it is not taken off before.
        let mut waiting = self.lock();
        let watch = tokio::spawn(async move {
            let left = departure.wait();
            match limit {
                Some(limit) => drop(tokio::time::timeout(limit, left).await),
                None => left.await,
            }
            let gone = clients.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
            drop(gone);
        });
        waiting.insert(number, WaitingClient { attach, socket, watch: Watch(watch.abort_handle()) });
        Ok(())
    }

    /// Takes all, in the order in which they came.
    pub(crate) fn take(&self) -> Vec<(Attach, OwnedFd)> {
        let waiting = std::mem::take(&mut *self.lock());
        waiting
            .into_values()
            .map(|WaitingClient { attach, socket, watch }| {
                drop(watch);
                (attach, socket)
            })
            .collect()
    }

    /// Ends the connections of all.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, WaitingClient>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a client's connection, which is not read.
struct Departure {
    connection: AsyncFd<OwnedFd>,
    is_local: bool,
}

impl Departure {
    fn of(socket: &OwnedFd) -> std::io::Result<Self> {
        let is_local = sys::stream::is_local(socket).unwrap_or(true);
        // Without an interest in input, the kernel reports only the end of both directions.
        let interest = if is_local { Interest::PRIORITY } else { Interest::READABLE };
        let connection = readiness::register(socket.try_clone()?, interest)?;
        Ok(Self { connection, is_local })
    }

    async fn wait(self) {
        if self.is_local {
            let _ = self.connection.ready(Interest::PRIORITY).await;
            return;
        }
        loop {
            match self.connection.ready(Interest::READABLE).await {
                Ok(ready) if ready.ready().is_write_closed() => return,
                Ok(ready) if ready.ready().is_read_closed() => break,
                // Input that the container will read.
                Ok(mut ready) => ready.clear_ready(),
                Err(_) => return,
            }
        }
        tokio::time::sleep(HALF_CLOSED_TIMEOUT).await;
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn attach(client: u64) -> Attach {
        Attach {
            client,
            stdin: true,
            stdout: true,
            stderr: true,
            logs: false,
            stream: true,
            framed: true,
            detach_keys: Vec::new(),
            early_input: Vec::new(),
            quiet: false,
        }
    }

    async fn until(what: &str, done: impl Fn() -> bool) {
        let done = async {
            while !done() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), done).await.expect(what);
    }

    #[tokio::test]
    async fn a_client_that_leaves_is_let_go_and_the_others_are_not() {
        let clients = WaitingClients::default();
        let (leaves, theirs) = UnixStream::pair().expect("a pair");
        clients.add(attach(1), theirs.into(), None).expect("a client");
        let (mut stays, theirs) = UnixStream::pair().expect("a pair");
        clients.add(attach(2), theirs.into(), None).expect("a client");
        stays.write_all(b"typed before the start").expect("input");
        stays.shutdown(Shutdown::Write).expect("the end of the input");
        drop(leaves);
        until("the first is gone", || clients.lock().len() == 1).await;
        let waiting = clients.take();
        assert_eq!(waiting.iter().map(|(attach, _)| attach.client).collect::<Vec<_>>(), [2]);
        let mut input = String::new();
        UnixStream::from(waiting.into_iter().next().expect("it").1)
            .read_to_string(&mut input)
            .expect("input");
        assert_eq!(input, "typed before the start");
    }

    #[tokio::test]
    async fn a_client_waits_no_longer_than_its_limit() {
        let clients = WaitingClients::default();
        let (_stays, theirs) = UnixStream::pair().expect("a pair");
        clients.add(attach(1), theirs.into(), Some(Duration::ZERO)).expect("a client");
        until("it is gone", || clients.lock().is_empty()).await;
    }
}
