//! Files that the kernel generates while they are read, in /proc and the like: their size is unrelated to
//! their content.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::Stat;
use sys::pseudo_file_system;

use super::stack::open_directory;

/// No more of one is read: some have no end.
const LIMIT: u64 = 16 << 20;

/// A file that all may read has no secret of the host, and reading does not consume it, as with `/proc/kmsg`.
const EVERYONE: u32 = 0o004;

/// The content of such a file, as far as it lets itself be read; nothing for any other file. What not everyone may read
/// is empty.
pub(super) fn content(file: &OwnedFd, stat: &Stat) -> Option<Vec<u8>> {
    if stat.st_blocks != 0 {
        return None;
    }
    if !pseudo_file_system::holds(file).ok()? {
        return None;
    }
    let mut content = Vec::new();
    if stat.st_mode & EVERYONE == 0 {
        return Some(content);
    }
    // Many refuse to be read, or are empty now.
    let _ = File::from(file.try_clone().ok()?).take(LIMIT).read_to_end(&mut content);
    Some(content)
}

/// Whether a directory lies on such a file system.
pub(super) fn is_within(directory: &OwnedFd) -> bool {
    pseudo_file_system::holds(directory).unwrap_or(false)
}

/// Whether a directory that was found in another one is packed without its content: it is the root of such a file system,
/// which is not meant by a request for its surroundings, or belongs to one and refuses to be read.
pub(super) fn is_left_empty(parent: &OwnedFd, child: &[u8], stat: &Stat) -> bool {
    let is_mounted = rustix::fs::fstat(parent).is_ok_and(|parent| parent.st_dev != stat.st_dev);
    if !is_mounted && !is_within(parent) {
        return false;
    }
    match open_directory(parent, child) {
        Ok(directory) => is_mounted && is_within(&directory),
        Err(_) => is_within(parent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_kernel_makes_up_is_read_here() {
        let read = |path: &str| {
            let file = OwnedFd::from(File::open(path).expect(path));
            let stat = rustix::fs::fstat(&file).expect("its attributes");
            content(&file, &stat)
        };
        let release = read("/proc/sys/kernel/osrelease").expect("a release");
        assert!(release.ends_with(b"\n") && release.len() > 3);
        assert_eq!(read("/proc/self/mem"), Some(Vec::new()), "what refuses is empty");
        assert_eq!(read("/proc/self/environ"), Some(Vec::new()), "what is its owner's is empty");
        assert_eq!(read("/etc/passwd"), None);
    }
}
