//! The entry points of fuzz targets for untrusted bytes; tests use them with mutated ones.

use std::path::{Component, PathBuf};
use std::sync::LazyLock;

use buildkit_messages::file_sync::{Packet, PacketKind};
use engine::builder::{ContextTree as _, Given, NodeKind};
use prost::Message;

use crate::frontend;
use crate::session::{Synced, replay};
use crate::synced::{Contents, Entry, TreeBuilder};

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

/// Receives a directory of packets, each behind its length, whose contents are kept beneath a directory of this process.
///
/// # Panics
/// When a directory that is taken for whole lacks bytes that it was sent, or has others.
pub fn receive_directory(bytes: &[u8]) {
    static CONTENTS: LazyLock<Contents> = LazyLock::new(|| {
        let name = format!("berth-fuzz-received-{}", std::process::id());
        Contents::open(std::env::temp_dir().join(name)).expect("a directory for contents")
    });
    let Ok(Synced { tree, sent }) = replay(&CONTENTS, bytes) else { return };
    let mut waiting = vec![PathBuf::new()];
    let mut kept = 0;
    while let Some(path) = waiting.pop() {
        let names = tree.names(&path).expect("names");
        waiting.extend(names.into_iter().map(|name| path.join(name)));
        let node = tree.node(&path).expect("a node");
        // Further names of a file have what the first one has.
        let size = match node.map(|node| node.kind) {
            Some(NodeKind::File { size }) if !tree.is_further_name(&path) => size,
            _ => continue,
        };
        kept += size;
        let given = match tree.give(&path).expect("a content") {
            Given::Bytes(bytes) => bytes.len() as u64,
            Given::Copy(place) | Given::Link(place) => place.metadata().expect("a file").len(),
        };
        assert_eq!(given, size, "{} has another size", path.display());
    }
    assert_eq!(kept, sent, "what was sent is not what is kept");
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
    fn mutated_directories_are_refused_or_whole() {
        let mut bytes = Vec::new();
        let mut send = |packet: Packet| packet.encode_length_delimited(&mut bytes).expect("bytes");
        let stat = |path: &str, mode, size, link: &str| Packet {
            kind: PacketKind::Stat.into(),
            stat: Some(Stat { path: path.into(), mode, size, link: link.into(), ..Stat::default() }),
            ..Packet::default()
        };
        let data = |id, length| Packet {
            kind: PacketKind::Data.into(),
            id,
            data: vec![7; length].into(),
            ..Packet::default()
        };
        for packet in [
            stat("a", 0o644, 3, ""),
            stat("b", (1 << 31) | 0o755, 0, ""),
            stat("b/c", 0o600, 70, ""),
            stat("b/d", 0o644, 3, "a"),
            stat("e", (1 << 27) | 0o777, 0, "../../x"),
            data(0, 2),
            data(2, 70),
            data(0, 1),
            data(0, 0),
            Packet { kind: PacketKind::Stat.into(), ..Packet::default() },
            data(2, 0),
        ] {
            send(packet);
        }
        let name = format!("berth-replayed-{}", std::process::id());
        let contents = Contents::open(std::env::temp_dir().join(&name)).expect("a directory");
        let whole = replay(&contents, &bytes).expect("an honest directory");
        assert_eq!((whole.sent, whole.tree.bytes()), (73, 73));
        drop(whole);
        mutated(&bytes, receive_directory);
        for name in [name, format!("berth-fuzz-received-{}", std::process::id())] {
            std::fs::remove_dir(std::env::temp_dir().join(name)).expect("no content is left");
        }
    }

    #[test]
    fn mutated_graphs_are_dockerfiles_or_errors() {
        let bytes = frontend::graph_example().encode_to_vec();
        assert!(frontend::graph_as_dockerfile(&bytes).is_some());
        mutated(&bytes, translate_graph);
    }
}
