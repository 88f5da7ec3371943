//! Caches of builds elsewhere, in registries and in directories of clients: an index of images, whose histories record
//! the steps of their layers.

mod attributes;
mod export;
mod import;
mod local;
mod options;

pub(crate) use export::export;
pub(crate) use import::import;
pub(crate) use local::import_local;
pub(crate) use options::{CacheExport, CacheImports};
