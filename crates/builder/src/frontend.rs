//! Which frontends a Dockerfile may name by `# syntax=`: those of Docker's Dockerfile images, which are built in.

use std::collections::BTreeMap;

use crate::error::BuildError;

/// The images of the built-in frontend.
const DOCKERFILE_IMAGES: [&str; 2] = ["docker/dockerfile", "docker/dockerfile-upstream"];
/// The argument that overrides the file's directive.
const ARGUMENT: &str = "BUILDKIT_SYNTAX";

/// Whether an image is one of the frontend that is built in.
#[must_use]
pub fn is_builtin_frontend(image: &str) -> bool {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    DOCKERFILE_IMAGES.contains(&name)
}

/// Refuses a Dockerfile that is written for another frontend.
///
/// # Errors
/// [`BuildError::Frontend`] naming it.
pub(crate) fn check_frontend(
    text: &[u8],
    arguments: &BTreeMap<String, Option<String>>,
) -> Result<(), BuildError> {
    let given = arguments.get(ARGUMENT).cloned().flatten().filter(|image| !image.is_empty());
    match given.or_else(|| directive(text)) {
        Some(image) if !is_builtin_frontend(&image) => Err(BuildError::Frontend(image)),
        _ => Ok(()),
    }
}

/// The image that `# syntax=` names: among the directives, which stand before everything else.
fn directive(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\u{feff}');
    let lines = text.lines().skip_while(|line| line.starts_with("#!"));
    let directives = lines.map_while(|line| line.trim().strip_prefix('#')?.split_once('='));
    let mut directives = directives.take_while(|(name, _)| !name.trim().contains(char::is_whitespace));
    let (_, value) = directives.find(|(name, _)| name.trim().eq_ignore_ascii_case("syntax"))?;
    // What comes behind the name is for the frontend.
    value.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_the_frontend_are_known_by_name() {
        for name in [
            "docker/dockerfile",
            "docker/dockerfile:1",
            "docker.io/docker/dockerfile:1.7-labs",
            "docker/dockerfile-upstream:master",
            "docker/dockerfile:1@sha256:00",
        ] {
            assert!(is_builtin_frontend(name), "{name}");
        }
        for name in ["", "someone/dockerfile:1", "docker/dockerfile2"] {
            assert!(!is_builtin_frontend(name), "{name}");
        }
    }

    #[test]
    fn a_directive_is_one_before_everything_else_only() {
        for (text, want) in [
            ("# syntax=docker/dockerfile:1\nFROM a", None),
            ("#!/usr/bin/env x\n# escape=`\n# SYNTAX = a/b:1 more\nFROM a", Some("a/b:1")),
            ("# a comment\n# syntax=a/b\nFROM a", None),
            ("\n# syntax=a/b\nFROM a", None),
            ("FROM a\n# syntax=a/b", None),
        ] {
            let refused = match check_frontend(text.as_bytes(), &BTreeMap::new()) {
                Ok(()) => None,
                Err(BuildError::Frontend(image)) => Some(image),
                Err(error) => panic!("{error}"),
            };
            assert_eq!(refused.as_deref(), want, "{text}");
        }
        let given = BTreeMap::from([(ARGUMENT.to_owned(), Some("a/b".to_owned()))]);
        assert!(check_frontend(b"# syntax=docker/dockerfile:1\nFROM a", &given).is_err());
    }
}
