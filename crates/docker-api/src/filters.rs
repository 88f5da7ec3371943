//! The `filters` parameter: a JSON map of lists, or of maps as newer clients write it.

use std::collections::BTreeMap;

use model::json_words;
use serde_json::Value;

/// The accepted values of each filter, by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filters(BTreeMap<String, Vec<String>>);

/// The parameter is no map of lists of strings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("filters must be a JSON object whose values are lists of strings: {0}")]
pub(crate) struct FiltersError(String);

impl Filters {
    /// Parses the parameter's text; nothing is no filter.
    pub(crate) fn parse(text: &str) -> Result<Self, FiltersError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let value = serde_json::from_str(text).map_err(|error| FiltersError(json_words(&error)))?;
        match value {
            Value::Null => Ok(Self::default()),
            Value::Object(map) => {
                let filters = map.into_iter().map(|(name, value)| Ok((name.clone(), values(&name, value)?)));
                filters.collect::<Result<_, _>>().map(Self)
            }
            other => Err(FiltersError(format!("it is {}", kind(&other)))),
        }
    }

    /// Parses the parameter of an endpoint that has these filters and no others.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse_known(text: &str, names: &[&str]) -> Result<Self, String> {
        let filters = Self::parse(text).map_err(|error| format!("invalid filter: {error}"))?;
        match filters.0.keys().find(|name| !names.contains(&name.as_str())) {
            Some(other) => Err(format!("invalid filter '{other}'")),
            None => Ok(filters),
        }
    }

    /// The one value of a filter that is true or false; nothing when it was not given.
    ///
    /// # Errors
    /// Another value, or several.
    pub(crate) fn truth(&self, name: &str) -> Result<Option<bool>, String> {
        let values = self.values(name);
        let is_one_of = |words: [&str; 2]| matches!(values, [value] if words.iter().any(|word| value.eq_ignore_ascii_case(word)));
        match values {
            [] => Ok(None),
            _ if is_one_of(["true", "1"]) => Ok(Some(true)),
            _ if is_one_of(["false", "0"]) => Ok(Some(false)),
            _ => Err(format!("invalid filter '{name}=[{}]'", values.join(" "))),
        }
    }

    /// The values of one filter; empty when it was not given.
    pub(crate) fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// All filters with their values.
    pub(crate) const fn as_map(&self) -> &BTreeMap<String, Vec<String>> {
        &self.0
    }
}

/// Whether labels include the one of a filter, `key` or `key=value`.
pub(crate) fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|known| known == value),
        None => labels.contains_key(wanted),
    }
}

fn values(name: &str, value: Value) -> Result<Vec<String>, FiltersError> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => list
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                other => Err(FiltersError(format!("{name:?} contains {}", kind(&other)))),
            })
            .collect(),
        // {"label": {"a=b": true}}; a key counts with false too, as Docker has it.
        Value::Object(map) => map
            .into_iter()
            .map(|(key, chosen)| match chosen {
                Value::Bool(_) => Ok(key),
                other => Err(FiltersError(format!("{name:?} contains {}", kind(&other)))),
            })
            .collect(),
        other => Err(FiltersError(format!("{name:?} is {}", kind(&other)))),
    }
}

/// The kind of a JSON value, in words.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn true_and_false_have_two_words_each_and_there_is_one_of_them() {
        let read = |values: &str| Filters::parse(&format!(r#"{{"dangling":{values}}}"#)).expect(values);
        for (values, wanted) in [
            ("[]", None),
            (r#"["True"]"#, Some(true)),
            (r#"["1"]"#, Some(true)),
            (r#"{"false":true}"#, Some(false)),
        ] {
            assert_eq!(read(values).truth("dangling"), Ok(wanted), "{values}");
        }
        for (values, words) in [
            (r#"["bogus"]"#, "invalid filter 'dangling=[bogus]'"),
            (r#"[""]"#, "invalid filter 'dangling=[]'"),
            (r#"["true","false"]"#, "invalid filter 'dangling=[true false]'"),
        ] {
            assert_eq!(read(values).truth("dangling").expect_err(values), words);
        }
    }

    #[test]
    fn both_forms_and_neither() {
        let lists = Filters::parse(r#"{"label":["a","b=c"],"status":[]}"#).expect("lists");
        let maps = Filters::parse(r#"{"label":{"a":true,"b=c":false},"status":{}}"#).expect("maps");
        assert_eq!(lists, maps);
        assert_eq!(lists.values("label"), ["a", "b=c"]);
        assert!(lists.values("status").is_empty() && lists.values("none").is_empty());
        assert!(Filters::parse("").expect("nothing").as_map().is_empty());
        for bad in ["{", "[1,2]", r#"{"a":"b"}"#, r#"{"a":[1]}"#, r#"{"a":{"b":1}}"#, "5", "{not json"] {
            assert!(Filters::parse(bad).is_err(), "{bad}");
        }
    }
}
