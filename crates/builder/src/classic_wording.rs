//! The errors of a classic build, with the texts that clients of engines since 1.24 expect.

use std::path::{Component, Path};

use crate::context::ContextError;
use crate::dockerfile::DockerfileError;
use crate::error::BuildError;
use crate::graph_wording::of_parser;
use crate::transfer::TransferError;
use crate::tree::TreeError;
use crate::wording::Wording;

impl BuildError {
    /// The error's text for clients of `POST /build`, and of the changes of a commit or an import.
    #[must_use]
    pub fn text(&self, wording: Wording) -> String {
        match wording {
            Wording::Reference => self.to_string(),
            Wording::Today => of_build(self).unwrap_or_else(|| self.to_string()),
        }
    }
}

fn of_build(error: &BuildError) -> Option<String> {
    match error {
        BuildError::Dockerfile(error) => of_dockerfile(error),
        BuildError::Context(error) => of_context(error),
        BuildError::Copy { verb, reads_context, source } => of_copy(verb, *reads_context, source),
        _ => None,
    }
}

fn of_context(error: &ContextError) -> Option<String> {
    Some(match error {
        ContextError::EmptyDockerfile(name) => format!("the Dockerfile ({name}) cannot be empty"),
        ContextError::DockerfileOutside(name) => outside(name, ""),
        ContextError::Download { address, source } => {
            format!("error downloading remote context {address}: {source}")
        }
        _ => return None,
    })
}

fn of_dockerfile(error: &DockerfileError) -> Option<String> {
    use DockerfileError as E;
    Some(match error {
        E::Line { number, error } => {
            format!("dockerfile parse error on line {number}: {}", of_dockerfile(error)?)
        }
        E::Empty => "failed to parse Dockerfile: file with no instructions".to_owned(),
        E::NoSourceImage(_) | E::NoInstruction => "no build stage in current context".to_owned(),
        E::Target { name, .. } => format!("target stage {name:?} could not be found"),
        E::Arguments(verb, _) if verb == "FROM" => "FROM requires either one or three arguments".to_owned(),
        E::Arguments(words, _) if words == "HEALTHCHECK NONE" => {
            "HEALTHCHECK NONE takes no arguments".to_owned()
        }
        E::JsonNotStrings => {
            "when using JSON array syntax, arrays must be comprised of strings only".to_owned()
        }
        E::NoCommand => "no command specified".to_owned(),
        E::EmptyVolume => "VOLUME specified can not be an empty string".to_owned(),
        E::CopyUrl => "source can't be a URL for COPY".to_owned(),
        E::Port(port) => format!("invalid containerPort: {port}"),
        E::Protocol(protocol) => format!("invalid proto: {protocol}"),
        E::Signal(signal) => format!("invalid signal: {signal}"),
        E::SubstitutionModifier { modifier, word } => {
            format!("failed to process {word:?}: unsupported modifier (:{modifier}) in substitution")
        }
        E::SubstitutionColon { word, .. } => {
            format!("failed to process {word:?}: missing ':' in substitution")
        }
        other => return of_parser(other),
    })
}

fn of_copy(verb: &str, reads_context: bool, error: &TransferError) -> Option<String> {
    let reason = match error {
        TransferError::NoSuchSource(source) if reads_context && leads_out(source) => outside(source, ""),
        TransferError::NoSuchSource(source) => {
            let missing = format!("stat {}: file does not exist", relative(source));
            if reads_context {
                format!("file not found in build context or excluded by .dockerignore: {missing}")
            } else {
                missing
            }
        }
        TransferError::NoSources => "no source files were specified".to_owned(),
        TransferError::Outside { written, target } if target == Path::new(written) => outside(written, ""),
        TransferError::Outside { written, target } => outside(written, &target.to_string_lossy()),
        TransferError::Fetch(error) => error.to_string(),
        TransferError::Tree(TreeError::UnknownAccount { kind, text }) => {
            let what = if *kind == "gid" { "group" } else { "user" };
            return Some(format!(
                "unable to convert uid/gid chown string to host mapping: can't find {kind} for {what} {text}: no such \
                 {what}: {text}"
            ));
        }
        _ => return None,
    };
    Some(format!("{verb} failed: {reason}"))
}

/// The refusal of a path, and of where a link leads in whose place it stands.
fn outside(written: &str, target: &str) -> String {
    format!("forbidden path outside the build context: {written} ({target})")
}

/// Whether a path leads above where it begins, by its text.
fn leads_out(path: &str) -> bool {
    let mut depth = 0_usize;
    for component in Path::new(path).components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth == 0 => return true,
            Component::ParentDir => depth -= 1,
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    false
}

/// A source in the form of a look-up: from the root of the context.
fn relative(source: &str) -> &str {
    let mut rest = source.trim_start_matches('/');
    while let Some(shorter) = rest.strip_prefix("./") {
        rest = shorter.trim_start_matches('/');
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::{leads_out, relative};

    #[test]
    fn sources_are_read_from_the_root_of_the_context() {
        for (source, want) in [("/a", "a"), ("./a", "a"), (".//./a/./b", "a/./b"), ("a", "a"), (".a", ".a")] {
            assert_eq!(relative(source), want);
        }
        for (source, want) in
            [("../a", true), ("a/../../b", true), ("/..", true), ("a/../b", false), ("..a", false)]
        {
            assert_eq!(leads_out(source), want, "{source}");
        }
    }
}
