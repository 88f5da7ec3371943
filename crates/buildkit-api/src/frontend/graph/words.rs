//! Words of a Dockerfile with exactly the meaning of a graph's values.

use serde_json::Value;

use crate::grpc::Status;

/// A word in which nothing stands for something else.
///
/// # Errors
/// `InvalidArgument` for one that no path, name or value can be.
pub(super) fn literal(word: &str) -> Result<String, Status> {
    escaped(word, &['\\', '$', '"', '\''])
}

/// A word between double quotes, likewise.
///
/// # Errors
/// As [`literal`].
pub(super) fn quoted(word: &str) -> Result<String, Status> {
    escaped(word, &['\\', '$', '"']).map(|word| format!("\"{word}\""))
}

fn escaped(word: &str, special: &[char]) -> Result<String, Status> {
    if word.contains(['\n', '\r', '\0']) {
        return Err(Status::invalid(format!("{word:?} in a build graph has a line break or a NUL")));
    }
    let mut escaped = String::with_capacity(word.len());
    for character in word.chars() {
        if special.contains(&character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    Ok(escaped)
}

/// Words as a JSON array, each literal.
///
/// # Errors
/// As [`literal`].
pub(super) fn literals(words: &[&str]) -> Result<String, Status> {
    let words = words.iter().map(|word| literal(word)).collect::<Result<Vec<_>, _>>()?;
    Ok(Value::from(words).to_string())
}

/// A value of a flag or of an option of a mount.
///
/// # Errors
/// `InvalidArgument` for one that cannot stand there.
pub(super) fn plain(word: &str) -> Result<&str, Status> {
    let is_plain = |character: char| {
        !character.is_whitespace() && !matches!(character, ',' | '"' | '\'' | '$' | '\\' | '\0')
    };
    if word.chars().all(is_plain) {
        Ok(word)
    } else {
        Err(Status::invalid(format!("{word:?} cannot stand in an option of a build graph's operation")))
    }
}

/// An absolute path without wildcards.
///
/// # Errors
/// `InvalidArgument` for one with wildcards.
pub(super) fn path(word: &str) -> Result<String, Status> {
    if word.contains(['*', '?', '[']) {
        return Err(Status::invalid(format!("{word:?} in a build graph is no plain path")));
    }
    Ok(format!("/{}", word.trim_start_matches('/')))
}
