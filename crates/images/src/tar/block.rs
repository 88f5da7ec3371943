//! The unit of a tar.

/// The unit of a tar.
pub const BLOCK: usize = 512;

/// The bytes that fill the last block of a content.
pub(crate) const fn padding(size: u64) -> usize {
    // The remainder is below 512, so the cast keeps it.
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of 512")]
    let rest = (size % BLOCK as u64) as usize;
    if rest == 0 { 0 } else { BLOCK - rest }
}
