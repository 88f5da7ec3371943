//! Addresses of git repositories.

use super::git_error::GitError;

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
    /// What is wrong with the query.
    fault: Option<String>,
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
        let mut repository = Self {
            address,
            reference,
            directory,
            commit: None,
            keeps_git: false,
            without_submodules: false,
            fault: None,
        };
        for field in query.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            if repository.take_field(name, value).is_none() {
                // What is at an address of the web may be a file, too.
                if web {
                    return None;
                }
                repository.fault.get_or_insert_with(|| fault_of(name, value));
            }
        }
        Some(repository)
    }

    /// Takes a field of a query; `None` for one that is not a repository's.
    fn take_field(&mut self, name: &str, value: &str) -> Option<()> {
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
        Some(())
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
    pub(super) fn check(&self) -> Result<(), GitError> {
        if let Some(fault) = &self.fault {
            return Err(GitError::Query(fault.clone()));
        }
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

    pub(super) fn is_commit(&self) -> bool {
        self.reference.len() >= 4 && self.reference.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// What is wrong with a field of a query.
fn fault_of(name: &str, value: &str) -> String {
    match name {
        "keep-git-dir" | "submodules" => format!("invalid {name} value: {value:?}"),
        _ if value.is_empty() => format!("query {name:?} has no value"),
        _ => format!("unexpected query {name:?}"),
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

#[cfg(test)]
mod tests;
