//! Files that the kernel makes up while they are read, in /proc and the like: their size says nothing of
//! their content.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::Stat;
use sys::pseudo_file_system;

/// No more of one is read: some have no end.
const LIMIT: u64 = 16 << 20;

/// Who may read what gives no secret of the host away, nor takes what it gives, as `/proc/kmsg` does.
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
    // Many refuse to be read, or have nothing to say now.
    let _ = File::from(file.try_clone().ok()?).take(LIMIT).read_to_end(&mut content);
    Some(content)
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
