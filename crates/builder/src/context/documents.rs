//! The files of a context that the daemon itself reads, and how long they may be.

use std::path::{Path, PathBuf};

use sys::bounded_read::Refusal;

use super::ContextError;

/// The Dockerfile's name where the request gives none.
pub(super) const DOCKERFILE: &str = "Dockerfile";
/// The longest Dockerfile: those that programs write have some hundred kilobytes.
pub(crate) const DOCKERFILE_LIMIT: u64 = 2 << 20;

pub(super) const IGNORE: &str = ".dockerignore";
/// The longest `.dockerignore`.
pub(super) const IGNORE_LIMIT: u64 = 1 << 20;

/// Documents that are refused as soon as an archive announces them: unpacking all else first would be in
/// vain.
#[derive(Debug)]
pub(super) struct Documents {
    dockerfile: PathBuf,
}

impl Documents {
    /// The ignore file and the Dockerfile at this path.
    pub(super) const fn new(dockerfile: PathBuf) -> Self {
        Self { dockerfile }
    }

    /// Checks the size that a file of the context will have.
    ///
    /// # Errors
    /// [`ContextError::File`] with [`Refusal::TooLong`], as reading it would fail.
    pub(super) fn check(&self, path: &Path, size: u64) -> Result<(), ContextError> {
        let limit = match path {
            path if path == Path::new(IGNORE) => IGNORE_LIMIT,
            path if path == self.dockerfile => DOCKERFILE_LIMIT,
            _ => return Ok(()),
        };
        if size > limit {
            return Err(ContextError::file("read", path)(Refusal::TooLong { limit }.into()));
        }
        Ok(())
    }
}
