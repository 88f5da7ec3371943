//! Writes layers to disk: few files one by one, many with the whole file system.
//!
//! An fsync of each of thousands of files commits the file system's journal as often; a `syncfs`
//! also writes what all others have left unwritten, which on a busy machine is far more than a small
//! layer. The files' data is sent on its way first, so that their fsyncs share a commit.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Files and directories of all layers together that are written one by one.
const FEW: usize = 128;

/// Writes the layers at `paths`, in the directory `parent`, to disk; `root` is on their file system.
///
/// # Errors
/// Those of fsync(2) and syncfs(2).
pub(super) fn layers(root: &OwnedFd, parent: &Path, paths: &[PathBuf]) -> io::Result<()> {
    let mut places = vec![parent.to_owned()];
    // What cannot be listed, because its path is too long for example, is written with all else.
    if !paths.iter().all(|path| gather(path, &mut places).unwrap_or(false)) {
        return Ok(rustix::fs::syncfs(root)?);
    }
    let files = places.iter().map(File::open).collect::<io::Result<Vec<_>>>()?;
    for file in &files {
        sys::writeback::start(file.as_fd())?;
    }
    files.iter().try_for_each(File::sync_all)
}

/// Adds a directory and all files and directories below it; false when they are too many. Links and
/// devices are on disk with the directory that names them. Directories wait in a list: how deep they lie
/// within each other is a stranger's choice.
fn gather(directory: &Path, places: &mut Vec<PathBuf>) -> io::Result<bool> {
    let mut waiting = vec![directory.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in directory.read_dir()? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                places.push(entry.path());
            }
            if places.len() + waiting.len() >= FEW {
                return Ok(false);
            }
        }
        places.push(directory);
    }
    Ok(places.len() <= FEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_within_each_other_end_no_thread_with_a_small_stack() {
        let root = std::env::temp_dir().join(format!("berth-deep-{}", std::process::id()));
        let mut deep = root.clone();
        for _ in 0..1900 {
            deep.push("a");
        }
        std::fs::create_dir_all(&deep).expect("directories");
        let top = root.clone();
        let gathered = std::thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(move || gather(&top, &mut Vec::new()))
            .expect("a thread");
        let gathered = gathered.join().expect("its end").expect("a listing");
        std::fs::remove_dir_all(&root).expect("the directories gone");
        assert!(!gathered, "two thousand directories are not few");
    }
}
