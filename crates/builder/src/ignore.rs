//! `.dockerignore`: which files of a context are left out.

use std::cell::Cell;

use crate::pattern::{DoubleStar, Pattern, PatternError};

/// The most patterns of a `.dockerignore`.
const PATTERN_LIMIT: usize = 10_000;
/// How many characters all patterns together may be compared with: a million paths and a thousand
/// patterns that look alike.
const WORK_LIMIT: u64 = if cfg!(test) { 10_000_000 } else { 4_000_000_000 };

/// The patterns of a `.dockerignore`; the last one that matches a path decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnorePatterns {
    rules: Vec<Rule>,
    /// The characters that were compared so far.
    work: Cell<u64>,
}

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
        Self::of(text.lines().filter(|line| !line.starts_with('#')))
    }

    /// Parses patterns, each by itself; blanks around one go, and so do empty ones.
    ///
    /// # Errors
    /// [`PatternError`] for the first malformed pattern.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, PatternError> {
        let patterns = patterns.into_iter().map(str::trim).filter(|pattern| !pattern.is_empty());
        let patterns: Vec<&str> = patterns.take(PATTERN_LIMIT + 1).collect();
        if patterns.len() > PATTERN_LIMIT {
            return Err(PatternError::TooMany(PATTERN_LIMIT));
        }
        let rules = patterns.into_iter().map(rule).collect::<Result<_, _>>()?;
        Ok(Self { rules, work: Cell::new(0) })
    }

    /// Whether an exception may keep something in a directory that is left out.
    pub(crate) fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.keep)
    }

    /// Whether a path, relative to the context's root and without `./`, is left out.
    ///
    /// A pattern that matches a directory matches everything in it. When all patterns together have been
    /// compared too often nothing is left out any more, see [`is_exhausted`](Self::is_exhausted).
    #[must_use]
    pub fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for rule in &self.rules {
            if self.is_exhausted() {
                return false;
            }
            // A rule that would not change the verdict need not be matched.
            if rule.keep == excluded && rule.matches(path, &self.work) {
                excluded = !rule.keep;
            }
        }
        excluded
    }

    /// Whether so much was compared that nothing is left out any more.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.work.get() > WORK_LIMIT
    }
}

impl Rule {
    fn matches(&self, path: &str, work: &Cell<u64>) -> bool {
        let ancestors = path.match_indices('/').map(|(index, _)| &path[..index]);
        let matches = |path: &str| {
            let (matches, cost) = self.pattern.weighed_match(path);
            work.set(work.get() + cost);
            matches
        };
        matches(path) || ancestors.into_iter().any(matches)
    }
}

fn rule(line: &str) -> Result<Rule, PatternError> {
    let (text, keep) = match line.strip_prefix('!') {
        Some("") => return Err(PatternError::Syntax("!".to_owned())),
        Some(rest) => (rest.trim(), true),
        None => (line, false),
    };
    let pattern = Pattern::compile(&clean(text), DoubleStar::Directories)?;
    Ok(Rule { pattern, keep })
}

/// Removes what does not change a path: a leading or final `/`, `.` and `..` steps.
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
        assert_eq!(IgnorePatterns::parse(b"[\n"), Err(PatternError::Syntax("[".into())));
        assert_eq!(IgnorePatterns::parse(b"!\n"), Err(PatternError::Syntax("!".into())));
    }

    #[test]
    fn patterns_are_bounded_in_number_and_in_what_they_compare() {
        let many = "a\n".repeat(10_001);
        assert_eq!(IgnorePatterns::parse(many.as_bytes()), Err(PatternError::TooMany(10_000)));
        let slow = format!("{}b\n", "**/*a*".repeat(1_000)).repeat(2_000);
        let patterns = IgnorePatterns::parse(slow.as_bytes()).unwrap();
        let path = "a".repeat(2_000);
        assert!(!patterns.excludes(&path));
        assert!(patterns.is_exhausted());
        assert!(!patterns.excludes(&path), "and every other path is answered at once");
    }
}
