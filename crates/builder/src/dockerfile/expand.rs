//! Puts variables into words: `$x`, `${x}`, `${x:-word}`, `${x#pattern}` and their like, quotes and escapes.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::DockerfileError;
use super::substitution::{self, Match};

/// How deep `${a:-${b:-…}}` may be nested.
const DEPTH_LIMIT: usize = 64;
/// The cost of a substitution in addition to its bytes.
const SUBSTITUTION: usize = 64;

/// The bytes that variables substitute, which take memory that no file has: `ENV a=$a$a` doubles.
#[derive(Debug, Default)]
pub(crate) struct Substituted(AtomicUsize);

impl Clone for Substituted {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Substituted {
    /// As much may be put in while one stage is built.
    pub(crate) const LIMIT: usize = 1 << 20;

    /// Counts a value that is put in.
    ///
    /// # Errors
    /// [`DockerfileError::TooMuchSubstituted`].
    pub(crate) fn count(&self, value: &str) -> Result<(), DockerfileError> {
        let added = value.len() + SUBSTITUTION;
        if self.0.fetch_add(added, Ordering::Relaxed).saturating_add(added) > Self::LIMIT {
            return Err(DockerfileError::TooMuchSubstituted(Self::LIMIT));
        }
        Ok(())
    }
}

/// Looks variables up by name.
pub(crate) trait Variables {
    /// The value of a variable; an unset one is empty.
    fn value(&self, name: &str) -> Option<&str>;

    /// Counts a value that is put into a word.
    ///
    /// # Errors
    /// [`DockerfileError::TooMuchSubstituted`] when it is too much.
    fn count(&self, value: &str) -> Result<(), DockerfileError>;

    /// Whether a digit or a sign names one of the shell's own parameters, as in graphs: none of them is ever set.
    fn has_special(&self) -> bool {
        false
    }
}

/// The signs that name parameters of the shell's own.
const SPECIAL: [char; 7] = ['@', '*', '#', '?', '-', '!', '$'];

impl<F: for<'a> Fn(&'a str) -> Option<&'static str>> Variables for F {
    fn value(&self, name: &str) -> Option<&str> {
        self(name)
    }

    fn count(&self, _: &str) -> Result<(), DockerfileError> {
        Ok(())
    }
}

/// Expands a word and takes its quotes away.
///
/// # Errors
/// [`DockerfileError`] when a substitution is malformed.
pub(crate) fn expand(word: &str, escape: char, variables: &dyn Variables) -> Result<String, DockerfileError> {
    expand_keeping(word, escape, variables, Keeps::default())
}

/// The parts of a text that stay as they are written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keeps {
    /// Its quotes.
    pub(super) quotes: bool,
    /// Whether unset variables are replaced.
    pub(super) unset: bool,
}

/// Expands a word, but for what is kept of it.
///
/// # Errors
/// [`DockerfileError`] when a substitution is malformed.
pub(super) fn expand_keeping(
    word: &str,
    escape: char,
    variables: &dyn Variables,
    keeps: Keeps,
) -> Result<String, DockerfileError> {
    let expansion = Expansion { word, escape, variables, keeps, depth: Cell::new(0) };
    let mut text = String::with_capacity(word.len());
    expansion.until(&[], &mut word.chars().peekable(), &mut text)?;
    Ok(text)
}

/// Expands a here-document: quotes have no meaning in it, and an escape only before `$` and itself.
///
/// # Errors
/// [`DockerfileError`] when a substitution is malformed.
pub(crate) fn expand_document(
    text: &str,
    escape: char,
    variables: &dyn Variables,
) -> Result<String, DockerfileError> {
    let expansion = Expansion { word: text, escape, variables, keeps: Keeps::default(), depth: Cell::new(0) };
    let mut expanded = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '$' => expansion.dollar(&mut characters, &mut expanded)?,
            own if own == escape => {
                let next = characters.next_if(|next| *next == '$' || *next == escape);
                expanded.push(next.unwrap_or(own));
            }
            other => expanded.push(other),
        }
    }
    Ok(expanded)
}

