//! The errors of a build, with BuildKit's texts, which clients of graphs expect.

use crate::context::{ContextError, FetchError, GitError};
use crate::dockerfile::{DockerfileError, NAMES, SHARING_NAMES, mount_keys, mount_types};
use crate::error::BuildError;
use crate::nearest::{hint, nearest};
use crate::transfer::TransferError;

/// The name of an agent in errors.
const SSH_AGENT: &str = "ssh agent";
/// The id of the agent that is meant without one.
const DEFAULT_AGENT: &str = "default";

impl BuildError {
    /// The error's text for clients of graphs.
    #[must_use]
    pub fn graph_text(&self) -> String {
        match self {
            Self::Placed { source, .. } => source.graph_text(),
            Self::Dockerfile(error) => error.graph_text(),
            Self::Context(ContextError::Git(GitError::Query(fault))) => fault.clone(),
            Self::Transfer(error) => of_transfer(error).unwrap_or_else(|| error.to_string()),
            Self::NoSuchProvision { kind: SSH_AGENT, id } => {
                let named = if id == DEFAULT_AGENT { "" } else { id };
                format!("no SSH key {named:?} forwarded from the client")
            }
            Self::NotBegun { command, cause } => {
                format!("process {command:?} did not complete successfully: {}", of_start(cause))
            }
            Self::LaterStage { from, current } => {
                format!(
                    "cannot copy from stage {from:?}, it needs to be defined before current stage {current:?}"
                )
            }
            Self::LaterMount { from, target } => format!(
                "cannot mount from stage {from:?} to {target:?}, stage needs to be defined before current command"
            ),
            Self::NoSuchProvision { kind, id } => format!("{kind} {id}: not found"),
            Self::HostNetwork => "failed to load LLB: network.host is not allowed".to_owned(),
            other => other.to_string(),
        }
    }
}

impl DockerfileError {
    /// The error's text for clients of graphs.
    #[must_use]
    pub fn graph_text(&self) -> String {
        of_dockerfile(self).unwrap_or_else(|| self.to_string())
    }
}

fn of_dockerfile(error: &DockerfileError) -> Option<String> {
    use DockerfileError as E;
    Some(match error {
        E::Line { number, error } => {
            let text = match &**error {
                E::HealthCheckFlag { flag, value }
                    if *flag != "retries" && !value.contains(char::is_numeric) =>
                {
                    format!("time: invalid duration {value:?}")
                }
                error => match of_parser(error) {
                    Some(text) => text,
                    None => return of_dockerfile(error),
                },
            };
            format!("dockerfile parse error on line {number}: {text}")
        }
        E::Empty => "file with no instructions".to_owned(),
        E::NoText => "the Dockerfile cannot be empty".to_owned(),
        E::NoInstruction => "dockerfile contains no stages to build".to_owned(),
        E::NoSourceImage(_) => "no build stage in current context".to_owned(),
        E::SubstitutionModifier { modifier: '}', word } => unclosed(word),
        E::SubstitutionModifier { modifier, word } => {
            format!("failed to process {word:?}: unsupported modifier (:{modifier}) in substitution")
        }
        E::SubstitutionColon { word, operator: None } => unclosed(word),
        E::SubstitutionColon { word, operator: Some(operator) } => {
            format!("failed to process {word:?}: unsupported modifier ({operator}) in substitution")
        }
        E::SubstitutionName(word) => format!("failed to process {word:?}: syntax error: bad substitution"),
        E::Required { name, message, word } => format!("failed to process {word:?}: {name}: {message}"),
        E::TwoArguments(_) | E::BlankBase(_) => error.to_string(),
        E::UnknownMountKey { key, .. } => format!("{error}{}", hint(nearest(key, mount_keys()))),
        E::Permissions(mode) if mode.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777")
        }
        E::Permissions(_) => format!("invalid syntax: {error}"),
        E::Target { name, nearest } => {
            format!("target stage {name:?} could not be found{}", hint(nearest.as_deref()))
        }
        E::Port(port) => format!("invalid containerPort: {port}"),
        E::Signal(signal) => format!("invalid signal: {signal}"),
        E::MountType(kind) => {
            format!("unsupported mount type {kind:?}{}", hint(nearest(kind, mount_types())))
        }
        E::MountKey { key, kind } => of_mount_key(key, kind),
        E::MountValue { key: key @ ("mode" | "uid" | "gid"), value } => {
            format!("invalid value {value} for {key}")
        }
        E::MountValue { key: "sharing", value } => {
            format!("unsupported sharing value {value:?}{}", hint(nearest(value, SHARING_NAMES)))
        }
        E::MountValue { key, value } => format!("invalid value for {key}: {value}"),
        E::MountWithoutTarget(_) => "invalid mount target \"/\"".to_owned(),
        E::SecretWithoutId => "invalid secret mount. one of source, target required".to_owned(),
        E::InsecureRun => "failed to load LLB: security.insecure is not allowed".to_owned(),
        E::UnterminatedDocument(_) => "unterminated heredoc".to_owned(),
        E::ChecksumOfFile => "checksum requires HTTP(S) or Git sources".to_owned(),
        other => return of_parser(other),
    })
}

