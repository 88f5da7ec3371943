//! Writes images that were built here as the archive of a layout whose layers are packed: each lies on disk only until it is
//! written.

use std::io::{self, Write};

use model::{Digest, Timestamp};

use super::pack::{PackedBlob, Packer};
use crate::Error;
use crate::built::{Annotations, BuiltImages};
use crate::layout_listing::{ArchiveKind, LayoutListing, blob_path};
use crate::registry::{Descriptor, RegistryError};
use crate::save::member;
use crate::tar::{Member, Writer};

impl Packer<'_> {
    /// Writes the archive of a layout; gives what it lists. The names lead to all images, in `manifest.json` to `main`;
    /// `annotations` are those of what the layout lists.
    ///
    /// # Errors
    /// As [`Packer::pack`]; what `out` fails with.
    pub fn write_archive(
        &self,
        built: &BuiltImages,
        main: &Digest,
        (kind, annotations): (ArchiveKind, &Annotations),
        out: &mut dyn Write,
    ) -> Result<Descriptor, RegistryError> {
        let seconds = Timestamp::now().unix_seconds();
        let mut writer = Writer::new(out);
        LayoutListing::write_directories(&mut writer, seconds)?;
        let packed = self.pack(built, |blob| write_blob(&mut writer, &blob, seconds))?;
        let mut listing = LayoutListing::of(kind, annotations.clone());
        let images = built.images.iter().zip(&packed.manifests);
        for (_, manifest) in images.filter(|(image, _)| image.image == *main) {
            let layers = manifest.layers.iter().map(|layer| &layer.digest);
            listing.add_image(&manifest.config.digest, layers, self.names);
        }
        listing.add_names(&packed.root, self.names);
        listing.write(&mut writer, seconds)?;
        writer.finish().map_err(Error::Output)?;
        Ok(listing.root().cloned().unwrap_or(packed.root))
    }
}

fn write_blob(
    writer: &mut Writer<&mut dyn Write>,
    blob: &PackedBlob,
    seconds: i64,
) -> Result<(), RegistryError> {
    let path = blob_path(&blob.digest);
    let header = Member { size: blob.size, ..member(&path, b'0', 0o644, seconds) };
    let mut write = || {
        writer.header(&header)?;
        io::copy(&mut blob.open()?, writer.out())?;
        writer.pad(blob.size)
    };
    Ok(write().map_err(Error::Output)?)
}
