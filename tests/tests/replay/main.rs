//! Requests that were recorded from the first engine of this API, made again in their order. Each line of the recordings
//! has the request, what that engine answered (`expected`), and, where this one answers otherwise, that (`here`) and
//! `why`. Ids, digests and sizes are marks in them.

mod events;
mod registry;

use berth_tests::Answer;
use serde::Deserialize;

/// A status and its text: an error's, or the last message of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Outcome {
    status: u16,
    text: String,
}

/// The expected outcome of this engine.
fn expected(recorded: &Outcome, here: Option<&Outcome>, why: Option<&String>) -> Outcome {
    assert_eq!(here.is_some(), why.is_some(), "what differs has a reason: {recorded:?}");
    here.unwrap_or(recorded).clone()
}

/// Reads a recording.
fn read<'r, T: Deserialize<'r>>(lines: &'r str) -> Vec<T> {
    lines.lines().map(|line| serde_json::from_str(line).expect("a line of a recording")).collect()
}

/// The text of an answer without line ends.
fn text(answer: &Answer) -> String {
    answer.text().trim().to_owned()
}

/// Puts marks in the place of ids of full and of short length, and of sizes.
fn marked(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(word);
        let is_id = !head.is_empty() && head.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_size = result.ends_with("size: ") && head.bytes().all(|byte| byte.is_ascii_digit());
        result.push_str(match head.len() {
            64 if is_id => "<64>",
            12 if is_id => "<12>",
            1.. if is_size => "<n>",
            _ => head,
        });
        let other = tail.chars().next().map_or(0, char::len_utf8);
        result.push_str(&tail[..other]);
        rest = &tail[other..];
    }
    result
}

#[test]
fn ids_and_sizes_are_marked() {
    let id = "0123456789ab".repeat(5) + "cdef";
    assert_eq!(marked(&format!("v1: digest: sha256:{id} size: 942")), "v1: digest: sha256:<64> size: <n>");
    assert_eq!(marked("built 0123456789ab\u{e9}."), "built <12>\u{e9}.");
    assert_eq!(marked("127.0.0.1:5000/a 0123456789abc"), "127.0.0.1:5000/a 0123456789abc");
}
