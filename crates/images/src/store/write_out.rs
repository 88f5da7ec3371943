//! Writes layers to disk, their own files only: a `syncfs` would wait for what all others have left unwritten.
//!
//! The data of many files is sent on its way first, so that their fsyncs share a commit of the file system's journal.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// As many files are open at once.
const BATCH: usize = 256;

/// Writes the layer at `path` to disk; `root` is on its file system. Links and devices are on disk with the directory that
/// names them. `give_way` is called between batches.
///
/// # Errors
/// Those of open(2), fsync(2) and syncfs(2).
pub(super) fn layer(root: &OwnedFd, path: &Path, give_way: &dyn Fn()) -> io::Result<()> {
    match own_files(path, give_way) {
        // What lies so deep that its path is too long is written with all else.
        Err(error) if error.raw_os_error() == Some(Errno::NAMETOOLONG.raw_os_error()) => {
            Ok(rustix::fs::syncfs(root)?)
        }
        done => done,
    }
}

/// Writes one file or directory to disk.
///
/// # Errors
/// Those of open(2) and fsync(2).
pub(super) fn file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Directories wait in a list: how deep they lie within each other is a stranger's choice.
fn own_files(top: &Path, give_way: &dyn Fn()) -> io::Result<()> {
    let mut waiting = vec![top.to_owned()];
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(directory) = waiting.pop() {
        for entry in directory.read_dir()? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                waiting.push(entry.path());
            } else if kind.is_file() {
                add(entry.path(), &mut batch, give_way)?;
            }
        }
        add(directory, &mut batch, give_way)?;
    }
    write(&mut batch)
}

fn add(path: PathBuf, batch: &mut Vec<File>, give_way: &dyn Fn()) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOATIME | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    sys::writeback::start(file.as_fd())?;
    batch.push(file);
    if batch.len() == BATCH {
        write(batch)?;
        give_way();
    }
    Ok(())
}

fn write(batch: &mut Vec<File>) -> io::Result<()> {
    batch.drain(..).try_for_each(|file| file.sync_all())
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
        let written = std::thread::Builder::new()
            .stack_size(128 << 10)
            .spawn(move || own_files(&top, &|| {}))
            .expect("a thread");
        let written = written.join().expect("its end");
        std::fs::remove_dir_all(&root).expect("the directories gone");
        written.expect("written");
    }
}
