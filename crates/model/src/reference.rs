//! Names of images: repository, tag and digest, by Docker's rules.
//!
//! A first component with a `.` or a `:`, or `localhost`, is a registry's host; every other name belongs to
//! Docker Hub, whose prefixes `docker.io/`, `index.docker.io/` and `library/` are left off in the familiar
//! form that clients show. The error texts are the ones that clients expect.

use std::borrow::Cow;
use std::fmt;

use crate::{Digest, ErrorKind};

/// The longest tag.
const TAG_LIMIT: usize = 128;
/// The longest repository, host included.
const REPOSITORY_LIMIT: usize = 255;
/// The tag meant where none is named.
const LATEST: &str = "latest";

/// Why a text is no name of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("Repository name can't be empty")]
    Empty,
    /// The name has a host and nothing else.
    #[error("repository name must have at least one component")]
    NoComponent,
    /// A component has characters that are not allowed.
    #[error("repository name component must match \"[a-z0-9]+(?:[._-][a-z0-9]+)*\"")]
    Component,
    /// The name is too long.
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    /// The name has a scheme or a malformed host.
    #[error("Invalid repository name (ex: \"registry.domain.tld/myrepos\")")]
    Scheme,
    /// The name could be taken for an image's id.
    #[error("Invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// The name means "no image at all" in a Dockerfile.
    #[error("'scratch' is a reserved name")]
    Scratch,
    /// The name with a tag could be taken for an image's id.
    #[error("refusing to create an ambiguous tag using digest algorithm as name")]
    Algorithm,
    /// The tag has characters that are not allowed, or too many.
    #[error(
        "Illegal tag name ({0}): only [A-Za-z0-9_.-] are allowed ('.' and '-' are NOT allowed in the initial), minimum 1, maximum 128 in length"
    )]
    Tag(String),
    /// The part after `@` is not a digest.
    #[error("invalid digest {0:?}: want sha256: and 64 lowercase hexadecimal digits")]
    Digest(String),
}

impl ReferenceError {
    /// The kind of failure: a request that is refused.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// A repository: the host of its registry and its path there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName {
    /// Present unless the registry is Docker Hub.
    host: Option<Box<str>>,
    /// The familiar path: Hub's `library/` is left off.
    path: Box<str>,
}

impl RepositoryName {
    /// Parses a repository without tag and digest.
    ///
    /// # Errors
    /// [`ReferenceError`] with the text that clients expect.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.contains("://") {
            return Err(ReferenceError::Scheme);
        }
        let (host, path) = split_host(text);
        let host = host.filter(|host| !matches!(*host, "docker.io" | "index.docker.io"));
        let path = match host {
            None => path.strip_prefix("library/").filter(|name| !name.contains('/')).unwrap_or(path),
            Some(host) if !valid_host(host) => return Err(ReferenceError::Scheme),
            Some(_) => path,
        };
        check_path(path)?;
        // Shown without `docker.io/` it would name another registry; Hub does not have such names.
        if host.is_none() && split_host(path).0.is_some() {
            return Err(ReferenceError::Component);
        }
        if text.len() > REPOSITORY_LIMIT {
            return Err(ReferenceError::TooLong);
        }
        if host.is_none() && path == "scratch" {
            return Err(ReferenceError::Scratch);
        }
        if host.is_none() && is_full_id(path) {
            return Err(ReferenceError::LooksLikeId(path.to_owned()));
        }
        Ok(Self { host: host.map(Into::into), path: path.into() })
    }

    /// Refuses a name for images under which `name:tag` would be the beginning of an id.
    ///
    /// # Errors
    /// [`ReferenceError::Algorithm`]
    pub fn check_new(&self) -> Result<(), ReferenceError> {
        match (&self.host, &*self.path) {
            (None, "sha256") => Err(ReferenceError::Algorithm),
            _ => Ok(()),
        }
    }

    /// The registry's host and port; `None` means Docker Hub.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The path in the registry, Hub's `library/` included.
    #[must_use]
    pub fn remote_path(&self) -> Cow<'_, str> {
        if self.host.is_none() && !self.path.contains('/') {
            Cow::Owned(format!("library/{}", self.path))
        } else {
            Cow::Borrowed(&self.path)
        }
    }

    /// The path as users write it, without host and without Hub's `library/`.
    #[must_use]
    pub fn familiar_path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for RepositoryName {
    /// Writes the familiar form.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Some(host) => write!(formatter, "{host}/{}", self.path),
            None => formatter.write_str(&self.path),
        }
    }
}

/// A tag: 1 to 128 of `[A-Za-z0-9_.-]`, the first neither `.` nor `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Box<str>);

