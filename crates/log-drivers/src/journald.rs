//! The journald driver: the journal's native protocol (systemd, "Native Journal Protocol").

use std::path::{Path, PathBuf};

use model::{ContainerSpec, LogSpec};
use sys::stream::Peer;

use crate::destination::{Delivery, Destination, Format};
use crate::line::Line;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// An entry's own fields: no label or variable replaces them.
const OWN: [&str; 8] = [
    "MESSAGE",
    "PRIORITY",
    "SYSLOG_IDENTIFIER",
    "CONTAINER_ID",
    "CONTAINER_ID_FULL",
    "CONTAINER_NAME",
    "CONTAINER_TAG",
    "CONTAINER_PARTIAL_MESSAGE",
];

/// The common fields of one container's entries.
pub(crate) struct Journald {
    fields: Vec<u8>,
}

/// Checks what the driver needs of the host.
pub(crate) fn check() -> Result<(), String> {
    if Path::new(SOCKET).exists() { Ok(()) } else { Err("journald is not enabled on this host".to_owned()) }
}

/// Options: `tag` (the attribute `tag`), `labels`, `env`.
pub(crate) fn open(spec: &LogSpec, container: &ContainerSpec) -> Destination {
    let peer = Peer::Datagram(PathBuf::from(SOCKET));
    Destination { format: Box::new(Journald::new(spec, container)), peer, delivery: Delivery::default() }
}

impl Journald {
    fn new(spec: &LogSpec, container: &ContainerSpec) -> Self {
        let mut fields = Vec::new();
        let tag = spec.attributes.get("tag").map_or_else(|| container.id.short(), String::as_str);
        push(&mut fields, "CONTAINER_ID", container.id.short().as_bytes());
        push(&mut fields, "CONTAINER_ID_FULL", container.id.as_str().as_bytes());
        push(&mut fields, "CONTAINER_NAME", container.name.as_bytes());
        push(&mut fields, "CONTAINER_TAG", tag.as_bytes());
        push(&mut fields, "SYSLOG_IDENTIFIER", tag.as_bytes());
        for (name, value) in &spec.selected {
            let name = field_name(name);
            if !name.is_empty() && !OWN.contains(&name.as_str()) {
                push(&mut fields, &name, value.as_bytes());
            }
        }
        Self { fields }
    }
}

impl Format for Journald {
    /// An entry; a part of a long line is marked as one that continues.
    fn packets(&mut self, line: &Line<'_>) -> Option<Vec<Vec<u8>>> {
        let mut packet = Vec::with_capacity(self.fields.len() + line.text.len() + 96);
        push(&mut packet, "MESSAGE", line.text);
        push(&mut packet, "PRIORITY", line.severity().to_string().as_bytes());
        if !line.ends {
            push(&mut packet, "CONTAINER_PARTIAL_MESSAGE", b"true");
        }
        packet.extend_from_slice(&self.fields);
        Some(vec![packet])
    }
}

/// A field in the form that takes any bytes: the name, a newline, the length, the value, a newline.
fn push(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    out.extend_from_slice(value);
    out.push(b'\n');
}

/// Field names are capitals, digits and underscores, and none begins with an underscore or a digit; the
/// journal refuses those longer than 64 letters.
fn field_name(name: &str) -> String {
    let valid = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(valid).collect();
    name.trim_start_matches(|letter: char| letter == '_' || letter.is_ascii_digit())
        .chars()
        .take(64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_length() {
        let mut out = Vec::new();
        push(&mut out, "MESSAGE", b"a\nb");
        assert_eq!(out, b"MESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n");
        assert_eq!(field_name("_com.example/x1"), "COM_EXAMPLE_X1");
    }
}
