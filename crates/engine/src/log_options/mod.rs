//! The engine's additions to the options of log drivers: selected attributes of a container, and addresses of
//! servers.

mod attributes;
mod server;

use log_drivers::Refusal;
use model::{LogConfig, LogDriver};

pub(crate) use attributes::{attributes, selected};
pub(crate) use server::resolve;

/// Checks a driver and its options, in the reference's words where it has some; returns the driver.
pub(crate) fn check(config: &LogConfig) -> Result<LogDriver, Refusal> {
    let driver = config.driver.clone().unwrap_or(LogDriver::Unregistered(String::new()));
    log_drivers::check(&driver, config)?;
    attributes::check(config).map_err(Refusal::Option)?;
    Ok(driver)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_select_are_checked_with_the_drivers_own() {
        let checked = |option: (&str, &str)| {
            let options = [(option.0.to_owned(), option.1.to_owned())].into();
            check(&LogConfig { driver: Some(LogDriver::JsonFile), options })
        };
        assert_eq!(checked(("env-regex", "^a")), Ok(LogDriver::JsonFile));
        assert!(checked(("env-regex", "(")).is_err(), "an invalid regular expression");
        assert!(checked(("max-size", "abc")).is_err(), "an invalid size");
        assert!(check(&LogConfig::default()).is_err(), "no driver");
    }
}
