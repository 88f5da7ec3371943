//! What long work on images says while it runs: the messages of pull, push, load and build.
//!
//! The shapes are those of the API's JSON streams: `status` and `id` alone, or with
//! `progressDetail` and a drawn bar. The bar's text is made here so that every producer draws
//! the same one.

use std::fmt::Write;

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Takes the messages of one long piece of work, from several threads.
pub trait Progress: Send + Sync {
    /// Shows one message. It may block for a short while but never fails: a reader that has
    /// gone away is reported through [`Cancellation`](super::Cancellation).
    fn report(&self, message: Message);
}

impl<F: Fn(Message) + Send + Sync> Progress for F {
    fn report(&self, message: Message) {
        self(message);
    }
}

/// Drops every message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _message: Message) {}
}

/// The part of a message that a bar is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// No `progressDetail` at all: a line of its own.
    Absent,
    /// An empty `progressDetail`: a state of the thing named by `id`.
    Empty,
    /// So many bytes are done.
    Amount {
        /// The bytes done.
        current: u64,
        /// The bytes there are; zero when that is not known.
        total: u64,
    },
}

/// One message of a progress stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What happens, in the words that clients show.
    pub status: String,
    /// What it happens to: a layer's short digest or a tag.
    pub id: Option<String>,
    /// How far it is.
    pub detail: Detail,
}

impl Message {
    /// Makes a line of its own: `Digest: sha256:…`.
    #[must_use]
    pub fn line(status: impl Into<String>) -> Self {
        Self { status: status.into(), id: None, detail: Detail::Absent }
    }

    /// Makes a line that names a tag or a digest: `latest: Pulling from library/busybox`.
    #[must_use]
    pub fn titled(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self { status: status.into(), id: Some(id.into()), detail: Detail::Absent }
    }

    /// Makes the state of a layer: `4b1f3c5d6e7a: Pull complete`.
    #[must_use]
    pub fn state(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self { status: status.into(), id: Some(id.into()), detail: Detail::Empty }
    }

    /// Makes the advance of a layer, with its bar.
    #[must_use]
    pub fn amount(id: impl Into<String>, status: impl Into<String>, current: u64, total: u64) -> Self {
        Self { status: status.into(), id: Some(id.into()), detail: Detail::Amount { current, total } }
    }

    /// The drawn bar, when the message has an amount.
    #[must_use]
    pub fn bar(&self) -> Option<String> {
        match self.detail {
            Detail::Absent | Detail::Empty => None,
            Detail::Amount { current, total } => Some(draw_bar(current, total)),
        }
    }

    /// Writes the message as it stands in the API's stream: JSON with `<`, `>` and `&` escaped,
    /// then `\r\n`: clients split the stream at line ends.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        for character in serde_json::to_string(self).unwrap_or_default().chars() {
            match character {
                '<' => text.push_str("\\u003c"),
                '>' => text.push_str("\\u003e"),
                '&' => text.push_str("\\u0026"),
                other => text.push(other),
            }
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("status", &self.status)?;
        match self.detail {
            Detail::Absent => {}
            Detail::Empty => map.serialize_entry("progressDetail", &Amount::default())?,
            Detail::Amount { current, total } => {
                map.serialize_entry("progressDetail", &Amount { current, total })?;
            }
        }
        if let Some(bar) = self.bar() {
            map.serialize_entry("progress", &bar)?;
        }
        if let Some(id) = &self.id {
            map.serialize_entry("id", id)?;
        }
        map.end()
    }
}

/// `progressDetail`, whose zeroes are left out.
#[derive(Default, serde::Serialize)]
struct Amount {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// The columns between the brackets of a bar, without its head.
const BAR_COLUMNS: u64 = 50;

fn draw_bar(current: u64, total: u64) -> String {
    if total == 0 || current > total {
        return format!("{:>8}", human_size(current));
    }
    let percent = u128::from(current) * 100 / u128::from(total);
    let filled = usize::try_from(percent / 2).unwrap_or(0);
    let empty = usize::try_from(BAR_COLUMNS).unwrap_or(0).saturating_sub(filled);
    let mut bar = String::with_capacity(96);
    let _ = write!(
        bar,
        "[{}>{}] {:>8}/{}",
        "=".repeat(filled),
        " ".repeat(empty),
        human_size(current),
        human_size(total)
    );
    bar
}

/// Writes a size with four significant digits and a decimal unit: `32.77 kB`.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = match size {
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    let mut digits = format!("{size:.decimals$}");
    if digits.contains('.') {
        digits.truncate(digits.trim_end_matches('0').trim_end_matches('.').len());
    }
    format!("{digits} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_four_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (32, "32 B"),
            (406, "406 B"),
            (32_768, "32.77 kB"),
            (98_304, "98.3 kB"),
            (524_288, "524.3 kB"),
            (1_065_642, "1.066 MB"),
            (2_000_000_000, "2 GB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }

    #[test]
    fn bars_are_drawn_as_clients_know_them() {
        let bar = |current, total| Message::amount("a", "Downloading", current, total).bar().unwrap();
        assert_eq!(bar(32, 32), "[==================================================>]     32 B/32 B");
        assert_eq!(
            bar(32_768, 1_065_642),
            "[=>                                                 ] 32.77 kB/1.066 MB"
        );
        assert_eq!(bar(5, 0), "     5 B");
    }

    #[test]
    fn encoding_is_that_of_the_stream() {
        let text = |message: Message| String::from_utf8(message.encode()).unwrap();
        assert_eq!(
            text(Message::titled("v1", "Pulling from a")),
            "{\"status\":\"Pulling from a\",\"id\":\"v1\"}\r\n"
        );
        assert_eq!(
            text(Message::state("0123456789ab", "Pull complete")),
            "{\"status\":\"Pull complete\",\"progressDetail\":{},\"id\":\"0123456789ab\"}\r\n"
        );
        assert_eq!(
            text(Message::amount("x", "Downloading", 110, 110)),
            "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":110,\"total\":110},\"progress\":\
             \"[==================================================\\u003e]    110 B/110 B\",\"id\":\"x\"}\r\n"
        );
        // Whatever the words hold, a stream splits into lines that are JSON each.
        let odd = ["\r\n", "a\nb\u{2028}", "{}", "\u{0}\\\""];
        let stream: String = odd.iter().map(|words| text(Message::state(*words, *words))).collect();
        let lines: Vec<&str> = stream.split_terminator("\r\n").collect();
        assert_eq!(lines.len(), odd.len());
        for (line, words) in lines.iter().zip(odd) {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!((object["status"].as_str(), object["id"].as_str()), (Some(words), Some(words)));
        }
    }
}
