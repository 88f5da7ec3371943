//! `${x#p}`, `${x%p}`, `${x/p/r}`: parts of a variable's value removed or replaced.

use super::DockerfileError;

/// As many characters are compared in one substitution.
const WORK_LIMIT: usize = 1 << 24;

/// A pattern of the shell: `*` and `?` are wildcards, `\` takes their meaning away.
struct Pattern(Vec<Token>);

#[derive(Clone, Copy, PartialEq)]
enum Token {
    Literal(char),
    One,
    Any,
}

/// Which match is meant where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Shortest,
    Longest,
}

impl Pattern {
    fn parse(text: &str) -> Self {
        let mut tokens = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            tokens.push(match character {
                '*' if tokens.last() == Some(&Token::Any) => continue,
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => Token::Literal(characters.next().unwrap_or('\\')),
                other => Token::Literal(other),
            });
        }
        Self(tokens)
    }

    /// Refuses what would be compared for too long.
    fn check(&self, length: usize, starts: usize) -> Result<(), DockerfileError> {
        let work = self.0.len().saturating_mul(length + 1).saturating_mul(starts);
        if work > WORK_LIMIT { Err(DockerfileError::SubstitutionWork) } else { Ok(()) }
    }

    /// How many characters at the beginning of the text match.
    fn match_start(&self, text: &[char], which: Match) -> Option<usize> {
        let mut reached = vec![false; text.len() + 1];
        reached[0] = true;
        for token in &self.0 {
            let mut next = vec![false; reached.len()];
            for position in 0..reached.len() {
                next[position] = match token {
                    Token::Any => reached[position] || (position > 0 && next[position - 1]),
                    Token::One => position > 0 && reached[position - 1],
                    Token::Literal(own) => {
                        position > 0 && reached[position - 1] && text[position - 1] == *own
                    }
                };
            }
            reached = next;
        }
        match which {
            Match::Shortest => reached.iter().position(|reached| *reached),
            Match::Longest => reached.iter().rposition(|reached| *reached),
        }
    }
}

/// Removes what a pattern matches at the beginning.
///
/// # Errors
/// [`DockerfileError::SubstitutionWork`].
pub(super) fn without_prefix(value: &str, pattern: &str, which: Match) -> Result<String, DockerfileError> {
    let (pattern, text) = (Pattern::parse(pattern), value.chars().collect::<Vec<_>>());
    pattern.check(text.len(), 1)?;
    let length = pattern.match_start(&text, which).unwrap_or(0);
    Ok(text[length..].iter().collect())
}

/// Removes what a pattern matches at the end.
///
/// # Errors
/// [`DockerfileError::SubstitutionWork`].
pub(super) fn without_suffix(value: &str, pattern: &str, which: Match) -> Result<String, DockerfileError> {
    let (mut pattern, text) = (Pattern::parse(pattern), value.chars().rev().collect::<Vec<_>>());
    pattern.0.reverse();
    pattern.check(text.len(), 1)?;
    let length = pattern.match_start(&text, which).unwrap_or(0);
    Ok(text[length..].iter().rev().collect())
}

/// Replaces what a pattern matches first, or everywhere.
///
/// # Errors
/// [`DockerfileError::SubstitutionWork`].
pub(super) fn replaced(
    value: &str,
    pattern: &str,
    with: &str,
    everywhere: bool,
) -> Result<String, DockerfileError> {
    let (pattern, text) = (Pattern::parse(pattern), value.chars().collect::<Vec<_>>());
    pattern.check(text.len(), text.len())?;
    let mut result = String::new();
    let mut position = 0;
    let mut is_done = pattern.0.is_empty();
    while position < text.len() {
        let found = if is_done { None } else { pattern.match_start(&text[position..], Match::Longest) };
        match found.filter(|length| *length > 0) {
            Some(length) => {
                result.push_str(with);
                position += length;
                is_done = !everywhere;
            }
            None => {
                result.push(text[position]);
                position += 1;
            }
        }
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go() {
        let prefix = |value, pattern, which| without_prefix(value, pattern, which).unwrap();
        let suffix = |value, pattern, which| without_suffix(value, pattern, which).unwrap();
        assert_eq!(prefix("foobarbaz", "f*b", Match::Shortest), "arbaz");
        assert_eq!(prefix("foobarbaz", "f*b", Match::Longest), "az");
        assert_eq!(prefix("foobarbaz", "bar", Match::Longest), "foobarbaz");
        assert_eq!(suffix("foobarbaz", "b*", Match::Shortest), "foobar");
        assert_eq!(suffix("foobarbaz", "b*", Match::Longest), "foo");
        assert_eq!(suffix("a.tar.gz", ".??", Match::Shortest), "a.tar");
        assert_eq!(prefix("*a*b", "\\*", Match::Longest), "a*b");
        let replaced = |value, pattern, all| replaced(value, pattern, "X", all).unwrap();
        assert_eq!(replaced("abcabc", "b", false), "aXcabc");
        assert_eq!(replaced("abcabc", "b", true), "aXcaXc");
        assert_eq!(replaced("abcabc", "b*", true), "aX");
        assert_eq!(replaced("abc", "", true), "abc");
    }

    #[test]
    fn work_is_bounded() {
        let long = "a".repeat(1 << 16);
        assert!(without_prefix(&long, &"?".repeat(1 << 10), Match::Longest).is_err());
        assert!(replaced(&long, "ab", "", true).is_err());
        assert!(without_prefix(&long, "a*", Match::Longest).is_ok());
    }
}
