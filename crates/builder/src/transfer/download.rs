//! Keeps what ADD downloads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;

use images::Space;
use model::Digest;
use sha2::{Digest as _, Sha256};

/// Writes a stream to a file and returns its digest.
///
/// # Errors
/// What reading or writing fails with; [`io::ErrorKind::StorageFull`] when it is longer than what is free.
pub(crate) fn keep(stream: &mut dyn Read, path: &Path) -> io::Result<Digest> {
    let mut file = File::create_new(path)?;
    let mut space = Space::of(file.as_fd())?;
    let mut state = Sha256::new();
    let mut buffer = vec![0_u8; 128 * 1024];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(Digest::from_bytes(state.finalize().into())),
            count => {
                space.write(count).map_err(|limit| io::Error::new(io::ErrorKind::StorageFull, limit))?;
                file.write_all(&buffer[..count])?;
                state.update(&buffer[..count]);
            }
        }
    }
}

/// The last name in an address's path; empty when it has none.
pub(crate) fn name(address: &str) -> String {
    let path = address.split(['?', '#']).next().unwrap_or(address);
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let name = path.split_once('/').map_or("", |(_, path)| path.rsplit('/').next().unwrap_or(""));
    if matches!(name, "." | "..") { String::new() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_of_addresses() {
        for (address, want) in [
            ("http://h/a.txt", "a.txt"),
            ("http://h/d/a.txt?a=b/c", "a.txt"),
            ("http://h/", ""),
            ("http://h", ""),
            ("http://h/d/", ""),
            ("http://h/..", ""),
        ] {
            assert_eq!(name(address), want, "{address}");
        }
    }
}
