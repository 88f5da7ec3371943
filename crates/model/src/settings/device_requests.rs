//! Devices that drivers choose: `HostConfig.DeviceRequests`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Devices that a driver chooses: `HostConfig.DeviceRequests`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriverDeviceRequest {
    /// The driver.
    pub driver: DeviceDriver,
    /// How many devices; -1 is all of them.
    pub count: i64,
    /// Which devices, by the driver's names.
    pub device_ids: Vec<String>,
    /// Sets of capabilities of which a device has one.
    pub capabilities: Vec<Vec<DeviceCapability>>,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
}

/// Who chooses devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum DeviceDriver {
    /// Any that has the capabilities.
    #[default]
    Any,
    /// The Container Device Interface: devices by the names of the host's specifications.
    Cdi,
    /// NVIDIA's graphics processors.
    Nvidia,
    /// A driver that is not there.
    Other(String),
}

/// What a device can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum DeviceCapability {
    /// It is a graphics processor.
    Gpu,
    /// Something that no driver looks at.
    Other(String),
}

impl DeviceDriver {
    /// Its name; empty for any.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Any => "",
            Self::Cdi => "cdi",
            Self::Nvidia => "nvidia",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for DeviceDriver {
    fn from(name: String) -> Self {
        let known = [Self::Any, Self::Cdi, Self::Nvidia];
        known.into_iter().find(|driver| driver.name() == name).unwrap_or(Self::Other(name))
    }
}

impl From<DeviceDriver> for String {
    fn from(driver: DeviceDriver) -> Self {
        driver.name().to_owned()
    }
}

impl DeviceCapability {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Gpu => "gpu",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for DeviceCapability {
    fn from(name: String) -> Self {
        if name == Self::Gpu.name() { Self::Gpu } else { Self::Other(name) }
    }
}

impl From<DeviceCapability> for String {
    fn from(capability: DeviceCapability) -> Self {
        capability.name().to_owned()
    }
}

/// Writes its name.
impl fmt::Display for DeviceCapability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_they_were_read() {
        for name in ["", "cdi", "nvidia", "CDI", "other"] {
            assert_eq!(String::from(DeviceDriver::from(name.to_owned())), name);
        }
        for name in ["", "gpu", "GPU", "utility"] {
            assert_eq!(String::from(DeviceCapability::from(name.to_owned())), name);
        }
    }
}
