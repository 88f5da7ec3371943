//! Makes user namespaces with the namespaces that belong to them, and enters them.
//!
//! ```text
//! caller ──clone──→ child: unshares or joins the user namespace ──→ "in"
//!    │ writes the maps, which only a process outside may ──→ "mapped"
//!    │                     child: unshares the others, which belong to it ──→ "made"
//!    └ opens all of them by the child's number, and lets the child end
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::fs::Gid;
use rustix::process::{Uid, WaitId, WaitIdOptions};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::clone::{Cloned, NewNamespaces, clone, leave, unshare};

/// Where a user namespace comes from.
#[derive(Debug)]
pub enum Origin<'a> {
    /// A new one with these lines of `uid_map` and `gid_map`.
    New {
        /// Users.
        users: &'a str,
        /// Groups.
        groups: &'a str,
    },
    /// One that is there.
    Existing(BorrowedFd<'a>),
}

/// A user namespace and new namespaces that belong to it.
#[derive(Debug)]
pub struct Owned {
    /// The user namespace.
    pub user: OwnedFd,
    /// The network namespace, if requested.
    pub network: Option<OwnedFd>,
    /// The ipc namespace, if requested.
    pub ipc: Option<OwnedFd>,
    /// The uts namespace, if requested.
    pub uts: Option<OwnedFd>,
}

/// Makes `namespaces`, of which network, ipc and uts count, as the property of a user namespace. For processes with a
/// single thread that have CAP_SYS_ADMIN and CAP_SETUID.
///
/// # Errors
/// Those of unshare(2) and of writing a map, user_namespaces(7).
pub fn make(origin: &Origin<'_>, namespaces: NewNamespaces) -> io::Result<Owned> {
    let (mut ours, theirs) = UnixStream::pair()?;
    match clone(NewNamespaces::default(), None)? {
        Cloned::Child => {
            drop(ours);
            live(origin, namespaces, theirs)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let made = gather(origin, namespaces, &mut ours, pid);
            // Its end of the line has ended: the child ends by itself.
            drop(ours);
            rustix::io::retry_on_intr(|| {
                rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
            })?;
            made
        }
    }
}

/// The whole life of the child.
fn live(origin: &Origin<'_>, namespaces: NewNamespaces, mut line: UnixStream) -> ! {
    let others = NewNamespaces { mount: false, pid: false, user: false, ..namespaces };
    let enter = || match origin {
        Origin::Existing(namespace) => {
            Ok(move_into_link_name_space(*namespace, Some(LinkNameSpaceType::User))?)
        }
        Origin::New { .. } => unshare(NewNamespaces { user: true, ..NewNamespaces::default() }),
    };
    if !say(&mut line, &enter()) || line.read_exact(&mut [0]).is_err() {
        leave(1);
    }
    // Files of the new namespaces belong to the user namespace's root.
    let made = become_root().and_then(|()| unshare(others));
    if say(&mut line, &made) {
        // Until the parent has opened them.
        let _ = line.read(&mut [0]);
    }
    leave(0)
}

/// Reports an outcome as the number of its error; true when there was no error.
fn say(line: &mut UnixStream, outcome: &io::Result<()>) -> bool {
    let number = outcome.as_ref().err().map_or(0, |error| error.raw_os_error().unwrap_or(libc::EIO));
    line.write_all(&number.to_ne_bytes()).is_ok() && number == 0
}

fn outcome(line: &mut UnixStream) -> io::Result<()> {
    let mut number = [0; 4];
    line.read_exact(&mut number)?;
    match i32::from_ne_bytes(number) {
        0 => Ok(()),
        number => Err(io::Error::from_raw_os_error(number)),
    }
}

fn gather(
    origin: &Origin<'_>,
    namespaces: NewNamespaces,
    line: &mut UnixStream,
    pid: u32,
) -> io::Result<Owned> {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    outcome(line)?;
    if let Origin::New { users, groups } = origin {
        std::fs::write(directory.join("uid_map"), users)?;
        std::fs::write(directory.join("gid_map"), groups)?;
    }
    line.write_all(&[0])?;
    outcome(line)?;
    let open = |name: &str| File::open(directory.join("ns").join(name)).map(OwnedFd::from);
    Ok(Owned {
        user: open("user")?,
        network: namespaces.network.then(|| open("net")).transpose()?,
        ipc: namespaces.ipc.then(|| open("ipc")).transpose()?,
        uts: namespaces.uts.then(|| open("uts")).transpose()?,
    })
}

/// Enters a user namespace and becomes its root. For processes with a single thread.
///
/// # Errors
/// Those of setns(2) and setresuid(2).
pub fn enter(namespace: BorrowedFd<'_>) -> io::Result<()> {
    rustix::thread::set_thread_groups(&[])?;
    move_into_link_name_space(namespace, Some(LinkNameSpaceType::User))?;
    become_root()
}

/// Becomes root of the user namespace that the calling process has entered: until then it has no mapped user
/// there.
///
/// # Errors
/// Those of setresuid(2).
pub fn become_root() -> io::Result<()> {
    rustix::thread::set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
    Ok(rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?)
}
