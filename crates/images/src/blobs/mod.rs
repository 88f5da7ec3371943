//! Images as the blobs of one index, for stores other than registries: configs, manifests and packed layers by their
//! digests (OCI image specification, "Image Layout").

mod archive;
mod import;
mod pack;
mod source;

pub use pack::{Packed, PackedBlob, Packer, Root};
pub use source::{BlobSize, BlobSource};
