//! A tree of files that cannot be read any more once the build is cancelled: a step may walk through a million.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use images::registry::Cancellation;
use model::Digest;

use super::{Given, Source};
use crate::tree::{Node, TreeError};

/// A source of a build that may be cancelled.
pub(crate) struct Cancellable<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) cancellation: &'a Cancellation,
}

impl Cancellable<'_> {
    fn source(&self) -> Result<&dyn Source, TreeError> {
        if self.cancellation.is_cancelled() { Err(TreeError::Cancelled) } else { Ok(self.source) }
    }
}

impl Source for Cancellable<'_> {
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        self.source()?.node(path)
    }

    fn names(&self, path: &Path) -> Result<Vec<OsString>, TreeError> {
        self.source()?.names(path)
    }

    fn digest(&self, path: &Path) -> Result<Option<Digest>, TreeError> {
        self.source()?.digest(path)
    }

    fn give(&self, path: &Path) -> Result<Given, TreeError> {
        self.source()?.give(path)
    }

    fn gives_bytes(&self, path: &Path) -> bool {
        self.source.gives_bytes(path)
    }

    fn give_into(&self, path: &Path, buffer: &mut Vec<u8>) -> Result<Option<PathBuf>, TreeError> {
        self.source()?.give_into(path, buffer)
    }
}
