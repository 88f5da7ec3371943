//! `remote=`: a Dockerfile or a tar by address, or a git repository.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use images::registry::{Cancellation, Message};
use sys::bounded_read;

use super::authorization::authorization;
use super::contents::Intake;
use super::documents::{DOCKERFILE, DOCKERFILE_LIMIT, Documents};
use super::fetch::{Advance, Download};
use super::fetched::Fetched;
use super::fetching::Fetching;
use super::hashed::Hashed;
use super::repository::Repository;
use super::{Context, ContextError, Origin, directory, fetch, git};
use crate::event::{EventSink, MaterialContent};
use crate::scratch::Scratch;

/// So many first bytes distinguish a tar from a text: its magic lies at 257 (POSIX pax).
const SNIFF: usize = 512;
const MAGIC: std::ops::Range<usize> = 257..262;

/// Fetches a context.
///
/// # Errors
/// [`ContextError`] when it is missing, or cannot be fetched.
pub(super) fn load(
    remote: &str,
    documents: &Documents,
    fetching: Fetching<'_>,
) -> Result<Fetched, ContextError> {
    if let Some(repository) = Repository::parse(remote) {
        let (context, commit) = load_repository(repository, fetching)?;
        let content = Some(MaterialContent::Commit(commit));
        return Ok(Fetched { context, origin: Origin::Fetched, content });
    }
    let Fetching { scratch, events, cancellation, .. } = fetching;
    if !remote.starts_with("http://") && !remote.starts_with("https://") {
        return Err(ContextError::RemoteForm(remote.to_owned()));
    }
    let failed = |source| ContextError::Download { address: remote.to_owned(), source };
    let mut download = fetch::open(remote, cancellation).map_err(failed)?;
    check_type(&download)?;
    let start = match bounded_read::read_stream(download.by_ref().take(SNIFF as u64), SNIFF as u64) {
        Ok(start) => start,
        Err(error) => return Err(download.take_failure().map_or(ContextError::Read(error), failed)),
    };
    if is_archive(&start) {
        let root = make(scratch, "context")?;
        return load_archive((download, start), documents, &root, events, cancellation);
    }
    if start.contains(&0) {
        let found = download.head.content_type.clone();
        return Err(ContextError::ContentType { address: remote.to_owned(), found });
    }
    load_dockerfile(download, start, intake(scratch)?)
}

/// Fetches a repository as a tree of files; `commit` is where it must be, as many digits as are given.
///
/// # Errors
/// [`ContextError`] when it cannot be fetched, or is somewhere else.
pub(crate) fn fetch_repository(
    address: &str,
    keeps_git: bool,
    commit: Option<&str>,
    fetching: Fetching<'_>,
) -> Result<(Context, String), ContextError> {
    let mut repository =
        Repository::parse(address).ok_or_else(|| ContextError::RemoteForm(address.to_owned()))?;
    repository.commit = commit.map(str::to_owned).or(repository.commit);
    load_repository(repository, Fetching { keeps_git, ..fetching })
}

/// Fetches a repository, and checks that it is at its commit, which is returned.
fn load_repository(
    mut repository: Repository,
    fetching: Fetching<'_>,
) -> Result<(Context, String), ContextError> {
    let Fetching { scratch, cancellation, provisions, keeps_git, .. } = fetching;
    repository.keeps_git |= keeps_git;
    let root = make(scratch, "git")?;
    let authorization = authorization(&repository.address, provisions)?;
    let tree = git::fetch(&repository, &root, cancellation, authorization)?;
    let commit = check_commit(&root, repository.commit.as_deref())?;
    Ok((directory::read(&tree, repository.keeps_git, intake(scratch)?)?, commit))
}

/// The commit that a fetched repository is at; `wanted` is where it must be.
fn check_commit(root: &Path, wanted: Option<&str>) -> Result<String, ContextError> {
    let actual = git::commit(root).map_err(ContextError::file("read", Path::new(".git/HEAD")))?;
    match wanted.filter(|wanted| !actual.starts_with(*wanted)) {
        Some(wanted) => Err(ContextError::Commit { actual, wanted: wanted.to_owned() }),
        None => Ok(actual),
    }
}

