//! Images: content store, layers, archives, tags, registries.
//!
//! [`Store`] is the entrance: everything in it is synchronous and may be called from any thread.
//! [`Store::resolve`] finds an image, [`Store::lower_directories`] gives what overlay stacks,
//! [`Layer`] holds a layer while it is used.

mod compression;
mod copy_up;
mod error;
mod import;
mod layer;
pub mod registry;
mod resolve;
mod store;
mod tar;
mod tree;
mod unpack;

pub use compression::{Compression, Peeked, decoder, decompress, peek};
pub use copy_up::copy_up;
pub use error::{Error, Inconsistency, RemovalConflict};
pub use import::{ImportOptions, architecture};
pub use store::{AdoptedLayer, Image, Layer, LayerBlob, NewImage, Store, TagPolicy, digest_of};
pub use tar::ArchiveError;
pub use tree::remove as remove_tree;
pub use unpack::{Limits, Overwrite, Unpacked, unpack};
