//! Ids of containers, execs, networks and endpoints: 64 lowercase hexadecimal digits.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A string is no id of 64 lowercase hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id of 64 lowercase hexadecimal digits")]
pub struct IdError(pub String);

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// Parses 64 lowercase hexadecimal digits.
            ///
            /// # Errors
            /// [`IdError`] when the string is anything else.
            pub fn parse(text: &str) -> Result<Self, IdError> {
                let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                if text.len() == 64 && text.bytes().all(digits) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError(text.to_owned()))
                }
            }

            /// Makes an id of 32 random bytes.
            #[must_use]
            pub fn from_random(bytes: [u8; 32]) -> Self {
                Self(crate::digest::hexadecimal(&bytes).into())
            }

            /// The 64 digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first 12 digits, as clients show them.
            #[must_use]
            pub fn short(&self) -> &str {
                &self.0[..12]
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<Path> for $name {
            fn as_ref(&self) -> &Path {
                Path::new(&*self.0)
            }
        }
    };
}

hex_id!(
    /// The id of a container.
    ContainerId
);
hex_id!(
    /// The id of an exec: a further process in a running container.
    ExecId
);
hex_id!(
    /// The id of a network.
    NetworkId
);
hex_id!(
    /// The id of a container's place in one network, new at each connection.
    EndpointId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_64_lowercase_digits_parse() {
        assert!(ContainerId::parse(&"a0".repeat(32)).is_ok());
        for bad in ["", "a0", &"A0".repeat(32), &"g0".repeat(32), &"a0".repeat(33)] {
            assert!(ContainerId::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(ContainerId::from_random([0xab; 32]).short(), "abababababab");
    }
}
