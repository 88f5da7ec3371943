//! How many bytes directories may hold together, by a project of their file system.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use sys::project_quota;

use crate::error::Error;
use crate::random;

/// How often a project number is drawn until a free one is found.
const DRAWS: usize = 64;

/// A number of bytes, or of `k`, `m`, `g`, `t` or `p` in steps of 1024, with `b` or `ib` behind them if one likes.
fn parse(text: &str) -> Option<u64> {
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

/// The option `size` of a container's storage or a volume, if there is one.
///
/// # Errors
/// Refused where it is no size.
pub(crate) fn of_options(options: Option<&BTreeMap<String, String>>) -> Result<Option<u64>, Error> {
    let Some(text) = options.and_then(|options| options.get("size")) else { return Ok(None) };
    match parse(text) {
        Some(size) => Ok(Some(size)),
        None => Err(Error::refused(format!("invalid size: '{text}'"))),
    }
}

/// Limits directories, which may be limited already, and what will be made in them.
///
/// # Errors
/// Those of the file system; see [`is_unsupported`].
pub(crate) fn set(directories: &[&Path], size: u64) -> io::Result<()> {
    let directories = directories.iter().map(File::open).collect::<io::Result<Vec<File>>>()?;
    let Some(first) = directories.first() else { return Ok(()) };
    let project = match project_quota::project_of(first)? {
        0 => free_project(first)?,
        known => known,
    };
    directories.iter().try_for_each(|directory| project_quota::assign(directory, project))?;
    project_quota::limit(first, project, Some(size))
}

/// Lets a directory's files count with those of another, if that is limited.
///
/// # Errors
/// Those of the file system.
pub(crate) fn share(limited: &Path, directory: &Path) -> io::Result<()> {
    // A file system without projects has no numbers to share.
    match project_quota::project_of(File::open(limited)?).unwrap_or(0) {
        0 => Ok(()),
        project => project_quota::assign(File::open(directory)?, project),
    }
}

/// Removes the limit of a directory, if there is one: its project number can be reused then.
///
/// # Errors
/// Those of the file system; a missing directory is not an error.
pub(crate) fn release(directory: &Path) -> io::Result<()> {
    let released = File::open(directory).and_then(|opened| match project_quota::project_of(&opened)? {
        0 => Ok(()),
        project => project_quota::limit(&opened, project, None),
    });
    match released {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether directories of this file system can be limited.
pub(crate) fn is_supported(directory: &Path) -> bool {
    File::open(directory).is_ok_and(|directory| project_quota::is_free(&directory, u32::MAX - 1).is_ok())
}

/// Whether an error means that the file system has no project quotas.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::SRCH | Errno::NOSYS | Errno::NOTTY | Errno::OPNOTSUPP | Errno::INVAL)
    )
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
            assert_eq!(parse(text), Some(size), "{text}");
        }
        for bad in ["", "0", "G", "-1", "1x", "1.5G", "99999999999p", "é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_options_that_may_be_missing() {
        let options = |size: &str| BTreeMap::from([("size".to_owned(), size.to_owned())]);
        assert_eq!(of_options(None).expect("none"), None);
        assert_eq!(of_options(Some(&BTreeMap::new())).expect("none"), None);
        assert_eq!(of_options(Some(&options("10m"))).expect("a size"), Some(10 << 20));
        let error = of_options(Some(&options("much"))).expect_err("no size").to_string();
        assert_eq!(error, "invalid size: 'much'");
    }
}
