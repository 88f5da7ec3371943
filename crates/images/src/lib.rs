//! Images: content store, layers, archives, tags, registries.
//!
//! [`Store`] is the entrance: everything in it is synchronous and may be called from any thread.
//! [`Store::resolve`] finds an image, [`Store::lower_directories`] gives what overlay stacks,
//! [`Layer`] holds a layer while it is used.

mod archive_memory;
mod assembly;
mod blobs;
mod budget;
mod built;
mod changes;
mod commit;
mod compression;
mod copy_up;
pub mod document;
mod error;
mod export;
mod glob;
mod history;
mod import;
mod inspect;
mod layer;
mod layout_listing;
mod list;
mod load;
mod manifests;
mod merged;
pub mod paths;
mod platforms;
mod prune;
pub mod registry;
mod remove;
mod resolve;
mod save;
mod save_layout;
mod store;
pub mod tar;
mod tree;
mod unpack;
mod uses;
mod v1;
mod whiteout;
mod xz_window;
mod zstd_reader;

pub use blobs::{BlobSize, BlobSource, Packed, PackedBlob, Packer, Root};
pub use built::{Annotations, BuiltImage, BuiltImages, MediaTypes, Predicate, package_address};
pub use changes::{Change, ChangeKind, changes};
pub use commit::CommitRequest;
pub use compression::{Compression, Peeked, decoder, decompress, peek};
pub use copy_up::{copy_up, take_over};
pub use error::{Error, Inconsistency, RemovalConflict};
pub use export::{ExportedTree, export, export_trees, merged_size, tree_size, tree_size_with_inodes};
pub use history::HistoryStep;
pub use import::{ImportOptions, architecture};
pub use inspect::ImageDetails;
pub use layer::HashedPrefixes;
pub use layout_listing::ArchiveKind;
pub use list::{ImageSummary, ImagesSize, ListFilter};
pub use load::Loaded;
pub use manifests::{ManifestKind, ManifestSummary, Statement};
pub use merged::{has as has_in_layers, is_occupied};
pub use prune::Pruned;
pub use remove::{Removal, RemoveOptions};
pub use save::SavedImages;
pub use save_layout::SavedLayout;
pub use store::{
    AdoptedLayer, BuildStep, HeldImage, Image, Layer, LayerBlob, LayerPlace, Naming, NewImage, NewTarget,
    Origin, Published, Salvaged, SettlingDeferred, Store, TagPolicy, Target, Variant, begin_replacement,
    check_pages, conclude_replacement, digest_of, finish_replacement, is_damage, is_missing, keep_log,
    release_pages, salvage, those_set_aside, version_of,
};
pub use tar::ArchiveError;
pub use tree::Accounts as HostAccounts;
pub use tree::ReservedName;
pub use tree::TreeSize;
pub use tree::remove as remove_tree;
pub use tree::{KnownContent, KnownFiles, LentFile, ReadKnown};
pub use unpack::{Overwrite, Ownership, Reserve, Space, Unpacked, unpack};
pub use uses::{ImageUse, ImageUsers, UseKind};
