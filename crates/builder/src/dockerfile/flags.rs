//! The flags of an instruction: `--chown=1:1`, `--from=build`.

use super::DockerfileError;

/// The flags before an instruction's arguments.
#[derive(Debug)]
pub(super) struct Flags {
    /// As they were written, for the step line.
    pub(super) written: Vec<String>,
    values: Vec<(String, String)>,
}

/// Takes the flags off the front of an instruction's text; `--` alone ends them.
///
/// # Errors
/// [`DockerfileError`] for a flag that is not allowed, given twice or without a value.
pub(super) fn take<'a>(text: &'a str, allowed: &[&str]) -> Result<(Flags, &'a str), DockerfileError> {
    let mut flags = Flags { written: Vec::new(), values: Vec::new() };
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let end = flag.find(char::is_whitespace).unwrap_or(flag.len());
        let (word, behind) = flag.split_at(end);
        rest = behind.trim_start();
        if word.is_empty() {
            break;
        }
        flags.written.push(format!("--{word}"));
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        flags.add(name, value, allowed)?;
    }
    Ok((flags, rest))
}

impl Flags {
    fn add(&mut self, name: &str, value: Option<&str>, allowed: &[&str]) -> Result<(), DockerfileError> {
        if !allowed.contains(&name) {
            return Err(DockerfileError::UnknownFlag(name.to_owned()));
        }
        if self.values.iter().any(|(known, _)| known == name) {
            return Err(DockerfileError::DuplicateFlag(name.to_owned()));
        }
        let value = value.ok_or_else(|| DockerfileError::FlagWithoutValue(name.to_owned()))?;
        self.values.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The value of a flag, where it was given and is not empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.values.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_off_the_front() {
        let (flags, rest) = take("--chown=1:1  --from=b  a --x b", &["chown", "from"]).unwrap();
        assert_eq!((flags.value("chown"), flags.value("from"), rest), (Some("1:1"), Some("b"), "a --x b"));
        assert_eq!(flags.written, ["--chown=1:1", "--from=b"]);
        let (_, rest) = take("-- --x", &[]).unwrap();
        assert_eq!(rest, "--x");
        for (text, want) in [
            ("--x busybox", "Unknown flag: x"),
            ("--mount=x true", "Unknown flag: mount"),
            ("--from b", "Missing a value on flag: from"),
            ("--from=a --from=b c", "Duplicate flag specified: from"),
        ] {
            assert_eq!(take(text, &["from"]).unwrap_err().to_string(), want);
        }
    }
}
