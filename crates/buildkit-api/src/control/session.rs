//! `Control.Session`: a session whose connection is carried in the messages of a call, for clients that have no other
//! way.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::grpc::{Call, Messages, Replies, Status};
use crate::parts::Parts;
use crate::session::{Fields, Pace};
use buildkit_messages::file_sync::BytesMessage;

/// The buffer of the inner connection, each way.
const PIPE: usize = 64 * 1024;

pub(crate) async fn session(parts: Arc<Parts>, call: Call) -> Result<(), Status> {
    let fields = Fields::read(&call.metadata);
    let fields = fields.ok_or_else(|| Status::invalid("the session has no id"))?;
    let (near, far) = tokio::io::duplex(PIPE);
    let (read, write) = tokio::io::split(far);
    tokio::select! {
        result = parts.sessions.run(fields, near, Pace::default()) => result,
        result = send(read, call.replies) => result,
        result = receive(write, call.requests) => result,
    }
}

async fn send(mut read: tokio::io::ReadHalf<DuplexStream>, replies: Replies) -> Result<(), Status> {
    let mut piece = vec![0; PIPE / 2];
    loop {
        let count = read.read(&mut piece).await.unwrap_or(0);
        if count == 0 {
            return Ok(());
        }
        replies.send(&BytesMessage { data: Bytes::copy_from_slice(&piece[..count]) }).await?;
    }
}

async fn receive(
    mut write: tokio::io::WriteHalf<DuplexStream>,
    mut requests: Messages,
) -> Result<(), Status> {
    while let Some(BytesMessage { data }) = requests.next().await? {
        if write.write_all(&data).await.is_err() {
            break;
        }
    }
    Ok(())
}
