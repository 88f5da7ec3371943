//! Makes files as another user than root, with root's rights.

use std::io;

use rustix::thread::CapabilitySets;

/// Runs `work` while files that the calling thread makes belong to this user and group, setfsuid(2). The thread keeps all rights
/// that it has.
///
/// # Errors
/// When the thread is not root.
pub fn make_files_as<T>((user, group): (u32, u32), work: impl FnOnce() -> T) -> io::Result<T> {
    let root = Root { rights: rustix::thread::capabilities(None)? };
    set(user, group)?;
    // A user who is not root loses the capabilities over others' files until they are set again.
    rustix::thread::set_capabilities(None, root.rights)?;
    Ok(work())
}

/// Makes the thread root again at its end, whatever that is.
struct Root {
    rights: CapabilitySets,
}

impl Drop for Root {
    fn drop(&mut self) {
        // A thread that could become another user can become root again.
        let _ = set(0, 0).and_then(|()| Ok(rustix::thread::set_capabilities(None, self.rights)?));
    }
}

fn set(user: u32, group: u32) -> io::Result<()> {
    // SAFETY: the calls change the calling thread's credentials alone and take no pointers.
    unsafe { libc::setfsgid(group) };
    // SAFETY: as above.
    unsafe { libc::setfsuid(user) };
    // An id that cannot be changes nothing and gives what there is.
    // SAFETY: as above.
    let group_now = unsafe { libc::setfsgid(u32::MAX) };
    // SAFETY: as above.
    let user_now = unsafe { libc::setfsuid(u32::MAX) };
    let is = |now: libc::c_int, wanted: u32| u32::try_from(now) == Ok(wanted);
    if is(group_now, group) && is(user_now, user) {
        return Ok(());
    }
    Err(io::ErrorKind::PermissionDenied.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn files_belong_to_the_user_and_rights_stay() {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let directory = std::env::temp_dir().join(format!("berth-file-owner-{}", std::process::id()));
        std::fs::create_dir(&directory).expect("a directory");
        std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .expect("nobody else may");
        let owner = |name: &str| {
            let found = std::fs::metadata(directory.join(name)).expect("a file");
            (found.uid(), found.gid())
        };
        let made = make_files_as((100_000, 200_000), || std::fs::write(directory.join("mapped"), ""));
        made.expect("root").expect("made");
        std::fs::write(directory.join("own"), "").expect("made");
        assert_eq!((owner("mapped"), owner("own")), ((100_000, 200_000), (0, 0)));
        std::fs::remove_dir_all(&directory).expect("removed");
    }
}
