//! The errors of a build, with BuildKit's texts, which clients of graphs expect.

use crate::context::FetchError;
use crate::dockerfile::{DockerfileError, NAMES};
use crate::error::BuildError;
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
            Self::Transfer(error) => of_transfer(error).unwrap_or_else(|| error.to_string()),
            Self::NoSuchProvision { kind: SSH_AGENT, id } => {
                let named = if id == DEFAULT_AGENT { "" } else { id };
                format!("no SSH key {named:?} forwarded from the client")
            }
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
        E::TwoArguments(_) | E::UnknownMountKey { .. } => error.to_string(),
        E::Permissions(mode) if mode.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("invalid chmod parameter: '{mode}'. it should be octal string and between 0 and 07777")
        }
        E::Permissions(_) => format!("invalid syntax: {error}"),
        E::Target(target) => format!("target stage {target:?} could not be found"),
        E::Port(port) => format!("invalid containerPort: {port}"),
        E::Signal(signal) => format!("invalid signal: {signal}"),
        E::MountType(kind) => format!("unsupported mount type {kind:?}"),
        E::MountKey { key, kind } => of_mount_key(key, kind),
        E::MountValue { key: key @ ("mode" | "uid" | "gid"), value } => {
            format!("invalid value {value} for {key}")
        }
        E::MountValue { key: "sharing", value } => format!("unsupported sharing value {value:?}"),
        E::MountValue { key, value } => format!("invalid value for {key}: {value}"),
        E::MountWithoutTarget(_) => "invalid mount target \"/\"".to_owned(),
        E::SecretWithoutId => "invalid secret mount. one of source, target required".to_owned(),
        E::InsecureRun => "failed to load LLB: security.insecure is not allowed".to_owned(),
        E::UnterminatedDocument(_) => "unterminated heredoc".to_owned(),
        E::ChecksumOfFile => "checksum requires HTTP(S) or Git sources".to_owned(),
        _ => return None,
    })
}

/// The texts of faults in an instruction that current engines use in both kinds of builds.
pub(crate) fn of_parser(error: &DockerfileError) -> Option<String> {
    use DockerfileError as E;
    Some(match error {
        E::UnknownInstruction(name) => format!("unknown instruction: {name}{}", meant(name)),
        E::UnknownFlag(name) => format!("unknown flag: --{name}"),
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
        TransferError::Checksum { actual, wanted, .. } => format!("digest mismatch {actual}: {wanted}"),
        TransferError::Fetch(FetchError::Status { code, .. }) => {
            format!("failed to load cache key: invalid response status {code}")
        }
        _ => return None,
    })
}

/// The instruction that is like a word, where one is.
fn meant(word: &str) -> String {
    let word = word.to_ascii_uppercase();
    let nearest = NAMES.iter().map(|verb| (distance(&word, verb), verb)).min();
    match nearest {
        Some((distance, verb)) if distance <= 2 => format!(" (did you mean {verb}?)"),
        _ => String::new(),
    }
}

/// How many letters have to be changed, put in or taken out of one word to make another.
fn distance(one: &str, other: &str) -> usize {
    // No instruction is longer: what is has nothing in common with them.
    if one.len() > 16 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.bytes().enumerate() {
        let mut before = std::mem::replace(&mut row[0], line + 1);
        for (column, expected) in other.bytes().enumerate() {
            let changed = before + usize::from(letter != expected);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::{DockerfileError, meant};

    #[test]
    fn words_are_compared_with_instructions() {
        assert_eq!(meant("frbo"), " (did you mean FROM?)");
        assert_eq!(meant("COPPY"), " (did you mean COPY?)");
        assert_eq!(meant("nonsense"), "");
    }

    #[test]
    fn permissions_that_are_no_number_are_bad_syntax() {
        let text = |mode: &str| DockerfileError::Permissions(mode.to_owned()).graph_text();
        let words = "invalid syntax: invalid permissions \"abc\": octal digits, or changes as u=rwX,go=rX";
        assert_eq!(text("abc"), words);
        assert!(text("999").starts_with("invalid chmod parameter: '999'."));
    }
}
