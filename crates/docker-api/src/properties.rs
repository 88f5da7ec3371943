//! Properties of every query, filter and message, for any input of a client or a registry.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::filters::Filters;
use crate::query::Query;
use crate::stream::{stream_error, stream_line};

/// JSON of any shape.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            btree_map(any::<String>(), inner, 0..4).prop_map(|map| map.into_iter().collect::<Value>()),
        ]
    })
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

proptest! {
    #[test]
    fn a_query_gives_back_what_was_encoded(pairs in vec((any::<String>(), any::<String>()), 0..8)) {
        let text: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let query = Query::parse(&text.join("&"));
        for (name, _) in &pairs {
            let values: Vec<String> =
                pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect();
            prop_assert_eq!(query.text(name), &values[0], "the first of several");
            prop_assert_eq!(query.all(name), values);
        }
    }

    #[test]
    fn a_number_of_a_query_is_the_one_written_or_none(number in any::<i64>(), text in "\\PC{0,8}") {
        prop_assert_eq!(Query::parse(&format!("n={number}")).number::<i64>("n"), Ok(number));
        let query = Query::parse(&format!("n={}", encoded(&text)));
        prop_assert_eq!(query.number::<i64>("n").ok(), text.parse().ok());
    }

    #[test]
    fn filters_are_the_same_as_lists_and_as_maps(
        wanted in btree_map(any::<String>(), vec(any::<String>(), 0..4), 0..4),
        said in any::<bool>(),
    ) {
        let lists = Filters::parse(&json!(wanted).to_string()).expect("lists");
        for (name, values) in &wanted {
            prop_assert_eq!(lists.values(name), values.as_slice());
        }
        let chosen = |values: &Vec<String>| -> Value {
            let map: BTreeMap<&String, bool> = values.iter().map(|value| (value, said)).collect();
            json!(map)
        };
        let maps: BTreeMap<&String, Value> = wanted.iter().map(|(name, values)| (name, chosen(values))).collect();
        let maps = Filters::parse(&json!(maps).to_string()).expect("maps");
        for (name, values) in &wanted {
            let mut values = values.clone();
            values.sort_unstable();
            values.dedup();
            prop_assert_eq!(maps.values(name), values.as_slice());
        }
    }

    #[test]
    fn whatever_is_no_filter_is_refused_in_one_line(value in any_json(), text in "\\PC{0,16}") {
        for text in [value.to_string(), text] {
            if let Err(error) = Filters::parse(&text) {
                let words = error.to_string();
                prop_assert!(words.starts_with("filters must be a JSON object") && !words.contains('\n'), "{}", words);
            }
        }
        let is_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
        let is_map = |value: &Value| value.as_object().is_some_and(|map| map.values().all(Value::is_boolean));
        let fits = |value: &Value| value.is_null() || is_list(value) || is_map(value);
        let right = value.is_null() || value.as_object().is_some_and(|map| map.values().all(fits));
        prop_assert_eq!(Filters::parse(&value.to_string()).is_ok(), right, "{}", value);
    }

    #[test]
    fn a_stream_splits_into_its_objects(messages in vec(any_json(), 0..6), failure in any::<String>()) {
        let lines: Vec<Vec<u8>> = messages.iter().map(stream_line).chain([stream_error(&failure, Some(3))]).collect();
        let stream = String::from_utf8(lines.concat()).expect("UTF-8");
        let read: Vec<Value> = stream
            .split_terminator("\r\n")
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let mut wanted = messages;
        wanted.push(json!({ "errorDetail": { "code": 3, "message": failure }, "error": failure }));
        prop_assert_eq!(read, wanted);
        prop_assert_eq!(stream.matches(['\r', '\n']).count(), 2 * lines.len(), "line ends are line ends alone");
    }
}
