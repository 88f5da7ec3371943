//! File trees that no mount shows: an image's layers seen as one, and the upper directory that a
//! COPY step writes on top of them.
//!
//! Every path is walked name by name without the kernel ever following a symbolic link, so that
//! nothing that an image or a context holds can lead outside of it.

mod account;
mod attributes;
mod create;
mod error;
mod holes;
mod ledger;
mod node;
mod upper;
mod view;
mod walk;
mod writers;

pub(crate) use account::{DefaultGroup, Owner, resolve_owner};
pub(crate) use attributes::read_attributes;
pub(crate) use create::Content;
pub use error::TreeError;
pub(crate) use holes::pieces;
pub(crate) use ledger::{Base, Copied, Ledger, Marks};
pub use node::{Attribute, Inode, Metadata, Modified, Node, NodeKind};
pub(crate) use upper::{MakeDirectories, Upper};
pub(crate) use view::{Directory, Found, View};
pub(crate) use walk::{Missing, Position, Reached, Stop, Walk};
pub(crate) use writers::FileSource;
