//! Directory trees of any depth and content: removal, walks, views of stacked layers.

mod accounts;
mod pack;
mod remove;
mod stack;

pub(crate) use pack::Packer;
pub use remove::remove;
pub(crate) use remove::remove_at;
pub(crate) use stack::{Form, Stack};