/// Expands a word that may become several: an unquoted variable's value is split at blanks.
///
/// # Errors
/// [`DockerfileError`] when a substitution is malformed.
pub(crate) fn expand_words(
    word: &str,
    escape: char,
    variables: &dyn Variables,
) -> Result<Vec<String>, DockerfileError> {
    let text = expand(word, escape, variables)?;
    if word.contains(['"', '\'', escape]) {
        return Ok(vec![text]);
    }
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

struct Expansion<'a> {
    word: &'a str,
    escape: char,
    variables: &'a dyn Variables,
    keeps: Keeps,
    /// How many substitutions surround the present place.
    depth: Cell<usize>,
}

type Characters<'a> = Peekable<Chars<'a>>;

impl Expansion<'_> {
    /// Expands up to an unquoted end character, which is taken; the one that was there.
    fn until(
        &self,
        ends: &[char],
        characters: &mut Characters<'_>,
        text: &mut String,
    ) -> Result<Option<char>, DockerfileError> {
        while let Some(character) = characters.next() {
            match character {
                found if ends.contains(&found) => return Ok(Some(found)),
                '\'' => {
                    text.extend(self.quote('\''));
                    text.extend(characters.by_ref().take_while(|&inside| inside != '\''));
                    text.extend(self.quote('\''));
                }
                '"' => {
                    text.extend(self.quote('"'));
                    self.double_quoted(characters, text)?;
                    text.extend(self.quote('"'));
                }
                '$' => self.dollar(characters, text)?,
                escape if escape == self.escape => text.extend(characters.next()),
                other => text.push(other),
            }
        }
        Ok(None)
    }

    fn double_quoted(
        &self,
        characters: &mut Characters<'_>,
        text: &mut String,
    ) -> Result<(), DockerfileError> {
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '$' => self.dollar(characters, text)?,
                escape if escape == self.escape => {
                    let next = characters.next();
                    if !next.is_some_and(|next| next == '"' || next == '$' || next == self.escape) {
                        text.push(escape);
                    }
                    text.extend(next);
                }
                other => text.push(other),
            }
        }
        Ok(())
    }

    fn quote(&self, quote: char) -> Option<char> {
        self.keeps.quotes.then_some(quote)
    }

    /// Expands what follows a `$`, where that is to be.
    fn dollar(&self, characters: &mut Characters<'_>, text: &mut String) -> Result<(), DockerfileError> {
        if !self.keeps.unset {
            return self.substitute(characters, text);
        }
        let behind = characters.clone();
        let mut name = behind.clone();
        name.next_if_eq(&'{');
        let is_set = self.variables.value(&take_name(&mut name)).is_some();
        let mut substituted = String::new();
        self.substitute(characters, &mut substituted)?;
        if is_set {
            text.push_str(&substituted);
        } else {
            let length = behind.clone().count() - characters.clone().count();
            text.push('$');
            text.extend(behind.take(length));
        }
        Ok(())
    }

    /// Puts in what follows a `$` stands for.
    fn substitute(&self, characters: &mut Characters<'_>, text: &mut String) -> Result<(), DockerfileError> {
        let is_special = |next: &char| next.is_ascii_digit() || SPECIAL.contains(next);
        if self.variables.has_special() && characters.next_if(is_special).is_some() {
            return Ok(());
        }
        let braced = characters.next_if_eq(&'{').is_some();
        let name = take_name(characters);
        if !braced {
            match name.as_str() {
                "" => text.push('$'),
                name => text.push_str(self.value(name)?),
            }
            return Ok(());
        }
        let mut operator = characters.next();
        let is_colon = operator == Some(':');
        if is_colon {
            operator = characters.next();
        }
        match operator {
            Some('}') if !is_colon && name.is_empty() && self.variables.has_special() => {
                return Err(DockerfileError::SubstitutionName(self.word.to_owned()));
            }
            Some('}') if !is_colon => text.push_str(self.value(&name)?),
            Some(modifier @ ('-' | '+' | '?')) => {
                self.modified(&name, modifier, is_colon, characters, text)?
            }
            Some(side @ ('#' | '%')) if !is_colon => self.shortened(&name, side, characters, text)?,
            Some('/') if !is_colon => self.replaced(&name, characters, text)?,
            other if is_colon => {
                let modifier = other.unwrap_or('}');
                return Err(DockerfileError::SubstitutionModifier { modifier, word: self.word.to_owned() });
            }
            operator => {
                return Err(DockerfileError::SubstitutionColon { word: self.word.to_owned(), operator });
            }
        }
        Ok(())
    }

    /// Expands `word}` behind `${name:-`, `${name-` and their like; with a colon an empty value is as good as none.
    fn modified(
        &self,
        name: &str,
        modifier: char,
        is_colon: bool,
        characters: &mut Characters<'_>,
        text: &mut String,
    ) -> Result<(), DockerfileError> {
        let value = self.value(name)?;
        let is_set = if is_colon { !value.is_empty() } else { self.variables.value(name).is_some() };
        let (word, _) = self.operand(&['}'], characters)?;
        match (modifier, is_set) {
            ('-', false) | ('+', true) => text.push_str(&word),
            ('-' | '?', true) => text.push_str(value),
            ('?', false) => {
                let message = if word.is_empty() { "is not allowed to be unset".to_owned() } else { word };
                let (name, word) = (name.to_owned(), self.word.to_owned());
                return Err(DockerfileError::Required { name, message, word });
            }
            _ => {}
        }
        Ok(())
    }

    /// Expands `pattern}` behind `${name#` and `${name%`; twice the sign takes the longest match away.
    fn shortened(
        &self,
        name: &str,
        side: char,
        characters: &mut Characters<'_>,
        text: &mut String,
    ) -> Result<(), DockerfileError> {
        let is_longest = characters.next_if_eq(&side).is_some();
        let which = if is_longest { Match::Longest } else { Match::Shortest };
        let (pattern, _) = self.operand(&['}'], characters)?;
        let value = self.value(name)?;
        text.push_str(&match side {
            '#' => substitution::without_prefix(value, &pattern, which)?,
            _ => substitution::without_suffix(value, &pattern, which)?,
        });
        Ok(())
    }

    /// Expands `pattern/replacement}` behind `${name/`.
    fn replaced(
        &self,
        name: &str,
        characters: &mut Characters<'_>,
        text: &mut String,
    ) -> Result<(), DockerfileError> {
        let everywhere = characters.next_if_eq(&'/').is_some();
        let (pattern, end) = self.operand(&['/', '}'], characters)?;
        let with = if end == '/' { self.operand(&['}'], characters)?.0 } else { String::new() };
        let replaced = substitution::replaced(self.value(name)?, &pattern, &with, everywhere)?;
        self.variables.count(&replaced)?;
        text.push_str(&replaced);
        Ok(())
    }

    /// Expands what stands in braces behind an operator, up to one of the characters that end it, which is returned too.
    fn operand(
        &self,
        ends: &[char],
        characters: &mut Characters<'_>,
    ) -> Result<(String, char), DockerfileError> {
        let depth = self.depth.get();
        if depth == DEPTH_LIMIT {
            return Err(DockerfileError::SubstitutionDepth(DEPTH_LIMIT));
        }
        self.depth.set(depth + 1);
        let mut word = String::new();
        let end = self.until(ends, characters, &mut word)?;
        self.depth.set(depth);
        let unclosed = || DockerfileError::SubstitutionColon { word: self.word.to_owned(), operator: None };
        let end = end.ok_or_else(unclosed)?;
        Ok((word, end))
    }

    fn value(&self, name: &str) -> Result<&str, DockerfileError> {
        let value = self.variables.value(name).unwrap_or_default();
        self.variables.count(value)?;
        Ok(value)
    }
}

fn take_name(characters: &mut Characters<'_>) -> String {
    let mut name = String::new();
    while let Some(character) = characters.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
        name.push(character);
    }
    name
}
