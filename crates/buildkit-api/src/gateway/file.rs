//! `LLBBridge.StatFile` and `ReadFile`: files of results, for a driving client.

use std::sync::Arc;

use engine::builder::{BuildError, ImageFiles, Node, NodeKind, TransferError};

use super::lookup::build_of;
use crate::go_mode;
use crate::grpc::{Call, Code, Status};
use crate::made::MadeImage;
use crate::parts::Parts;
use buildkit_messages::file_sync::Stat;
use buildkit_messages::gateway::{ReadFileRequest, ReadFileResponse, StatFileRequest, StatFileResponse};

/// The longest file that is read: messages are bounded.
const FILE_LIMIT: u64 = 8 << 20;

/// `LLBBridge.StatFile`
pub(crate) async fn stat_file(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let StatFileRequest { reference, path } = call.requests.only().await?;
    let image = result_of(&parts, &call, &reference).await?;
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    let node = look(&parts, image, path, |files, path| files.node(path)).await?;
    call.replies.send(&StatFileResponse { stat: Some(stat(&name, &node)) }).await
}

/// `LLBBridge.ReadFile`
pub(crate) async fn read_file(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let ReadFileRequest { reference, path, range } = call.requests.only().await?;
    let image = result_of(&parts, &call, &reference).await?;
    let mut data = look(&parts, image, path, |files, path| files.read(path, FILE_LIMIT)).await?;
    if let Some(range) = range {
        let offset = usize::try_from(range.offset).unwrap_or(usize::MAX).min(data.len());
        data.drain(..offset);
        // Without a length all that follows is meant.
        let length = usize::try_from(range.length).ok().filter(|length| *length > 0);
        data.truncate(length.unwrap_or(usize::MAX));
    }
    call.replies.send(&ReadFileResponse { data }).await
}

/// The result of a build that a client means.
async fn result_of(parts: &Parts, call: &Call, reference: &str) -> Result<MadeImage, Status> {
    let missing = || Status::new(Code::NotFound, format!("the build has no result {reference:?}"));
    build_of(parts, call).await?.results(&[reference])?.pop().ok_or_else(missing)
}

/// Reads something of an image's files.
async fn look<T: Send + 'static>(
    parts: &Parts,
    image: MadeImage,
    path: String,
    look: impl FnOnce(&ImageFiles, &str) -> Result<T, BuildError> + Send + 'static,
) -> Result<T, Status> {
    let store = parts.engine.images.store().clone();
    let work = tokio::task::spawn_blocking(move || {
        let found = ImageFiles::open(&store, &image.held.id).and_then(|files| look(&files, &path));
        found.map_err(|error| match error {
            BuildError::Transfer(TransferError::NoSuchSource(_)) => {
                Status::new(Code::NotFound, format!("open {path}: no such file or directory"))
            }
            error => Status::of_kind(error.kind(), error.to_string()),
        })
    });
    work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?
}

/// A node in the words of packets.
fn stat(name: &str, node: &Node) -> Stat {
    let metadata = &node.metadata;
    let size = if let NodeKind::File { size } = node.kind { size } else { 0 };
    let modified = metadata.modified.map_or(0, |modified| {
        modified.seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(modified.nanoseconds))
    });
    Stat {
        path: name.as_bytes().to_vec(),
        mode: go_mode::of_permissions(metadata.mode) | go_mode::of_kind(&node.kind),
        user: metadata.user,
        group: metadata.group,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        modified,
        ..Stat::default()
    }
}
