//! The hash of a layer's tar, continued from that of an earlier layer's tar which begins the same.
//!
//! The tar of a copy of nearly the same files as before is the same up to the first change. As long as headers and digests of
//! contents are those of the earlier tar nothing is read and nothing hashed but these; then the hash continues from the last
//! point at which its state is recorded.
//!
//! ```text
//! before:  header content header content │ header content header content │ …      │ a point: what came, the state of the hash
//! now:     header digest  header digest  │ header digest  header changed          the hash goes on from the point
//! ```

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use model::Digest;
use sha2::{Digest as _, Sha256};

use super::HashingWriter;
use super::hash::Hash;
use crate::tree::{KnownContent, Output, ReadKnown};

/// Bytes of a tar between two points, about.
const DISTANCE: u64 = 256 * 1024;
/// Points of one tar; with some two hundred bytes for each a bound on memory.
const POINTS_LIMIT: usize = 4096;
/// Bytes beside contents that wait until a point is reached.
const WAITING_LIMIT: usize = 4 << 20;

/// How far the hash of a layer's tar had come at several points.
#[derive(Default)]
pub struct HashedPrefixes(HashMap<[u8; 32], Hash>);

impl std::fmt::Debug for HashedPrefixes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HashedPrefixes").field("points", &self.0.len()).finish()
    }
}

/// Computes the hash of a tar.
pub(super) struct PrefixHash<'a> {
    out: HashingWriter<io::Sink>,
    /// All bytes so far but for contents that came with their digests.
    bytes: Sha256,
    /// The place, the digest and the size of each of those.
    contents: Sha256,
    size: u64,
    /// The size from which on the next point is.
    next: u64,
    /// The digests at the points so far, unless an earlier tar is followed.
    points: Vec<[u8; 32]>,
    following: Following<'a>,
    read: &'a ReadKnown<'a>,
}

/// Whether an earlier tar is followed.
enum Following<'a> {
    /// There is none: the points of this one are recorded.
    None,
    /// So far nothing has differed.
    Same(Waiting<'a>),
    /// It has differed.
    Over,
}

/// The content since the last point that the earlier tar has too.
struct Waiting<'a> {
    before: &'a HashedPrefixes,
    point: Option<&'a Hash>,
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

enum Piece {
    /// As many of the bytes.
    Bytes(usize),
    Content {
        source: PathBuf,
        size: u64,
    },
}

impl Waiting<'_> {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        match self.pieces.last_mut() {
            Some(Piece::Bytes(count)) => *count += bytes.len(),
            _ => self.pieces.push(Piece::Bytes(bytes.len())),
        }
    }
}

impl<'a> PrefixHash<'a> {
    /// Begins a tar that may be the same as an earlier one at first; `read` gives the contents that come by their digests.
    pub(super) fn new(before: Option<&'a HashedPrefixes>, read: &'a ReadKnown<'a>) -> Self {
        let waiting = |before| Waiting { before, point: None, bytes: Vec::new(), pieces: Vec::new() };
        Self {
            out: HashingWriter::new(io::sink()),
            bytes: Sha256::new(),
            contents: Sha256::new(),
            size: 0,
            next: DISTANCE,
            points: Vec::new(),
            following: before.map_or(Following::None, |before| Following::Same(waiting(before))),
            read,
        }
    }

    /// Identifies the bytes so far.
    fn so_far(&self) -> [u8; 32] {
        let mut all = Sha256::new();
        all.update(self.bytes.clone().finalize());
        all.update(self.contents.clone().finalize());
        all.update(self.size.to_le_bytes());
        all.finalize().into()
    }

