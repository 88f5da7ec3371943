//! The JSON form of arguments: `["a", "b"]`.

use serde_json::Value;

use super::{CommandLine, DockerfileError};

/// Parses a JSON array of strings; `None` when the text is not a JSON array.
///
/// What follows the array, such as a comment, is ignored.
///
/// # Errors
/// [`DockerfileError::JsonNotStrings`] when the array holds anything but strings.
pub(super) fn words(text: &str) -> Result<Option<Vec<String>>, DockerfileError> {
    if !text.starts_with('[') {
        return Ok(None);
    }
    let first = serde_json::Deserializer::from_str(text).into_iter::<Value>().next();
    let Some(Ok(Value::Array(items))) = first else { return Ok(None) };
    items
        .into_iter()
        .map(|item| match item {
            Value::String(word) => Ok(word),
            _ => Err(DockerfileError::JsonNotStrings),
        })
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Parses a command: the JSON form, or else everything as one line for the shell.
///
/// # Errors
/// [`DockerfileError::JsonNotStrings`] when the array holds anything but strings.
pub(super) fn command_line(text: &str) -> Result<CommandLine, DockerfileError> {
    Ok(match words(text)? {
        Some(words) => CommandLine::Exec(words),
        None => CommandLine::Shell(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        let exec = |words: &[&str]| Ok(CommandLine::Exec(words.iter().map(|&word| word.into()).collect()));
        let shell = |text: &str| Ok(CommandLine::Shell(text.into()));
        for (text, want) in [
            (r#"["echo","hi there"]"#, exec(&["echo", "hi there"])),
            (r#"[ "a" , "b" ]"#, exec(&["a", "b"])),
            (r#"["a"] # comment"#, exec(&["a"])),
            ("[]", exec(&[])),
            ("['echo','hi']", shell("['echo','hi']")),
            (r#"["echo", "hi""#, shell(r#"["echo", "hi""#)),
            (r#"["a", b]"#, shell(r#"["a", b]"#)),
            (r#"[ "$x" = y ] && z"#, shell(r#"[ "$x" = y ] && z"#)),
            (r#"["echo", 1]"#, Err(DockerfileError::JsonNotStrings)),
            ("[1,2]", Err(DockerfileError::JsonNotStrings)),
        ] {
            assert_eq!(command_line(text), want, "{text}");
        }
    }
}
