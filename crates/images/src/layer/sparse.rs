//! Hashes bytes that are mostly zero, as headers of tars are, by what of them is not.

use sha2::{Digest as _, Sha256};

/// Bytes of which it is noted whether they are all zero: most of a header is.
const STRETCH: usize = 64;
/// As many stretches are noted with one number.
const GROUP: usize = 64 * STRETCH;

/// Adds bytes to a hash, of those that are zero in a row little more than where they are. No two sequences of calls with
/// different bytes look alike.
pub(super) fn add_sparse(state: &mut Sha256, bytes: &[u8]) {
    let mut told = Vec::with_capacity(bytes.len().min(GROUP) + size_of::<u64>() * 2);
    for group in bytes.chunks(GROUP) {
        told.clear();
        told.extend_from_slice(&(group.len() as u64).to_le_bytes());
        let mut zeros = 0_u64;
        told.extend_from_slice(&zeros.to_le_bytes());
        for (index, stretch) in group.chunks(STRETCH).enumerate() {
            if stretch.iter().fold(0, |all, byte| all | byte) == 0 {
                zeros |= 1 << index;
            } else {
                told.extend_from_slice(stretch);
            }
        }
        told[size_of::<u64>()..2 * size_of::<u64>()].copy_from_slice(&zeros.to_le_bytes());
        state.update(&told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_differ_are_told_apart_however_many_are_zero() {
        let told = |pieces: &[&[u8]]| {
            let mut state = Sha256::new();
            pieces.iter().for_each(|piece| add_sparse(&mut state, piece));
            state.finalize()
        };
        let mut all = vec![told(&[])];
        for length in [1, STRETCH - 1, STRETCH, STRETCH + 1, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP + 7] {
            let zeros = vec![0; length];
            all.push(told(&[&zeros]));
            for place in [0, length / 2, length - 1] {
                let mut bytes = zeros.clone();
                bytes[place] = 1;
                all.push(told(&[&bytes]));
            }
        }
        let count = all.len();
        all.sort();
        all.dedup();
        // The only byte of the shortest is the same three times.
        assert_eq!(all.len(), count - 2);
    }
}
