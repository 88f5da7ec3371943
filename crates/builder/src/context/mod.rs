//! Build contexts: got from the request's body, an address or a repository, read once.

mod archive;
mod authorization;
mod contents;
mod directory;
mod documents;
mod error;
mod fetch;
mod fetched;
mod fetching;
mod git;
mod git_error;
mod hashed;
mod hasher;
mod index;
mod origin;
mod remote;
mod repository;
mod slot;
mod source;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use archive::{Watched, node, normalise};
pub use error::ContextError;
pub(crate) use fetch::{Advance, Validators, http_date, open_if_changed};
pub use fetch::{FetchError, download};
pub(crate) use fetching::Fetching;
pub use git_error::GitError;
pub(crate) use remote::{fetch_repository, is_repository, repository_identifier};
pub(crate) use source::Context;

pub(crate) use self::documents::DOCKERFILE_LIMIT;
use self::documents::{DOCKERFILE, Documents, IGNORE, IGNORE_LIMIT};
use self::fetched::Fetched;
use self::origin::Origin;
use crate::event::MaterialContent;
use crate::ignore::IgnorePatterns;
use crate::request::ContextSource;
use crate::transfer::{Outside, resolve};
use crate::tree::NodeKind;

/// A context and its Dockerfile's text.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) context: Context,
    pub(crate) dockerfile: Vec<u8>,
    /// Which content its address had, for one that was fetched.
    pub(crate) content: Option<MaterialContent>,
}

/// Gets a context that is an archive or lies at an address, and reads its Dockerfile unless that is there already.
///
/// # Errors
/// [`ContextError`] when either is not there or no good.
pub(crate) fn load(
    source: ContextSource,
    name: Option<&str>,
    has_dockerfile: bool,
    fetching: Fetching<'_>,
) -> Result<Loaded, ContextError> {
    let name = name.filter(|name| !name.is_empty());
    let documents = Documents::new(normalise(name.unwrap_or(DOCKERFILE).as_bytes()));
    let Fetched { mut context, origin, content } = match source {
        ContextSource::Archive(stream) => {
            let root = fetching.scratch.directory("context");
            let root = root.map_err(ContextError::file("create", Path::new("context")))?;
            let context = archive::read_compressed(stream, &root, &documents, fetching.cancellation)?;
            Fetched { context, origin: Origin::Client, content: None }
        }
        ContextSource::Provided(_) => return Err(ContextError::Empty),
        ContextSource::Remote(remote) => remote::load(&remote, &documents, fetching)?,
    };
    let name = name.filter(|_| origin != Origin::Dockerfile);
    let (path, dockerfile) = match has_dockerfile {
        true => (PathBuf::new(), Vec::new()),
        false => read_dockerfile(&context, name)?,
    };
    apply_ignore(&mut context, &path, origin)?;
    Ok(Loaded { context, dockerfile, content })
}

/// Fetches the tree of a repository or an archive at an address, and gives which content that had.
///
/// # Errors
/// [`ContextError`] when it is missing, or cannot be fetched.
pub(crate) fn fetch_tree(
    address: &str,
    fetching: Fetching<'_>,
) -> Result<(Context, Option<MaterialContent>), ContextError> {
    let documents = Documents::new(PathBuf::from(DOCKERFILE));
    let Fetched { context, content, .. } = remote::load(address, &documents, fetching)?;
    Ok((context, content))
}

/// Finds and reads the Dockerfile: its place in the context and its text.
fn read_dockerfile(context: &Context, name: Option<&str>) -> Result<(PathBuf, Vec<u8>), ContextError> {
    let shown = name.unwrap_or(DOCKERFILE);
    if leads_outside(shown) {
        return Err(ContextError::DockerfileOutside(shown.to_owned()));
    }
    let found = find(context, Path::new(shown));
    // Clients on case-insensitive file systems may send it so.
    let found = match name {
        None => found.or_else(|| find(context, Path::new("dockerfile"))),
        Some(_) => found,
    };
    let path = found.ok_or_else(|| ContextError::NoDockerfile(shown.to_owned()))?;
    let text = context.read(&path, DOCKERFILE_LIMIT).map_err(ContextError::file("read", &path))?;
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Err(ContextError::EmptyDockerfile(shown.to_owned()));
    }
    Ok((normalise(shown.as_bytes()), text))
}

/// The place in the context of a file, symbolic links followed.
fn find(context: &Context, path: &Path) -> Option<PathBuf> {
    let plain = normalise(path.as_os_str().as_encoded_bytes());
    let selected = resolve(context, "", &plain, Outside::Forbidden).ok()?;
    matches!(selected.node.kind, NodeKind::File { .. }).then_some(selected.path)
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

/// Leaves out what `.dockerignore` names: of a client's context only the two files that the client had to send all the same.
/// One that belongs to the Dockerfile, `Dockerfile.dockerignore`, replaces it, and the client has not applied it.
fn apply_ignore(context: &mut Context, dockerfile: &Path, origin: Origin) -> Result<(), ContextError> {
    let [own, general] = ignore_file_names(dockerfile);
    let read = |path: &Path| context.read(path, IGNORE_LIMIT).map_err(ContextError::file("read", path));
    let (text, origin) = match read(&own)? {
        Some(text) => (text, Origin::Fetched),
        None => match read(&general)? {
            Some(text) => (text, origin),
            None => return Ok(()),
        },
    };
    let patterns = match (IgnorePatterns::parse(&text), origin) {
        (Ok(patterns), _) => patterns,
        (Err(error), Origin::Fetched) => return Err(error.into()),
        // The client has judged it already.
        (Err(_), Origin::Client | Origin::Dockerfile) => return Ok(()),
    };
    let excluded = |path: &Path| path.to_str().is_some_and(|path| patterns.excludes(path));
    match origin {
        Origin::Fetched => {
            context.leave_out(excluded);
            if patterns.is_exhausted() {
                return Err(ContextError::IgnoreTooSlow);
            }
        }
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

/// The ignore files for the context of a Dockerfile; the first that exists is used.
#[must_use]
pub fn ignore_file_names(dockerfile: &Path) -> [PathBuf; 2] {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(IGNORE);
    [PathBuf::from(own), PathBuf::from(IGNORE)]
}
