//! Maps of sparse files: the old GNU header with its continuation blocks, and PAX version 1.0.

use super::header::number;
use super::{ArchiveError, BLOCK, Extent};

/// More extents than this occur only in hostile archives.
pub(crate) const EXTENT_LIMIT: usize = 1 << 20;

/// Reads the extents of an old GNU header or continuation block; returns whether more blocks follow.
pub(crate) fn old_extents(
    block: &[u8; BLOCK],
    first: bool,
    extents: &mut Vec<Extent>,
) -> Result<bool, &'static str> {
    let (table, more) = if first { (&block[386..482], block[482]) } else { (&block[0..504], block[504]) };
    for pair in table.chunks_exact(24) {
        if pair.iter().all(|byte| *byte == 0) {
            break;
        }
        let offset = number(&pair[..12]).ok_or("a sparse offset is no number")?;
        let length = number(&pair[12..]).ok_or("a sparse length is no number")?;
        extents.push(Extent { offset, length });
    }
    Ok(more != 0)
}

/// The size of the whole file in an old GNU header.
pub(crate) fn old_real_size(block: &[u8; BLOCK]) -> Option<u64> {
    number(&block[483..495])
}

/// Checks that extents are ordered, inside the file, and together as long as the stored content.
pub(crate) fn check(extents: &[Extent], size: u64, stored: u64, offset: u64) -> Result<(), ArchiveError> {
    let bad = |problem| Err(ArchiveError::Header { offset, problem });
    if extents.len() > EXTENT_LIMIT {
        return bad("a sparse file has too many pieces");
    }
    let (mut end, mut sum) = (0_u64, 0_u64);
    for extent in extents {
        if extent.offset < end {
            return bad("the pieces of a sparse file overlap");
        }
        let (Some(new_end), Some(new_sum)) =
            (extent.offset.checked_add(extent.length), sum.checked_add(extent.length))
        else {
            return bad("a sparse file is too large");
        };
        (end, sum) = (new_end, new_sum);
    }
    if end > size || sum != stored {
        return bad("the pieces of a sparse file do not fit its size");
    }
    Ok(())
}
