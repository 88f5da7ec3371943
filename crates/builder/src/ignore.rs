//! `.dockerignore`: which files of a context are left out.

use crate::pattern::{DoubleStar, Pattern, PatternError};

/// The patterns of a `.dockerignore`; the last one that matches a path decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnorePatterns(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    pattern: Pattern,
    /// `!`: what matches is kept.
    keep: bool,
}

impl IgnorePatterns {
    /// Parses a `.dockerignore`: a pattern a line, `#` comments, `!` exceptions.
    ///
    /// # Errors
    /// [`PatternError`] for the first malformed pattern.
    pub fn parse(bytes: &[u8]) -> Result<Self, PatternError> {
        let text = String::from_utf8_lossy(bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::trim);
        lines.filter(|line| !line.is_empty()).map(rule).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a path, relative to the context's root and without `./`, is left out.
    ///
    /// A pattern that matches a directory matches everything in it.
    #[must_use]
    pub fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for rule in &self.0 {
            // A rule that would not change the verdict need not be looked at.
            if rule.keep == excluded && rule.matches(path) {
                excluded = !rule.keep;
            }
        }
        excluded
    }
}

impl Rule {
    fn matches(&self, path: &str) -> bool {
        let ancestors = path.match_indices('/').map(|(index, _)| &path[..index]);
        self.pattern.matches(path) || ancestors.into_iter().any(|ancestor| self.pattern.matches(ancestor))
    }
}

fn rule(line: &str) -> Result<Rule, PatternError> {
    let (text, keep) = match line.strip_prefix('!') {
        Some("") => return Err(PatternError("!".to_owned())),
        Some(rest) => (rest.trim(), true),
        None => (line, false),
    };
    let pattern = Pattern::compile(&clean(text), DoubleStar::Directories)?;
    Ok(Rule { pattern, keep })
}

/// Takes away what does not change a path: a leading or final `/`, `.` and `..` steps.
fn clean(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 7] = [".dockerignore", "Dockerfile", "a.txt", "b.md", "c.md", "d/a.txt", "d/e/f.md"];

    fn left(text: &str) -> Vec<&'static str> {
        let patterns = IgnorePatterns::parse(text.as_bytes()).unwrap();
        FILES.into_iter().filter(|file| patterns.excludes(file)).collect()
    }

    #[test]
    fn patterns_leave_files_out() {
        for (text, want) in [
            ("a.txt\n", vec!["a.txt"]),
            ("*.md\n", vec!["b.md", "c.md"]),
            ("*/a.txt\n", vec!["d/a.txt"]),
            ("d\n", vec!["d/a.txt", "d/e/f.md"]),
            ("*.md\n!c.md\n", vec!["b.md"]),
            ("!c.md\n*.md\n", vec!["b.md", "c.md"]),
            ("d\n!d/a.txt\n", vec!["d/e/f.md"]),
            ("# c\n\n  a.txt  \n", vec!["a.txt"]),
            ("/a.txt\n", vec!["a.txt"]),
            ("./a.txt\n", vec!["a.txt"]),
            ("d/\n", vec!["d/a.txt", "d/e/f.md"]),
            ("**/*.md\n", vec!["b.md", "c.md", "d/e/f.md"]),
            ("**/e\r\n", vec!["d/e/f.md"]),
            ("x/../a.txt\n", vec!["a.txt"]),
            ("*\n!a.txt\n", vec![".dockerignore", "Dockerfile", "b.md", "c.md", "d/a.txt", "d/e/f.md"]),
            ("..\n", vec![]),
            ("\u{feff}a.txt", vec!["a.txt"]),
        ] {
            assert_eq!(left(text), want, "{text:?}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        assert_eq!(IgnorePatterns::parse(b"[\n"), Err(PatternError("[".into())));
        assert_eq!(IgnorePatterns::parse(b"!\n"), Err(PatternError("!".into())));
    }
}
