//! The query's values by the API's rules for text, truth and numbers.

use std::str::FromStr;

use percent_encoding::percent_decode;

/// The pairs of a query string, in order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Parses `a=b&c=d`. A pair with a broken escape or a semicolon is left out, as the reference does.
    pub(crate) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
        Self(
            pairs
                .filter_map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    Some((decode(name)?, decode(value)?))
                })
                .collect(),
        )
    }

    /// The first value of this name, if there is one.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first value of this name, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// The first value of this name unless it is empty.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.find(name).filter(|value| !value.is_empty())
    }

    /// All values of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect()
    }

    /// Whether the value is true: everything is but nothing, `0`, `no`, `false` and `none`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        let value = self.text(name).trim();
        !value.is_empty() && !["0", "no", "false", "none"].iter().any(|no| value.eq_ignore_ascii_case(no))
    }

    /// The same, with the value that holds when the name is missing.
    pub(crate) fn is_true_or(&self, name: &str, default: bool) -> bool {
        if self.find(name).is_none() { default } else { self.is_true(name) }
    }

    /// A whole number; the error describes its fault.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<T, NotANumber> {
        let value = self.text(name);
        value.parse().map_err(|_| NotANumber { name: name.to_owned(), value: value.to_owned() })
    }

    /// A whole number, or nothing where the value is missing or empty.
    pub(crate) fn number_if_filled<T: FromStr>(&self, name: &str) -> Result<Option<T>, NotANumber> {
        self.filled(name).map(|_| self.number(name)).transpose()
    }
}

/// A value is not a whole number.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} must be a whole number, not {value:?}")]
pub(crate) struct NotANumber {
    name: String,
    value: String,
}

fn decode(text: &str) -> Option<String> {
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    let whole = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(
        |(at, _)| matches!(bytes.get(at + 1..at + 3), Some(pair) if pair.iter().all(u8::is_ascii_hexdigit)),
    );
    whole.then(|| percent_decode(&bytes).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let query = Query::parse("a=1&b=x+y%2Fz&a=2&c&=d&bad=%zz&semi;colon&%c3%a4=%E2%82%AC&e=");
        assert_eq!(query.all("a"), ["1", "2"]);
        assert_eq!(query.text("b"), "x y/z");
        assert_eq!((query.find("c"), query.find("e"), query.find("bad")), (Some(""), Some(""), None));
        assert_eq!((query.text("ä"), query.filled("e")), ("€", None));
    }

    #[test]
    fn truth_is_everything_but_five_words() {
        for value in ["", "0", "no", "false", "none", "False", "NONE", "%20false%20", "No"] {
            assert!(!Query::parse(&format!("x={value}")).is_true("x"), "{value:?}");
        }
        for value in ["1", "true", "True", "bad", "off", "f", "n", "00", "2", "yes"] {
            assert!(Query::parse(&format!("x={value}")).is_true("x"), "{value:?}");
        }
        assert!(Query::parse("").is_true_or("stream", true));
        assert!(!Query::parse("stream=").is_true_or("stream", true));
    }

    #[test]
    fn numbers_are_whole() {
        let query = Query::parse("a=40&b=-1&c=40.5&d=&e=99999999999999999999");
        assert_eq!(query.number::<i64>("a"), Ok(40));
        assert_eq!(query.number::<i64>("b"), Ok(-1));
        for name in ["c", "d", "e", "missing"] {
            assert!(query.number::<i64>(name).is_err(), "{name}");
        }
        assert_eq!(query.number_if_filled::<i64>("d"), Ok(None));
        assert_eq!(
            query.number::<i64>("c").expect_err("fraction").to_string(),
            "c must be a whole number, not \"40.5\""
        );
    }
}
