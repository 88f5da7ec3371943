//! Git repositories as contexts, fetched by the `git` program.
//!
//! No shell is involved, no word that a client sends can be taken for an option, and git may use
//! no other transports than http, https, git and ssh, submodules included.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use images::Space;
use images::registry::Cancellation;
use images::tar::ArchiveError;
use model::ErrorKind;
use rustix::process::{Pid, Signal, kill_process_group};
use sys::bounded_read;

/// How often a running git is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// The free space is checked once in so many polls.
const POLLS_PER_SPACE_CHECK: u32 = 10;
/// As much of git's messages is shown.
const MESSAGE_LIMIT: u64 = 16 * 1024;
/// Settings that keep what a repository holds from running anything here.
const SETTINGS: [&str; 5] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.file.allow=never",
    "protocol.ext.allow=never",
    "advice.detachedHead=false",
];
/// The variable that git reads the header of an [`Authorization`] from.
const HEADER_VARIABLE: &str = "BERTH_GIT_HEADER";
/// Variables of the daemon that git gets.
const INHERITED: [&str; 9] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Why a repository cannot be a context.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program is not there or cannot be started.
    #[error("cannot start the git program: {0}")]
    Start(io::Error),
    /// Git failed.
    #[error("{status} ({message})")]
    Failed {
        /// How it ended.
        status: String,
        /// Its messages.
        message: String,
    },
    /// The branch, tag or commit is written as none can be.
    #[error("invalid reference {0:?}")]
    Reference(String),
    /// The repository's address could be taken for something else.
    #[error("invalid repository address {0:?}")]
    Address(String),
    /// The directory is not in the repository, or no directory.
    #[error("the repository has no directory {0:?}")]
    Directory(String),
    /// The repository is larger than what is free.
    #[error("cannot keep the repository: {0}")]
    Full(ArchiveError),
    /// The build was cancelled.
    #[error("the build was cancelled")]
    Cancelled,
}

impl GitError {
    /// The kind of failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Start(_) => ErrorKind::Internal,
            Self::Failed { .. }
            | Self::Full(_)
            | Self::Reference(_)
            | Self::Address(_)
            | Self::Directory(_)
            | Self::Cancelled => ErrorKind::Invalid,
        }
    }
}

/// A repository, what of it, and which directory in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) address: String,
    pub(crate) reference: String,
    pub(crate) directory: String,
    /// The commit that it must be at, as many digits as are given.
    pub(crate) commit: Option<String>,
    /// Whether `.git` is kept.
    pub(crate) keeps_git: bool,
    /// Whether submodules are left alone.
    pub(crate) without_submodules: bool,
}

impl Repository {
    /// Parses `remote=` as a repository: `address[?query][#[reference][:directory]]`; `None` when it is something else. A
    /// query has `ref`, `branch`, `tag`, `subdir`, `commit` or `checksum`, `keep-git-dir`, `submodules`.
    pub(crate) fn parse(remote: &str) -> Option<Self> {
        let (address, fragment) = remote.split_once('#').unwrap_or((remote, ""));
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        let web = address.starts_with("http://") || address.starts_with("https://");
        let address = match address {
            web_address if web && web_address.ends_with(".git") => web_address.to_owned(),
            own if own.starts_with("git://") || own.starts_with("git@") || own.starts_with("ssh://") => {
                own.to_owned()
            }
            hub if hub.starts_with("github.com/") => format!("https://{hub}"),
            _ => return None,
        };
        let (reference, directory) = fragment.split_once(':').unwrap_or((fragment, ""));
        let reference = if reference.is_empty() { "HEAD" } else { reference };
        let (reference, directory) = (reference.to_owned(), directory.to_owned());
        let plain =
            Self { address, reference, directory, commit: None, keeps_git: false, without_submodules: false };
        query.split('&').filter(|field| !field.is_empty()).try_fold(plain, Self::with_field)
    }

