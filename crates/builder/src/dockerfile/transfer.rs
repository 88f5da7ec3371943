//! COPY's and ADD's flags and words.

use super::copy_rules::CopyRules;
use super::flags::{Flags, Known, Takes};
use super::heredoc::{self, HereDocument};
use super::permissions::Permissions;
use super::{Command, DockerfileError, Transfer, TransferVerb, json};
use crate::ignore::IgnorePatterns;

/// The flags that COPY takes.
pub(super) const COPY_FLAGS: &[Known] = &[
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("from", Takes::Value),
    ("link", Takes::Switch),
    ("parents", Takes::Switch),
    ("exclude", Takes::Values),
];

/// The flags that COPY takes in a graph of a client: those of Dockerfiles that it needs, and the ones of [`CopyRules`].
pub(super) const GRAPH_COPY_FLAGS: &[Known] = &[
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("from", Takes::Value),
    ("exclude", Takes::Values),
    ("whole", Takes::Switch),
    ("keep-links", Takes::Switch),
    ("not-empty", Takes::Switch),
    ("no-parents", Takes::Switch),
];

/// The flags that ADD takes.
pub(super) const ADD_FLAGS: &[Known] = &[
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("link", Takes::Switch),
    ("exclude", Takes::Values),
    ("keep-git-dir", Takes::Switch),
    ("checksum", Takes::Value),
    ("unpack", Takes::Switch),
];

/// Parses what follows COPY or ADD and its flags.
///
/// # Errors
/// [`DockerfileError`] when words are missing, or a flag is wrong.
pub(super) fn parse(
    verb: TransferVerb,
    flags: &Flags,
    text: &str,
    documents: Vec<HereDocument>,
) -> Result<(Command, Vec<String>), DockerfileError> {
    let words = json::words(text)?.unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect());
    let (destination, sources) = match words.split_last() {
        Some((destination, sources)) if !sources.is_empty() => (destination.clone(), sources.to_vec()),
        _ => return Err(DockerfileError::Arguments(verb.name().to_owned(), "at least two arguments")),
    };
    let is_document =
        |source: &String| documents.iter().any(|document| heredoc::names(source, &document.name));
    let sources: Vec<String> = sources.into_iter().filter(|source| !is_document(source)).collect();
    let is_url = |source: &String| source.starts_with("http://") || source.starts_with("https://");
    if verb == TransferVerb::Copy && sources.iter().any(is_url) {
        return Err(DockerfileError::CopyUrl);
    }
    let mode = flags.value("chmod").filter(|mode| !mode.is_empty());
    if let Some(mode) = mode.filter(|mode| !mode.contains('$')) {
        Permissions::parse(mode)?;
    }
    let checksum = flags.value("checksum").map(str::to_owned);
    if checksum.is_some() && (sources.len() != 1 || !documents.is_empty()) {
        return Err(DockerfileError::ChecksumOfSeveral);
    }
    let excludes: Vec<_> = flags.values("exclude").map(str::to_owned).collect();
    if !excludes.iter().any(|pattern| pattern.contains('$')) {
        IgnorePatterns::of(excludes.iter().map(String::as_str))?;
    }
    let transfer = Transfer {
        verb,
        sources,
        destination,
        owner: flags.value("chown").map(str::to_owned),
        mode: mode.map(str::to_owned),
        from: flags.value("from").map(str::to_owned),
        is_linked: flags.switch("link").unwrap_or(false),
        keeps_parents: flags.switch("parents").unwrap_or(false),
        excludes,
        checksum,
        keeps_git: flags.switch("keep-git-dir").unwrap_or(false),
        unpacks: flags.switch("unpack"),
        documents,
        rules: CopyRules::of(flags),
    };
    Ok((Command::Transfer(Box::new(transfer)), words))
}
