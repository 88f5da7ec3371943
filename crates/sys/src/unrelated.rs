//! Marks a directory as one of unrelated directories, for the file system's placement on disk.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

/// Has a file system place each directory that is made within `directory` from now on apart from the others, with all its
/// content.
///
/// ext4 puts a new directory into the group of inodes in which its parent is, and skips every inode of that group that was
/// deleted in the last minutes, one by one, for each file that is made: thousands of files take seconds where thousands were
/// deleted shortly before. With this attribute (`T` of chattr(1), `FS_TOPDIR_FL` of ioctl_iflags(2)) it chooses a group with
/// space. File systems without such an attribute stay as they are.
///
/// # Errors
/// Those of open(2) and of the ioctls.
pub fn spread_directories(directory: &Path) -> io::Result<()> {
    let directory = File::open(directory)?;
    let set = ioctl_getflags(&directory).and_then(|flags| match flags.contains(IFlags::TOPDIR) {
        true => Ok(()),
        false => ioctl_setflags(&directory, flags | IFlags::TOPDIR),
    });
    match set {
        Err(Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL) => Ok(()),
        set => Ok(set?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The type of ext2, ext3 and ext4 alike in statfs(2).
    const EXT: i64 = 0xef53;

    #[test]
    fn a_directory_is_marked_where_the_file_system_has_the_attribute() {
        let path = std::env::temp_dir().join(format!("berth-unrelated-{}", std::process::id()));
        std::fs::create_dir(&path).expect("a directory");
        for _ in 0..2 {
            spread_directories(&path).expect("marked, or nothing to be marked");
        }
        let directory = File::open(&path).expect("the directory");
        let file_system = rustix::fs::fstatfs(&directory).expect("its file system").f_type;
        let flags = ioctl_getflags(&directory).unwrap_or(IFlags::empty());
        std::fs::remove_dir(&path).expect("removed");
        assert_eq!(flags.contains(IFlags::TOPDIR), file_system == EXT);
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let missing = spread_directories(Path::new("/nonexistent/berth")).expect_err("no directory");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }
}
