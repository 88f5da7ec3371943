//! The gelf driver: GELF 1.1 over UDP, compressed, in chunks where a message is large.

use std::collections::BTreeMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use model::{ContainerSpec, LogSpec};
use serde_json::{Map, Value};
use sys::stream::Peer;

use super::{Line, host_name, socket_address};
use crate::log::attributes;

/// The usual port of GELF servers.
const PORT: u16 = 12_201;

/// The size of a datagram that passes an Ethernet with room for tunnels.
const DATAGRAM: usize = 1420;

/// GELF, "chunking": magic bytes, an id of eight bytes, number and count.
const HEAD: usize = 12;

/// A message has no more chunks than this.
const MAXIMUM_CHUNKS: usize = 128;

/// What every message of one container says.
pub(super) struct Gelf {
    fields: Map<String, Value>,
    next_id: u64,
}

impl Gelf {
    /// Options: `gelf-address`, `gelf-tag` or `tag` (the attribute `tag`).
    pub(super) fn new(spec: &LogSpec, container: &ContainerSpec) -> io::Result<(Self, Peer)> {
        let address = spec.options.get("gelf-address").map_or("", String::as_str);
        let address = address
            .strip_prefix("udp://")
            .ok_or_else(|| io::Error::other("gelf: cannot connect to GELF endpoint: missing address"))?;
        let peer = Peer::Udp(socket_address(address, PORT)?);
        let mut fields = Map::new();
        let mut add = |name: &str, value: &str| fields.insert(name.to_owned(), Value::from(value));
        add("version", "1.1");
        add("host", &host_name());
        add("_container_id", container.id.as_str());
        add("_container_name", &container.name);
        for name in ["image_id", "image_name", "command", "created", "tag"] {
            if let Some(value) = spec.attributes.get(name) {
                add(&format!("_{name}"), value);
            }
        }
        let selected: BTreeMap<String, String> = attributes::selected(spec);
        for (name, value) in selected.iter().filter(|(name, _)| *name != "id") {
            add(&format!("_{name}"), value);
        }
        // Ids need only differ among messages of one sender at one time.
        let next_id = u64::from(std::process::id()) << 32;
        Ok((Self { fields, next_id }, peer))
    }

    pub(super) fn packets(&mut self, line: &Line<'_>) -> Vec<Vec<u8>> {
        let mut message = self.fields.clone();
        message.insert("short_message".to_owned(), String::from_utf8_lossy(line.text).into());
        let milliseconds = line.at.subsecond_nanoseconds() / 1_000_000;
        let seconds = format!("{}.{milliseconds:03}", line.at.unix_seconds());
        message.insert("timestamp".to_owned(), serde_json::from_str(&seconds).unwrap_or(Value::Null));
        message.insert("level".to_owned(), line.severity().into());
        let text = serde_json::to_vec(&message).unwrap_or_default();
        let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
        match compressed.write_all(&text).and_then(|()| compressed.finish()) {
            Ok(message) => self.chunks(message),
            Err(_) => Vec::new(),
        }
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

#[cfg(test)]
mod tests {
    use std::io::Read;

    use model::Timestamp;
    use shim_protocol::log::Stream;

    use super::*;

    #[test]
    fn a_large_message_comes_together_again() {
        let mut gelf = Gelf { fields: Map::new(), next_id: 0 };
        let mut state = 1_u32;
        let mut letter = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b'!' + u8::try_from((state >> 24) % 90).unwrap_or(0)
        };
        let text: Vec<u8> = (0..15_000).map(&mut letter).collect();
        let at = Timestamp::from_unix(1_795_435_501, 250_000_000).expect("a time");
        let packets = gelf.packets(&Line { stream: Stream::Stdout, text: &text, at });
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
