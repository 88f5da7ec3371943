//! The options of one container's log, as the drivers' checks read them.

use std::collections::BTreeMap;

use model::{LogConfig, LogDriver};

/// Options of every driver.
const OF_EVERY_DRIVER: [&str; 3] = ["mode", "max-buffer-size", "cache-disabled"];

/// The options of one container's log.
pub(crate) struct Options<'c>(&'c BTreeMap<String, String>);

impl<'c> Options<'c> {
    pub(crate) const fn of(config: &'c LogConfig) -> Self {
        Self(&config.options)
    }

    /// An option's value.
    pub(crate) fn find(&self, name: &str) -> Option<&'c str> {
        self.0.get(name).map(String::as_str)
    }

    /// Refuses an option that the driver does not have.
    pub(crate) fn refuse_unknown(&self, driver: &LogDriver) -> Result<(), String> {
        let Some(known) = driver.row().and_then(|row| row.options) else { return Ok(()) };
        match self
            .0
            .keys()
            .find(|key| !known.contains(&key.as_str()) && !OF_EVERY_DRIVER.contains(&key.as_str()))
        {
            Some(unknown) => Err(format!("unknown log opt '{unknown}' for {driver} log driver")),
            None => Ok(()),
        }
    }
}
