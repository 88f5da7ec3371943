//! The daemon's log on standard error, with a level that can change while it runs.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

/// The handle to the log's level.
pub(crate) struct LogLevel(reload::Handle<LevelFilter, Registry>);

/// Starts to log; colours are for terminals only.
pub(crate) fn start() -> LogLevel {
    let (filter, handle) = reload::Layer::new(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // Fails only when a log was started before, which goes on then.
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    LogLevel(handle)
}

impl LogLevel {
    /// Changes the level from now on.
    pub(crate) fn set(&self, level: LevelFilter) {
        // Fails only when the log is gone.
        let _ = self.0.reload(level);
    }
}
