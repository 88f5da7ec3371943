//! The gelf driver: GELF 1.1 over UDP, compressed, in chunks where a message is large.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use model::{ContainerSpec, LogSpec};
use serde_json::{Map, Value};
use sys::stream::Peer;

use crate::address::{check_address, server_address};
use crate::destination::{Delivery, Destination, Format};
use crate::line::{Line, host_name};
use crate::options::Options;

/// The size of a datagram that passes an Ethernet with room for tunnels.
const DATAGRAM: usize = 1420;

/// GELF, "chunking": magic bytes, an id of eight bytes, number and count.
const HEAD: usize = 12;

/// A message has no more chunks than this.
const MAXIMUM_CHUNKS: usize = 128;

/// How messages are made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Gzip(Compression),
    Zlib(Compression),
    Nothing,
}

impl Packing {
    /// Options: `gelf-compression-type` (gzip without it) and `gelf-compression-level` (the fastest).
    fn of(spec: &LogSpec) -> Self {
        let level = spec.options.get("gelf-compression-level").and_then(|level| level.parse().ok());
        let level = level.map_or(Compression::fast(), Compression::new);
        match spec.options.get("gelf-compression-type").map(String::as_str) {
            Some("none") => Self::Nothing,
            Some("zlib") => Self::Zlib(level),
            _ => Self::Gzip(level),
        }
    }

    fn pack(self, text: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::Nothing => Ok(text),
            Self::Gzip(level) => {
                let mut packed = GzEncoder::new(Vec::new(), level);
                packed.write_all(&text)?;
                packed.finish()
            }
            Self::Zlib(level) => {
                let mut packed = ZlibEncoder::new(Vec::new(), level);
                packed.write_all(&text)?;
                packed.finish()
            }
        }
    }
}

/// The common fields of one container's messages.
pub(crate) struct Gelf {
    fields: Map<String, Value>,
    packing: Packing,
    next_id: u64,
}

/// Checks the values of the options.
pub(crate) fn check(options: &Options<'_>) -> Result<(), String> {
    let kind = options.find("gelf-compression-type").unwrap_or("gzip");
    if !matches!(kind, "gzip" | "zlib" | "none") {
        return Err(format!("gelf: invalid compression type '{kind}': gzip, zlib and none are known"));
    }
    if let Some(level) = options.find("gelf-compression-level")
        && !level.parse::<u32>().is_ok_and(|level| level <= 9)
    {
        return Err(format!("gelf: invalid compression level '{level}': 0 to 9 are known"));
    }
    match options.find("gelf-address") {
        Some(address) if address.starts_with("udp://") => check_address(address, &["udp"]),
        _ => Err("gelf: cannot connect to GELF endpoint:  dial udp: missing address".to_owned()),
    }
}

/// Options: `gelf-address`, `gelf-tag` or `tag` (the attribute `tag`), `labels`, `env`, and those of
/// the compression.
pub(crate) fn open(spec: &LogSpec, container: &ContainerSpec) -> io::Result<Destination> {
    let (gelf, peer) = Gelf::new(spec, container)?;
    Ok(Destination { format: Box::new(gelf), peer, delivery: Delivery::default() })
}

impl Gelf {
    fn new(spec: &LogSpec, container: &ContainerSpec) -> io::Result<(Self, Peer)> {
        let address = spec.options.get("gelf-address").map_or("", String::as_str);
        let address = address
            .strip_prefix("udp://")
            .ok_or_else(|| io::Error::other("gelf: cannot connect to GELF endpoint: missing address"))?;
        let peer = Peer::Udp(server_address(address)?);
        let mut fields = Map::new();
        // The engine's own fields come last: no label takes its place. GELF keeps `_id` for the server.
        for (name, value) in spec.selected.iter().filter(|(name, _)| *name != "id") {
            fields.insert(format!("_{}", field_name(name)), Value::from(value.as_str()));
        }
        let mut add = |name: &str, value: &str| fields.insert(name.to_owned(), Value::from(value));
        add("version", "1.1");
        add("host", &host_name());
        add("_container_id", container.id.as_str());
        add("_container_name", &container.name);
        for (name, value) in &spec.attributes {
            add(&format!("_{name}"), value);
        }
        // Ids need only differ among messages of one sender at one time.
        let next_id = u64::from(std::process::id()) << 32;
        Ok((Self { fields, packing: Packing::of(spec), next_id }, peer))
    }

