//! Opens paths that never lead out of a directory, openat2(2).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// How often a path that the kernel was unsure of is tried again.
const ATTEMPTS: u32 = 128;

/// How a process with the directory as its root sees a path: an absolute one, symbolic links and `..` begin or end there.
pub const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Opens a path below a directory, with these flags of resolution.
///
/// # Errors
/// What openat2(2) fails with.
pub fn open(
    directory: impl AsFd,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let mut attempts = 0;
    loop {
        match openat2(directory.as_fd(), path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            // A rename elsewhere on the host raced with the resolution of "..".
            Err(Errno::AGAIN | Errno::INTR) if attempts < ATTEMPTS => attempts += 1,
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn renames_elsewhere_stop_nothing() {
        let directory = std::env::temp_dir().join(format!("berth-confined-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("a/b")).expect("directories");
        let (one, other) = (directory.join("one"), directory.join("other"));
        std::fs::create_dir(&one).expect("a directory");
        let root = std::fs::File::open(directory.join("a")).expect("a directory");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::fs::rename(&one, &other).expect("a rename");
                    std::fs::rename(&other, &one).expect("a rename");
                }
            });
            let opened = (0..20_000)
                .try_for_each(|_| open(&root, Path::new("b/../../b"), OFlags::PATH, IN_ROOT).map(drop));
            done.store(true, Ordering::Relaxed);
            opened.expect("it is there");
        });
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
