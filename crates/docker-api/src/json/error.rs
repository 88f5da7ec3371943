//! The error of a JSON body, with the field that causes it.

use std::fmt;

use serde::de;
use serde_json::Value;

use crate::error::ApiError;
use crate::filters::kind;

/// The error of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JsonError {
    /// The field, outermost first, joined by dots; empty for the whole body.
    pub(super) path: String,
    pub(super) problem: String,
    /// Whether it is a NUL byte, which only this engine refuses so early.
    pub(super) holds_nul: bool,
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "invalid request body: {}", self.words())
    }
}

impl std::error::Error for JsonError {}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        let text = error.to_string();
        if error.holds_nul { Self::bad_request(text) } else { Self::invalid(text) }
    }
}

impl de::Error for JsonError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { path: String::new(), problem: message.to_string(), holds_nul: false }
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("{unexpected} where {expected} was expected"))
    }

    fn invalid_value(unexpected: de::Unexpected<'_>, _: &dyn de::Expected) -> Self {
        Self::custom(format!("{unexpected} is not possible here"))
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Self::custom(format!("must be {expected}, not {length} values"))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format!("{field} is missing"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format!("must be one of {}, not {variant:?}", expected.join(", ")))
    }
}

impl JsonError {
    /// The field and what is wrong with it.
    pub(crate) fn words(&self) -> String {
        if self.path.is_empty() { self.problem.clone() } else { format!("{}: {}", self.path, self.problem) }
    }

    pub(super) fn within(mut self, field: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => field.to_owned(),
            inside if inside.starts_with('[') => format!("{field}{inside}"),
            inside => format!("{field}.{inside}"),
        };
        self
    }

    /// Replaces serde's message for a value that matches none of several forms.
    pub(super) fn for_value(mut self, what: &str) -> Self {
        if self.problem.contains("untagged enum") {
            self.problem = format!("{what} of this form is not possible here");
        }
        self
    }

    pub(super) fn wrong_kind(value: &Value, wanted: &str) -> Self {
        de::Error::custom(format!("must be {wanted}, not {}", kind(value)))
    }
}
