//! A context that the client sends as an archive.

use std::io::{self, Read};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::pieces::pieces;
use super::remote::Remote;
use crate::grpc::Status;
use buildkit_messages::file_sync::BytesMessage;

const PULL: &str = "/moby.upload.v1.Upload/Pull";
/// The field with the path of the archive.
const PATH: HeaderName = HeaderName::from_static("urlpath");

/// Requests an archive from the client, and returns a reader of it for blocking work.
///
/// # Errors
/// [`Status`] when the client does not have it.
pub(super) async fn open(remote: &Remote, path: &str) -> Result<Box<dyn Read + Send>, Status> {
    let session = remote.session()?;
    session.require(PULL)?;
    let mut metadata = HeaderMap::new();
    let value = HeaderValue::from_str(path).map_err(|_| Status::invalid(format!("{path:?} is no path")))?;
    metadata.insert(PATH, value);
    let (mut requests, mut answers) = session.channel.call(PULL, metadata).await?;
    let (sender, reader) = pieces();
    tokio::spawn(async move {
        loop {
            let piece = tokio::select! {
                piece = answers.next::<BytesMessage>() => piece,
                // The reader is gone; the call is cancelled with what this task drops.
                () = sender.closed() => return,
            };
            let piece = match piece {
                Ok(Some(message)) => Ok(message.data),
                Ok(None) => {
                    requests.finish();
                    Ok(Bytes::new())
                }
                Err(status) => Err(io::Error::other(status)),
            };
            let is_last = !matches!(&piece, Ok(bytes) if !bytes.is_empty());
            if sender.send(piece).await.is_err() || is_last {
                return;
            }
        }
    });
    Ok(Box::new(reader))
}
