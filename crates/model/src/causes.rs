//! An error in one line, with its causes, each once.

use std::error::Error;

use crate::words::{in_kernel_words, json_words};

/// The error's text in words for clients, and the texts of its causes that it does not contain already.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = in_kernel_words(&error.to_string());
    let mut source = error.source();
    while let Some(cause) = source {
        let words = match cause.downcast_ref::<serde_json::Error>() {
            Some(error) => json_words(error),
            None => in_kernel_words(&cause.to_string()),
        };
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("cannot open x: {source}")]
        Telling { source: std::io::Error },
        #[error("cannot start")]
        Silent { source: Box<Self> },
    }

    #[test]
    fn causes_are_said_once() {
        let telling = Failure::Telling { source: std::io::Error::other("no room") };
        assert_eq!(with_causes(&telling), "cannot open x: no room");
        let silent = Failure::Silent { source: Box::new(telling) };
        assert_eq!(with_causes(&silent), "cannot start: cannot open x: no room");
        let of_kernel = Failure::Telling { source: std::io::Error::from_raw_os_error(13) };
        let silent = Failure::Silent { source: Box::new(of_kernel) };
        assert_eq!(with_causes(&silent), "cannot start: cannot open x: permission denied");
    }
}
