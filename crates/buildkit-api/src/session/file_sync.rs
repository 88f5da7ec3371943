//! Receives a directory of a client: its entries come first, then, while they still come, the requested contents.
//! Contents that an earlier transfer brought are not requested again, which makes the second build quick.
//!
//! ```text
//! client: STAT STAT STAT … STAT(nothing)        DATA(0) DATA(2) … DATA(0, empty) …      FIN
//! here:        REQUEST(0)      REQUEST(2) …                                    … FIN
//! ```

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use http::HeaderMap;

use super::paced::{Pace, Relaxed};
use super::patterns;
use super::registry::Session;
use crate::grpc::{Answers, Requests};
use crate::synced::{Content, Contents, Entry, Intake, Large, SMALL, SyncError, Tree, TreeBuilder};
use buildkit_messages::file_sync::{Packet, PacketKind, Stat};

const DIFF_COPY: &str = "/moby.filesync.v1.FileSync/DiffCopy";
/// Contents requested at once: fewer than what makes a client stop reading (it queues 128).
const ASKED_LIMIT: usize = 64;
/// Where more entries than these are to come by what is known, their connection is read less often: a small directory is
/// read at once, and so is the end of a large one.
const LAST: usize = 192;

/// Which files are wanted of which of a client's directories.
#[derive(Debug, Default)]
pub(crate) struct SyncRequest {
    /// The name that the client offers the directory by.
    pub(crate) directory: String,
    /// Patterns of which one must match; if empty, all match.
    pub(crate) includes: Vec<String>,
    /// The lines of an ignore file.
    pub(crate) excludes: Vec<String>,
    /// The requested paths, symbolic links in them followed; all if empty.
    pub(crate) paths: Vec<String>,
}

/// A received directory, and the bytes that had to be sent for it.
#[derive(Debug)]
pub(crate) struct Synced {
    pub(crate) tree: Tree,
    pub(crate) sent: u64,
}

/// Receives a directory. `progress` takes the bytes that have come so far.
///
/// # Errors
/// [`SyncError`] when the client fails, is gone, or sends what it must not.
pub(crate) async fn receive(
    session: &Session,
    request: &SyncRequest,
    contents: &Contents,
    known: Option<&Tree>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Synced, SyncError> {
    session.require(DIFF_COPY)?;
    let mut metadata = HeaderMap::new();
    patterns::append(&mut metadata, "dir-name", std::slice::from_ref(&request.directory));
    patterns::append(&mut metadata, "include-patterns", &request.includes);
    patterns::append(&mut metadata, "exclude-patterns", &request.excludes);
    patterns::append(&mut metadata, "followpaths", &request.paths);
    let (mut requests, mut answers) = session.channel.call(DIFF_COPY, metadata).await?;
    let mut receiver = Receiver::new(contents, known);
    receiver.run((&mut requests, &mut answers), &session.pace, progress).await?;
    receiver.finish()
}

/// Takes packets as they come from a client, each behind its length, whatever is requested; returns the directory once
/// all of it is there.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn replay(contents: &Contents, mut bytes: &[u8]) -> Result<Synced, SyncError> {
    use prost::Message as _;
    let mut receiver = Receiver::new(contents, None);
    while !receiver.is_whole() {
        let packet = Packet::decode_length_delimited(&mut bytes).map_err(|_| SyncError::Ended)?;
        receiver.take(packet)?;
        while receiver.next_wanted()?.is_some() {}
    }
    receiver.finish()
}

/// A content on its way.
#[derive(Debug)]
enum Arrival {
    Small(Vec<u8>),
    Large(Large),
}

/// A requested content.
#[derive(Debug)]
struct Asked {
    path: PathBuf,
    announced: u64,
    received: u64,
    arrival: Arrival,
}

struct Receiver<'a> {
    tree: TreeBuilder,
    intake: Intake<'a>,
    known: Option<&'a Tree>,
    /// How many entries have come: the next one's number.
    count: u32,
    /// Whether all entries have come.
    is_listed: bool,
    /// Contents to be requested, by number: path and size.
    wanted: VecDeque<(u32, PathBuf, u64)>,
    asked: HashMap<u32, Asked>,
    /// Bytes of contents.
    received: u64,
}

impl<'a> Receiver<'a> {
    fn new(contents: &'a Contents, known: Option<&'a Tree>) -> Self {
        Self {
            tree: TreeBuilder::new(),
            intake: Intake::new(contents),
            known,
            count: 0,
            is_listed: false,
            wanted: VecDeque::new(),
            asked: HashMap::new(),
            received: 0,
        }
    }

    /// The directory, with all contents there.
    fn finish(mut self) -> Result<Synced, SyncError> {
        self.intake.flush().map_err(SyncError::Keep)?;
        Ok(Synced { tree: self.tree.finish(), sent: self.received })
    }

