//! The keys that a client types to leave a process, as it names them: `ctrl-p,ctrl-q`, `a`, `ctrl-@,x`.

use crate::ApiError;

/// Parses a sequence of keys; an empty text has none.
///
/// # Errors
/// 400 for invalid keys.
pub(crate) fn parse(text: &str) -> Result<Vec<u8>, ApiError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
    keys.ok_or_else(|| ApiError::bad_request(format!("Invalid detach keys ({text}) provided")))
}

/// The byte that a terminal sends for a key.
fn key(name: &str) -> Option<u8> {
    let letter = |text: &str| match text.as_bytes() {
        [byte] => Some(*byte),
        _ => None,
    };
    let Some(control) = name.strip_prefix("ctrl-") else { return letter(name) };
    match letter(control)? {
        byte @ b'a'..=b'z' => Some(byte - b'a' + 1),
        byte @ b'@'..=b'_' if !byte.is_ascii_uppercase() => Some(byte - b'@'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_letters_alone_or_with_control() {
        for (text, bytes) in [
            ("", &[][..]),
            ("ctrl-p,ctrl-q", &[0x10, 0x11]),
            ("a,B,ctrl-a,ctrl-z", &[b'a', b'B', 1, 26]),
            ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", &[0, 27, 28, 29, 30, 31]),
        ] {
            assert_eq!(parse(text).expect(text), bytes, "{text}");
        }
        for bad in ["ctrl-nonsense", "ctrl-", "ctrl-A", "ctrl-1", "a,", "ab", "é", ","] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
