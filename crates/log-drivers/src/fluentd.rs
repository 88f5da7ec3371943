//! The fluentd driver: the forward protocol of Fluentd, version 1, in its message mode
//! (<https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>).

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use model::{ContainerSpec, LogSpec};
use shim_protocol::log::{Stream, is_bool, parse_duration, parse_size};
use sys::stream::Peer;

use crate::address::{check_address, server_address};
use crate::destination::{AtStart, Delivery, Destination, Format};
use crate::line::Line;
use crate::msgpack;
use crate::options::Options;

/// Where Fluentd listens by default.
const DEFAULT_ADDRESS: &str = "127.0.0.1:24224";

/// Docker's default of `fluentd-buffer-limit`, in lines.
const BUFFERED_LINES: u64 = 1024 * 1024;

/// However many lines may wait, they take no more memory than this, in bytes.
const BUFFERED_BYTES: usize = 16 * 1024 * 1024;

/// Docker's default of `fluentd-retry-wait`.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// The longest time between two attempts to connect.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The common fields of one container's messages.
pub(crate) struct Fluentd {
    tag: String,
    /// The pairs of each record that never change, encoded.
    fixed: Vec<u8>,
    fixed_pairs: u16,
    has_nanoseconds: bool,
    wants_acknowledgment: bool,
    /// The id of the last message, which the server repeats.
    last_id: Option<String>,
    /// The long lines of which parts were sent.
    stdout: Option<LongLine>,
    stderr: Option<LongLine>,
}

/// A line that is sent in parts.
struct LongLine {
    id: String,
    pieces: u32,
}

/// Checks the values of the options.
pub(crate) fn check(options: &Options<'_>) -> Result<(), String> {
    if let Some(address) = options.find("fluentd-address").filter(|address| !address.is_empty()) {
        if address.starts_with("tls://") {
            return Err("fluentd: tls:// is not supported: tcp:// and unix:// are".to_owned());
        }
        let whole = match address.contains("://") {
            true => address.to_owned(),
            false => format!("tcp://{address}"),
        };
        check_address(&whole, &["tcp", "unix"])?;
    }
    for name in ["fluentd-async", "fluentd-request-ack", "fluentd-sub-second-precision"] {
        if let Some(value) = options.find(name)
            && !is_bool(value)
        {
            return Err(format!("invalid value for {name}: '{value}' must be true or false"));
        }
    }
    let invalid = |name: &str, value: &str| format!("invalid value for {name}: '{value}'");
    if let Some(limit) = options.find("fluentd-buffer-limit").filter(|limit| parse_size(limit).is_none()) {
        return Err(invalid("fluentd-buffer-limit", limit));
    }
    if let Some(retries) = options.find("fluentd-max-retries").filter(|text| text.parse::<u32>().is_err()) {
        return Err(invalid("fluentd-max-retries", retries));
    }
    match options.find("fluentd-retry-wait").filter(|wait| parse_duration(wait).is_none()) {
        Some(wait) => Err(invalid("fluentd-retry-wait", wait)),
        None => Ok(()),
    }
}

/// Options: `fluentd-address`, `tag` (the attribute `tag`), `fluentd-async`, `fluentd-buffer-limit`,
/// `fluentd-retry-wait`, `fluentd-max-retries`, `fluentd-sub-second-precision`, `fluentd-request-ack`, `labels`, `env`.
pub(crate) fn open(spec: &LogSpec, container: &ContainerSpec) -> io::Result<Destination> {
    let option = |name: &str| spec.options.get(name).map(String::as_str);
    let is_true = |name: &str| option(name).is_some_and(shim_protocol::log::is_true);
    let retry_wait = option("fluentd-retry-wait").and_then(parse_duration).unwrap_or(RETRY_WAIT);
    let lines = option("fluentd-buffer-limit").and_then(parse_size).unwrap_or(BUFFERED_LINES);
    let delivery = Delivery {
        bytes: BUFFERED_BYTES,
        lines: usize::try_from(lines).unwrap_or(usize::MAX),
        retry: (retry_wait, retry_wait.max(LONGEST_WAIT)),
        attempts: option("fluentd-max-retries").and_then(|text| text.parse().ok()).unwrap_or(u32::MAX),
        at_start: if is_true("fluentd-async") { AtStart::MayBeAway } else { AtStart::MustBeThere },
    };
    let format = Fluentd::new(
        spec,
        container,
        is_true("fluentd-sub-second-precision"),
        is_true("fluentd-request-ack"),
    );
    Ok(Destination { format: Box::new(format), peer: peer(option("fluentd-address"))?, delivery })
}

