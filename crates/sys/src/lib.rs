//! Safe wrappers of the Linux system calls berth needs; the only crate with unsafe code.
#![allow(unsafe_code, reason = "this is the crate that may")]

pub mod netlink;
pub mod program;
pub mod seqpacket;
