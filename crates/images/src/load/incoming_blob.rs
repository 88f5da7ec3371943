//! A compressed layer while it is unpacked: hashed, and kept with the unpacked layer.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;

use model::Digest;
use sha2::{Digest as _, Sha256};

use crate::Error;
use crate::compression::Compression;
use crate::store::{Layer, LayerBlob, Store, random_name};
use crate::tar::input_error;
use crate::unpack::Space;

/// Hashes what is read, and writes it to a file as long as the disk has room for it.
pub(super) struct IncomingBlob<R> {
    content: R,
    hasher: Sha256,
    size: u64,
    path: PathBuf,
    file: Option<(File, Space)>,
}

impl<R: Read> IncomingBlob<R> {
    pub(super) fn new(store: &Store, content: R) -> Result<Self, Error> {
        let path = store.root().join("temporary").join(format!("load-{}", random_name()?));
        let file = sys::private::create(&path).map_err(Error::file("write", &path))?;
        let space = Space::of(file.as_fd()).map_err(Error::file("look at", &path))?;
        Ok(Self { content, hasher: Sha256::new(), size: 0, path, file: Some((file, space)) })
    }

    /// The digest of all there is, also of what was left unread.
    pub(super) fn finish(&mut self) -> Result<Digest, Error> {
        io::copy(self, &mut io::sink()).map_err(input_error)?;
        Ok(Digest::from_bytes(std::mem::take(&mut self.hasher).finalize().into()))
    }

    /// Keeps the file with the unpacked layer, unless it is there already.
    pub(super) fn keep(
        &mut self,
        store: &Store,
        layer: &Layer,
        (digest, compression): (Digest, Compression),
        kept: &mut KeptBlobs,
    ) -> Result<(), Error> {
        let media_type = match compression {
            Compression::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Compression::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            // Manifests have no types for the others.
            Compression::Identity | Compression::Bzip2 | Compression::Xz => return Ok(()),
        };
        if layer.kept_blob(digest).is_some() || self.file.take().is_none() {
            return Ok(());
        }
        kept.0.push(layer.clone());
        layer.keep_blob(digest, self.size, &self.path)?;
        let blob = LayerBlob {
            digest,
            size: self.size,
            media_type: media_type.to_owned(),
            repository: String::new(),
        };
        store.remember_layer_blob(&layer.diff_id(), &blob)
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some((file, space)) = &mut self.file else { return };
        let written = space.write(bytes.len()).map_err(io::Error::other).and_then(|()| file.write_all(bytes));
        if let Err(error) = written {
            tracing::debug!(path = %self.path.display(), %error, "a layer's blob is not kept");
            self.file = None;
        }
    }
}

/// The layers with new blobs, which images may have: unless all goes well, blobs that belong to no image are dropped with
/// this, for the layers stay. To be dropped after all other holders of the layers.
#[derive(Debug, Default)]
pub(super) struct KeptBlobs(Vec<Layer>);

impl KeptBlobs {
    /// Lets them stay.
    pub(super) fn settle(&mut self) {
        self.0.clear();
    }
}

impl Drop for KeptBlobs {
    fn drop(&mut self) {
        Layer::release_unnamed(std::mem::take(&mut self.0));
    }
}

impl<R: Read> Read for IncomingBlob<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.size += count as u64;
        self.write(&buffer[..count]);
        Ok(count)
    }
}

impl<R> Drop for IncomingBlob<R> {
    fn drop(&mut self) {
        // Where it was kept it has another name now.
        let _ = std::fs::remove_file(&self.path);
    }
}
