//! Takes a layer in: decompresses, hashes, unpacks and records its tar in one pass.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use model::Digest;
use rustix::fs::Mode;

use super::{ASSEMBLY, DIFF, HashingChunks, REPLACED};
use crate::assembly::AssemblyWriter;
use crate::budget::Budget;
use crate::compression::{Compression, decoder_within, peek};
use crate::tar::{ArchiveError, Chunk, Chunks, Reader, ReaderChunks, input_error};
use crate::unpack::{
    Options, Overwrite, Ownership, Recorder, Unpacked, Whiteouts, Writing, device_of, unpack_entries,
};

/// A layer that was taken in, not yet part of the store.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The digest of its plain tar.
    pub(crate) diff_id: Digest,
    /// The size of its plain tar.
    pub(crate) tar_size: u64,
    /// Its content.
    pub(crate) unpacked: Unpacked,
}

/// How many decompressed chunks may wait for the unpacker.
const QUEUE: usize = 4;

/// Unpacks a layer's tar, compressed or not, into the empty directory `place`, as far as a budget goes.
///
/// # Errors
/// [`ArchiveError`]; `place` then holds rubbish for the caller to remove.
pub(crate) fn take(source: impl Read + Send, budget: &Budget, place: &Path) -> Result<Taken, ArchiveError> {
    let (compression, source) = peek(source).map_err(input_error)?;
    if compression == Compression::Identity {
        return take_plain(ReaderChunks::new(source), place);
    }
    std::thread::scope(|scope| {
        let decoder = decoder_within(compression, source, budget)?;
        let (sender, receiver) = sync_channel(QUEUE);
        let spawned = std::thread::Builder::new()
            .name(compression.name().to_owned())
            .spawn_scoped(scope, move || decompress_into(decoder, &sender));
        spawned.map_err(ArchiveError::Input)?;
        take_plain(ReceivedChunks(receiver), place)
    })
}

fn decompress_into(decoder: impl Read, sender: &SyncSender<io::Result<Chunk>>) {
    let mut chunks = ReaderChunks::new(decoder);
    // A receiver that is gone has failed by itself and needs no more.
    while let Some(chunk) = chunks.next().transpose() {
        let failed = chunk.is_err();
        if sender.send(chunk).is_err() || failed {
            break;
        }
    }
}

struct ReceivedChunks(Receiver<io::Result<Chunk>>);

impl Chunks for ReceivedChunks {
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        self.0.recv().ok().transpose()
    }
}

fn take_plain(chunks: impl Chunks + Send, place: &Path) -> Result<Taken, ArchiveError> {
    let mut hashing = HashingChunks::new(chunks);
    let made =
        |source| ArchiveError::Entry { act: "prepare a layer at", name: place.display().to_string(), source };
    let diff = place.join(DIFF);
    rustix::fs::mkdir(&diff, Mode::from_raw_mode(0o755)).map_err(|error| made(error.into()))?;
    let root = OwnedFd::from(File::open(&diff).map_err(made)?);
    let assembly = AssemblyWriter::create(&place.join(ASSEMBLY)).map_err(made)?;
    let mut recording = Recording { assembly, replaced: place.join(REPLACED) };
    let options = Options {
        whiteouts: Whiteouts::Overlay,
        overwrite: Overwrite::Anything,
        ownership: Ownership::Archive,
        user_namespace: None,
        writing: Writing::Early,
        engine_device: device_of(root.as_fd())?,
    };
    let mut reader = Reader::new(&mut hashing);
    let unpacked = unpack_entries(root.as_fd(), &mut reader, options, &mut recording)?;
    drop(reader);
    recording.assembly.finish().map_err(ArchiveError::Output)?;
    let (diff_id, tar_size) = hashing.finish().map_err(ArchiveError::Input)?;
    Ok(Taken { diff_id, tar_size, unpacked })
}

struct Recording {
    assembly: AssemblyWriter,
    replaced: PathBuf,
}

impl Recorder for Recording {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.assembly.raw(bytes).map_err(ArchiveError::Output)
    }

    fn stored(&mut self, path: &[u8], offset: u64, length: u64) -> Result<(), ArchiveError> {
        self.assembly.content(path, offset, length).map_err(ArchiveError::Output)
    }

    fn replaced(&mut self, path: &[u8], parent: &OwnedFd, name: &[u8]) -> Result<(), ArchiveError> {
        use std::os::unix::ffi::OsStrExt;
        let failed = |error: io::Error| ArchiveError::entry("set aside", path)(error);
        let number = self.assembly.replacements().to_string();
        if number == "0" {
            std::fs::create_dir(&self.replaced).map_err(failed)?;
        }
        let place = self.replaced.join(&number);
        rustix::fs::renameat(parent, std::ffi::OsStr::from_bytes(name), rustix::fs::CWD, &place)
            .map_err(|error| failed(error.into()))?;
        self.assembly.replaced(path, number.as_bytes());
        Ok(())
    }
}
