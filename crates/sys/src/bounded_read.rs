//! Reads untrusted files: regular files only, up to a limit, without following links out.
//!
//! A file in an image, a context or a container is whatever its author made it: a FIFO that blocks its reader
//! for ever, a device that acts when it is opened (a watchdog restarts the host), a symbolic link to a file
//! of the host or to one that the kernel generates (`/proc/kmsg`, whose reader consumes the host's messages),
//! a sparse file of a terabyte. A file is therefore first opened with O_PATH, which neither blocks nor acts;
//! only a regular file that a file system stores is then opened for reading, and never more than the limit is
//! read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

use crate::{confined, pseudo_file_system};

/// Why a file was not read, as the source of an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is a directory, a device, a FIFO, a socket or a symbolic link; [`io::ErrorKind::InvalidInput`].
    #[error("not a regular file")]
    NotRegular,
    /// It is a file of `/proc`, `/sys` or the like; [`io::ErrorKind::InvalidInput`].
    #[error("not a stored file: the kernel makes its content")]
    NotStored,
    /// It is longer than the limit; [`io::ErrorKind::FileTooLarge`].
    #[error("longer than {limit} bytes")]
    TooLong {
        /// How many bytes may be read.
        limit: u64,
    },
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::NotRegular | Refusal::NotStored => io::ErrorKind::InvalidInput,
            Refusal::TooLong { .. } => io::ErrorKind::FileTooLarge,
        };
        Self::new(kind, refusal)
    }
}

/// Opens a regular file as a process with the root directory `root` would see it: symbolic links
/// and `..` never lead out of it.
///
/// # Errors
/// What openat2(2) fails with, [`Refusal::NotRegular`] or [`Refusal::NotStored`].
pub fn open_beneath(root: impl AsFd, path: &Path) -> io::Result<File> {
    stored(confined::open(root, path, OFlags::PATH, confined::IN_ROOT)?)
}

/// Opens a regular file in a directory that the caller owns: a symbolic link in its place is refused.
///
/// # Errors
/// What open(2) fails with, [`Refusal::NotRegular`] or [`Refusal::NotStored`].
pub fn open(path: &Path) -> io::Result<File> {
    stored(openat(CWD, path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens a regular file that the host's administrator names, symbolic links followed: `/etc/resolv.conf` may well be
/// one to `/proc/net/pnp`.
///
/// # Errors
/// What open(2) fails with, or [`Refusal::NotRegular`].
pub fn open_on_host(path: &Path) -> io::Result<File> {
    let file = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    check_regular(&file)?;
    reopen(&file)
}

/// Reads a file that [`open_beneath`] opens.
///
/// # Errors
/// Its errors, those of read(2), or [`Refusal::TooLong`].
pub fn read_beneath(root: impl AsFd, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_file(&open_beneath(root, path)?, limit)
}

/// Reads a file that [`open`] opens.
///
/// # Errors
/// Its errors, those of read(2), or [`Refusal::TooLong`].
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_file(&open(path)?, limit)
}

/// Reads a regular file from a directory in which root's own programs alone write: with half the calls of [`read`].
///
/// # Errors
/// What open(2) and read(2) fail with, [`Refusal::NotRegular`] or [`Refusal::TooLong`].
pub fn read_own(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Opening a FIFO would block.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(CWD, path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(Refusal::NotRegular.into());
    }
    read_file(&file, limit)
}

/// Reads a file that [`open_on_host`] opens.
///
/// # Errors
/// Its errors, those of read(2), or [`Refusal::TooLong`].
pub fn read_on_host(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_file(&open_on_host(path)?, limit)
}

/// Reads an open file from its position to its end.
///
/// # Errors
/// What read(2) fails with, or [`Refusal::TooLong`].
pub fn read_file(file: &File, limit: u64) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.len();
    if length > limit {
        return Err(Refusal::TooLong { limit }.into());
    }
    // Room for one byte more, so that the read behind the end needs none made.
    read_into(Vec::with_capacity(usize::try_from(length + 1).unwrap_or(0)), file, limit)
}

/// Reads a stream to its end.
///
/// # Errors
/// The stream's error, or [`Refusal::TooLong`], after reading at most one byte beyond the limit.
pub fn read_stream(stream: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    read_into(Vec::new(), stream, limit)
}

fn read_into(mut bytes: Vec<u8>, stream: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    stream.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(Refusal::TooLong { limit }.into());
    }
    Ok(bytes)
}

/// Checks that what is open, if only as a path, is a regular file that a file system stores.
///
/// # Errors
/// What fstat(2) or fstatfs(2) fails with, [`Refusal::NotRegular`] or [`Refusal::NotStored`].
pub fn check_stored(file: impl AsFd) -> io::Result<()> {
    check_regular(&file)?;
    if pseudo_file_system::holds(&file)? {
        return Err(Refusal::NotStored.into());
    }
    Ok(())
}

