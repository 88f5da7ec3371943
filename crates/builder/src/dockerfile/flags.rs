//! The flags of an instruction: `--chown=1:1`, `--from=build`, `--link`.

use super::DockerfileError;
use crate::nearest::nearest;

/// The value of a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// One value.
    Value,
    /// A value each time, and it may be given several times.
    Values,
    /// `true` or `false`, or nothing, which is `true`.
    Switch,
}

/// A flag of an instruction.
pub(super) type Known = (&'static str, Takes);

/// The flags before an instruction's arguments.
#[derive(Debug)]
pub(super) struct Flags {
    /// As they were written, for the step line.
    pub(super) written: Vec<String>,
    values: Vec<(&'static str, String)>,
}

/// Takes the flags off the front of an instruction's text; `--` alone ends them.
///
/// # Errors
/// [`DockerfileError`] for a flag that is not allowed, given twice, without a value or with a wrong one.
pub(super) fn take<'a>(
    text: &'a str,
    allowed: &[Known],
    escape: char,
) -> Result<(Flags, &'a str), DockerfileError> {
    let mut flags = Flags { written: Vec::new(), values: Vec::new() };
    let mut rest = text;
    while rest.starts_with("--") {
        let (word, length) = word(rest, escape);
        let written = &rest[..length];
        rest = rest[length..].trim_start();
        let Some(word) = word.strip_prefix("--").filter(|word| !word.is_empty()) else { break };
        flags.written.push(written.to_owned());
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        flags.add(name, value, allowed)?;
    }
    Ok((flags, rest))
}

/// The first word without its quotes, and how long it is with them.
fn word(text: &str, escape: char) -> (String, usize) {
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match quote {
            None if character.is_whitespace() => return (word, index),
            None if character == '"' || character == '\'' => quote = Some(character),
            Some(mark) if mark == character => quote = None,
            _ if character == escape => word.extend(characters.next().map(|(_, next)| next)),
            _ => word.push(character),
        }
    }
    (word, text.len())
}

impl Flags {
    fn add(&mut self, name: &str, value: Option<&str>, allowed: &[Known]) -> Result<(), DockerfileError> {
        let known = allowed.iter().find(|(known, _)| *known == name);
        let Some((name, takes)) = known else {
            let nearest = nearest(name, allowed.iter().map(|(known, _)| *known));
            return Err(DockerfileError::UnknownFlag { name: name.to_owned(), nearest });
        };
        if *takes != Takes::Values && self.values.iter().any(|(known, _)| known == name) {
            return Err(DockerfileError::DuplicateFlag((*name).to_owned()));
        }
        let value = match (takes, value) {
            (Takes::Switch, None | Some("true")) => "true",
            (Takes::Switch, Some("false")) => "false",
            (Takes::Switch, Some(value)) => {
                return Err(DockerfileError::Switch { flag: name, value: value.to_owned() });
            }
            (_, None) => return Err(DockerfileError::FlagWithoutValue((*name).to_owned())),
            (_, Some(value)) => value,
        };
        self.values.push((name, value.to_owned()));
        Ok(())
    }

    /// The value of a flag, where it was given and is not empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).find(|value| !value.is_empty())
    }

    /// All values of a flag, in order.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on; `None` where it was not given.
    pub(super) fn switch(&self, name: &str) -> Option<bool> {
        self.value(name).map(|value| value == "true")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Known] = &[
        ("chown", Takes::Value),
        ("from", Takes::Value),
        ("mount", Takes::Values),
        ("link", Takes::Switch),
        ("parents", Takes::Switch),
    ];

    #[test]
    fn flags_come_off_the_front() {
        let (flags, rest) = take("--chown=1:1  --from=b  a --x b", KNOWN, '\\').unwrap();
        assert_eq!((flags.value("chown"), flags.value("from"), rest), (Some("1:1"), Some("b"), "a --x b"));
        assert_eq!(flags.written, ["--chown=1:1", "--from=b"]);
        let (_, rest) = take("-- --x", &[], '\\').unwrap();
        assert_eq!(rest, "--x");
        let text = "--mount=type=a,target=\"/a b\" --mount=x\\ y --link --parents=false go";
        let (flags, rest) = take(text, KNOWN, '\\').unwrap();
        assert_eq!(flags.values("mount").collect::<Vec<_>>(), ["type=a,target=/a b", "x y"]);
        assert_eq!((flags.switch("link"), flags.switch("parents"), rest), (Some(true), Some(false), "go"));
        for (text, want) in [
            ("--x busybox", "Unknown flag: x"),
            ("--mounts=x true", "Unknown flag: mounts"),
            ("--from b", "Missing a value on flag: from"),
            ("--from=a --from=b c", "Duplicate flag specified: from"),
            ("--link=maybe c", "expecting boolean value for flag link, not: \"maybe\""),
        ] {
            assert_eq!(take(text, KNOWN, '\\').unwrap_err().to_string(), want);
        }
    }
}
