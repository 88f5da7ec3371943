//! Distinguishes file systems that store files from those whose files the kernel generates while they are read.
//!
//! A pseudo-file is a regular file to fstat(2), but reading one can act (`/proc/kmsg` consumes the messages that it
//! returns) or never end, and its content is the host's.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::fstatfs;

/// The types of pseudo-file systems in statfs(2) (linux/magic.h, and the sources of those that it does not
/// name).
const MAGIC: [u64; 26] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup, cpuset
    0x6367_7270, // cgroup2
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x6265_6570, // configfs
    0xcafe_4a11, // bpf
    0xf97c_ff8c, // selinuxfs
    0x4341_5d53, // smackfs
    0x5a3c_69f0, // apparmorfs
    0x4249_4e4d, // binfmt_misc
    0x6e73_6673, // nsfs
    0x1980_0202, // mqueue
    0x1cd1,      // devpts
    0x0765_5821, // resctrl
    0x6573_5543, // fusectl
    0x6e66_7364, // nfsd
    0x6759_6969, // rpc_pipefs
    0xabba_1974, // xenfs
    0x6c6f_6f70, // binder
    0x0904_1934, // anonymous inodes
    0x5049_4446, // pidfs
];

/// Whether a file lies on a pseudo-file system; a descriptor opened as a mere path will do.
///
/// # Errors
/// What fstatfs(2) fails with.
pub fn holds(file: impl AsFd) -> io::Result<bool> {
    let kind = fstatfs(file)?.f_type;
    Ok(MAGIC.iter().any(|known| u64::try_from(kind) == Ok(*known)))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn files_of_the_kernel_are_told_from_stored_ones() {
        let of = |path: &str| holds(File::open(path).expect(path)).expect("its file system");
        assert!(of("/proc/self/status") && of("/sys/kernel/mm"));
        assert!(!of("/etc/passwd"));
    }
}
