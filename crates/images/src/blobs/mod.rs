//! Images as the blobs of one index, for those who keep them elsewhere than in a registry: configs, manifests and packed
//! layers by their digests (OCI image specification, "Image Layout").

mod archive;
mod import;
mod pack;
mod source;

pub use pack::{Packed, PackedBlob, Packer, Root};
pub use source::{BlobSize, BlobSource};
