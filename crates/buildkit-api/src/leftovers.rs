//! Removes the files of an earlier process in a directory.

use std::fs;
use std::io;
use std::path::Path;

/// Removes it, but for a directory of the name `kept`; the directory, which need not be there, may be a mount or a link. A
/// directory that is empty already stays as it is: removing it and making it again waits for some file systems' disk.
///
/// # Errors
/// What the kernel refuses.
pub(crate) fn remove(directory: &Path, kept: Option<&str>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true if kept.is_some_and(|kept| entry.file_name() == kept) => {}
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_goes_but_the_directory_that_is_kept() {
        let directory = std::env::temp_dir().join(format!("berth-leftovers-{}", std::process::id()));
        remove(&directory, None).expect("nothing is there");
        fs::create_dir_all(directory.join("kept/beneath")).expect("made");
        fs::create_dir_all(directory.join("other/beneath")).expect("made");
        fs::write(directory.join("socket"), "").expect("written");
        remove(&directory, Some("kept")).expect("removed");
        let left =
            fs::read_dir(&directory).expect("listed").map(|entry| entry.expect("an entry").file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["kept"]);
        remove(&directory.join("kept"), None).expect("removed");
        assert_eq!(fs::read_dir(directory.join("kept")).expect("listed").count(), 0);
        fs::remove_dir_all(&directory).expect("removed");
    }
}