    /// None for a message that is too large even in chunks.
    fn chunks(&mut self, message: Vec<u8>) -> Vec<Vec<u8>> {
        if message.len() <= DATAGRAM {
            return vec![message];
        }
        let pieces = message.chunks(DATAGRAM - HEAD);
        let Some(count) =
            u8::try_from(pieces.len()).ok().filter(|count| usize::from(*count) <= MAXIMUM_CHUNKS)
        else {
            return Vec::new();
        };
        self.next_id += 1;
        let id = self.next_id.to_be_bytes();
        let chunk = |(number, piece): (u8, &[u8])| [&[0x1e, 0x0f][..], &id, &[number, count], piece].concat();
        (0..count).zip(pieces).map(chunk).collect()
    }
}

impl Format for Gelf {
    /// The datagrams of one line; `None` for one that is too long. An empty line is not sent: GELF requires a
    /// text.
    fn packets(&mut self, line: &Line<'_>) -> Option<Vec<Vec<u8>>> {
        let text = line.without_return();
        if text.is_empty() {
            return None;
        }
        let mut message = self.fields.clone();
        message.insert("short_message".to_owned(), String::from_utf8_lossy(text).into());
        let milliseconds = line.at.subsecond_nanoseconds() / 1_000_000;
        let seconds = format!("{}.{milliseconds:03}", line.at.unix_seconds());
        message.insert("timestamp".to_owned(), serde_json::from_str(&seconds).unwrap_or(Value::Null));
        message.insert("level".to_owned(), line.severity().into());
        let text = serde_json::to_vec(&message).unwrap_or_default();
        Some(self.packing.pack(text).map_or_else(|_| Vec::new(), |message| self.chunks(message)))
    }
}

/// GELF allows letters, digits, underscores, dashes and dots in names.
fn field_name(name: &str) -> String {
    let valid = |letter: char| {
        if letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.') { letter } else { '_' }
    };
    name.chars().map(valid).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use model::Timestamp;
    use shim_protocol::log::Stream;

    use super::*;

    #[test]
    fn a_large_message_comes_together_again() {
        let mut gelf = Gelf { fields: Map::new(), packing: Packing::Gzip(Compression::fast()), next_id: 0 };
        let mut state = 1_u32;
        let mut letter = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'!' + u8::try_from((state >> 24) % 90).unwrap_or(0)
        };
        let text: Vec<u8> = (0..15_000).map(&mut letter).collect();
        let at = Timestamp::from_unix(1_795_435_501, 250_000_000).expect("a time");
        let packets =
            gelf.packets(&Line { stream: Stream::Stdout, text: &text, ends: true, at }).expect("a message");
        assert!(packets.len() > 1 && packets.iter().all(|packet| packet.len() <= DATAGRAM));
        let joined: Vec<u8> = packets.iter().flat_map(|packet| packet[HEAD..].to_vec()).collect();
        let mut json = Vec::new();
        flate2::read::GzDecoder::new(&joined[..]).read_to_end(&mut json).expect("gzip");
        let message: Value = serde_json::from_slice(&json).expect("json");
        assert_eq!(message["short_message"].as_str().map(str::as_bytes), Some(&text[..]));
        assert_eq!(
            (message["level"].as_u64(), message["timestamp"].as_f64()),
            (Some(6), Some(1_795_435_501.25))
        );
    }
}
