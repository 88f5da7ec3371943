//! Directory trees of any depth and content: removal, walks, views of stacked layers.

mod accounts;
mod descent;
mod holes;
mod kernel_file;
mod known;
mod member;
mod mount_points;
mod output;
mod pack;
mod pack_contents;
mod read_ahead;
mod remove;
mod size;
mod stack;

pub use accounts::Accounts;
pub(crate) use descent::{Descent, Place};
pub use known::{KnownContent, KnownFiles, LentFile, ReadKnown};
pub(crate) use output::Output;
pub(crate) use pack::Packer;
pub use pack::ReservedName;
pub use remove::remove;
pub(crate) use remove::remove_at;
pub use size::TreeSize;
pub(crate) use size::{size, stack_size};
pub(crate) use stack::{
    Form, Found, Stack, attributes, attributes_at, is_directory, is_opaque, is_whiteout, kind, open_directory,
};
