//! Splits an instruction's arguments into words, quotes and escapes still in them.

use super::DockerfileError;

/// Splits at blanks that are neither quoted nor escaped.
pub(super) fn quoted_words(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match quote {
            None if character.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            None if character == '\'' || character == '"' => quote = Some(character),
            Some(mark) if character == mark => quote = None,
            _ => {}
        }
        word.push(character);
        if character == escape && quote != Some('\'') {
            word.extend(characters.next());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// Parses the pairs of ENV and LABEL: `name=value …`, or one name, a blank and its value.
///
/// # Errors
/// [`DockerfileError`] when a value is missing, or a later word has no `=`.
pub(super) fn pairs(
    verb: &'static str,
    text: &str,
    escape: char,
) -> Result<Vec<(String, String)>, DockerfileError> {
    let words = quoted_words(text, escape);
    let Some(first) = words.first() else {
        return Err(DockerfileError::Arguments(verb.to_owned(), "at least one argument"));
    };
    if !first.contains('=') {
        let (name, value) =
            text.split_once(char::is_whitespace).ok_or(DockerfileError::TwoArguments(verb))?;
        return Ok(vec![(name.to_owned(), value.trim_start().to_owned())]);
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(DockerfileError::NoEqualsSign(word)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, String> {
        pairs("ENV", text, '\\').map_err(|error| error.to_string())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn both_forms_of_pairs() {
        assert_eq!(parsed("a b c  d"), Ok(vec![pair("a", "b c  d")]));
        assert_eq!(parsed("a\tb=c"), Ok(vec![pair("a", "b=c")]));
        assert_eq!(
            parsed(r#"a=b c="d e" f=g\ h"#),
            Ok(vec![pair("a", "b"), pair("c", "\"d e\""), pair("f", r"g\ h")])
        );
        assert_eq!(parsed("=b"), Ok(vec![pair("", "b")]));
        assert_eq!(parsed("a="), Ok(vec![pair("a", "")]));
        assert_eq!(parsed(r#""c d"="e f""#), Ok(vec![pair("\"c d\"", "\"e f\"")]));
        assert_eq!(parsed("a=b=c"), Ok(vec![pair("a", "b=c")]));
    }

    #[test]
    fn bad_pairs_are_named() {
        assert_eq!(parsed(""), Err("ENV requires at least one argument".into()));
        assert_eq!(parsed("a"), Err("ENV must have two arguments".into()));
        assert_eq!(
            parsed("a=b c"),
            Err("Syntax error - can't find = in \"c\". Must be of the form: name=value".into())
        );
    }

    #[test]
    fn quotes_hold_words_together() {
        for (text, want) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            (r#"'a b' "c d""#, vec!["'a b'", "\"c d\""]),
            (r#"a\ b "c\" d""#, vec![r"a\ b", r#""c\" d""#]),
            (r"'a\' b", vec![r"'a\'", "b"]),
            ("\"open a b", vec!["\"open a b"]),
            ("x\\", vec!["x\\"]),
        ] {
            assert_eq!(quoted_words(text, '\\'), want, "{text}");
        }
    }
}
