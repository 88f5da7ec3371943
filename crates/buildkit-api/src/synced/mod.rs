//! Directories of clients as they were received: entries in memory, contents in numbered files. No path that a client
//! names ever reaches the file system.

mod contents;
mod entry;
mod error;
mod source;
mod tree;

pub(crate) use contents::{Content, Contents, Intake, Large, SMALL};
pub(crate) use entry::Entry;
pub(crate) use error::SyncError;
pub(crate) use tree::{Tree, TreeBuilder};