    async fn run(
        &mut self,
        (requests, answers): (&mut Requests, &mut Answers),
        pace: &Pace,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), SyncError> {
        let mut relaxed: Option<Relaxed> = None;
        loop {
            while let Some(number) = self.next_wanted()? {
                // Where the client takes nothing more, its last packet has the reason.
                let _ = requests.send(&packet(PacketKind::Request, number)).await;
            }
            if self.is_whole() {
                break;
            }
            if self.is_only_listed() {
                relaxed.get_or_insert_with(|| pace.relax());
            } else {
                relaxed = None;
            }
            let packet = answers.next::<Packet>().await?.ok_or(SyncError::Ended)?;
            self.take(packet)?;
            progress(self.received);
        }
        drop(relaxed);
        let _ = requests.send(&packet(PacketKind::Finish, 0)).await;
        // The client confirms it and ends the call.
        let Some(packet) = answers.next::<Packet>().await? else { return Ok(()) };
        match PacketKind::try_from(packet.kind) {
            Ok(PacketKind::Finish) => {
                requests.finish();
                Ok(())
            }
            Ok(PacketKind::Error) => Err(client_error(&packet)),
            _ => Err(SyncError::Unexpected("a packet")),
        }
    }

    /// The number of the next content to request, as long as few are on their way.
    fn next_wanted(&mut self) -> Result<Option<u32>, SyncError> {
        if self.asked.len() >= ASKED_LIMIT {
            return Ok(None);
        }
        let Some((number, path, announced)) = self.wanted.pop_front() else { return Ok(None) };
        let arrival = match announced {
            0..=SMALL => Arrival::Small(Vec::new()),
            _ => Arrival::Large(self.intake.begin().map_err(SyncError::Keep)?),
        };
        self.asked.insert(number, Asked { path, announced, received: 0, arrival });
        Ok(Some(number))
    }

    /// Whether nothing but entries is expected, and many of them.
    fn is_only_listed(&self) -> bool {
        let expected = self.known.map_or(0, Tree::count);
        let come = usize::try_from(self.count).unwrap_or(usize::MAX);
        !self.is_listed && self.asked.is_empty() && come.saturating_add(LAST) < expected
    }

    /// Whether all entries and all requested contents have come.
    fn is_whole(&self) -> bool {
        self.is_listed && self.asked.is_empty()
    }

    fn take(&mut self, packet: Packet) -> Result<(), SyncError> {
        match PacketKind::try_from(packet.kind) {
            Ok(PacketKind::Stat) => self.list(packet.stat),
            Ok(PacketKind::Data) => self.data(packet.id, &packet.data),
            Ok(PacketKind::Error) => Err(client_error(&packet)),
            Ok(PacketKind::Finish) => Err(SyncError::Ended),
            Ok(PacketKind::Request) => Err(SyncError::Unexpected("a request")),
            Err(_) => Err(SyncError::Unexpected("a packet of an unknown kind")),
        }
    }

    fn list(&mut self, stat: Option<Stat>) -> Result<(), SyncError> {
        if self.is_listed {
            return Err(SyncError::Unexpected("an entry after the last one"));
        }
        let Some(stat) = stat else {
            self.is_listed = true;
            return Ok(());
        };
        let number = self.count;
        self.count =
            number.checked_add(1).ok_or(SyncError::Limit { what: "entries", limit: u32::MAX as usize })?;
        let (path, entry) = Entry::read(stat)?;
        let size = entry.size();
        if self.tree.insert(&path, entry, self.known)? {
            self.wanted.push_back((number, path, size));
        }
        Ok(())
    }

    fn data(&mut self, number: u32, bytes: &[u8]) -> Result<(), SyncError> {
        let Some(asked) = self.asked.get_mut(&number) else { return Err(SyncError::Unexpected("data")) };
        asked.received += bytes.len() as u64;
        let is_whole = bytes.is_empty() && asked.received == asked.announced;
        if asked.received > asked.announced || (bytes.is_empty() && !is_whole) {
            return Err(SyncError::Size {
                path: asked.path.display().to_string(),
                announced: i64::try_from(asked.announced).unwrap_or(i64::MAX),
                sent: asked.received,
            });
        }
        self.received += bytes.len() as u64;
        if !is_whole {
            return match &mut asked.arrival {
                Arrival::Small(content) => {
                    content.extend_from_slice(bytes);
                    Ok(())
                }
                Arrival::Large(large) => large.write(bytes).map_err(SyncError::Keep),
            };
        }
        let Some(Asked { path, arrival, .. }) = self.asked.remove(&number) else { return Ok(()) };
        let content: Content = match arrival {
            Arrival::Small(bytes) => self.intake.add(&bytes).map_err(SyncError::Keep)?,
            Arrival::Large(large) => large.finish(),
        };
        self.tree.set_content(&path, content);
        Ok(())
    }
}

fn client_error(packet: &Packet) -> SyncError {
    SyncError::Client(String::from_utf8_lossy(&packet.data).chars().take(1024).collect())
}

fn packet(kind: PacketKind, id: u32) -> Packet {
    Packet { kind: kind.into(), id, ..Packet::default() }
}
