//! How much of a program's file the kernel reads to start it: elf(5).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// `e_ident` of 64 bits in little-endian order.
const MAGIC: [u8; 6] = *b"\x7fELF\x02\x01";
/// `sizeof(Elf64_Ehdr)`, `sizeof(Elf64_Phdr)`.
const HEADER: usize = 64;
const PART: usize = 56;
/// Where the header has the place of the parts' own headers, and their size and number.
const PARTS: usize = 32;
const PART_SIZE: usize = 54;
const PART_COUNT: usize = 56;
/// Where a part's header has its place in the file, and its length there.
const PLACE: usize = 8;
const LENGTH: usize = 32;

/// The length up to the end of the last part that is loaded; of a file of another form, the whole length. What follows are
/// symbols and the like, which nothing needs that runs.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn loaded_length(file: &File) -> io::Result<u64> {
    let whole = file.metadata()?.len();
    let mut header = [0; HEADER];
    // A directory fails here.
    let length = file.read_at(&mut header, 0)?;
    if length < HEADER || !header.starts_with(&MAGIC) || usize::from(u16_at(&header, PART_SIZE)) != PART {
        return Ok(whole);
    }
    let (place, count) = (u64_at(&header, PARTS), usize::from(u16_at(&header, PART_COUNT)));
    let mut parts = vec![0; count * PART];
    file.read_exact_at(&mut parts, place)?;
    let ends = parts.chunks_exact(PART).map(|part| u64_at(part, PLACE).saturating_add(u64_at(part, LENGTH)));
    Ok(ends.fold(place + parts.len() as u64, u64::max).min(whole))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|part| part.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|part| part.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_not_loaded_and_scripts_are_whole() {
        let own = File::open("/proc/self/exe").expect("this program");
        let length = loaded_length(&own).expect("read");
        // The tests have symbols, which stand behind what is loaded.
        assert!((1 << 16..own.metadata().expect("its length").len()).contains(&length), "{length}");
        let path = std::env::temp_dir().join(format!("berth-executable-{}", std::process::id()));
        for script in ["#!/bin/sh\n".to_owned(), format!("#!/bin/sh\n{}\n", "#".repeat(HEADER))] {
            std::fs::write(&path, &script).expect("written");
            let length = File::open(&path).and_then(|file| loaded_length(&file));
            assert_eq!(length.expect("read"), script.len() as u64);
        }
        std::fs::remove_file(&path).expect("removed");
        assert!(File::open("/").and_then(|file| loaded_length(&file)).is_err());
    }
}
