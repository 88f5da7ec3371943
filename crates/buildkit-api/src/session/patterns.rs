//! The metadata of a call for files: names and patterns, written so that every text survives.

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Adds texts under a name; where one is not plain ASCII all are encoded, and a second field marks that.
pub(super) fn append(metadata: &mut HeaderMap, name: &'static str, texts: &[String]) {
    let plain = |text: &String| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let encoded = !texts.iter().all(plain);
    for text in texts {
        let text =
            if encoded { utf8_percent_encode(text, NON_ALPHANUMERIC).to_string() } else { text.clone() };
        if let Ok(value) = HeaderValue::from_str(&text) {
            metadata.append(HeaderName::from_static(name), value);
        }
    }
    if encoded && let Ok(flag) = HeaderName::try_from(format!("{name}-encoded")) {
        metadata.append(flag, HeaderValue::from_static("1"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_beyond_ascii_are_encoded() {
        let mut metadata = HeaderMap::new();
        append(&mut metadata, "exclude-patterns", &["a b".to_owned(), "!c".to_owned()]);
        assert_eq!(metadata.get_all("exclude-patterns").iter().count(), 2);
        assert!(metadata.get("exclude-patterns-encoded").is_none());
        append(&mut metadata, "followpaths", &["é".to_owned()]);
        assert_eq!(metadata["followpaths"], "%C3%A9");
        assert_eq!(metadata["followpaths-encoded"], "1");
    }
}
