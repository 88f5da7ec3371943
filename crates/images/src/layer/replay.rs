//! Gives a layer's tar back as it came.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use super::{ASSEMBLY, DIFF, REPLACED};
use crate::assembly::{AssemblyReader, Record};
use crate::unpack::open_beneath;

/// Contents are copied in chunks of this size.
const PIECE: usize = 256 * 1024;
const READING: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW);

/// Writes the tar of the layer in `directory` to `out`; returns its size. `base` is the directory of the layer that lends it
/// files.
///
/// # Errors
/// When the layer cannot be read, is damaged, or `out` fails.
pub(crate) fn replay(directory: &Path, base: Option<&Path>, out: &mut dyn Write) -> io::Result<u64> {
    let record = directory.join(ASSEMBLY);
    let mut moved = Moved::load(&record, &directory.join(REPLACED))?;
    let diff = open_directory(&directory.join(DIFF))?;
    let base = base.map(|base| open_directory(&base.join(DIFF))).transpose()?;
    let mut assembly = AssemblyReader::open(&record)?;
    let mut buffer = vec![0; PIECE];
    let mut total = 0;
    while let Some(record) = assembly.next()? {
        match record {
            Record::Raw(bytes) => {
                out.write_all(&bytes)?;
                total += bytes.len() as u64;
            }
            Record::Content { path, offset, length } => {
                let file = match (moved.open(diff.as_fd(), &path), &base) {
                    (Err(error), Some(base)) if error.kind() == io::ErrorKind::NotFound => {
                        File::from(open_beneath(base.as_fd(), &path, READING)?)
                    }
                    (opened, _) => opened?,
                };
                copy(&file, offset, length, &mut buffer, out)?;
                total += length;
            }
            Record::Replaced { .. } => {}
        }
    }
    Ok(total)
}

fn copy(file: &File, offset: u64, length: u64, buffer: &mut [u8], out: &mut dyn Write) -> io::Result<()> {
    let mut done = 0;
    while done < length {
        let most = usize::try_from(length - done).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = file.read_at(&mut buffer[..most], offset + done)?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a file of the layer is too short"));
        }
        out.write_all(&buffer[..count])?;
        done += count as u64;
    }
    Ok(())
}

/// Contents that were replaced within the layer, and how many were read so far.
struct Moved {
    list: Vec<(u64, Vec<u8>, Vec<u8>)>,
    directory: Option<OwnedFd>,
    read: u64,
}

impl Moved {
    /// The notes stand at the end of the record: they are read only where the directory exists.
    fn load(record: &Path, directory: &Path) -> io::Result<Self> {
        let mut moved = Self { list: Vec::new(), directory: None, read: 0 };
        if !directory.exists() {
            return Ok(moved);
        }
        moved.directory = Some(open_directory(directory)?);
        let mut assembly = AssemblyReader::open(record)?;
        while let Some(record) = assembly.next()? {
            if let Record::Replaced { before, path, now } = record {
                moved.list.push((before, path, now));
            }
        }
        Ok(moved)
    }

    fn open(&mut self, diff: BorrowedFd<'_>, path: &[u8]) -> io::Result<File> {
        let index = self.read;
        self.read += 1;
        let replaced = self.list.iter().find_map(|(before, old, now)| {
            let rest = path.strip_prefix(old.as_slice())?;
            (index < *before && (rest.is_empty() || rest.starts_with(b"/")))
                .then(|| [now.as_slice(), rest].concat())
        });
        let (root, path) = match (&replaced, &self.directory) {
            (Some(now), Some(directory)) => (directory.as_fd(), now.as_slice()),
            _ => (diff, path),
        };
        let file = open_beneath(root, path, READING)?;
        Ok(File::from(file))
    }
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}
