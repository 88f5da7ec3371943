//! Words as the history shows those of CMD and ENTRYPOINT: `["sh" "-c" "x"]`.

use std::fmt::Write;

/// Quotes words and puts them into brackets.
pub(super) fn quoted_list(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(" "))
}

fn quoted(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 2);
    text.push('"');
    for character in word.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control.is_control() => {
                let _ = write!(text, "\\x{:02x}", u32::from(control));
            }
            other => text.push(other),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_shown_as_clients_know_them() {
        let list =
            |words: &[&str]| quoted_list(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert_eq!(list(&["/bin/sh", "-c", "[\"a\", b]"]), r#"["/bin/sh" "-c" "[\"a\", b]"]"#);
        assert_eq!(list(&[]), "[]");
        assert_eq!(list(&["a\\\n\u{1}é"]), r#"["a\\\n\x01é"]"#);
    }
}