fn peer(address: Option<&str>) -> io::Result<Peer> {
    let address = address.filter(|address| !address.is_empty()).unwrap_or(DEFAULT_ADDRESS);
    match address.strip_prefix("unix://") {
        Some(path) => Ok(Peer::Stream(PathBuf::from(path))),
        None => Ok(Peer::Tcp(server_address(address.strip_prefix("tcp://").unwrap_or(address))?)),
    }
}

impl Fluentd {
    fn new(
        spec: &LogSpec,
        container: &ContainerSpec,
        has_nanoseconds: bool,
        wants_acknowledgment: bool,
    ) -> Self {
        let tag = spec.attributes.get("tag").map_or_else(|| container.id.short(), String::as_str);
        let mut fixed = Vec::new();
        let mut fixed_pairs = 2;
        pair(&mut fixed, "container_id", container.id.as_str().as_bytes());
        pair(&mut fixed, "container_name", format!("/{}", container.name).as_bytes());
        let is_own = |name: &str| {
            matches!(name, "container_id" | "container_name" | "source" | "log")
                || name.starts_with("partial_")
        };
        // No label replaces the engine's own fields.
        for (name, value) in spec.selected.iter().filter(|(name, _)| !is_own(name)) {
            pair(&mut fixed, name, value.as_bytes());
            fixed_pairs += 1;
        }
        Self {
            tag: tag.to_owned(),
            fixed,
            fixed_pairs,
            has_nanoseconds,
            wants_acknowledgment,
            last_id: None,
            stdout: None,
            stderr: None,
        }
    }

    /// The additional pairs of a part of a long line; empty for a whole line.
    fn piece(&mut self, line: &Line<'_>) -> Vec<u8> {
        let long = match line.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        if line.ends && long.is_none() {
            return Vec::new();
        }
        let piece = long.get_or_insert_with(|| LongLine { id: random_hexadecimal(), pieces: 0 });
        piece.pieces += 1;
        let mut pairs = Vec::new();
        pair(&mut pairs, "partial_message", b"true");
        pair(&mut pairs, "partial_id", piece.id.as_bytes());
        pair(&mut pairs, "partial_ordinal", piece.pieces.to_string().as_bytes());
        pair(&mut pairs, "partial_last", if line.ends { b"true" } else { b"false" });
        if line.ends {
            *long = None;
        }
        pairs
    }
}

impl Format for Fluentd {
    /// `[tag, time, record]`, or `[tag, time, record, {"chunk": id}]`, which the server answers with `{"ack": id}`.
    fn packets(&mut self, line: &Line<'_>) -> Option<Vec<Vec<u8>>> {
        let piece = self.piece(line);
        let piece_pairs = if piece.is_empty() { 0 } else { 4 };
        let mut message = Vec::with_capacity(self.fixed.len() + line.text.len() + piece.len() + 256);
        msgpack::array(&mut message, if self.wants_acknowledgment { 4 } else { 3 });
        msgpack::text(&mut message, self.tag.as_bytes());
        match self.has_nanoseconds {
            true => msgpack::event_time(&mut message, line.at),
            false => msgpack::seconds(&mut message, line.at),
        }
        msgpack::map(&mut message, self.fixed_pairs + 2 + piece_pairs);
        message.extend_from_slice(&self.fixed);
        let source: &[u8] = match line.stream {
            Stream::Stdout => b"stdout",
            Stream::Stderr => b"stderr",
        };
        pair(&mut message, "source", source);
        pair(&mut message, "log", line.text);
        message.extend_from_slice(&piece);
        if self.wants_acknowledgment {
            let id = random_hexadecimal();
            msgpack::map(&mut message, 1);
            pair(&mut message, "chunk", id.as_bytes());
            self.last_id = Some(id);
        }
        Some(vec![message])
    }

    fn acknowledgment(&mut self) -> Option<String> {
        self.last_id.take()
    }
}

fn pair(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    msgpack::text(out, name.as_bytes());
    msgpack::text(out, value);
}

/// 32 random digits.
fn random_hexadecimal() -> String {
    sys::random::bytes::<16>().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
