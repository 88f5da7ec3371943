//! COPY and ADD: which files are meant, what they are worth as a cache key, and how they get into
//! a layer.

mod archive;
mod cancellable;
pub(crate) mod download;
mod error;
mod image;
mod place;
mod placement;
mod select;
mod source;
mod sum;
#[cfg(test)]
mod tests;

pub(crate) use cancellable::Cancellable;
pub use error::TransferError;
pub(crate) use image::{ImageTree, hash_file};
pub(crate) use place::{check_parent, place};
pub(crate) use placement::{Dressing, Placement, Sources};
pub(crate) use select::{
    Inline, Item, Outside, Parent, Remote, Selected, is_left_out, matching, resolve, select, select_links,
    select_with_parents,
};
pub use source::{Given, Source};
pub(crate) use source::{Lent, NoTree};
pub(crate) use sum::{sum, sum_of_directories};
