//! What fuzz targets do with bytes of strangers; tests do the same with mutated ones.

use std::path::Component;

use buildkit_messages::file_sync::{Packet, PacketKind};
use prost::Message;

use crate::frontend;
use crate::synced::{Entry, TreeBuilder};

/// Reads the packets of a directory, each behind its length, as they come from a client.
///
/// # Panics
/// When an entry is taken whose path leads out of the directory.
pub fn read_entries(mut bytes: &[u8]) {
    let mut tree = TreeBuilder::new();
    while let Ok(packet) = Packet::decode_length_delimited(&mut bytes) {
        let Some(stat) = packet.stat.filter(|_| packet.kind == PacketKind::Stat as i32) else { continue };
        let Ok((path, entry)) = Entry::read(stat) else { return };
        if tree.insert(&path, entry, None).is_err() {
            return;
        }
        let is_inside = path.components().all(|part| matches!(part, Component::Normal(_)));
        assert!(is_inside, "{} leads out of the directory", path.display());
    }
    drop(tree.finish());
}

/// Reads a build graph and writes it as a Dockerfile.
///
/// # Panics
/// When something of the graph becomes an instruction of its own.
pub fn translate_graph(bytes: &[u8]) {
    let Some(text) = frontend::graph_as_dockerfile(bytes) else { return };
    const INSTRUCTIONS: [&str; 10] =
        ["#", "FROM", "ENV", "USER", "WORKDIR", "RUN", "COPY", "ADD", "CMD", "CHANGE"];
    for line in text.lines() {
        let first = line.split(' ').next().unwrap_or_default();
        assert!(INSTRUCTIONS.contains(&first), "{line:?} is an instruction");
    }
}

#[cfg(test)]
mod tests {
    use buildkit_messages::file_sync::Stat;

    use super::*;

    /// Changes, cuts off and repeats bytes; always the same ones.
    fn mutated(bytes: &[u8], mut check: impl FnMut(&[u8])) {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).expect("a number")
        };
        check(bytes);
        for _ in 0..20_000 {
            let mut changed = bytes.to_vec();
            for _ in 0..=next(4) {
                let place = next(changed.len());
                match next(3) {
                    0 => changed[place] = u8::try_from(next(256)).expect("a byte"),
                    1 => changed.truncate(place.max(1)),
                    _ => changed.extend_from_within(place..),
                }
                changed.truncate(4096);
            }
            check(&changed);
        }
    }

    #[test]
    fn mutated_entries_stay_inside() {
        let mut bytes = Vec::new();
        for (path, mode) in
            [("a", 0o644), ("d", (1 << 31) | 0o755), ("d/../x", 0o644), ("d/e", (1 << 27) | 0o777)]
        {
            let stat = Stat { path: path.into(), mode, link: "../../y".into(), size: 3, ..Stat::default() };
            let packet = Packet { kind: PacketKind::Stat.into(), stat: Some(stat), ..Packet::default() };
            packet.encode_length_delimited(&mut bytes).expect("bytes");
        }
        mutated(&bytes, read_entries);
    }

    #[test]
    fn mutated_graphs_are_dockerfiles_or_errors() {
        let bytes = frontend::graph_example().encode_to_vec();
        assert!(frontend::graph_as_dockerfile(&bytes).is_some());
        mutated(&bytes, translate_graph);
    }
}
