//! Writes a layer out as a blob: plain, or compressed so that the same tar always gives the same blob.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use flate2::{Compression, GzBuilder};
use model::Digest;
use sha2::{Digest as _, Sha256};

use crate::registry::Cancellation;
use crate::registry::download::file_error;
use crate::registry::error::RegistryError;
use crate::registry::manifest::{OCI_GZIP_LAYER, OCI_LAYER, OCI_ZSTD_LAYER};
use crate::unpack::Space;
use crate::{Layer, Store};

/// Levels above pack hardly smaller, take hundreds of megabytes a layer, and have windows that readers refuse: 128 MiB at 22.
const HIGHEST_ZSTD_LEVEL: i32 = 19;

/// Fast, and hardly larger than what the best level gives.
const GZIP_LEVEL: u32 = 3;
/// The "unknown" of the gzip header's operating systems (RFC 1952, section 2.3.1).
const UNKNOWN_SYSTEM: u8 = 255;
/// The compressor is always fed in chunks of this size, whatever the tar comes in.
const PIECE: usize = 64 << 10;

/// The form of a written layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A plain tar.
    Plain,
    /// Compressed with gzip.
    Gzipped {
        /// 0 to 9: zlib's levels.
        level: u32,
    },
    /// Compressed with zstd.
    Zstd {
        /// 1 to 22: zstd(1), "Operation modifiers"; 0 is its default.
        level: i32,
    },
}

impl Form {
    /// The form for registries: the same tar always gives the same blob.
    pub const GZIPPED: Self = Self::Gzipped { level: GZIP_LEVEL };

    /// The OCI's media type of such a layer.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Plain => OCI_LAYER,
            Self::Gzipped { .. } => OCI_GZIP_LAYER,
            Self::Zstd { .. } => OCI_ZSTD_LAYER,
        }
    }
}

/// How a registry gets the layers of images that were made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerForm {
    /// The form of written layers.
    pub form: Form,
    /// Whether existing blobs of a layer are not used, which may be in another form.
    pub is_forced: bool,
}

impl Default for LayerForm {
    fn default() -> Self {
        Self { form: Form::GZIPPED, is_forced: false }
    }
}

impl LayerForm {
    /// Whether Docker's manifests have a type for such layers.
    pub(super) const fn is_dockers(self) -> bool {
        matches!(self.form, Form::Gzipped { .. })
    }

    /// Whether an existing blob of a layer may be used with this type.
    pub(super) fn takes(self, media_type: &str) -> bool {
        !self.is_forced && (media_type.ends_with("gzip") || !self.is_dockers())
    }
}

/// A layer in a temporary file.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) path: PathBuf,
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "cannot remove a layer that was written out");
        }
    }
}

/// Writes a layer into a file that the store's next start would sweep.
pub(crate) fn write_out(
    store: &Store,
    layer: &Layer,
    form: Form,
    cancellation: &Cancellation,
) -> Result<Written, RegistryError> {
    let path = store.root().join("temporary").join(format!("push-{}", crate::store::random_name()?));
    let failed = |source| file_error("write", &path, source);
    let file = sys::private::create(&path).map_err(failed)?;
    let mut made = Written { digest: Digest::from_bytes([0; 32]), size: 0, path: path.clone() };
    let space = Space::of(file.as_fd()).map_err(failed)?;
    let mut output = Output { file, space, hash: Sha256::new(), size: 0, cancellation };
    let written = match form {
        Form::Plain => layer.write_tar(&mut output).map(|_| Ok(output)),
        Form::Gzipped { level } => {
            let level = Compression::new(level);
            let encoder = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM).write(output, level);
            let mut pieces = Pieces { output: encoder, piece: Vec::with_capacity(PIECE) };
            let written = layer.write_tar(&mut pieces);
            written.map(|_| pieces.finish().and_then(flate2::write::GzEncoder::finish))
        }
        Form::Zstd { level } => {
            let level = level.min(HIGHEST_ZSTD_LEVEL);
            let mut encoder = zstd::stream::write::Encoder::new(output, level).map_err(failed)?;
            layer.write_tar(&mut encoder).map(|_| encoder.finish())
        }
    };
    if cancellation.is_cancelled() {
        return Err(RegistryError::Cancelled);
    }
    let output = written?.map_err(failed)?;
    made.digest = Digest::from_bytes(output.hash.finalize().into());
    made.size = output.size;
    Ok(made)
}

/// Hashes and counts what it writes, as long as the disk has room for it.
struct Output<'a> {
    file: File,
    space: Space,
    hash: Sha256,
    size: u64,
    cancellation: &'a Cancellation,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancellation.is_cancelled() {
            return Err(io::Error::other("the push was cancelled"));
        }
        self.space.write(bytes.len()).map_err(io::Error::other)?;
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Passes bytes on in chunks of one size.
struct Pieces<W> {
    output: W,
    piece: Vec<u8>,
}

impl<W: Write> Pieces<W> {
    fn finish(mut self) -> io::Result<W> {
        self.output.write_all(&self.piece)?;
        Ok(self.output)
    }
}

impl<W: Write> Write for Pieces<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == PIECE {
            self.output.write_all(&self.piece)?;
            self.piece.clear();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
