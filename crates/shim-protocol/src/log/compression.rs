//! Compressed rotated files: compressed in small parts, read as if they were not.
//!
//! The header of a compressed file names the file it was made of, so that a reader which still has that one open
//! finds its place among the others.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use super::names::{Identity, compressed, rotated};

/// How much is read at once, in bytes.
const BLOCK: usize = 64 * 1024;

/// The file that a compressed one was made of.
pub(crate) fn origin(file: &File) -> Option<Identity> {
    let decoder = GzDecoder::new(file);
    let comment = std::str::from_utf8(decoder.header()?.comment()?).ok()?;
    Identity::parse(comment)
}

/// Unpacks a compressed file beside the log, into a file without a name.
pub(crate) fn unpacked(packed: &File, path: &Path) -> io::Result<File> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut name = OsString::from(path);
    name.push(format!(".unpacked-{}-{number}", std::process::id()));
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&name)?;
    fs::remove_file(&name)?;
    io::copy(&mut GzDecoder::new(packed), &mut file)?;
    file.rewind()?;
    Ok(file)
}

/// Compresses the file that was rotated last.
#[derive(Debug)]
pub struct Compressor {
    path: PathBuf,
    source: File,
    target: GzEncoder<File>,
}

impl Compressor {
    /// Begins, if there is a file to compress.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn begin(path: &Path) -> io::Result<Option<Self>> {
        let source = match File::open(rotated(path, 1)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let identity = Identity::of(&source.metadata()?);
        let target =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(unfinished(path))?;
        let target = GzBuilder::new().comment(identity.to_string()).write(target, Compression::fast());
        Ok(Some(Self { path: path.to_owned(), source, target }))
    }

    /// Compresses some more; true when all is done and the compressed file has taken the other's place.
    ///
    /// # Errors
    /// Those of the files; the log is complete then, too.
    pub fn advance(&mut self, blocks: u32) -> io::Result<bool> {
        let mut block = vec![0; BLOCK];
        for _ in 0..blocks {
            let count = self.source.read(&mut block)?;
            if count == 0 {
                self.target.try_finish()?;
                fs::rename(unfinished(&self.path), compressed(&self.path, 1))?;
                fs::remove_file(rotated(&self.path, 1))?;
                return Ok(true);
            }
            self.target.write_all(&block[..count])?;
        }
        Ok(false)
    }
}

impl Drop for Compressor {
    /// Removes a half compressed file; the file that it was made of is still there.
    fn drop(&mut self) {
        let _ = fs::remove_file(unfinished(&self.path));
    }
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(compressed(path, 1));
    name.push(".new");
    PathBuf::from(name)
}