    /// Ends following: what has waited is hashed, and so is all that comes.
    fn go_on_alone(&mut self) -> io::Result<()> {
        let Following::Same(waiting) = std::mem::replace(&mut self.following, Following::Over) else {
            return Ok(());
        };
        if let Some(point) = waiting.point {
            self.out = HashingWriter::going_on(io::sink(), point.clone());
        }
        let (mut bytes, mut buffer) = (waiting.bytes.as_slice(), Vec::new());
        for piece in waiting.pieces {
            match piece {
                Piece::Bytes(count) => {
                    let (now, later) = bytes.split_at(count);
                    io::Write::write_all(&mut self.out, now)?;
                    bytes = later;
                }
                Piece::Content { source, size } => {
                    let content = (self.read)(&source, &mut buffer)?;
                    if !matches!(content, KnownContent::Buffered) || buffer.len() as u64 != size {
                        let changed = "a file has another length than its source";
                        return Err(io::Error::new(io::ErrorKind::InvalidData, changed));
                    }
                    io::Write::write_all(&mut self.out, &buffer)?;
                }
            }
        }
        Ok(())
    }

    /// Digest and size of the tar, and its points.
    ///
    /// # Errors
    /// When a content cannot be read.
    pub(super) fn finish(mut self) -> io::Result<(Digest, u64, HashedPrefixes)> {
        self.go_on_alone()?;
        let (digest, size, marks) = self.out.finish_marked()?;
        Ok((digest, size, HashedPrefixes(self.points.into_iter().zip(marks).collect())))
    }
}

