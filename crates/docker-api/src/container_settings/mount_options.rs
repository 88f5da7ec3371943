//! The options of each type of mount, with their types in the API.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::absent::null_default;
use crate::{ApiError, json};

/// Options as they were read, and as the client has written them, which is how they are shown again.
#[derive(Debug, Clone)]
pub(crate) struct Written<T> {
    value: Value,
    pub(crate) options: T,
}

impl<T: DeserializeOwned> Written<T> {
    /// Options that the engine writes itself; nothing for none.
    pub(super) fn of_fields(fields: Map<String, Value>) -> Option<Self> {
        if fields.is_empty() {
            return None;
        }
        let value = Value::Object(fields);
        Some(Self { options: json::from_object(value.clone()).ok()?, value })
    }
}

impl<T> PartialEq for Written<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let options = json::from_object(value.clone()).map_err(|error| D::Error::custom(error.words()))?;
        Ok(Self { value, options })
    }
}

/// The options of a mount; all that are set must be known.
///
/// # Errors
/// An unknown option.
pub(super) fn known<T: Clone + Default>(written: Option<&Written<T>>, names: &[&str]) -> Result<T, ApiError> {
    let Some(Written { value, options }) = written else { return Ok(T::default()) };
    check_names(value, names)?;
    Ok(options.clone())
}

/// The refusal of a mount.
pub(super) fn bad_mount(cause: &str) -> ApiError {
    ApiError::invalid(format!("invalid mount config: {cause}"))
}

/// Whether a value is empty.
pub(super) fn is_unset(value: &Value) -> bool {
    json::is_empty(value) || *value == Value::Bool(false)
}

fn check_names(value: &Value, names: &[&str]) -> Result<(), ApiError> {
    for (name, value) in value.as_object().into_iter().flatten() {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) && !is_unset(value) {
            return Err(bad_mount(&format!("the option {name} is not supported")));
        }
    }
    Ok(())
}

impl Written<VolumeOptions> {
    /// Refuses unknown fields in the configuration of a volume's driver.
    pub(super) fn check_driver(&self) -> Result<(), ApiError> {
        let fields = self.value.as_object().and_then(|fields| json::field(fields, "DriverConfig"));
        fields.map_or(Ok(()), |fields| check_names(fields, &["Name", "Options"]))
    }
}

/// `BindOptions`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct BindOptions {
    #[serde(deserialize_with = "null_default")]
    pub(super) propagation: String,
    #[serde(deserialize_with = "null_default")]
    pub(super) non_recursive: bool,
    #[serde(deserialize_with = "null_default")]
    pub(super) create_mountpoint: bool,
    #[serde(deserialize_with = "null_default")]
    pub(super) read_only_non_recursive: bool,
    #[serde(deserialize_with = "null_default")]
    pub(super) read_only_force_recursive: bool,
}

/// `VolumeOptions`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct VolumeOptions {
    #[serde(deserialize_with = "null_default")]
    pub(super) no_copy: bool,
    #[serde(deserialize_with = "null_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "null_default")]
    pub(super) driver_config: DriverConfig,
    #[serde(deserialize_with = "null_default")]
    pub(super) subpath: String,
}

/// The driver of a volume that is made.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct DriverConfig {
    #[serde(deserialize_with = "null_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "null_default")]
    pub(super) options: BTreeMap<String, String>,
}

/// `TmpfsOptions`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct TmpfsOptions {
    #[serde(deserialize_with = "null_default")]
    pub(super) size_bytes: i64,
    #[serde(deserialize_with = "null_default")]
    pub(super) mode: u32,
    /// Options of mount(8): a name, or a name and a value.
    #[serde(deserialize_with = "null_default")]
    pub(super) options: Vec<Vec<String>>,
}

/// `ImageOptions`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct ImageOptions {
    #[serde(deserialize_with = "null_default")]
    pub(super) subpath: String,
}