impl Tag {
    /// Parses a tag.
    ///
    /// # Errors
    /// [`ReferenceError::Tag`] when the text is anything else.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let valid = text.len() <= TAG_LIMIT
            && text.bytes().next().is_some_and(word)
            && text.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'));
        if valid { Ok(Self(text.into())) } else { Err(ReferenceError::Tag(text.to_owned())) }
    }

    /// The tag `latest`.
    #[must_use]
    pub fn latest() -> Self {
        Self(LATEST.into())
    }

    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A name of an image: a repository with a tag, a digest, both or neither.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageReference {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag, if one was written.
    pub tag: Option<Tag>,
    /// The manifest's digest, if one was written; it decides where both are there.
    pub digest: Option<Digest>,
}

impl ImageReference {
    /// Parses `repository[:tag][@digest]`; an empty tag counts as none.
    ///
    /// # Errors
    /// [`ReferenceError`] with the text that clients expect.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let parsed = Digest::parse(digest).map_err(|_| ReferenceError::Digest(digest.to_owned()))?;
                (name, Some(parsed))
            }
            None => (text, None),
        };
        let (repository, tag) = split_tag(name);
        Ok(Self {
            repository: RepositoryName::parse(repository)?,
            tag: tag.filter(|tag| !tag.is_empty()).map(Tag::parse).transpose()?,
            digest,
        })
    }

    /// Parses a repository and a tag to name an image by; an empty tag is `latest`.
    ///
    /// # Errors
    /// [`ReferenceError`] with the text that clients expect; also for a digest, which cannot be assigned by
    /// hand.
    pub fn tagged(repository: &str, tag: &str) -> Result<Self, ReferenceError> {
        let repository = RepositoryName::parse(repository)?;
        repository.check_new()?;
        let tag = if tag.is_empty() { Tag::latest() } else { Tag::parse(tag)? };
        Ok(Self { repository, tag: Some(tag), digest: None })
    }

    /// Parses a repository and, apart from it, a tag or a digest as the API's queries have them.
    ///
    /// # Errors
    /// [`ReferenceError`] with the text that clients expect; also for a tag inside `repository`.
    pub fn from_parts(repository: &str, target: &str) -> Result<Self, ReferenceError> {
        let repository = RepositoryName::parse(repository)?;
        if target.contains(':') && target.starts_with("sha256:") {
            let digest = Digest::parse(target).map_err(|_| ReferenceError::Digest(target.to_owned()))?;
            return Ok(Self { repository, tag: None, digest: Some(digest) });
        }
        let tag = (!target.is_empty()).then(|| Tag::parse(target)).transpose()?;
        Ok(Self { repository, tag, digest: None })
    }

    /// The tag, `latest` where neither tag nor digest was written.
    #[must_use]
    pub fn tag_or_latest(&self) -> Tag {
        self.tag.clone().unwrap_or_else(Tag::latest)
    }

    /// The same name with the tag `latest` where neither tag nor digest was written.
    #[must_use]
    pub fn with_default_tag(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(Tag::latest());
        }
        self
    }
}

impl fmt::Display for ImageReference {
    /// Writes the familiar form: `repository`, `repository:tag` or `repository@digest`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.repository)?;
        match (&self.digest, &self.tag) {
            (Some(digest), _) => write!(formatter, "@{digest}"),
            (None, Some(tag)) => write!(formatter, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

/// Splits a tag off: what follows the last `:` unless a `/` comes after it (then it is a port).
#[must_use]
pub fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

fn split_host(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), rest),
        _ => (None, text),
    }
}

/// Host names, IPv4 and bracketed IPv6 addresses, each with an optional port.
fn valid_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let colons = |byte: u8| byte.is_ascii_hexdigit() || byte == b':';
            if address.is_empty() || !address.bytes().all(colons) {
                return false;
            }
            ("ipv6", port.strip_prefix(':').or(port.is_empty().then_some("0")))
        }
        None => host.split_once(':').map_or((host, Some("0")), |(name, port)| (name, Some(port))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let digits =
        |port: &str| !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    name.split('.').all(label) && port.is_some_and(digits)
}

fn check_path(path: &str) -> Result<(), ReferenceError> {
    if path.is_empty() {
        return Err(ReferenceError::NoComponent);
    }
    if path.split('/').all(valid_component) { Ok(()) } else { Err(ReferenceError::Component) }
}

/// Runs of `[a-z0-9]` joined by `.`, `_`, `__` or any number of `-`.
fn valid_component(component: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let [first, .., last] = bytes else {
        return bytes.len() == 1 && alphanumeric(bytes[0]);
    };
    alphanumeric(*first)
        && alphanumeric(*last)
        && component
            .split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit())
            .all(|separator| {
                matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')
            })
}

fn is_full_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests;
