//! Where a container's output goes: the one table of log drivers, and a container's choice of them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The properties of a log driver wherever it runs.
#[derive(Debug, Clone, Copy)]
pub struct LogDriverRow {
    /// Its name, as clients and the daemon's flags write it.
    pub name: &'static str,
    /// The driver's options; `None` for one that accepts and ignores those of all drivers.
    pub options: Option<&'static [&'static str]>,
    /// Where its logs are read again.
    pub source: LogSource,
    /// The server that it sends to, if that is on a network.
    pub server: Option<LogServer>,
}

/// Where a container's log is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    /// In the container's own log file.
    File,
    /// In the host's journal.
    Journal,
    /// Not on this host.
    Nowhere,
}

/// Which option names the server of a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogServer {
    /// The option.
    pub option: &'static str,
    /// The port of an address without one.
    pub port: u16,
}

/// Makes [`LogDriver`] and the table [`LOG_DRIVERS`] of one row a driver.
macro_rules! log_drivers {
    ($($(#[$words:meta])* $driver:ident { $($row:tt)* },)*) => {
        /// The destination of a container's output.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum LogDriver {
            $($(#[$words])* $driver,)*
            /// A driver that is not there: the container can be made and does not start.
            Unregistered(String),
        }

        /// All log drivers, in the order in which clients see their names.
        pub const LOG_DRIVERS: &[(LogDriver, LogDriverRow)] = &[
            $((LogDriver::$driver, LogDriverRow { $($row)* }),)*
        ];
    };
}

log_drivers! {
    /// A file of JSON lines that berth reads again.
    JsonFile {
        name: "json-file",
        options: Some(&["max-size", "max-file", "compress", "tag", "labels", "labels-regex", "env", "env-regex"]),
        source: LogSource::File,
        server: None,
    },
    /// Files of berth's own that are rotated by default, and that clients do not see.
    Local {
        name: "local",
        options: Some(&["max-size", "max-file", "compress", "tag", "labels", "labels-regex", "env", "env-regex"]),
        source: LogSource::File,
        server: None,
    },
    /// A syslog server, or the host's own.
    Syslog {
        name: "syslog",
        options: Some(&[
            "syslog-address", "syslog-facility", "syslog-format", "syslog-tag", "tag", "labels",
            "labels-regex", "env", "env-regex",
        ]),
        source: LogSource::Nowhere,
        server: Some(LogServer { option: "syslog-address", port: 514 }),
    },
    /// The host's journal.
    Journald {
        name: "journald",
        options: Some(&["tag", "labels", "labels-regex", "env", "env-regex"]),
        source: LogSource::Journal,
        server: None,
    },
    /// A server of Graylog's format.
    Gelf {
        name: "gelf",
        options: Some(&[
            "gelf-address", "gelf-compression-type", "gelf-compression-level", "gelf-tag", "tag", "labels",
            "labels-regex", "env", "env-regex",
        ]),
        source: LogSource::Nowhere,
        server: Some(LogServer { option: "gelf-address", port: 12_201 }),
    },
    /// A server of Fluentd's forward protocol.
    Fluentd {
        name: "fluentd",
        options: Some(&[
            "fluentd-address", "fluentd-async", "fluentd-buffer-limit", "fluentd-max-retries",
            "fluentd-request-ack", "fluentd-retry-wait", "fluentd-sub-second-precision", "tag", "labels",
            "labels-regex", "env", "env-regex",
        ]),
        source: LogSource::Nowhere,
        server: Some(LogServer { option: "fluentd-address", port: 24_224 }),
    },
    /// Nothing.
    None { name: "none", options: None, source: LogSource::Nowhere, server: None },
}

/// A log driver and its options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogConfig {
    /// The driver; `None` is the daemon's choice.
    pub driver: Option<LogDriver>,
    /// Its options, which each driver checks when a container starts.
    pub options: BTreeMap<String, String>,
}

impl FromStr for LogDriver {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text.to_owned()))
    }
}

impl From<String> for LogDriver {
    fn from(text: String) -> Self {
        let registered = LOG_DRIVERS.iter().find(|(_, row)| row.name == text);
        registered.map_or(Self::Unregistered(text), |(driver, _)| driver.clone())
    }
}

impl From<LogDriver> for String {
    fn from(driver: LogDriver) -> Self {
        driver.to_string()
    }
}

impl LogDriver {
    /// Its row in the table; `None` for a driver that is not there.
    #[must_use]
    pub fn row(&self) -> Option<&'static LogDriverRow> {
        LOG_DRIVERS.iter().find(|(driver, _)| driver == self).map(|(_, row)| row)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unregistered(name) => name,
            registered => registered.row().map_or("", |row| row.name),
        }
    }

    /// Where its logs are read again.
    #[must_use]
    pub fn source(&self) -> LogSource {
        self.row().map_or(LogSource::Nowhere, |row| row.source)
    }
}

impl fmt::Display for LogDriver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl LogConfig {
    /// Where the container's log is read again.
    #[must_use]
    pub fn source(&self) -> LogSource {
        self.driver.as_ref().map_or(LogSource::Nowhere, LogDriver::source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_found_by_its_name_and_names_the_option_of_its_server() {
        for (driver, row) in LOG_DRIVERS {
            assert_eq!(&LogDriver::from(row.name.to_owned()), driver);
            assert_eq!(driver.to_string(), row.name);
            if let Some(server) = row.server {
                assert!(row.options.is_some_and(|options| options.contains(&server.option)), "{driver}");
            }
        }
        let unknown = LogDriver::from("splunk".to_owned());
        assert_eq!((unknown.name(), unknown.source()), ("splunk", LogSource::Nowhere));
        assert!(unknown.row().is_none());
    }
}
