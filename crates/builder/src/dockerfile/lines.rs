//! Joins a Dockerfile's lines: comments and empty lines out, continued lines together, here-documents to their instruction.

use super::DockerfileError;
use super::heredoc::{self, HereDocument};
use crate::order::Order;

/// The instructions' texts, and the directives that hold for them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) escape: char,
    /// The value of `# check=`.
    pub(super) check: Option<String>,
    pub(super) lines: Vec<Line>,
}

/// One instruction's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The joined text without blanks around it.
    pub(super) text: String,
    /// The number of the physical line that it begins on, from one.
    pub(super) number: usize,
    /// The index of the physical line behind it and its here-documents.
    pub(super) next: usize,
    /// Whether an empty line stands between continued ones.
    pub(super) has_gap: bool,
    pub(super) documents: Vec<HereDocument>,
}

/// Splits a Dockerfile into its physical lines; a byte order mark and carriage returns go.
pub(super) fn physical(text: &str) -> Vec<&str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect()
}

/// Joins the physical lines of a Dockerfile into instructions.
///
/// # Errors
/// [`DockerfileError::EscapeToken`] when the directive names neither `\` nor a back quote; in a graph a
/// here-document without an end.
pub(super) fn join(physical: &[&str], order: Order) -> Result<Lines, DockerfileError> {
    let (escape, check) = directives(physical)?;
    let ends = heredoc::Ends::of(physical);
    let mut lines = Vec::new();
    let mut pending: Option<Line> = None;
    let mut index = 0;
    while let Some(line) = physical.get(index) {
        index += 1;
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            if let Some(pending) = pending.as_mut() {
                pending.has_gap |= trimmed.is_empty();
            }
            continue;
        }
        let continued = continuation(line, escape, order);
        let piece = continued.unwrap_or(line);
        let line = pending.get_or_insert_with(|| Line {
            text: String::new(),
            number: index,
            next: 0,
            has_gap: false,
            documents: Vec::new(),
        });
        let is_first = line.text.is_empty();
        line.text.push_str(if is_first { piece.trim_start() } else { piece });
        if continued.is_none() {
            index = push(&mut lines, pending.take(), (physical, &ends, order), index, escape)?;
        }
    }
    push(&mut lines, pending, (physical, &ends, order), physical.len(), escape)?;
    Ok(Lines { escape, check, lines })
}

/// Ends a line and takes the here-documents behind it; returns the index of the physical line behind all that.
fn push(
    lines: &mut Vec<Line>,
    line: Option<Line>,
    (physical, ends, order): (&[&str], &heredoc::Ends<'_>, Order),
    next: usize,
    escape: char,
) -> Result<usize, DockerfileError> {
    let Some(line) = line.filter(|line| !line.text.trim().is_empty()) else { return Ok(next) };
    let text = line.text.trim().to_owned();
    let number = line.number;
    let taken = heredoc::take(&text, escape, physical, (ends, order), next);
    let (documents, next) =
        taken.map_err(|error| DockerfileError::Line { number, error: Box::new(error) })?;
    lines.push(Line { text, next, documents, ..line });
    Ok(next)
}

/// The line without its continuation sign, if it has one; blanks may follow the sign. In a graph one behind another is
/// none.
fn continuation(line: &str, escape: char, order: Order) -> Option<&str> {
    let piece = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (order == Order::Written || !piece.ends_with(escape)).then_some(piece)
}

/// Reads `# escape=` and `# check=` among the directives, which are the comments that the file begins with.
fn directives(physical: &[&str]) -> Result<(char, Option<String>), DockerfileError> {
    let (mut escape, mut check) = ('\\', None);
    for line in physical {
        let Some((name, value)) = directive(line) else { break };
        match (name.to_ascii_lowercase().as_str(), value) {
            ("escape", "\\") => escape = '\\',
            ("escape", "`") => escape = '`',
            ("escape", other) => return Err(DockerfileError::EscapeToken(other.to_owned())),
            ("check", value) => check = Some(value.to_owned()),
            // `# syntax=` names what this parser stands for.
            _ => {}
        }
    }
    Ok((escape, check))
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
        join(&physical(text), Order::Written).unwrap().lines.into_iter().map(|line| line.text).collect()
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
        assert!(join(&physical("# escape=x\n"), Order::Written).is_err());
    }

    #[test]
    fn two_signs_continue_a_line_in_classic_builds_only() {
        let text = "RUN a \\\\\nRUN b \\\\\\ \nRUN c \\\n d";
        let graph = join(&physical(text), Order::Graph).unwrap();
        let texts: Vec<_> = graph.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["RUN a \\\\", "RUN b \\\\\\", "RUN c  d"]);
        assert_eq!(join(&physical(text), Order::Written).unwrap().lines.len(), 1);
    }
}
