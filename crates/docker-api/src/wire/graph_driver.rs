//! Where the layers of an image or a container are on the host.

use std::collections::BTreeMap;

use serde::Serialize;

/// How layers are put together.
pub(crate) const STORAGE_DRIVER: &str = "overlay";

/// `GraphDriver` of images and containers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct GraphDriver {
    name: &'static str,
    data: BTreeMap<&'static str, String>,
}

impl GraphDriver {
    /// The driver with its directories by what they are for.
    pub(crate) const fn with(data: BTreeMap<&'static str, String>) -> Self {
        Self { name: STORAGE_DRIVER, data }
    }
}
