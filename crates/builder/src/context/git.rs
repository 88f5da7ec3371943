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
use rustix::process::{Pid, Signal, kill_process_group};
use sys::bounded_read;

use super::git_error::GitError;
use super::repository::Repository;

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
/// The variable that git reads the server of an address with a user from.
const SERVER_VARIABLE: &str = "BERTH_GIT_SERVER";
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
    let user = UserAt::of(&repository.address);
    let git = Git { root, cancellation, authorization, user };
    git.run(&["init", "-q", "--template="])?;
    let origin = git.user.as_ref().map_or(&repository.address, |user| &user.address);
    git.run(&["remote", "add", "origin", origin])?;
    let is_named = fetch_reference(&git, repository)?;
    if repository.keeps_git && is_named {
        keep_reference(&git, repository)?;
    }
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

/// Fetches and checks out, and gives whether the server has it by that name; from servers without shallow fetches everything
/// is fetched.
fn fetch_reference(git: &Git<'_>, repository: &Repository) -> Result<bool, GitError> {
    let reference = repository.reference.as_str();
    let fetched = git
        .run(&["fetch", "-q", "--depth", "1", "origin", reference])
        .or_else(|_| git.run(&["fetch", "-q", "origin", reference]));
    match fetched {
        Ok(()) => git.run(&["checkout", "-q", "--detach", "FETCH_HEAD"]).map(|()| true),
        Err(GitError::Failed { .. }) if repository.is_commit() => {
            git.run(&["fetch", "-q", "origin", "+refs/*:refs/fetched/*"])?;
            git.run(&["checkout", "-q", "--detach", reference]).map(|()| false)
        }
        Err(error) => Err(error),
    }
}

/// Keeps the name of what was fetched, where it is a branch or a tag, for those who look into the repository.
fn keep_reference(git: &Git<'_>, repository: &Repository) -> Result<(), GitError> {
    // "<commit>\t[not-for-merge]\t<kind> '<name>' of <address>", git-fetch(1).
    let fetched = bounded_read::read(&git.root.join(".git/FETCH_HEAD"), MESSAGE_LIMIT).unwrap_or_default();
    let fetched = String::from_utf8_lossy(&fetched);
    let kind = fetched.lines().next().and_then(|line| line.split('\t').nth(2)).unwrap_or_default();
    let names = match kind.split_once(" '").map(|(kind, _)| kind) {
        Some("branch") => "refs/heads/",
        Some("tag") => "refs/tags/",
        _ => return Ok(()),
    };
    let name = repository.reference.strip_prefix(names).unwrap_or(&repository.reference);
    let name = name.strip_prefix(names.trim_start_matches("refs/")).unwrap_or(name);
    git.run(&["update-ref", &format!("{names}{name}"), "FETCH_HEAD"])
}

/// A header of the requests for one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authorization {
    /// The server as `scheme://host[:port]/`.
    pub(super) server: String,
    /// The header, its name included.
    pub(super) header: String,
}

/// The user in an address of the web, whose password must not stay in a repository that is kept: the repository has the
/// address without the user, and git is told to ask the server with it.
#[derive(Debug, PartialEq, Eq)]
struct UserAt {
    /// The address without the user.
    address: String,
    /// Its server, `scheme://host[:port]/`.
    server: String,
    /// The same with the user.
    server_of_user: String,
}

impl UserAt {
    fn of(address: &str) -> Option<Self> {
        let (scheme, rest) = address.split_once("://").filter(|(scheme, _)| scheme.starts_with("http"))?;
        let (authority, path) = rest.split_once('/')?;
        let (_, host) = authority.rsplit_once('@')?;
        let server = format!("{scheme}://{host}/");
        let server_of_user = format!("{scheme}://{authority}/");
        Some(Self { address: format!("{server}{path}"), server, server_of_user })
    }
}

struct Git<'a> {
    root: &'a Path,
    cancellation: &'a Cancellation,
    authorization: Option<Authorization>,
    user: Option<UserAt>,
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
        if let Some(UserAt { server_of_user, .. }) = &self.user {
            // A password may have "=", at the last of which git separates this.
            command.arg(format!("--config-env=url.{server_of_user}.insteadOf={SERVER_VARIABLE}"));
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
        if let Some(UserAt { server, .. }) = &self.user {
            command.env(SERVER_VARIABLE, server);
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
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_web_have_their_user_apart() {
        let user = UserAt::of("https://me:a=b@c@host:1/x/y.git").expect("a user");
        assert_eq!(user.address, "https://host:1/x/y.git");
        assert_eq!(user.server, "https://host:1/");
        assert_eq!(user.server_of_user, "https://me:a=b@c@host:1/");
        for address in
            ["https://host/a@b.git", "ssh://git@host/x", "git@host:x.git", "git://host/x", "http://host"]
        {
            assert_eq!(UserAt::of(address), None, "{address}");
        }
    }
}
