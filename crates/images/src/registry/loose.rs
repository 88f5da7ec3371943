//! Reads what registries send by other types than their specifications name.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads a number that may be written as a string or with a fraction; anything else counts as left out.
pub(super) fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_u64().or_else(|| truncated(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok().or_else(|| truncated(text.trim().parse().ok()?)),
        _ => None,
    })
}

fn truncated(number: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
    (0.0..9e15).contains(&number).then_some(number as u64)
}

/// Reads a text that may be a number, a list of texts, or missing.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(plain(&Value::deserialize(deserializer)?))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Reads a list that may be a single element or missing.
pub(super) fn list<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let values = match Value::deserialize(deserializer)? {
        Value::Null => Vec::new(),
        Value::Array(values) => values,
        one => vec![one],
    };
    // An element of another kind is ignored.
    Ok(values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Answer {
        #[serde(default, deserialize_with = "whole_number")]
        number: Option<u64>,
        #[serde(default, deserialize_with = "text")]
        text: String,
        #[serde(default, deserialize_with = "list")]
        list: Vec<String>,
    }

    fn read(text: &str) -> Answer {
        serde_json::from_str(text).expect(text)
    }

    #[test]
    fn numbers_may_be_texts() {
        for (written, want) in [
            ("300", Some(300)),
            ("\"300\"", Some(300)),
            ("\" 300 \"", Some(300)),
            ("300.9", Some(300)),
            ("\"3e2\"", Some(300)),
            ("-1", None),
            ("\"soon\"", None),
            ("null", None),
            ("{}", None),
        ] {
            assert_eq!(read(&format!("{{\"number\":{written}}}")).number, want, "{written}");
        }
        assert_eq!(read("{}").number, None);
    }

    #[test]
    fn texts_and_lists_may_be_of_another_kind() {
        for (written, want) in [("\"a\"", "a"), ("7", "7"), ("null", ""), ("[\"a\",\"b\"]", "a, b")] {
            assert_eq!(read(&format!("{{\"text\":{written}}}")).text, want, "{written}");
        }
        assert_eq!(read("{\"list\":null}").list, [""; 0]);
        assert_eq!(read("{\"list\":\"a\"}").list, ["a"]);
        assert_eq!(read("{\"list\":[\"a\",7]}").list, ["a"]);
    }
}