    /// Takes a field of a query; `None` for one that is not a repository's.
    fn with_field(mut self, field: &str) -> Option<Self> {
        let (name, value) = field.split_once('=').unwrap_or((field, ""));
        let switch = match value {
            "" | "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        };
        let value = value.replace("%2F", "/").replace("%2f", "/");
        match name {
            "ref" => self.reference = value,
            "branch" => self.reference = format!("refs/heads/{value}"),
            "tag" => self.reference = format!("refs/tags/{value}"),
            "subdir" => self.directory = value,
            "commit" | "checksum" => self.commit = Some(value),
            "keep-git-dir" => self.keeps_git = switch?,
            "submodules" => self.without_submodules = !switch?,
            _ => return None,
        }
        Some(self)
    }

    /// The repository as clients name it in their policies: `git://host/path[#reference[:directory]]`.
    pub(super) fn identifier(&self) -> String {
        let Parts { host, path, .. } = self.parts();
        let place = path.map_or_else(|| host.to_owned(), |path| format!("{host}/{path}"));
        let reference = if self.reference == "HEAD" { "" } else { &self.reference };
        match (reference, self.directory.as_str()) {
            ("", "") => format!("git://{place}"),
            (reference, "") => format!("git://{place}#{reference}"),
            (reference, directory) => format!("git://{place}#{reference}:{directory}"),
        }
    }

    /// Splits the address as git does; an `@` in the path is the path's.
    fn parts(&self) -> Parts<'_> {
        let (scheme, rest, separator) = match self.address.split_once("://") {
            Some((scheme, rest)) if !scheme.contains('@') => (scheme, rest, '/'),
            _ => ("", self.address.as_str(), ':'),
        };
        let (authority, path) = match rest.split_once(separator) {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        Parts { scheme, user, host, path }
    }

    /// Checks what will stand in git's command line.
    fn check(&self) -> Result<(), GitError> {
        let plain = |text: &str| !text.chars().any(|next| next.is_control() || next.is_whitespace());
        if !plain(&self.address) || !self.parts().is_unambiguous() {
            return Err(GitError::Address(self.address.clone()));
        }
        // git-check-ref-format(1) forbids these in names.
        let forbidden = |text: &str| text.contains(['~', '^', ':', '?', '*', '[', '\\', '+']);
        let is_empty = self.reference.is_empty();
        if is_empty
            || !plain(&self.reference)
            || self.reference.starts_with('-')
            || forbidden(&self.reference)
        {
            return Err(GitError::Reference(self.reference.clone()));
        }
        Ok(())
    }

    fn is_commit(&self) -> bool {
        self.reference.len() >= 4 && self.reference.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// The parts of an address: `scheme://[user@]host[/path]`, or `user@host:path` without a scheme.
struct Parts<'a> {
    scheme: &'a str,
    user: &'a str,
    host: &'a str,
    path: Option<&'a str>,
}

impl Parts<'_> {
    /// Whether git connects to the host that stands here, and ssh takes none of it for an option.
    fn is_unambiguous(&self) -> bool {
        let web = matches!(self.scheme, "http" | "https");
        // In addresses that are not the web's git decodes `%2F` before it splits them (url.c), and it connects to a
        // host in brackets whatever stands behind them (connect.c).
        let user = !self.user.contains(['[', ']']) && (web || !self.user.contains('%'));
        let name = match self.host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((_, port)) if port.is_empty() || port.starts_with(':') => port,
            _ => self.host,
        };
        let host = !name.contains(['[', ']']) && !self.host.contains(['%', '\\']);
        let is_option = self.user.starts_with('-') || self.host.trim_start_matches('[').starts_with('-');
        user && host && !is_option
    }
}

/// Fetches a repository with its submodules into the empty directory `root` and returns the directory in it
/// that is the context. Only the server of its own address receives the client's credentials.
///
/// # Errors
/// [`GitError`] when git fails, or the directory is not there.
pub(crate) fn fetch(
    repository: &Repository,
    root: &Path,
    cancellation: &Cancellation,
    authorization: Option<Authorization>,
) -> Result<PathBuf, GitError> {
    repository.check()?;
    let git = Git { root, cancellation, authorization };
    git.run(&["init", "-q", "--template="])?;
    git.run(&["remote", "add", "origin", &repository.address])?;
    fetch_reference(&git, repository)?;
    if root.join(".gitmodules").is_file() && !repository.without_submodules {
        let update = ["submodule", "--quiet", "update", "--init", "--recursive"];
        let shallow = [update.as_slice(), &["--depth", "1"]].concat();
        if git.run(&shallow).is_err() {
            git.run(&update)?;
        }
    }
    let missing = || GitError::Directory(repository.directory.clone());
    let top = fs::canonicalize(root).map_err(|_| missing())?;
    let directory = top.join(repository.directory.trim_start_matches('/'));
    let directory = fs::canonicalize(directory).map_err(|_| missing())?;
    if !directory.starts_with(&top) || !directory.is_dir() {
        return Err(missing());
    }
    Ok(directory)
}

