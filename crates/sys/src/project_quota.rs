//! Projects of a file system, whose files together can be limited: quotactl_fd(2), ioctl_xfs_fsgetxattr(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// The result of `FS_IOC_FSGETXATTR`, `struct fsxattr` of linux/fs.h.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct FileAttributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    copy_extent_size: u32,
    padding: [u8; 8],
}

/// `struct if_dqblk` of linux/quota.h; blocks are of 1024 bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct Quota {
    blocks_hard: u64,
    blocks_soft: u64,
    bytes: u64,
    files_hard: u64,
    files_soft: u64,
    files: u64,
    blocks_time: u64,
    files_time: u64,
    valid: u32,
}

/// linux/fs.h: `_IOR('X', 31, struct fsxattr)`, `_IOW('X', 32, struct fsxattr)`, new files in a directory inherit its project.
const GET_ATTRIBUTES: libc::Ioctl = 0x801c_581f_u32 as libc::Ioctl;
const SET_ATTRIBUTES: libc::Ioctl = 0x401c_5820;
const INHERIT_PROJECT: u32 = 0x200;

/// linux/quota.h: `QCMD(Q_GETQUOTA, PRJQUOTA)`, `QCMD(Q_SETQUOTA, PRJQUOTA)`, and that the limits of blocks are valid.
const GET_QUOTA: u32 = 0x8000_0702;
const SET_QUOTA: u32 = 0x8000_0802;
const BLOCK_LIMITS: u32 = 1;

/// The project of a file or directory; 0 means no project.
///
/// # Errors
/// Those of the ioctl: `Unsupported` or ENOTTY where the file system has no projects.
pub fn project_of(directory: impl AsFd) -> io::Result<u32> {
    attributes(&directory).map(|attributes| attributes.project)
}

/// Makes a directory, and what will be made in it, a part of a project.
///
/// # Errors
/// Those of the ioctl.
pub fn assign(directory: impl AsFd, project: u32) -> io::Result<()> {
    let mut attributes = attributes(&directory)?;
    attributes.flags |= INHERIT_PROJECT;
    attributes.project = project;
    // SAFETY: the attributes outlive the call, which reads as many bytes as they have.
    let result = unsafe { libc::ioctl(directory.as_fd().as_raw_fd(), SET_ATTRIBUTES, &raw const attributes) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether a project has no files and no limits on the file system of a directory.
///
/// # Errors
/// Those of quotactl_fd(2): ESRCH where no quotas of projects are switched on.
pub fn is_free(directory: impl AsFd, project: u32) -> io::Result<bool> {
    let mut quota = Quota::default();
    match control(&directory, GET_QUOTA, project, &mut quota) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        other => other.map(|()| quota.bytes == 0 && quota.files == 0 && quota.blocks_hard == 0),
    }
}

/// Limits the bytes of a project's files; without a number there is no limit.
///
/// # Errors
/// Those of quotactl_fd(2).
pub fn limit(directory: impl AsFd, project: u32, bytes: Option<u64>) -> io::Result<()> {
    let blocks = bytes.map_or(0, |bytes| bytes.div_ceil(1024));
    let mut quota =
        Quota { blocks_hard: blocks, blocks_soft: blocks, valid: BLOCK_LIMITS, ..Quota::default() };
    control(&directory, SET_QUOTA, project, &mut quota)
}

fn attributes(directory: &impl AsFd) -> io::Result<FileAttributes> {
    let mut attributes = FileAttributes::default();
    // SAFETY: the attributes outlive the call, which writes as many bytes as they have.
    let result = unsafe { libc::ioctl(directory.as_fd().as_raw_fd(), GET_ATTRIBUTES, &raw mut attributes) };
    if result == 0 { Ok(attributes) } else { Err(io::Error::last_os_error()) }
}

fn control(directory: &impl AsFd, command: u32, project: u32, quota: &mut Quota) -> io::Result<()> {
    // SAFETY: the quota outlives the call, which reads or writes as many bytes as it has.
    let result = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            directory.as_fd().as_raw_fd(),
            command,
            project,
            std::ptr::from_mut(quota),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
