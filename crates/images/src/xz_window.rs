//! Finds out how large the window of an xz stream is, before anything is decoded.

/// A stream's header and the longest header of its first block ("The .xz File Format", 2.1.1 and 3.1).
pub(crate) const START: usize = STREAM_HEADER + 1024;

const STREAM_HEADER: usize = 12;
/// The filter that has a window (5.3.1).
const LZMA2: u64 = 0x21;

/// The bytes of the window that the stream's first block needs; nothing where the start of no block is there.
pub(crate) fn of(start: &[u8]) -> Option<u64> {
    let block = start.get(STREAM_HEADER..)?;
    // Its size in units of four bytes, this byte included; zero begins the index of a stream without a block.
    let size = (usize::from(*block.first().filter(|size| **size != 0)?) + 1) * 4;
    let flags = *block.get(1)?;
    let mut rest = block.get(2..size)?;
    // The sizes of what is compressed and of what it becomes may come first (3.1.3, 3.1.4).
    for flag in [0x40, 0x80] {
        if flags & flag != 0 {
            let _ = number(&mut rest)?;
        }
    }
    for _ in 0..=(flags & 0x03) {
        let (filter, length) = (number(&mut rest)?, number(&mut rest)?);
        let properties = rest.split_off(..usize::try_from(length).ok()?)?;
        if filter == LZMA2 {
            return window(*properties.first()?);
        }
    }
    None
}

/// A number of seven bits a byte, the lowest first (1.2).
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for position in 0..9 {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The size that the property byte of LZMA2 stands for (5.3.1).
fn window(property: u8) -> Option<u64> {
    match property {
        0..40 => Some((2 | u64::from(property & 1)) << (property / 2 + 11)),
        40 => Some(u64::from(u32::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_window_is_that_of_the_encoder() {
        for (preset, want) in [(0, 256 << 10), (6, 8 << 20), (9, 64 << 20)] {
            let options = lzma_rust2::XzOptions::with_preset(preset);
            let mut writer = lzma_rust2::XzWriter::new(Vec::new(), options).expect("memory");
            writer.write_all(b"content").expect("memory");
            let stream = writer.finish().expect("memory");
            assert_eq!(of(&stream), Some(want), "preset {preset}");
            assert_eq!(of(&stream[..13]), None, "cut off");
        }
        assert_eq!(of(b"\xfd7zXZ\0"), None);
    }
}
