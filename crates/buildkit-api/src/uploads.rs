//! Contexts of builds that requests of their own carry: the build takes one by its id.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::grpc::{Code, Status};

/// How long a build and its context wait for each other: clients send both at once.
const OPENING: Duration = Duration::from_secs(5);
/// Contexts that wait at once.
const UPLOAD_LIMIT: usize = 256;

type Reader = Box<dyn Read + Send>;

/// The contexts that wait for their builds.
#[derive(Default)]
pub(crate) struct Uploads {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    contexts: HashMap<String, Context>,
    /// How many have come.
    count: u64,
}

impl Waiting {
    /// Whether a context waits that has this id and this number.
    fn has(&self, id: &str, number: u64) -> bool {
        self.contexts.get(id).is_some_and(|context| context.number == number)
    }
}

/// One context. Another may have its id once a build has taken it, but not its number.
struct Context {
    number: u64,
    reader: Reader,
}

/// A reader that reports when it is dropped.
struct Watched {
    reader: Reader,
    _done: oneshot::Sender<()>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// A context's place; it is removed with its request.
struct Place<'a> {
    uploads: &'a Uploads,
    id: &'a str,
    number: u64,
}

impl Place<'_> {
    /// Whether no build has taken the context.
    fn is_waiting(&self) -> bool {
        self.uploads.lock().has(self.id, self.number)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.uploads.lock();
        if waiting.has(self.id, self.number) {
            waiting.contexts.remove(self.id);
        }
    }
}

impl Uploads {
    /// Offers a context until its build has read it.
    ///
    /// # Errors
    /// `NotFound` when no build takes it; `AlreadyExists`, `ResourceExhausted` when there is no place for it.
    pub(crate) async fn offer(&self, id: &str, reader: Reader) -> Result<(), Status> {
        let (sender, mut done) = oneshot::channel();
        let number = {
            let mut waiting = self.lock();
            if waiting.contexts.len() >= UPLOAD_LIMIT {
                return Err(Status::new(Code::ResourceExhausted, "too many contexts wait for their builds"));
            }
            if waiting.contexts.contains_key(id) {
                return Err(Status::new(Code::AlreadyExists, format!("the context of {id} is here already")));
            }
            waiting.count += 1;
            let number = waiting.count;
            let reader = Box::new(Watched { reader, _done: sender });
            waiting.contexts.insert(id.to_owned(), Context { number, reader });
            number
        };
        let place = Place { uploads: self, id, number };
        self.changed.notify_waiters();
        // Whatever ends the wait, the sender is gone.
        if timeout(OPENING, &mut done).await.is_err() {
            if place.is_waiting() {
                return Err(Status::new(Code::NotFound, format!("no build waits for the context of {id}")));
            }
            let _ = done.await;
        }
        Ok(())
    }

    /// Takes a context, waiting a moment for one that is about to come.
    ///
    /// # Errors
    /// `NotFound` when it does not come.
    pub(crate) async fn take(&self, id: &str) -> Result<Reader, Status> {
        let search = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Registered before the check, so that no change between the two is lost.
                changed.as_mut().enable();
                if let Some(context) = self.lock().contexts.remove(id) {
                    return context.reader;
                }
                changed.await;
            }
        };
        let missing = |_| Status::new(Code::NotFound, format!("no context came for the build {id}"));
        timeout(OPENING, search).await.map_err(missing)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_context_and_its_build_find_each_other_in_any_order() {
        let uploads = Arc::new(Uploads::default());
        for first in ["the context", "the build"] {
            let context: Reader = Box::new(&b"content"[..]);
            let read = async {
                let mut reader = uploads.take("a").await.expect("a context");
                let mut text = String::new();
                reader.read_to_string(&mut text).expect("its bytes");
                text
            };
            let text = if first == "the build" {
                let (text, offered) = tokio::join!(read, uploads.offer("a", context));
                offered.expect("taken");
                text
            } else {
                let (offered, text) = tokio::join!(uploads.offer("a", context), read);
                offered.expect("taken");
                text
            };
            assert_eq!(text, "content", "{first} comes first");
            assert!(uploads.lock().contexts.is_empty());
        }
    }

    #[tokio::test]
    async fn a_request_that_ends_leaves_the_next_context_of_its_id() {
        let uploads = Arc::new(Uploads::default());
        let offer = |content: &'static [u8]| {
            let uploads = Arc::clone(&uploads);
            tokio::spawn(async move { uploads.offer("a", Box::new(content)).await })
        };
        let first = offer(b"first");
        let taken = uploads.take("a").await.expect("the first context");
        let second = offer(b"second");
        while uploads.lock().contexts.is_empty() {
            tokio::task::yield_now().await;
        }
        drop(taken);
        first.await.expect("a task").expect("taken");
        let mut text = String::new();
        uploads.take("a").await.expect("the second").read_to_string(&mut text).expect("its bytes");
        assert_eq!(text, "second");
        second.await.expect("a task").expect("taken");
    }
}
