//! Build contexts: got from the request's body, an address or a repository, unpacked once.

mod date;
mod directory;
mod error;
mod extract;
mod fetch;
mod git;
mod hasher;
mod index;
mod remote;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::{Path, PathBuf};

use images::registry::Cancellation;

pub use error::ContextError;
pub(crate) use extract::{device, malformed, metadata, normalise};
pub(crate) use fetch::{Advance, open as fetch_open};
pub use fetch::{FetchError, download};
pub use git::GitError;
pub(crate) use index::Context;

use crate::event::EventSink;
use crate::ignore::IgnorePatterns;
use crate::request::ContextSource;
use crate::scratch::Scratch;
use crate::transfer::{Outside, resolve};

/// The Dockerfile's name where the request gives none.
const DOCKERFILE: &str = "Dockerfile";
const IGNORE: &str = ".dockerignore";

/// Where a context came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The client packed it, and left out what it wanted to.
    Client,
    /// The daemon fetched it.
    Fetched,
    /// It is a Dockerfile alone.
    Dockerfile,
}

/// A context and its Dockerfile's text.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) context: Context,
    pub(crate) dockerfile: Vec<u8>,
}

/// Gets a context and reads its Dockerfile.
///
/// # Errors
/// [`ContextError`] when either is not there or no good.
pub(crate) fn load(
    source: ContextSource,
    name: Option<&str>,
    scratch: &Scratch,
    events: &dyn EventSink,
    cancellation: &Cancellation,
) -> Result<Loaded, ContextError> {
    let (mut context, origin) = match source {
        ContextSource::Archive(stream) => {
            let root =
                scratch.directory("context").map_err(ContextError::file("create", Path::new("context")))?;
            (unpack(stream, &root, cancellation)?, Origin::Client)
        }
        ContextSource::Remote(remote) => remote::load(&remote, scratch, events, cancellation)?,
    };
    let name = name.filter(|name| !name.is_empty() && origin != Origin::Dockerfile);
    let (path, dockerfile) = read_dockerfile(&context, name)?;
    apply_ignore(&mut context, &path, origin)?;
    Ok(Loaded { context, dockerfile })
}

/// Unpacks a tar, compressed in any known way.
fn unpack(
    stream: impl Read + Send,
    root: &Path,
    cancellation: &Cancellation,
) -> Result<Context, ContextError> {
    let (compression, mut stream) = images::peek(stream).map_err(ContextError::Read)?;
    if compression == images::Compression::Identity {
        let mut first = [0_u8; 1];
        if stream.read(&mut first).map_err(ContextError::Read)? == 0 {
            return Err(ContextError::Empty);
        }
        return extract::extract(first.as_slice().chain(stream), root.to_owned(), cancellation);
    }
    let stream = images::decoder(compression, stream).map_err(malformed)?;
    extract::extract(stream, root.to_owned(), cancellation)
}

/// Finds and reads the Dockerfile: its place in the context and its text.
fn read_dockerfile(context: &Context, name: Option<&str>) -> Result<(PathBuf, Vec<u8>), ContextError> {
    let shown = name.unwrap_or(DOCKERFILE);
    if leads_outside(shown) {
        return Err(ContextError::DockerfileOutside(shown.to_owned()));
    }
    let found = find(context, Path::new(shown));
    // Clients on file systems that do not tell case apart may send it so.
    let found = match name {
        None => found.or_else(|| find(context, Path::new("dockerfile"))),
        Some(_) => found,
    };
    let (path, location) = found.ok_or_else(|| ContextError::NoDockerfile(shown.to_owned()))?;
    let text = std::fs::read(location).map_err(ContextError::file("read", &path))?;
    if text.is_empty() {
        return Err(ContextError::EmptyDockerfile(shown.to_owned()));
    }
    Ok((normalise(shown.as_bytes()), text))
}

/// The place in the context and on disk of a file, symbolic links followed.
fn find(context: &Context, path: &Path) -> Option<(PathBuf, PathBuf)> {
    let plain = normalise(path.as_os_str().as_encoded_bytes());
    let selected = resolve(context, "", &plain, Outside::Forbidden).ok()?;
    let location = context.file(&selected.path)?;
    Some((selected.path, location))
}

/// Whether a path has more `..` than names before them.
fn leads_outside(path: &str) -> bool {
    let mut depth = 0_i32;
    path.split('/').any(|name| {
        depth += match name {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        depth < 0
    })
}

/// Leaves out what `.dockerignore` says: of a client's context only the two files that the client
/// had to send all the same.
fn apply_ignore(context: &mut Context, dockerfile: &Path, origin: Origin) -> Result<(), ContextError> {
    let Some(location) = context.file(Path::new(IGNORE)) else { return Ok(()) };
    let text = std::fs::read(location).map_err(ContextError::file("read", Path::new(IGNORE)))?;
    let patterns = match (IgnorePatterns::parse(&text), origin) {
        (Ok(patterns), _) => patterns,
        (Err(error), Origin::Fetched) => return Err(error.into()),
        // The client has judged it already.
        (Err(_), Origin::Client | Origin::Dockerfile) => return Ok(()),
    };
    let excluded = |path: &Path| path.to_str().is_some_and(|path| patterns.excludes(path));
    match origin {
        Origin::Fetched => context.leave_out(excluded),
        Origin::Client | Origin::Dockerfile => {
            for path in [dockerfile, Path::new(IGNORE)] {
                if excluded(path) {
                    context.leave_out_path(path);
                }
            }
        }
    }
    Ok(())
}
