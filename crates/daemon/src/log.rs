//! The daemon's log on standard error, with a level that can change while it runs.

use std::io::{self, Write};

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

/// The handle to the log's level.
pub(crate) struct LogLevel(reload::Handle<LevelFilter, Registry>);

/// Writes each event as one line: names that clients choose stand in events, and a newline or an escape sequence in one
/// must neither begin a line that the daemon did not write nor reach a terminal.
struct EscapingWriter<W>(W);

impl<W: Write> Write for EscapingWriter<W> {
    /// Takes a whole event, as the subscriber gives it.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        if line.contains(char::is_control) {
            let mut escaped = String::with_capacity(event.len() + 16);
            for letter in line.chars() {
                if letter.is_control() {
                    escaped.extend(letter.escape_default());
                } else {
                    escaped.push(letter);
                }
            }
            escaped.push_str(end);
            self.0.write_all(escaped.as_bytes())?;
        } else {
            self.0.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Starts to log.
pub(crate) fn start() -> LogLevel {
    let (filter, handle) = reload::Layer::new(LevelFilter::INFO);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| EscapingWriter(std::io::stderr()))
        .with_ansi(false)
        .with_target(false);
    // Fails only when a log was started before, which continues then.
    let _ = tracing_subscriber::registry().with(filter).with(filter_fn(is_shown)).with(lines).try_init();
    LogLevel(handle)
}

/// Whether an event is logged where its level is: frames of HTTP/2, several of each call, are not.
fn is_shown(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::WARN || !metadata.target().starts_with("h2::")
}

impl LogLevel {
    /// Changes the level from now on.
    pub(crate) fn set(&self, level: LevelFilter) {
        // Fails only when the log is gone.
        let _ = self.0.reload(level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line() {
        let mut log = Vec::new();
        EscapingWriter(&mut log)
            .write_all("INFO a\nERROR b\r\0\u{1b}[2J\u{85}é \\\n".as_bytes())
            .expect("memory");
        EscapingWriter(&mut log).write_all(b"INFO c\n").expect("memory");
        let want = "INFO a\\nERROR b\\r\\u{0}\\u{1b}[2J\\u{85}é \\\nINFO c\n";
        assert_eq!(String::from_utf8(log).expect("text"), want);
    }
}
