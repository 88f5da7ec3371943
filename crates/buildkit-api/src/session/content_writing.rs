//! Writes blobs into a store that a client serves: the directory of a cache.

use std::io::Read;

use bytes::Bytes;
use engine::images::PackedBlob;
use engine::sys::bounded_read;
use http::{HeaderMap, HeaderValue};
use model::Digest;

use super::content::STORE;
use super::registry::Session;
use crate::grpc::{Answers, Code, Requests, Status};
use buildkit_messages::content::{WriteAction, WriteContentRequest, WriteContentResponse};

const WRITE: &str = "/containerd.services.content.v1.Content/Write";
/// The size of a chunk of a blob.
const PIECE: u64 = 1 << 20;

impl Session {
    /// Writes a blob into a store, unless the client has it there.
    ///
    /// # Errors
    /// [`Status`] when the client cannot keep it, or it cannot be read here.
    pub(crate) async fn write_blob(&self, store: &str, blob: PackedBlob) -> Result<(), Status> {
        self.require(WRITE)?;
        let invalid = |_| Status::invalid(format!("{store:?} is no name of a store"));
        let name = HeaderValue::from_bytes(store.as_bytes()).map_err(invalid)?;
        let metadata = HeaderMap::from_iter([(STORE, name)]);
        let (requests, answers) = self.channel.call(WRITE, metadata).await?;
        let size = i64::try_from(blob.size).unwrap_or(i64::MAX);
        let writing = Writing { requests, answers, digest: blob.digest, size };
        match writing.run(blob).await {
            Err(status) if status.code == Code::AlreadyExists => Ok(()),
            written => written,
        }
    }
}

/// A blob on its way to the client.
struct Writing {
    requests: Requests,
    answers: Answers,
    digest: Digest,
    size: i64,
}

impl Writing {
    async fn run(mut self, blob: PackedBlob) -> Result<(), Status> {
        let started = self.ask(WriteAction::Stat, 0, Bytes::new()).await?;
        let failed = |error| Status::new(Code::Internal, format!("cannot read a blob: {error}"));
        let gone = |error: tokio::task::JoinError| Status::new(Code::Internal, error.to_string());
        let opened = tokio::task::spawn_blocking(move || blob.open());
        let mut content = opened.await.map_err(gone)?.map_err(failed)?;
        let mut offset = 0;
        while offset < self.size {
            let read = tokio::task::spawn_blocking(move || {
                let piece = bounded_read::read_stream(content.by_ref().take(PIECE), PIECE);
                piece.map(|piece| (piece, content))
            });
            let (piece, rest) = read.await.map_err(gone)?.map_err(failed)?;
            content = rest;
            if piece.is_empty() {
                return Err(Status::new(Code::Internal, format!("the blob {} is cut off", self.digest)));
            }
            let start = offset;
            offset += i64::try_from(piece.len()).unwrap_or_default();
            // What an earlier attempt has left there is not sent again.
            let known = usize::try_from(started.offset.saturating_sub(start).max(0)).unwrap_or_default();
            if known < piece.len() {
                let data = Bytes::from(piece).slice(known..);
                self.ask(WriteAction::Write, start.max(started.offset), data).await?;
            }
        }
        self.send(WriteAction::Commit, self.size, Bytes::new()).await?;
        self.requests.finish();
        // Some stores acknowledge a chunk more than once.
        let mut is_kept = false;
        while let Some(answer) = self.answers.next::<WriteContentResponse>().await? {
            is_kept |= answer.action == i32::from(WriteAction::Commit);
        }
        let unkept = || Status::new(Code::Unavailable, format!("the client did not keep {}", self.digest));
        is_kept.then_some(()).ok_or_else(unkept)
    }

    async fn send(&mut self, action: WriteAction, offset: i64, data: Bytes) -> Result<(), Status> {
        let request = WriteContentRequest {
            action: action.into(),
            reference: format!("berth-{}", self.digest),
            total: self.size,
            expected: self.digest.to_string(),
            offset,
            data,
            ..WriteContentRequest::default()
        };
        self.requests.send(&request).await
    }

    async fn ask(
        &mut self,
        action: WriteAction,
        offset: i64,
        data: Bytes,
    ) -> Result<WriteContentResponse, Status> {
        let sent = self.send(action, offset, data).await;
        // The client's own error has the reason why it takes no more.
        match self.answers.next().await? {
            Some(answer) => sent.map(|()| answer),
            None => Err(Status::new(Code::Unavailable, "the client's store ended the call")),
        }
    }
}