fn check_regular(file: impl AsFd) -> io::Result<()> {
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Refusal::NotRegular.into());
    }
    Ok(())
}

fn stored(path: OwnedFd) -> io::Result<File> {
    check_stored(&path)?;
    reopen(&path)
}

/// Opens for reading what is open as a path; the inode is the same, whatever has its name by now.
fn reopen(path: &OwnedFd) -> io::Result<File> {
    let again = PathBuf::from(format!("/proc/self/fd/{}", path.as_raw_fd()));
    // A leased or locked file must not block the reader either, open(2).
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(openat(CWD, &again, flags, Mode::empty())?))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::mknodat;

    use super::*;

    /// A directory that is removed with the test.
    struct Directory(PathBuf);

    impl Directory {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("berth-bounded-{name}-{}", std::process::id()));
            fs::create_dir(&path).expect("a directory");
            Self(path)
        }

        fn descriptor(&self) -> File {
            File::open(&self.0).expect("the directory")
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn text(result: io::Result<Vec<u8>>) -> String {
        result.expect_err("a refusal").to_string()
    }

    #[test]
    fn links_stay_beneath_the_root() {
        let directory = Directory::new("links");
        fs::create_dir(directory.0.join("etc")).expect("etc");
        fs::write(directory.0.join("etc/passwd"), "own").expect("a file");
        symlink("/etc/passwd", directory.0.join("absolute")).expect("a link");
        symlink("../../../../../etc/passwd", directory.0.join("etc/upward")).expect("a link");
        symlink("/proc/self/root/etc/passwd", directory.0.join("magic")).expect("a link");
        let root = directory.descriptor();
        for path in ["etc/passwd", "/etc/passwd", "absolute", "etc/upward", "../../etc/passwd"] {
            assert_eq!(read_beneath(&root, Path::new(path), 9).expect(path), b"own", "{path}");
        }
        let error = read_beneath(&root, Path::new("magic"), 9).expect_err("no such file");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert_eq!(text(read(&directory.0.join("absolute"), 1 << 20)), "not a regular file");
        assert!(!read_on_host(&directory.0.join("absolute"), 1 << 20).expect("the host's").is_empty());
    }

    #[test]
    fn what_is_no_regular_file_is_neither_read_nor_waited_for() {
        let directory = Directory::new("types");
        let root = directory.descriptor();
        mknodat(&root, "fifo", FileType::Fifo, Mode::RUSR, 0).expect("a FIFO");
        let _listener = std::os::unix::net::UnixListener::bind(directory.0.join("socket")).expect("a socket");
        fs::create_dir(directory.0.join("directory")).expect("a directory");
        for name in ["fifo", "socket", "directory"] {
            assert_eq!(text(read_beneath(&root, Path::new(name), 9)), "not a regular file", "{name}");
            assert_eq!(text(read(&directory.0.join(name), 9)), "not a regular file", "{name}");
            assert!(read_own(&directory.0.join(name), 9).is_err(), "{name}");
            assert_eq!(text(read_on_host(&directory.0.join(name), 9)), "not a regular file", "{name}");
        }
        assert_eq!(text(read_on_host(Path::new("/dev/zero"), 9)), "not a regular file");
    }

    #[test]
    fn files_of_the_kernel_are_the_administrators_alone() {
        let root = File::open("/").expect("the root directory");
        let want = "not a stored file: the kernel makes its content";
        for path in ["/proc/version", "/sys/kernel/uevent_seqnum"] {
            assert_eq!(text(read_beneath(&root, Path::new(path), 9)), want, "{path}");
            assert_eq!(text(read(Path::new(path), 9)), want, "{path}");
            assert!(!read_on_host(Path::new(path), 1 << 20).expect(path).is_empty(), "{path}");
        }
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        let directory = Directory::new("limit");
        let path = directory.0.join("file");
        fs::write(&path, "12345").expect("a file");
        assert_eq!(read(&path, 5).expect("five bytes"), b"12345");
        assert_eq!(read_own(&path, 5).expect("five bytes"), b"12345");
        assert_eq!(text(read_own(&path, 4)), "longer than 4 bytes");
        assert_eq!(text(read(&path, 4)), "longer than 4 bytes");
        let file = fs::OpenOptions::new().write(true).open(&path).expect("the file");
        file.set_len(1 << 40).expect("a hole");
        assert_eq!(text(read(&path, 1 << 20)), "longer than 1048576 bytes");
        assert_eq!(text(read_stream(io::repeat(0), 3)), "longer than 3 bytes");
        assert_eq!(read_stream(io::repeat(0).take(3), 3).expect("three bytes"), [0; 3]);
        // Files of /proc have no size.
        assert!(!read_on_host(Path::new("/proc/self/status"), 1 << 20).expect("text").is_empty());
    }
}
