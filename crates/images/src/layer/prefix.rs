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
use super::sparse::add_sparse;
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
    /// All bytes so far but for contents that came with their digests, see [`add_sparse`].
    bytes: Sha256,
    /// The place, the digest and the size of each of those.
    contents: Sha256,
    size: u64,
    /// The size from which on the next point is.
    next: u64,
    /// The points so far that an earlier tar has too.
    same: Vec<([u8; 32], &'a Hash)>,
    /// The digests at the points after those; the hash has a mark for each.
    points: Vec<[u8; 32]>,
    following: Following<'a>,
    read: &'a ReadKnown<'a>,
}

/// Whether earlier tars are followed.
enum Following<'a> {
    /// So far one of them is the same.
    Same(Waiting<'a>),
    /// There is none, or all have differed.
    Over,
}

/// The content since the last point that an earlier tar has too.
struct Waiting<'a> {
    before: &'a [&'a HashedPrefixes],
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
    pub(super) fn new(before: &'a [&'a HashedPrefixes], read: &'a ReadKnown<'a>) -> Self {
        let following = match before {
            [] => Following::Over,
            before => Following::Same(Waiting { before, point: None, bytes: Vec::new(), pieces: Vec::new() }),
        };
        Self {
            out: HashingWriter::new(io::sink()),
            bytes: Sha256::new(),
            contents: Sha256::new(),
            size: 0,
            next: DISTANCE,
            same: Vec::new(),
            points: Vec::new(),
            following,
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
        let mut bytes = waiting.bytes.as_slice();
        for piece in waiting.pieces {
            match piece {
                Piece::Bytes(count) => {
                    let (now, later) = bytes.split_at(count);
                    io::Write::write_all(&mut self.out, now)?;
                    bytes = later;
                }
                Piece::Content { source, size } => self.read(&source, size)?,
            }
        }
        Ok(())
    }

    /// Hashes a content from its source.
    fn read(&mut self, source: &Path, size: u64) -> io::Result<()> {
        let read = self.read;
        self.out.gather(size, |buffer| {
            let before = buffer.len();
            let content = read(source, buffer)?;
            let length = buffer.len().saturating_sub(before) as u64;
            if matches!(content, KnownContent::Buffered) && length == size {
                return Ok(());
            }
            let changed = "a file has another length than its source";
            Err(io::Error::new(io::ErrorKind::InvalidData, changed))
        })
    }

    /// Digest and size of the tar, and its points.
    ///
    /// # Errors
    /// When a content cannot be read.
    pub(super) fn finish(mut self) -> io::Result<(Digest, u64, HashedPrefixes)> {
        self.go_on_alone()?;
        let (digest, size, marks) = self.out.finish_marked()?;
        let same = self.same.into_iter().map(|(point, hash)| (point, hash.clone()));
        Ok((digest, size, HashedPrefixes(same.chain(self.points.into_iter().zip(marks)).collect())))
    }
}

impl Output for PrefixHash<'_> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        add_sparse(&mut self.bytes, bytes);
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
        let has_room = self.same.len() + self.points.len() < POINTS_LIMIT;
        if matches!(self.following, Following::Over) && !has_room {
            return Ok(());
        }
        let so_far = self.so_far();
        if let Following::Same(waiting) = &mut self.following {
            let before = waiting.before;
            if let Some(point) = before.iter().find_map(|before| before.0.get(&so_far)) {
                waiting.point = Some(point);
                waiting.bytes.clear();
                waiting.pieces.clear();
                self.same.push((so_far, point));
                return Ok(());
            }
            self.go_on_alone()?;
        }
        if has_room {
            self.points.push(so_far);
            self.out.mark()?;
        }
        Ok(())
    }

    fn content(&mut self, source: &Path, digest: &Digest, size: u64) -> io::Result<bool> {
        self.contents.update(self.size.to_le_bytes());
        self.contents.update(digest.as_bytes());
        self.contents.update(size.to_le_bytes());
        self.size += size;
        match &mut self.following {
            Following::Same(waiting) => {
                waiting.pieces.push(Piece::Content { source: source.to_owned(), size });
            }
            Following::Over => self.read(source, size)?,
        }
        Ok(false)
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
    fn hash(entries: &[Entry], before: &[&HashedPrefixes]) -> (HashedPrefixes, Vec<usize>) {
        let was_read = RefCell::new(Vec::new());
        let read = |source: &Path, buffer: &mut Vec<u8>| {
            let number: usize = source.to_string_lossy().parse().expect("a number");
            was_read.borrow_mut().push(number);
            buffer.extend_from_slice(&entries[number].content);
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
            } else {
                let source = number.to_string();
                let taken = out.content(Path::new(&source), &sha256(content), content.len() as u64);
                assert!(!taken.expect("its content"), "it is read where it is needed");
            }
        }
        let (digest, size, prefixes) = out.finish().expect("a digest");
        assert_eq!((digest, size), (sha256(&tar), tar.len() as u64));
        (prefixes, was_read.into_inner())
    }

    #[test]
    fn only_what_follows_the_last_common_point_is_read() {
        let before = entries(2000);
        let (prefixes, read) = hash(&before, &[]);
        assert!(prefixes.0.len() >= 4, "{prefixes:?}");
        assert_eq!(read.len(), 1800);
        for changed in [1999, 1500, 600] {
            let mut now = before.clone();
            now[changed].content = b"changed".to_vec();
            let (_, read) = hash(&now, &[&prefixes]);
            assert!(read.iter().all(|number| number + 500 > changed), "{changed}: {:?}", read.first());
            assert_eq!(read.last(), before.iter().rposition(|entry| entry.is_digested).as_ref());
        }
    }

    #[test]
    fn a_tar_that_went_on_from_another_can_be_followed_too() {
        let first = entries(2000);
        let (of_first, _) = hash(&first, &[]);
        let mut second = first.clone();
        second[200].content = b"changed".to_vec();
        let (of_second, _) = hash(&second, &[&of_first]);
        let mut third = second.clone();
        third[1700].content = b"changed too".to_vec();
        let (_, read) = hash(&third, &[&of_first, &of_second]);
        assert!(read.iter().all(|number| number + 500 > 1700), "{:?}", read.first());
        let mut again = first.clone();
        again[1700].content = b"changed too".to_vec();
        let (_, read) = hash(&again, &[&of_second, &of_first]);
        assert!(read.iter().all(|number| number + 500 > 1700), "{:?}", read.first());
    }

    #[test]
    fn whatever_differs_the_hash_is_that_of_the_tar() {
        let before = entries(1000);
        let (prefixes, _) = hash(&before, &[]);
        let changed = |change: &dyn Fn(&mut Vec<Entry>)| {
            let mut now = before.clone();
            change(&mut now);
            hash(&now, &[&prefixes]).1.len()
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
        let (prefixes, _) = hash(&entries(300), &[]);
        let gone = |_: &Path, _: &mut Vec<u8>| Err(io::ErrorKind::NotFound.into());
        let longer = |_: &Path, buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(b"longer");
            Ok(KnownContent::Buffered)
        };
        for (read, kind) in
            [(&gone as &ReadKnown<'_>, io::ErrorKind::NotFound), (&longer, io::ErrorKind::InvalidData)]
        {
            let before = [&prefixes];
            let mut out = PrefixHash::new(&before, read);
            out.content(Path::new("0"), &sha256(b"long"), 4).expect("its bytes are not needed yet");
            assert_eq!(out.finish().expect_err("no content").kind(), kind);
        }
    }
}
