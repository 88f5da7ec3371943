//! Caches of builds in registries: an index of images, whose histories say which steps their layers are.

mod export;
mod import;
mod options;

pub(crate) use export::export;
pub(crate) use import::import;
pub(crate) use options::{CacheExport, CacheImports};
