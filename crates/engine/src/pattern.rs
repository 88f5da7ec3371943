//! Regular expressions of clients: what they may take of memory and time is bounded.

use regex_lite::{Error, Regex, RegexBuilder};

/// Bytes that a compiled expression may take.
const SIZE_LIMIT: usize = 64 << 10;
/// Expressions that one list of alternatives may have.
const COUNT_LIMIT: usize = 128;

/// Compiles an expression of a client; one that takes too much is invalid.
///
/// # Errors
/// What is wrong with it.
pub fn compile(text: &str) -> Result<Regex, Error> {
    RegexBuilder::new(text).size_limit(SIZE_LIMIT).build()
}

/// Alternatives of which one is to match. Invalid ones match nothing.
///
/// # Errors
/// There are too many; the text is for the client.
pub fn alternatives(texts: &[String]) -> Result<Vec<Regex>, String> {
    if texts.len() > COUNT_LIMIT {
        return Err(format!("a filter has at most {COUNT_LIMIT} patterns of names, not {}", texts.len()));
    }
    Ok(texts.iter().filter_map(|text| compile(text).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_bounded_in_size_and_number() {
        assert!(compile("^web-[0-9]{1,3}$").is_ok_and(|pattern| pattern.is_match("web-12")));
        for too_large in ["a{99999}", "(a{100}){100}"] {
            assert!(compile(too_large).is_err(), "{too_large}");
        }
        let texts = |count| vec!["a{99999}".to_owned(); count];
        assert!(alternatives(&texts(COUNT_LIMIT)).is_ok_and(|patterns| patterns.is_empty()));
        assert!(alternatives(&texts(COUNT_LIMIT + 1)).is_err());
        assert_eq!(alternatives(&["(".to_owned(), "b".to_owned()]).expect("few").len(), 1);
    }
}
