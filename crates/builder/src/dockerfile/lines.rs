//! Joins a Dockerfile's lines: comments and empty lines out, continued lines together.

use super::DockerfileError;

/// The instructions' texts, and the escape character that held for them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) escape: char,
    pub(super) lines: Vec<Line>,
}

/// One instruction's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The joined text without blanks around it.
    pub(super) text: String,
    /// The number of the physical line that it begins on, from one.
    pub(super) number: usize,
    /// The index of the physical line behind it.
    pub(super) next: usize,
}

/// Splits a Dockerfile into its physical lines; a byte order mark and carriage returns go.
pub(super) fn physical(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect()
}

/// Joins the physical lines of a Dockerfile into instructions.
///
/// # Errors
/// [`DockerfileError::EscapeToken`] when the directive names neither `\` nor a back quote.
pub(super) fn join(physical: &[&str]) -> Result<Lines, DockerfileError> {
    let escape = escape_directive(physical)?;
    let mut lines = Vec::new();
    let mut pending: Option<Line> = None;
    for (index, line) in physical.iter().enumerate() {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let continued = continuation(line, escape);
        let piece = continued.unwrap_or(line);
        match &mut pending {
            Some(line) => line.text.push_str(piece),
            None => pending = Some(Line { text: piece.trim_start().to_owned(), number: index + 1, next: 0 }),
        }
        if continued.is_none() {
            push(&mut lines, pending.take(), index + 1);
        }
    }
    push(&mut lines, pending, physical.len());
    Ok(Lines { escape, lines })
}

fn push(lines: &mut Vec<Line>, line: Option<Line>, next: usize) {
    if let Some(line) = line.filter(|line| !line.text.trim().is_empty()) {
        lines.push(Line { text: line.text.trim().to_owned(), next, ..line });
    }
}

/// The line without its continuation sign, if it has one; blanks may follow the sign.
fn continuation(line: &str, escape: char) -> Option<&str> {
    line.trim_end_matches([' ', '\t']).strip_suffix(escape)
}

/// Reads `# escape=` among the directives, which are the comments that the file begins with.
fn escape_directive(physical: &[&str]) -> Result<char, DockerfileError> {
    let mut escape = '\\';
    for line in physical {
        let Some((name, value)) = directive(line) else { break };
        if name.eq_ignore_ascii_case("escape") {
            escape = match value {
                "\\" => '\\',
                "`" => '`',
                other => return Err(DockerfileError::EscapeToken(other.to_owned())),
            };
        }
    }
    Ok(escape)
}

fn directive(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.trim().strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let word = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric());
    (word && !value.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        join(&physical(text)).unwrap().lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn joins_continued_lines() {
        for (text, want) in [
            ("RUN echo a \\\n  b \\\n  c\n", vec!["RUN echo a   b   c"]),
            ("RUN echo a \\\n# comment\n  b\n", vec!["RUN echo a   b"]),
            ("RUN echo a \\\n\n  b\n", vec!["RUN echo a   b"]),
            ("RUN echo a \\ \t\n  b\n", vec!["RUN echo a   b"]),
            ("RUN echo a \\", vec!["RUN echo a"]),
            ("  \tFROM   x  \n   RUN   y  \n", vec!["FROM   x", "RUN   y"]),
            ("FROM x\r\nRUN a \\\r\n b\r\n", vec!["FROM x", "RUN a  b"]),
            ("\u{feff}FROM x", vec!["FROM x"]),
            ("RUN echo a # no comment", vec!["RUN echo a # no comment"]),
            ("# c\n   # indented\n\n", vec![]),
            ("\\\n\\\n", vec![]),
            ("R\\\nUN x", vec!["RUN x"]),
        ] {
            assert_eq!(texts(text), want, "{text:?}");
        }
    }

    #[test]
    fn lines_have_no_limit() {
        let long = format!("LABEL a={}\nLABEL b=1", "x".repeat(1 << 20));
        assert_eq!(texts(&long).len(), 2);
    }

    #[test]
    fn escape_directive_only_at_the_top() {
        assert_eq!(texts("# escape=`\nRUN a `\n b \\\nRUN c"), vec!["RUN a  b \\", "RUN c"]);
        assert_eq!(texts("# syntax=x\n#escape = `\nRUN a `\n b"), vec!["RUN a  b"]);
        assert_eq!(texts("# hello\n# escape=`\nRUN a \\\n b"), vec!["RUN a  b"]);
        assert!(join(&physical("# escape=x\n")).is_err());
    }
}
