//! Safe wrappers of the Linux system calls berth needs; the only crate with unsafe code.
#![allow(unsafe_code, reason = "this is the crate that may")]

pub mod account_file;
pub mod activation;
pub mod background;
pub mod bounded_read;
pub mod child_signal;
pub mod clone;
pub mod device_program;
pub mod epoll;
pub mod execute;
pub mod filesystem;
pub mod held_mount;
pub mod inet;
pub mod init_signals;
pub mod local_time;
pub mod mapped_file;
pub mod memory;
pub mod memory_budget;
pub mod mount;
pub mod mount_table;
pub mod netlink;
pub mod network_namespace;
pub mod overlay;
pub mod packet_info;
pub mod private;
pub mod private_mounts;
pub mod process;
pub mod program;
pub mod pseudo_file_system;
pub mod random;
pub mod reserve;
pub mod seqpacket;
pub mod signal;
pub mod stream;
pub mod unread;
pub mod writeback;