impl Output for PrefixHash<'_> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.update(bytes);
        self.size += bytes.len() as u64;
        if let Following::Same(waiting) = &mut self.following {
            if waiting.bytes.len() + bytes.len() <= WAITING_LIMIT {
                waiting.add(bytes);
                return Ok(());
            }
            self.go_on_alone()?;
        }
        io::Write::write_all(&mut self.out, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn begin_entry(&mut self) -> io::Result<()> {
        if self.size < self.next {
            return Ok(());
        }
        self.next = self.size + DISTANCE;
        let so_far = || self.so_far();
        match &self.following {
            Following::Over => Ok(()),
            Following::None if self.points.len() >= POINTS_LIMIT => Ok(()),
            Following::None => {
                let point = so_far();
                self.points.push(point);
                self.out.mark()
            }
            Following::Same(waiting) => match waiting.before.0.get(&so_far()) {
                Some(point) => {
                    let before = waiting.before;
                    let (bytes, pieces) = (Vec::new(), Vec::new());
                    self.following = Following::Same(Waiting { before, point: Some(point), bytes, pieces });
                    Ok(())
                }
                None => self.go_on_alone(),
            },
        }
    }

    fn content(&mut self, source: &Path, digest: &Digest, size: u64) -> bool {
        self.contents.update(self.size.to_le_bytes());
        self.contents.update(digest.as_bytes());
        self.contents.update(size.to_le_bytes());
        self.size += size;
        let Following::Same(waiting) = &mut self.following else { return true };
        waiting.pieces.push(Piece::Content { source: source.to_owned(), size });
        false
    }

    fn content_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.out, bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;

    use super::*;

    /// One entry of a tar.
    #[derive(Clone)]
    struct Entry {
        header: Vec<u8>,
        content: Vec<u8>,
        /// Whether its content comes by its digest.
        is_digested: bool,
    }

    /// Entries of some 1.3 KiB each, so that two hundred lie between two points.
    fn entries(count: usize) -> Vec<Entry> {
        let entry = |number: usize| Entry {
            header: format!("{number:0512}").into_bytes(),
            content: number.to_string().repeat(if number % 50 == 3 { 0 } else { 200 }).into_bytes(),
            is_digested: number % 10 != 7,
        };
        (0..count).map(entry).collect()
    }

    fn sha256(bytes: &[u8]) -> Digest {
        Digest::from_bytes(Sha256::digest(bytes).into())
    }

    /// Hashes a tar of entries, compares that with the hash of all its bytes, and returns what may be followed later and the
    /// numbers of the contents that were read.
    fn hash(entries: &[Entry], before: Option<&HashedPrefixes>) -> (HashedPrefixes, Vec<usize>) {
        let was_read = RefCell::new(Vec::new());
        let read = |source: &Path, buffer: &mut Vec<u8>| {
            let number: usize = source.to_string_lossy().parse().expect("a number");
            was_read.borrow_mut().push(number);
            entries[number].content.clone_into(buffer);
            Ok(KnownContent::Buffered)
        };
        let mut out = PrefixHash::new(before, &read);
        let mut tar = Vec::new();
        for (number, Entry { header, content, is_digested }) in entries.iter().enumerate() {
            tar.extend_from_slice(header);
            tar.extend_from_slice(content);
            out.begin_entry().expect("an entry");
            out.write_all(header).expect("its header");
            if !is_digested {
                out.write_all(content).expect("its content");
            } else if out.content(Path::new(&number.to_string()), &sha256(content), content.len() as u64) {
                was_read.borrow_mut().push(number);
                out.content_bytes(content).expect("its content");
            }
        }
        let (digest, size, prefixes) = out.finish().expect("a digest");
        assert_eq!((digest, size), (sha256(&tar), tar.len() as u64));
        (prefixes, was_read.into_inner())
    }

    #[test]
    fn only_what_follows_the_last_common_point_is_read() {
        let before = entries(2000);
        let (prefixes, read) = hash(&before, None);
        assert!(prefixes.0.len() >= 4, "{prefixes:?}");
        assert_eq!(read.len(), 1800);
        for changed in [1999, 1500, 600] {
            let mut now = before.clone();
            now[changed].content = b"changed".to_vec();
            let (_, read) = hash(&now, Some(&prefixes));
            assert!(read.iter().all(|number| number + 500 > changed), "{changed}: {:?}", read.first());
            assert_eq!(read.last(), before.iter().rposition(|entry| entry.is_digested).as_ref());
        }
    }

    #[test]
    fn whatever_differs_the_hash_is_that_of_the_tar() {
        let before = entries(1000);
        let (prefixes, _) = hash(&before, None);
        let changed = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut now = before.clone();
            change(&mut now);
            hash(&now, Some(&prefixes)).1.len()
        };
        let all = before.iter().filter(|entry| entry.is_digested).count();
        assert!(changed(&|_| {}) < all, "nothing");
        assert_eq!(changed(&|now| now[0].header[0] = b'x'), all, "the first header");
        assert_eq!(changed(&|now| now[0].content = b"x".to_vec()), all, "the first content");
        assert_eq!(changed(&|now| now[7].content = b"x".to_vec()), all, "a content without a digest");
        assert_eq!(changed(&|now| drop(now.remove(0))), all - 1, "an entry less");
        changed(&|now| now.truncate(500));
        changed(&|now| now.truncate(0));
        changed(&|now| now.extend(entries(900)));
        // More bytes than wait for the next point.
        let large = Entry { header: Vec::new(), content: vec![7; WAITING_LIMIT + 1], is_digested: false };
        changed(&|now| now.insert(400, large.clone()));
        // The same bytes, but for how they come.
        assert_eq!(changed(&|now| now[0].is_digested = false), all - 1, "a content by its bytes");
    }

    #[test]
    fn a_content_that_cannot_be_read_any_more_is_an_error() {
        let (prefixes, _) = hash(&entries(300), None);
        let gone = |_: &Path, _: &mut Vec<u8>| Err(io::ErrorKind::NotFound.into());
        let longer = |_: &Path, buffer: &mut Vec<u8>| {
            *buffer = b"longer".to_vec();
            Ok(KnownContent::Buffered)
        };
        for (read, kind) in
            [(&gone as &ReadKnown<'_>, io::ErrorKind::NotFound), (&longer, io::ErrorKind::InvalidData)]
        {
            let mut out = PrefixHash::new(Some(&prefixes), read);
            assert!(!out.content(Path::new("0"), &sha256(b"long"), 4), "its bytes are not needed yet");
            assert_eq!(out.finish().expect_err("no content").kind(), kind);
        }
    }
}
