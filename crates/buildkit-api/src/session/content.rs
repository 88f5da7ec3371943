//! A client's content by digest: the blobs of its image layouts, and of its caches.

use bytes::Bytes;
use engine::images::BlobSize;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::Digest;

use super::registry::Session;
use crate::grpc::{Answers, Requests, Status};
use buildkit_messages::content::{ReadContentRequest, ReadContentResponse};

const READ: &str = "/containerd.services.content.v1.Content/Read";
/// The field with the name of the client's layout or cache.
pub(super) const STORE: HeaderName = HeaderName::from_static("buildkit-attachable-store-id");

/// The prefix of names of layouts there: clients serve stores of caches too.
const LAYOUT: &str = "oci:";

/// A blob on its way; dropping it cancels the call.
#[derive(Debug)]
pub(crate) struct Blob {
    digest: Digest,
    /// The remaining bytes.
    left: BlobSize,
    answers: Answers,
    _requests: Requests,
}

impl Session {
    /// Requests a blob of a layout.
    ///
    /// # Errors
    /// [`Status`] when the client serves no layouts.
    pub(crate) async fn blob(&self, layout: &str, digest: Digest, size: BlobSize) -> Result<Blob, Status> {
        self.blob_of_store(&format!("{LAYOUT}{layout}"), digest, size).await
    }

    /// Requests a blob of a store by its whole name.
    ///
    /// # Errors
    /// [`Status`] when the client serves no stores.
    pub(crate) async fn blob_of_store(
        &self,
        store: &str,
        digest: Digest,
        size: BlobSize,
    ) -> Result<Blob, Status> {
        self.require(READ)?;
        let mut metadata = HeaderMap::new();
        let name = HeaderValue::from_bytes(store.as_bytes())
            .map_err(|_| Status::invalid(format!("{store:?} is no name of a store")))?;
        metadata.insert(STORE, name);
        let (mut requests, answers) = self.channel.call(READ, metadata).await?;
        let request = ReadContentRequest { digest: digest.to_string(), offset: 0, size: 0 };
        // A client that refuses the call may do so before it has read: the response has the reason.
        let _ = requests.send(&request).await;
        requests.finish();
        Ok(Blob { digest, left: size, answers, _requests: requests })
    }
}

impl Blob {
    /// The next chunk; `None` once all of it is here.
    ///
    /// # Errors
    /// [`Status`] of the client, or a blob of another size.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            let (BlobSize::Exactly(left) | BlobSize::AtMost(left)) = &mut self.left;
            match self.answers.next::<ReadContentResponse>().await? {
                None => match self.left {
                    BlobSize::Exactly(0) | BlobSize::AtMost(_) => return Ok(None),
                    BlobSize::Exactly(_) => break,
                },
                Some(piece) if piece.data.is_empty() => {}
                Some(piece) if piece.data.len() as u64 <= *left => {
                    *left -= piece.data.len() as u64;
                    return Ok(Some(piece.data));
                }
                Some(_) => break,
            }
        }
        let digest = self.digest;
        Err(Status::invalid(format!("the client sent another number of bytes than {digest} has")))
    }
}
