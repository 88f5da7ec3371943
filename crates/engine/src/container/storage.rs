//! `StorageOpt`: how many bytes a container's own layer may hold, by a project of its file system.

use std::fs::File;
use std::io;
use std::path::Path;

use model::HostSettings;
use rustix::io::Errno;
use sys::project_quota;

use crate::error::{Error, file_error};
use crate::random;

/// The directories of a layer that share a project: overlay moves files from one to the other.
const PARTS: [&str; 2] = ["upper", "work"];

/// How often a number is drawn for a project until it is nobody's.
const DRAWS: usize = 64;

/// The bytes that a container's own layer may hold; `None` for no limit.
///
/// # Errors
/// Refused, in dockerd's words, for another option; a size that is none.
pub(crate) fn size(host: &HostSettings) -> Result<Option<u64>, Error> {
    let options = host.storage_options.as_ref();
    if let Some(name) = options.and_then(|options| options.keys().find(|name| *name != "size")) {
        return Err(Error::refused(format!("Unknown option {name}")));
    }
    let Some(text) = options.and_then(|options| options.get("size")) else { return Ok(None) };
    match parse_size(text) {
        Some(size) => Ok(Some(size)),
        None => Err(Error::refused(format!("invalid size: '{text}'"))),
    }
}

/// A number of bytes, or of `k`, `m`, `g`, `t` or `p` in steps of 1024, with `b` or `ib` behind them if one likes.
fn parse_size(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (number, power) = match bare.char_indices().last()? {
        (end, 'k') => (&bare[..end], 1),
        (end, 'm') => (&bare[..end], 2),
        (end, 'g') => (&bare[..end], 3),
        (end, 't') => (&bare[..end], 4),
        (end, 'p') => (&bare[..end], 5),
        _ => (bare, 0),
    };
    let number: u64 = number.trim_end().parse().ok()?;
    number.checked_mul(1024_u64.pow(power)).filter(|size| *size > 0)
}

/// Limits the layer in a container's directory, which may be limited already.
///
/// # Errors
/// Refused where the file system has no quotas of projects.
pub(crate) fn limit(directory: &Path, size: u64) -> Result<(), Error> {
    let limited = (|| {
        let parts = PARTS.map(|part| File::open(directory.join(part)));
        let [upper, work] = parts;
        let (upper, work) = (upper?, work?);
        let project = match project_quota::project_of(&upper)? {
            0 => free_project(&upper)?,
            known => known,
        };
        project_quota::assign(&upper, project)?;
        project_quota::assign(&work, project)?;
        project_quota::limit(&upper, project, Some(size))
    })();
    limited.map_err(|error: io::Error| match Errno::from_io_error(&error) {
        Some(Errno::SRCH | Errno::NOSYS | Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL) => Error::refused(
            "--storage-opt is supported only where the data root is on xfs or ext4 with quotas of projects (mount option 'prjquota')",
        ),
        _ => file_error("limit the layer in", directory)(error),
    })
}

/// Takes the limit of a layer away: the number of its project can be another's then.
pub(crate) fn release(directory: &Path) {
    let released =
        File::open(directory.join(PARTS[0])).and_then(|upper| match project_quota::project_of(&upper)? {
            0 => Ok(()),
            project => project_quota::limit(&upper, project, None),
        });
    match released {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("cannot take the limit of the layer in {} away: {error}", directory.display());
        }
        Err(_) | Ok(()) => {}
    }
}

fn free_project(directory: &File) -> io::Result<u32> {
    for _ in 0..DRAWS {
        // Small numbers are those of /etc/projects.
        let project = u32::from_ne_bytes(random::bytes()) | 1 << 31;
        if project != u32::MAX && project_quota::is_free(directory, project)? {
            return Ok(project);
        }
    }
    Err(io::Error::other("no project is free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_steps_of_1024() {
        for (text, size) in [
            ("120G", 120 << 30),
            ("1048576", 1 << 20),
            ("10m", 10 << 20),
            ("2kb", 2 << 10),
            ("3 GiB", 3 << 30),
            ("1t", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Some(size), "{text}");
        }
        for bad in ["", "0", "G", "-1", "1x", "1.5G", "99999999999p", "é"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
