//! The details of an error beside its text, for clients that show the place in the Dockerfile (`errdefs`).

use serde_json::{Value, json};

use buildkit_messages::google::Any;

/// The name of the message with the place of a failure, which is sent as JSON.
const SOURCE: &str = "github.com/moby/buildkit/errdefs.Source+json";

/// The place of a failure: a file and its lines, counted from 1.
pub(super) fn source(file_name: &str, text: &[u8], (first, last): (usize, usize)) -> Any {
    use base64::Engine as _;
    let position = |line: usize| json!({ "line": line });
    let value: Value = json!({
        "info": {
            "filename": file_name,
            "data": base64::engine::general_purpose::STANDARD.encode(text),
            "language": "Dockerfile",
        },
        "ranges": [{ "start": position(first), "end": position(last) }],
    });
    Any { type_url: SOURCE.to_owned(), value: value.to_string().into_bytes() }
}
