//! The Dockerfile and the ignore file, which the client sends before anything else.

use std::sync::Arc;

use super::ignore;
use crate::build::Build;
use crate::grpc::{Code, Status};
use crate::parts::Parts;
use crate::progress::Step;
use crate::session::{Session, SyncRequest};
use crate::synced::{SyncError, Tree};

/// The longest Dockerfile, as for archives.
const DOCKERFILE_LIMIT: u64 = 2 << 20;
/// The longest ignore file.
const IGNORE_LIMIT: u64 = 1 << 20;

/// The ignore file of a context.
const IGNORE_FILE: &str = ".dockerignore";

/// A Dockerfile, and what the context leaves out.
#[derive(Debug, Clone)]
pub(super) struct Documents {
    pub(super) name: String,
    pub(super) text: Vec<u8>,
    pub(super) excludes: Vec<String>,
}

/// Where the documents are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    /// The name that the client offers the Dockerfile's directory by.
    pub(super) directory: &'a str,
    pub(super) file_name: &'a str,
    /// The name that it offers the main context by; none for one that lies elsewhere and has an ignore file of its own.
    pub(super) context: Option<&'a str>,
}

/// Receives the Dockerfile and the ignore file.
///
/// # Errors
/// [`Status`] when the client fails, or there is no Dockerfile.
pub(super) async fn load(
    parts: &Parts,
    build: &Arc<Build>,
    session: &Session,
    places: Places<'_>,
) -> Result<Documents, Status> {
    let name = places.file_name.trim_start_matches("./").trim_start_matches('/');
    let own_ignore = format!("{name}.dockerignore");
    let title = format!("[internal] load build definition from {}", places.file_name);
    let step = build.progress.start("dockerfile", &title);
    let wanted = vec![name.to_owned(), own_ignore.clone()];
    let tree = receive(parts, session, &step, ("transferring dockerfile:", places.directory), wanted).await;
    let found = tree.and_then(|tree| Ok((read_dockerfile(&tree, name)?, tree)));
    let (text, tree) = step.conclude(found)?;
    let step = build.progress.start("ignore", "[internal] load .dockerignore");
    let ignored = match (read(&tree, &own_ignore, IGNORE_LIMIT)?, places.context) {
        (Some(ignored), _) => Ok(Some(ignored)),
        (None, None) => Ok(None),
        (None, Some(context)) => receive_ignore_file(parts, session, &step, context).await,
    };
    let excludes = ignored.and_then(|ignored| ignore::patterns(&ignored.unwrap_or_default()));
    let excludes = step.conclude(excludes)?;
    Ok(Documents { name: name.to_owned(), text, excludes })
}

/// Receives the excludes of a context other than the main one.
///
/// # Errors
/// [`Status`] when the client fails, or the patterns are too many.
pub(super) async fn load_excludes(
    parts: &Parts,
    build: &Arc<Build>,
    session: &Session,
    (name, directory): (&str, &str),
) -> Result<Vec<String>, Status> {
    let title = format!("[context {name}] load .dockerignore");
    let step = build.progress.start(&format!("ignore {directory}"), &title);
    let ignored = receive_ignore_file(parts, session, &step, directory).await;
    step.conclude(ignored.and_then(|ignored| ignore::patterns(&ignored.unwrap_or_default())))
}

async fn receive_ignore_file(
    parts: &Parts,
    session: &Session,
    step: &Step,
    directory: &str,
) -> Result<Option<Vec<u8>>, Status> {
    let wanted = vec![IGNORE_FILE.to_owned()];
    let tree = receive(parts, session, step, ("transferring context:", directory), wanted).await?;
    read(&tree, IGNORE_FILE, IGNORE_LIMIT)
}

fn read_dockerfile(tree: &Tree, name: &str) -> Result<Vec<u8>, Status> {
    let missing = || {
        let text = format!("failed to read dockerfile: open {name}: no such file or directory");
        Status::new(Code::NotFound, text)
    };
    read(tree, name, DOCKERFILE_LIMIT)?.ok_or_else(missing)
}

/// Receives a few files of a directory, by what that is called and the name that the client offers it by.
async fn receive(
    parts: &Parts,
    session: &Session,
    step: &Step,
    (title, directory): (&str, &str),
    wanted: Vec<String>,
) -> Result<Arc<Tree>, Status> {
    let part = step.part(title);
    let request = SyncRequest {
        directory: directory.to_owned(),
        includes: wanted.clone(),
        paths: wanted,
        ..SyncRequest::default()
    };
    let arrived = parts.received.receive(session, &request, None, &|_| {}).await;
    let arrived = arrived.map_err(|error| failed(&error))?;
    part.advance(arrived.sent);
    part.complete();
    Ok(arrived.tree)
}

fn read(tree: &Tree, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Status> {
    tree.read(name, limit).map_err(|error| failed(&error))
}

fn failed(error: &SyncError) -> Status {
    Status::of_kind(error.kind(), error.to_string())
}
