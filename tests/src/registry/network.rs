//! Work in the network of an engine.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Engine;

/// Does something in the network of an engine: sockets opened there stay there.
///
/// # Panics
/// When the network is gone, and with whatever the work panics.
pub fn within_network<T: Send>(engine: &Engine, work: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(format!("/proc/{}/ns/net", engine.network_pid())).expect("the network");
    let moved = || {
        // Only this thread moves; it ends with the work.
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("to enter the network");
        work()
    };
    thread::scope(|scope| scope.spawn(moved).join().expect("the work in the engine's network"))
}
