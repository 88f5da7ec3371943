//! The journald driver: the journal's native protocol (systemd, "Native Journal Protocol").

use std::path::PathBuf;

use model::{ContainerSpec, LogSpec};
use sys::stream::Peer;

use super::Line;
use crate::log::attributes;

/// Where the journal listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// What every entry of one container says.
pub(super) struct Journald {
    fields: Vec<u8>,
}

pub(super) fn peer() -> Peer {
    Peer::Datagram(PathBuf::from(SOCKET))
}

impl Journald {
    pub(super) fn new(spec: &LogSpec, container: &ContainerSpec) -> Self {
        let mut fields = Vec::new();
        push(&mut fields, "CONTAINER_ID", container.id.short().as_bytes());
        push(&mut fields, "CONTAINER_ID_FULL", container.id.as_str().as_bytes());
        push(&mut fields, "CONTAINER_NAME", container.name.as_bytes());
        if let Some(tag) = spec.attributes.get("tag") {
            push(&mut fields, "CONTAINER_TAG", tag.as_bytes());
        }
        for (name, value) in attributes::selected(spec) {
            push(&mut fields, &field_name(&name), value.as_bytes());
        }
        Self { fields }
    }

    pub(super) fn packet(&self, line: &Line<'_>) -> Vec<u8> {
        let mut packet = Vec::with_capacity(self.fields.len() + line.text.len() + 64);
        push(&mut packet, "MESSAGE", line.text);
        push(&mut packet, "PRIORITY", line.severity().to_string().as_bytes());
        packet.extend_from_slice(&self.fields);
        packet
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

/// Field names are capitals, digits and underscores, and none begins with an underscore or a digit.
fn field_name(name: &str) -> String {
    let valid = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(valid).collect();
    name.trim_start_matches(|letter: char| letter == '_' || letter.is_ascii_digit()).to_owned()
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
