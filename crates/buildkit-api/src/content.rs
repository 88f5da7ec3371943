//! Documents that records of builds name, by their digest: `containerd.services.content.v1.Content` as far as clients read.

use std::sync::Arc;

use bytes::Bytes;

use crate::grpc::{Call, Code, Status};
use crate::parts::Parts;
use buildkit_messages::content::{
    ContentInfo, InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse,
};

/// Bytes of one message.
const PIECE: usize = 1 << 20;

fn document(parts: &Parts, digest: &str) -> Result<Bytes, Status> {
    let missing = || Status::new(Code::NotFound, format!("content {digest}: not found"));
    parts.builds.document(digest).ok_or_else(missing)
}

/// `Content.Info`
pub(crate) async fn info(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let InfoRequest { digest } = call.requests.only().await?;
    let size = i64::try_from(document(&parts, &digest)?.len()).unwrap_or(i64::MAX);
    call.replies
        .send(&InfoResponse { info: Some(ContentInfo { digest, size, ..ContentInfo::default() }) })
        .await
}

/// `Content.Read`
pub(crate) async fn read(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let ReadContentRequest { digest, offset, size } = call.requests.only().await?;
    let document = document(&parts, &digest)?;
    let invalid = || Status::invalid(format!("content {digest} has no {size} bytes from {offset} on"));
    let start = usize::try_from(offset).ok().filter(|start| *start <= document.len()).ok_or_else(invalid)?;
    let rest = document.slice(start..);
    // A size of nothing means all that follows.
    let length = usize::try_from(size).map_err(|_| invalid())?;
    let wanted = if length == 0 { rest } else { rest.slice(..length.min(rest.len())) };
    let mut offset = offset;
    for piece in wanted.chunks(PIECE) {
        let data = wanted.slice_ref(piece);
        let length = i64::try_from(data.len()).unwrap_or(i64::MAX);
        call.replies.send(&ReadContentResponse { offset, data }).await?;
        offset += length;
    }
    Ok(())
}