/// Why a process did not begin; a user or a group is looked for in the image's own files.
fn of_start(cause: &str) -> String {
    for (unknown, file) in [("Unable to find user ", "passwd"), ("Unable to find group ", "group")] {
        if cause.starts_with(unknown) {
            return format!("u{}: no matching entries in {file} file", &cause[1..]);
        }
    }
    cause.to_owned()
}

/// A substitution without its end.
fn unclosed(word: &str) -> String {
    format!("failed to process {word:?}: syntax error: missing '}}'")
}

/// The texts of faults in an instruction that current engines use in both kinds of builds.
pub(crate) fn of_parser(error: &DockerfileError) -> Option<String> {
    use DockerfileError as E;
    Some(match error {
        E::UnknownInstruction(name) => {
            format!("unknown instruction: {name}{}", hint(nearest(name, NAMES.iter().copied())))
        }
        E::UnknownFlag { name, nearest } => format!("unknown flag: --{name}{}", hint(*nearest)),
        E::FlagWithoutValue(name) => format!("missing a value on flag: --{name}"),
        E::DuplicateFlag(name) => format!("duplicate flag specified: --{name}"),
        E::RunNetwork(mode) => format!("invalid network mode {mode:?}"),
        E::Switch { flag, value } => format!("expecting boolean value for flag --{flag}, not: {value}"),
        E::Arguments(verb, _) if matches!(verb.as_str(), "COPY" | "ADD") => format!(
            "{verb} requires at least two arguments, but only one was provided. Destination could not be determined"
        ),
        _ => return None,
    })
}

/// A key of a mount of another type.
fn of_mount_key(key: &str, kind: &str) -> String {
    let is_given = matches!(kind, "secret" | "ssh");
    match key {
        "mode" | "uid" | "gid" => format!("{key} not allowed for {kind:?} type mounts"),
        "sharing" if is_given => format!("{kind} mount should not define sharing"),
        "sharing" => format!("invalid cache sharing set for {kind} mount"),
        "from" if is_given => format!("{kind} mount should not have a from"),
        _ => format!("unexpected key '{key}' for mount type '{kind}'"),
    }
}

fn of_transfer(error: &TransferError) -> Option<String> {
    Some(match error {
        TransferError::NoSuchSource(source) => {
            format!("failed to compute cache key: \"/{}\": not found", source.trim_start_matches('/'))
        }
        TransferError::Outside { written, .. } => {
            format!("failed to compute cache key: \"/{}\": not found", written.trim_start_matches('/'))
        }
        TransferError::Checksum { actual, wanted, .. } => format!("digest mismatch {actual}: {wanted}"),
        TransferError::Fetch(FetchError::Status { code, .. }) => {
            format!("failed to load cache key: invalid response status {code}")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{DockerfileError, of_parser};

    #[test]
    fn words_are_compared_with_what_is_known() {
        let instruction = |name: &str| of_parser(&DockerfileError::UnknownInstruction(name.to_owned()));
        assert_eq!(instruction("COPPY").as_deref(), Some("unknown instruction: COPPY (did you mean COPY?)"));
        assert_eq!(instruction("nonsense").as_deref(), Some("unknown instruction: nonsense"));
    }

    #[test]
    fn permissions_that_are_no_number_are_bad_syntax() {
        let text = |mode: &str| DockerfileError::Permissions(mode.to_owned()).graph_text();
        let words = "invalid syntax: invalid permissions \"abc\": octal digits, or changes as u=rwX,go=rX";
        assert_eq!(text("abc"), words);
        assert!(text("999").starts_with("invalid chmod parameter: '999'."));
    }
}
