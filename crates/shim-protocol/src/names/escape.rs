//! Domain names as text, RFC 1035 section 5.1: labels joined by dots, unusual bytes as `\DDD`.

use std::fmt::Write;

/// The longest label and the longest name on the wire, RFC 1035 section 2.3.4, in bytes.
const LONGEST_LABEL: usize = 63;
const LONGEST_NAME: usize = 255;

/// Appends a label to a name's text. A dot within the label is escaped, so that the text can be taken apart
/// again; text holds neither spaces nor control characters.
fn push_label(text: &mut String, label: &[u8]) {
    if !text.is_empty() {
        text.push('.');
    }
    for &byte in label {
        if byte.is_ascii_graphic() && byte != b'\\' && byte != b'.' {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\{byte:03}");
        }
    }
}

/// Writes a domain name, as its labels, as text. The root is the empty text.
#[must_use]
pub fn dns_text<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut text = String::with_capacity(64);
    for label in labels.into_iter().filter(|label| !label.is_empty()) {
        push_label(&mut text, label);
    }
    text
}

/// Writes a user's name, whose dots separate labels, as text. `None` when it cannot be a domain name: a label
/// is empty or too long, or the whole is.
pub(super) fn text_of(name: &str) -> Option<String> {
    let is_label = |label: &[u8]| (1..=LONGEST_LABEL).contains(&label.len());
    // On the wire each label has its length before it, and the root behind all.
    let fits = name.len() + 2 <= LONGEST_NAME;
    let labels = || name.split('.').map(str::as_bytes);
    (fits && labels().all(is_label)).then(|| dns_text(labels()))
}

/// The text by which a user's name is looked up: in lower case. `None` when it cannot be queried.
#[must_use]
pub fn lookup_text(name: &str) -> Option<String> {
    text_of(&name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_bytes_are_escaped_and_dots_part_labels() {
        assert_eq!(dns_text([&b"a.b\\"[..], b"c d", b"\xc3\xbc", b""]), "a\\046b\\092.c\\032d.\\195\\188");
        assert_eq!(text_of("Web_1.my net").as_deref(), Some("Web_1.my\\032net"));
    }

    #[test]
    fn what_no_domain_name_can_be_has_no_text() {
        let long = "x".repeat(64);
        let longest = ["y".repeat(63), "y".repeat(63), "y".repeat(63), "y".repeat(61)].join(".");
        assert_eq!(longest.len(), 253);
        assert_eq!(text_of(&longest).as_ref(), Some(&longest));
        for name in ["", "a..b", ".a", "a.", &long, &format!("{longest}y")] {
            assert_eq!(text_of(name), None, "{name}");
        }
    }
}