/// The commit that a fetched repository is at.
///
/// # Errors
/// What reading it fails with.
pub(super) fn commit(root: &Path) -> io::Result<String> {
    // It is detached, so that the file has the commit itself.
    let head = bounded_read::read(&root.join(".git/HEAD"), MESSAGE_LIMIT)?;
    Ok(String::from_utf8_lossy(&head).trim().to_owned())
}

/// Fetches and checks out; from servers without shallow fetches everything is fetched.
fn fetch_reference(git: &Git<'_>, repository: &Repository) -> Result<(), GitError> {
    let reference = repository.reference.as_str();
    let fetched = git
        .run(&["fetch", "-q", "--depth", "1", "origin", reference])
        .or_else(|_| git.run(&["fetch", "-q", "origin", reference]));
    match fetched {
        Ok(()) => git.run(&["checkout", "-q", "--detach", "FETCH_HEAD"]),
        Err(GitError::Failed { .. }) if repository.is_commit() => {
            git.run(&["fetch", "-q", "origin", "+refs/*:refs/fetched/*"])?;
            git.run(&["checkout", "-q", "--detach", reference])
        }
        Err(error) => Err(error),
    }
}

/// A header of the requests for one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authorization {
    /// The server as `scheme://host[:port]/`.
    pub(super) server: String,
    /// The header, its name included.
    pub(super) header: String,
}

struct Git<'a> {
    root: &'a Path,
    cancellation: &'a Cancellation,
    authorization: Option<Authorization>,
}

impl Git<'_> {
    fn run(&self, words: &[&str]) -> Result<(), GitError> {
        let mut command = Command::new("git");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        if let Some(Authorization { server, .. }) = &self.authorization {
            // In arguments as these the settings hold for submodules too, unlike in GIT_CONFIG_COUNT (submodule.c).
            // The header itself is a variable: lists of processes show their arguments.
            command.arg(format!("--config-env=http.{server}.extraHeader={HEADER_VARIABLE}"));
            // With the header git would follow to any other host.
            command.args(["-c", &format!("http.{server}.followRedirects=false")]);
        }
        command.args(words).current_dir(self.root).env_clear().process_group(0);
        command.envs(INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("HOME", self.root).env("LC_ALL", "C").env("GIT_TERMINAL_PROMPT", "0");
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.env("GIT_ALLOW_PROTOCOL", "http:https:git:ssh").env("GIT_ASKPASS", "/bin/false");
        command.env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes");
        if let Some(Authorization { header, .. }) = &self.authorization {
            command.env(HEADER_VARIABLE, header);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        self.wait(command.spawn().map_err(GitError::Start)?)
    }

    fn wait(&self, mut child: Child) -> Result<(), GitError> {
        let stderr = child.stderr.take();
        let reader = thread::Builder::new().name("git".to_owned());
        let reader = match reader.spawn(move || stderr.map(read_message).unwrap_or_default()) {
            Ok(reader) => reader,
            Err(error) => {
                end(&mut child)?;
                return Err(GitError::Start(error));
            }
        };
        let mut space =
            fs::File::open(self.root).and_then(|root| Space::of(root.as_fd())).map_err(GitError::Start)?;
        let mut polls = 0_u32;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(GitError::Start)? {
                break status;
            }
            polls += 1;
            let full = if polls.is_multiple_of(POLLS_PER_SPACE_CHECK) { space.look().err() } else { None };
            let stop = full.map(GitError::Full);
            if let Some(error) = stop.or(self.cancellation.is_cancelled().then_some(GitError::Cancelled)) {
                end(&mut child)?;
                return Err(error);
            }
            thread::sleep(POLL_INTERVAL);
        };
        let message = reader.join().unwrap_or_default();
        if status.success() {
            return Ok(());
        }
        Err(GitError::Failed { status: status.to_string(), message })
    }
}

/// Kills git and whatever it has started.
fn end(child: &mut Child) -> Result<(), GitError> {
    // It may have ended by itself meanwhile.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    child.wait().map(drop).map_err(GitError::Start)
}

fn read_message(mut stream: impl Read) -> String {
    let message = bounded_read::read_stream(stream.by_ref().take(MESSAGE_LIMIT), MESSAGE_LIMIT);
    let message = message.unwrap_or_default();
    // Git must not be stopped by a full pipe.
    let _ = io::copy(&mut stream, &mut io::sink());
    String::from_utf8_lossy(&message).trim_end().to_owned()
}

#[cfg(test)]
mod tests;
