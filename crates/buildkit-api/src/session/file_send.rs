//! Sends results to the client: a file as a stream of bytes, or a directory entry by entry.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::mpsc;

use super::registry::Session;
use crate::grpc::{Answers, Code, Requests, Status};
use buildkit_messages::file_sync::{BytesMessage, Packet, PacketKind, Stat};

const SEND: &str = "/moby.filesync.v1.FileSend/DiffCopy";
/// The field with the id of the client's output.
const EXPORTER: HeaderName = HeaderName::from_static("buildkit-attachable-exporter-id");

/// The bytes of one packet of a file.
const PIECE: usize = 32 * 1024;
/// As many bytes of a file are read at a time.
const READ: usize = 16 * PIECE;

/// A file on its way to the client.
pub(crate) struct Upload {
    requests: Requests,
    answers: Answers,
}

impl Upload {
    /// Opens the client's output of an exporter.
    ///
    /// # Errors
    /// [`Status`] when the client takes no files.
    pub(crate) async fn open(session: &Session, exporter: usize) -> Result<Self, Status> {
        session.require(SEND)?;
        let mut metadata = HeaderMap::new();
        metadata.insert(EXPORTER, HeaderValue::from(exporter));
        let (requests, answers) = session.channel.call(SEND, metadata).await?;
        Ok(Self { requests, answers })
    }

    /// Sends a chunk as fast as the client takes it.
    ///
    /// # Errors
    /// [`Status`] when the client has refused the rest.
    pub(crate) async fn send(&mut self, data: Bytes) -> Result<(), Status> {
        match self.requests.send(&BytesMessage { data }).await {
            Ok(()) => Ok(()),
            // The client's own error has the reason.
            Err(status) => Err(self.answers.next::<BytesMessage>().await.err().unwrap_or(status)),
        }
    }

    /// Ends the file and waits until the client has it.
    ///
    /// # Errors
    /// [`Status`] when the client could not keep it.
    pub(crate) async fn finish(mut self) -> Result<(), Status> {
        self.requests.finish();
        while self.answers.next::<BytesMessage>().await?.is_some() {}
        Ok(())
    }
}

/// A directory that can be sent: entries in the order of a walk, and the contents of files by their numbers in it.
pub(crate) trait Directory: Send + Sync {
    /// The entries.
    fn entries(&self) -> &[Stat];

    /// A chunk of a file's content, shorter than requested at its end alone. May block.
    ///
    /// # Errors
    /// What reading fails with.
    fn piece(&self, number: usize, offset: u64, length: usize) -> std::io::Result<Bytes>;
}

/// Sends a directory; returns the bytes of the contents that the client requested.
///
/// # Errors
/// [`Status`] when the client fails, or requests what is not there.
pub(crate) async fn send_directory(
    session: &Session,
    exporter: usize,
    directory: Arc<dyn Directory>,
) -> Result<u64, Status> {
    let Upload { mut requests, mut answers } = Upload::open(session, exporter).await?;
    let (sender, mut asked) = mpsc::unbounded_channel();
    // Reads requests while entries are still being sent: each number once, so that it is bounded.
    let listen = async {
        let mut seen = HashSet::new();
        while let Some(packet) = answers.next::<Packet>().await? {
            match PacketKind::try_from(packet.kind) {
                Ok(PacketKind::Request) => {
                    let number = packet.id as usize;
                    if number >= directory.entries().len() || !seen.insert(number) {
                        return Err(Status::invalid(format!("the client asked for file {number} in vain")));
                    }
                    // The sender has ended with an error of its own.
                    let _ = sender.send(Some(number));
                }
                Ok(PacketKind::Finish) => {
                    let _ = sender.send(None);
                }
                Ok(PacketKind::Error) => {
                    return Err(Status::invalid(String::from_utf8_lossy(&packet.data).into_owned()));
                }
                _ => return Err(Status::invalid("the client sent a packet that nothing asked for")),
            }
        }
        // A client that ends without an error needs no more.
        let _ = sender.send(None);
        Ok(())
    };
    let send = async {
        for stat in directory.entries() {
            let kind = PacketKind::Stat.into();
            requests.send(&Packet { kind, stat: Some(stat.clone()), ..Packet::default() }).await?;
        }
        requests.send(&Packet { kind: PacketKind::Stat.into(), ..Packet::default() }).await?;
        let mut sent = 0;
        while let Some(Some(number)) = asked.recv().await {
            sent += send_content(&mut requests, &directory, number).await?;
        }
        requests.send(&Packet { kind: PacketKind::Finish.into(), ..Packet::default() }).await?;
        requests.finish();
        Ok(sent)
    };
    let ((), sent) = tokio::try_join!(listen, send)?;
    Ok(sent)
}

async fn send_content(
    requests: &mut Requests,
    directory: &Arc<dyn Directory>,
    number: usize,
) -> Result<u64, Status> {
    let id = u32::try_from(number).unwrap_or(u32::MAX);
    let mut offset = 0;
    loop {
        let from = Arc::clone(directory);
        let work = tokio::task::spawn_blocking(move || from.piece(number, offset, READ));
        let read = work.await.map_err(|error| Status::new(Code::Internal, error.to_string()))?;
        let mut read =
            read.map_err(|error| Status::new(Code::Internal, format!("cannot read a file: {error}")))?;
        let is_last = read.len() < READ;
        offset += read.len() as u64;
        while !read.is_empty() {
            let data = read.split_to(read.len().min(PIECE));
            requests.send(&Packet { kind: PacketKind::Data.into(), id, data, stat: None }).await?;
        }
        if is_last {
            let end = Packet { kind: PacketKind::Data.into(), id, ..Packet::default() };
            requests.send(&end).await?;
            return Ok(offset);
        }
    }
}
