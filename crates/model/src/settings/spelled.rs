//! Choices that are shown again as the client spelled them, though many spellings mean the same.

use std::cmp::Ordering;
use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A parsed value, and the client's spelling where that is not the usual one.
///
/// The spelling is for display alone: decisions by the value do not see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spelled<T> {
    value: T,
    spelling: Option<Box<str>>,
}

impl<T: FromStr + fmt::Display> Spelled<T> {
    /// Parses a text and keeps it if the value is usually spelled otherwise.
    ///
    /// # Errors
    /// Those of the value.
    pub fn parse(text: &str) -> Result<Self, T::Err> {
        Ok(Self::with_spelling(text.parse()?, text))
    }
}

impl<T: FromStr<Err = Infallible> + fmt::Display> Spelled<T> {
    /// A choice that every text is.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let Ok(choice) = Self::parse(text);
        choice
    }
}

impl<T: fmt::Display> Spelled<T> {
    /// A value whose text the caller has parsed.
    #[must_use]
    pub fn with_spelling(value: T, text: &str) -> Self {
        let spelling = (value.to_string() != text).then(|| text.into());
        Self { value, spelling }
    }
}

impl<T: FromStr<Err: fmt::Display> + fmt::Display> Spelled<T> {
    /// Deserializes a choice that an empty text, or none, leaves open.
    pub(super) fn unless_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Self>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
        text.map(|text| Self::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

impl<T> From<T> for Spelled<T> {
    fn from(value: T) -> Self {
        Self { value, spelling: None }
    }
}

impl<T> Deref for Spelled<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// By the text: that is the order of the sets that inspect shows.
impl<T: Eq + fmt::Display> Ord for Spelled<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

impl<T: Eq + fmt::Display> PartialOrd for Spelled<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Writes the client's spelling.
impl<T: fmt::Display> fmt::Display for Spelled<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spelling {
            Some(spelling) => formatter.write_str(spelling),
            None => self.value.fmt(formatter),
        }
    }
}

impl<T: fmt::Display> Serialize for Spelled<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, T: FromStr<Err: fmt::Display> + fmt::Display> Deserialize<'de> for Spelled<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Signal;

    #[test]
    fn the_spelling_is_shown_and_the_value_compared() {
        for text in ["SIGUSR1", "10", "usr1"] {
            let signal = Spelled::<Signal>::parse(text).expect(text);
            assert_eq!(signal.number(), 10);
            assert_eq!(signal.to_string(), text);
            let row = serde_json::to_string(&signal).expect("a row");
            assert_eq!(serde_json::from_str::<Spelled<Signal>>(&row).expect("its value"), signal);
        }
    }
}
