//! A JSON list that is written entry by entry: what an entry is made of need not be held until the last one.

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::response::Response;

/// The list up to its last entry.
#[derive(Debug, Default)]
pub struct JsonList {
    /// Without the brackets' end.
    text: Vec<u8>,
}

impl JsonList {
    /// Adds an entry.
    ///
    /// # Panics
    /// Never: the wire types have string keys only, the one thing that serde_json refuses.
    pub fn push(&mut self, entry: &impl Serialize) {
        self.text.push(if self.text.is_empty() { b'[' } else { b',' });
        let begin = self.text.len();
        if serde_json::to_writer(&mut self.text, entry).is_err() {
            self.text.truncate(begin);
            self.text.extend_from_slice(b"null");
        }
    }

    /// Adds an entry, an object with at least one field, and as its last field a document that is JSON already: it stays byte
    /// for byte what it is.
    pub fn push_with(&mut self, entry: &impl Serialize, field: &str, document: &str) {
        self.push(entry);
        if self.text.pop_if(|last| *last == b'}').is_some() {
            self.text.extend_from_slice(format!(",\"{field}\":{document}}}").as_bytes());
        }
    }

    /// The answer with the whole list and a newline.
    #[must_use]
    pub fn response(mut self, status: StatusCode) -> Response {
        if self.text.is_empty() {
            self.text.push(b'[');
        }
        self.text.extend_from_slice(b"]\n");
        let json = HeaderValue::from_static("application/json");
        Response { status, headers: vec![(header::CONTENT_TYPE, json)], body: self.text.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_list_is_the_same_as_one_of_entries_that_are_held() {
        for entries in [vec![], vec!["one"], vec!["one", "two", "th\"ree"]] {
            let mut list = JsonList::default();
            entries.iter().for_each(|entry| list.push(entry));
            let (list, held) = (list.response(StatusCode::OK), Response::json(StatusCode::OK, &entries));
            assert_eq!((list.status, list.headers, list.body), (held.status, held.headers, held.body));
        }
    }

    #[test]
    fn documents_within_entries_stay_as_they_are() {
        let mut list = JsonList::default();
        list.push_with(&BTreeMap::from([("own", 1)]), "Document", "{\"b\": 1.00, \"a\":2,\"a\" : 3}");
        list.push(&BTreeMap::from([("own", 2)]));
        let body = list.response(StatusCode::OK).body;
        let expected = "[{\"own\":1,\"Document\":{\"b\": 1.00, \"a\":2,\"a\" : 3}},{\"own\":2}]\n";
        assert_eq!(&body[..], expected.as_bytes());
    }
}