/// The identifier and the address of a repository, as clients name it in their policies; `None` for other
/// addresses.
pub(crate) fn repository_identifier(address: &str) -> Option<(String, String)> {
    let repository = Repository::parse(address)?;
    Some((repository.identifier(), repository.address))
}

/// Whether a source of ADD is a repository: what has a scheme of git's, or ends in `.git`.
pub(crate) fn is_repository(address: &str) -> bool {
    !address.starts_with("github.com/") && Repository::parse(address).is_some()
}

fn make(scratch: &Scratch, name: &str) -> Result<PathBuf, ContextError> {
    scratch.directory(name).map_err(ContextError::file("create", Path::new(name)))
}

/// Where contents are kept.
fn intake(scratch: &Scratch) -> Result<Intake, ContextError> {
    let root = make(scratch, "context")?;
    Intake::new(&root).map_err(ContextError::file("create", Path::new("")))
}

/// Refuses content whose type is neither text nor tar.
fn check_type(download: &Download<'_>) -> Result<(), ContextError> {
    let found = download.head.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype =
        found.strip_prefix("application/").map(|subtype| subtype.strip_prefix("x-").unwrap_or(subtype));
    let known = matches!(
        subtype,
        Some("tar" | "octet-stream" | "gzip" | "bzip" | "bzip2" | "xz" | "zstd" | "gtar" | "compressed-tar")
    );
    if known || found.is_empty() || found == "text/plain" {
        return Ok(());
    }
    Err(ContextError::ContentType { address: download.address.clone(), found })
}

fn is_archive(start: &[u8]) -> bool {
    images::Compression::detect(start) != images::Compression::Identity
        || start.get(MAGIC).is_some_and(|magic| magic == b"ustar")
        || (start.len() == SNIFF && start.iter().all(|byte| *byte == 0))
}

fn load_archive(
    (mut download, start): (Download<'_>, Vec<u8>),
    documents: &Documents,
    root: &Path,
    events: &dyn EventSink,
    cancellation: &Cancellation,
) -> Result<Fetched, ContextError> {
    let message = Message::titled("Downloading context", download.address.clone());
    let total = download.head.length.unwrap_or(0);
    let result = {
        let stream = Hashed::new(Cursor::new(start).chain(&mut download));
        let mut advance = Advance::new(stream, events, message, total);
        let context = super::archive::read_compressed(&mut advance, root, documents, cancellation);
        context.and_then(|context| Ok((context, advance.stream.finish().map_err(ContextError::Read)?)))
    };
    match (result, download.take_failure()) {
        (Ok((context, digest)), None) => {
            let content = digest.map(MaterialContent::Digest);
            Ok(Fetched { context, origin: Origin::Fetched, content })
        }
        (_, Some(source)) => Err(ContextError::Download { address: download.address.clone(), source }),
        (Err(error), None) => Err(error),
    }
}

/// Makes a context that holds nothing but the Dockerfile.
fn load_dockerfile(
    mut download: Download<'_>,
    start: Vec<u8>,
    intake: Intake,
) -> Result<Fetched, ContextError> {
    let stream = Cursor::new(start).chain(download.by_ref());
    let text = bounded_read::read_stream(stream, DOCKERFILE_LIMIT).map_err(|error| {
        let address = download.address.clone();
        let wrapped = ContextError::file("read", Path::new(DOCKERFILE));
        download
            .take_failure()
            .map_or_else(|| wrapped(error), |source| ContextError::Download { address, source })
    })?;
    let content = Some(MaterialContent::Digest(images::digest_of(&text)));
    let context = Context::of_file(DOCKERFILE, &text, intake)?;
    Ok(Fetched { context, origin: Origin::Dockerfile, content })
}
