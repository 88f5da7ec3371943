//! The engine's own id, as `GET /info` shows it.

use crate::store::{Database, Row};

/// Makes the engine's own id.
pub(super) fn make(database: &Database) -> String {
    let value = random();
    database.keep(vec![Row::Setting { name: "identity", value: value.clone() }]).forget();
    value
}

fn random() -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bytes: [u8; 48] = crate::random::bytes();
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(":")
}
