//! Shell patterns as `filepath.Match` documents them, and with `**` for `.dockerignore`.
//!
//! `*` is any run of characters but `/`, `?` any one character but `/`, `[a-z]` and `[^a-z]` a
//! class, `\x` the character itself. Where `**` is allowed it is any run of characters at all, and
//! `**/` also none.

/// A pattern that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A class is open or empty, or a `\\` stands last.
    #[error("syntax error in pattern {0:?}")]
    Syntax(String),
    /// There are more patterns than are needed.
    #[error("more than {0} patterns")]
    TooMany(usize),
}

/// The meaning of `**`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DoubleStar {
    /// The same as `*`.
    Single,
    /// Any number of directories.
    Directories,
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    tokens: Vec<Token>,
    /// The characters before the first wildcard: most paths differ in them.
    prefix: String,
    /// How many `/` a match has, where no wildcard matches one.
    slashes: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Name,
    /// `**` at the end or before anything but `/`.
    Anything,
    /// `**/`
    Directories,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`PatternError`] for an open class, an empty range or a lone `\` at the end.
    pub(crate) fn compile(text: &str, double_star: DoubleStar) -> Result<Self, PatternError> {
        let error = || PatternError::Syntax(text.to_owned());
        let mut tokens = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            tokens.push(match character {
                '*' if double_star == DoubleStar::Directories && characters.next_if_eq(&'*').is_some() => {
                    while characters.next_if_eq(&'*').is_some() {}
                    if characters.next_if_eq(&'/').is_some() { Token::Directories } else { Token::Anything }
                }
                '*' => Token::Name,
                '?' => Token::One,
                '\\' => Token::Literal(characters.next().ok_or_else(error)?),
                '[' => class(&mut characters).ok_or_else(error)?,
                other => Token::Literal(other),
            });
        }
        let literal = |token: &Token| match token {
            Token::Literal(character) => Some(*character),
            _ => None,
        };
        let prefix = tokens.iter().map_while(literal).collect();
        let crosses = tokens.iter().any(|token| matches!(token, Token::Anything | Token::Directories));
        let slashes = tokens.iter().filter(|token| **token == Token::Literal('/')).count();
        Ok(Self { tokens, prefix, slashes: (!crosses).then_some(slashes) })
    }

    /// Whether the pattern matches the whole text, in time proportional to their lengths' product.
    pub(crate) fn matches(&self, text: &str) -> bool {
        self.weighed_match(text).0
    }

    /// Whether the pattern matches the whole text, and how many characters were compared.
    pub(crate) fn weighed_match(&self, text: &str) -> (bool, u64) {
        let Some(rest) = text.strip_prefix(self.prefix.as_str()) else { return (false, 1) };
        let literals = self.prefix.chars().count();
        if literals == self.tokens.len() {
            return (rest.is_empty(), 1);
        }
        let slashes = || text.bytes().filter(|byte| *byte == b'/').count();
        if self.slashes.is_some_and(|wanted| wanted != slashes()) {
            return (false, 1 + text.len() as u64);
        }
        let mut cost = text.len() as u64;
        let characters: Vec<char> = rest.chars().collect();
        // reached[i]: the tokens so far can match the first i characters.
        let mut reached = vec![false; characters.len() + 1];
        reached[0] = true;
        for token in &self.tokens[literals..] {
            if !reached.contains(&true) {
                return (false, cost);
            }
            reached = step(token, &characters, &reached);
            cost += reached.len() as u64;
        }
        (reached[characters.len()], cost)
    }
}

/// Which positions one more token can reach.
fn step(token: &Token, characters: &[char], reached: &[bool]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    let mut running = false;
    for position in 0..reached.len() {
        let before = position.checked_sub(1).map(|index| characters[index]);
        next[position] = match token {
            Token::Name | Token::Anything => {
                let barrier = *token == Token::Name && before == Some('/');
                running = reached[position] || (running && !barrier);
                running
            }
            Token::Directories => {
                let all = reached[position] || (running && before == Some('/'));
                running |= reached[position];
                all
            }
            single => before.is_some_and(|found| reached[position - 1] && single.takes(found)),
        };
    }
    next
}

impl Token {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Literal(own) => *own == character,
            Self::One => character != '/',
            Self::Class { negated, ranges } => {
                character != '/'
                    && ranges.iter().any(|&(low, high)| low <= character && character <= high) != *negated
            }
            Self::Name | Self::Anything | Self::Directories => false,
        }
    }
}

fn class(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Token> {
    let negated = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && characters.next_if_eq(&']').is_some() {
            return Some(Token::Class { negated, ranges });
        }
        let low = class_character(characters)?;
        let high = match characters.next_if_eq(&'-') {
            Some(_) => class_character(characters)?,
            None => low,
        };
        if high < low {
            return None;
        }
        ranges.push((low, high));
    }
}

fn class_character(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match characters.next()? {
        '-' | ']' => None,
        '\\' => characters.next(),
        other => Some(other),
    }
}

/// Whether a path has an unescaped `*`, `?` or `[`.
pub(crate) fn has_wildcard(text: &str) -> bool {
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' | '[' => return true,
            '\\' => drop(characters.next()),
            _ => {}
        }
    }
    false
}

/// The directories before the first name with a wildcard in it; all of the path without one.
pub(crate) fn literal_prefix(path: &str) -> &str {
    let end = path.find(['*', '?', '[', '\\']).map(|wildcard| path[..wildcard].rfind('/').unwrap_or(0));
    end.map_or(path, |end| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Pattern::compile(pattern, DoubleStar::Single).unwrap().matches(text)
    }

    #[test]
    fn plain_patterns() {
        for (pattern, text, want) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            (r"a\*b", "a*b", true),
            (r"a\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[^x]", "/", false),
            (r"[\]a]", "]", true),
            (r"[\-x]", "-", true),
            ("*x", "xxx", true),
            ("**", "a/b", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn bad_patterns() {
        for pattern in
            ["[]a]", "[-]", "[x-]", "[-x]", r"[\", "[a-b-c]", "[", "[^", "[a", "a[", "[b-a]", r"a\"]
        {
            assert!(Pattern::compile(pattern, DoubleStar::Single).is_err(), "{pattern}");
        }
    }

    #[test]
    fn double_stars() {
        for (pattern, text, want) in [
            ("**", "a/b", true),
            ("**/x", "x", true),
            ("**/x", "a/b/x", true),
            ("**/x", "ax", false),
            ("a/**/x", "a/x", true),
            ("a/**/x", "a/b/c/x", true),
            ("a/**/x", "ab/x", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("**/*.md", "d/e.md", true),
            ("**/*.md", "e.md", true),
            ("a**b", "a/x/b", true),
            ("***", "a/b", true),
            ("**/**/x", "x", true),
        ] {
            let compiled = Pattern::compile(pattern, DoubleStar::Directories).unwrap();
            assert_eq!(compiled.matches(text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn long_hostile_patterns_end() {
        let pattern = "*a".repeat(200);
        assert!(!matches(&pattern, &"a".repeat(190)));
    }

    #[test]
    fn wildcards_are_seen_unless_escaped() {
        for (text, want) in
            [("a*", true), ("a?", true), ("[a", true), (r"a\*", false), ("a]", false), ("\\", false)]
        {
            assert_eq!(has_wildcard(text), want, "{text}");
        }
    }
}
