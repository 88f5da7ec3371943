//! Unix sockets: a stale one is replaced, a living daemon's is not; mode 0660 and a group of choice.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};

use super::ListenError;

/// Owner and group may connect.
const MODE: u32 = 0o660;
/// The group that gets the socket when none is named and it exists.
const DEFAULT_GROUP: &str = "docker";

/// Binds a socket at a path.
pub(super) async fn bind(path: &Path, group: Option<&str>) -> Result<UnixListener, ListenError> {
    let error = |source| ListenError::Unix { path: path.into(), source };
    let group = group_id(group)?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(error)?;
    }
    clear(path).await?;
    // Until the mode is set only root can connect: connecting needs the right to write.
    let listener = UnixListener::bind(path).map_err(error)?;
    chown(path, None, group).map_err(error)?;
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(error)?;
    Ok(listener)
}

/// Removes a socket that has no listener any more.
async fn clear(path: &Path) -> Result<(), ListenError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ListenError::Unix { path: path.into(), source }),
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NoSocket(path.into()));
    }
    if UnixStream::connect(path).await.is_ok() {
        return Err(ListenError::InUse(path.into()));
    }
    fs::remove_file(path).map_err(|source| ListenError::Unix { path: path.into(), source })
}

/// The number of a group given by name or number; the default group may be missing.
fn group_id(group: Option<&str>) -> Result<Option<u32>, ListenError> {
    let name = group.unwrap_or(DEFAULT_GROUP);
    if name.is_empty() {
        return Ok(None);
    }
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    match find_group(&groups, name).or_else(|| name.parse().ok()) {
        Some(id) => Ok(Some(id)),
        None if group.is_none() => Ok(None),
        None => Err(ListenError::Group(name.to_owned())),
    }
}

/// Looks a name up in the text of /etc/group, group(5).
fn find_group(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_by_name() {
        let groups = "root:x:0:\ndocker:x:999:me,you\nbroken\nodd:x:y:\n";
        assert_eq!(find_group(groups, "docker"), Some(999));
        assert_eq!(find_group(groups, "root"), Some(0));
        assert_eq!(
            (find_group(groups, "none"), find_group(groups, "odd"), find_group(groups, "broken")),
            (None, None, None)
        );
        assert!(matches!(group_id(Some("no-such-group-here")), Err(ListenError::Group(_))));
        assert!(matches!(group_id(Some("12345")), Ok(Some(12345))));
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_a_living_one_and_files_are_not() {
        let directory = std::env::temp_dir().join(format!("berth-listener-{}", std::process::id()));
        let path = directory.join("deep/berth.sock");
        let living = bind(&path, Some("0")).await.expect("bound");
        assert_eq!(fs::metadata(&path).expect("socket").permissions().mode() & 0o7777, MODE);
        assert!(matches!(bind(&path, Some("0")).await, Err(ListenError::InUse(_))));
        drop(living);
        let again = bind(&path, Some("0")).await.expect("the stale socket is replaced");
        drop(again);
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "file").expect("written");
        assert!(matches!(bind(&path, Some("0")).await, Err(ListenError::NoSocket(_))));
        fs::remove_dir_all(&directory).expect("cleared");
    }
}
