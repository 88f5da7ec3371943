//! Content digests: `sha256:` and 64 lowercase hexadecimal digits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A string is not a `sha256:` digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a sha256 digest")]
pub struct DigestError(pub String);

/// The SHA-256 of some content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Takes the 32 bytes of a finished SHA-256.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses `sha256:` and 64 lowercase hexadecimal digits.
    ///
    /// # Errors
    /// [`DigestError`] when the string is anything else.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        text.strip_prefix("sha256:").and_then(Self::decode).ok_or_else(|| DigestError(text.to_owned()))
    }

    /// Parses the bare 64 digits that API v1.20 shows as image id.
    ///
    /// # Errors
    /// [`DigestError`] when the string is anything else.
    pub fn parse_hexadecimal(text: &str) -> Result<Self, DigestError> {
        Self::decode(text).ok_or_else(|| DigestError(text.to_owned()))
    }

    /// The 64 digits without the algorithm.
    #[must_use]
    pub fn hexadecimal(&self) -> String {
        hexadecimal(&self.0)
    }

    /// The first 12 digits, as clients show them.
    #[must_use]
    pub fn short(&self) -> String {
        hexadecimal(&self.0[..6])
    }

    fn decode(digits: &str) -> Option<Self> {
        let nibble = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let digits = digits.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }
}

/// Writes bytes as lowercase hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.hexadecimal())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_and_refuses() {
        let text = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(Digest::parse(&text).map(|digest| digest.to_string()), Ok(text));
        for bad in ["", "sha256:", "sha512:00", &format!("sha256:{}", "0F".repeat(32))] {
            assert!(Digest::parse(bad).is_err(), "{bad}");
        }
    }
}
