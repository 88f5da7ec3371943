//! Whether a mount of the host allows the propagation that a bind requests.

use std::path::Path;

use model::Propagation;
use rustix::fs::{AtFlags, CWD, StatxFlags};

use crate::error::Doing;
use crate::{FailureKind, StartError};

/// Refuses to share what the host does not share: mounts would propagate in neither direction, without any
/// error.
pub(super) fn check(path: &Path, propagation: Propagation) -> Result<(), StartError> {
    let (slave_will_do, wanted) = match propagation {
        Propagation::Private | Propagation::RecursivePrivate => return Ok(()),
        Propagation::Slave | Propagation::RecursiveSlave => (true, "shared or slave"),
        Propagation::Shared | Propagation::RecursiveShared => (false, "shared"),
    };
    let act = || format!("looking at the mount of {}", path.display());
    let number =
        rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).doing_with(act)?.stx_mnt_id;
    let table = std::fs::read_to_string("/proc/thread-self/mountinfo").doing_with(act)?;
    let mounted = sys::mount_table::parse(&table).find(|mounted| mounted.id == number);
    match mounted {
        Some(mounted) if !(mounted.is_shared || slave_will_do && mounted.is_slave) => {
            let (path, point) = (path.display(), mounted.point.display());
            let message = format!("path {path} is mounted on {point} but it is not a {wanted} mount");
            Err(StartError::words(FailureKind::System, message))
        }
        // A mount that is not in the table is beyond the root of this process.
        Some(_) | None => Ok(()),
    }
}
