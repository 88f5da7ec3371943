//! Absent values in JSON: fields that are left out while they are unset, and `null` for a value.

use serde::{Deserialize, Deserializer};

pub(super) const fn is_zero(value: &i64) -> bool {
    *value == 0
}

pub(super) const fn is_false(value: &bool) -> bool {
    !*value
}

/// Takes `null` as the default value, as the reference does for every field.
pub(super) fn null_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
