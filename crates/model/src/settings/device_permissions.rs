//! What a container may do with a device of the host.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SettingError;

/// What a container may do with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(missing_docs, reason = "the names say it")]
pub struct DevicePermissions {
    pub read: bool,
    pub write: bool,
    pub make_node: bool,
}

/// Everything.
impl Default for DevicePermissions {
    fn default() -> Self {
        Self { read: true, write: true, make_node: true }
    }
}

impl FromStr for DevicePermissions {
    type Err = SettingError;

    /// Parses any of `r`, `w` and `m`; nothing is everything.
    fn from_str(text: &str) -> Result<Self, SettingError> {
        if !text.bytes().all(|letter| b"rwm".contains(&letter)) {
            return Err(SettingError::DevicePermissions(text.to_owned()));
        }
        let has = |letter| text.is_empty() || text.contains(letter);
        Ok(Self { read: has('r'), write: has('w'), make_node: has('m') })
    }
}

impl fmt::Display for DevicePermissions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, is_allowed) in [("r", self.read), ("w", self.write), ("m", self.make_node)] {
            formatter.write_str(if is_allowed { letter } else { "" })?;
        }
        Ok(())
    }
}

impl TryFrom<String> for DevicePermissions {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, SettingError> {
        text.parse()
    }
}

impl From<DevicePermissions> for String {
    fn from(permissions: DevicePermissions) -> Self {
        permissions.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spelled;
    use super::*;

    #[test]
    fn nothing_is_everything_and_letters_have_any_order() {
        assert_eq!("".parse(), Ok(DevicePermissions::default()));
        let some = Spelled::<DevicePermissions>::parse("mr").expect("known");
        assert_eq!((some.write, some.to_string().as_str()), (false, "mr"));
        let saved = serde_json::to_string(&*some).expect("JSON");
        assert_eq!((saved.as_str(), serde_json::from_str(&saved).ok()), ("\"rm\"", Some(*some)));
    }
}
