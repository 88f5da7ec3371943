//! Safe wrappers of the Linux system calls berth needs; the only crate with unsafe code.
