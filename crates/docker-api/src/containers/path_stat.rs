//! The field `X-Docker-Container-Path-Stat`: what a path is, as base64 of JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::images::paths::{FileKind, PathStat};
use http::{HeaderName, HeaderValue};
use model::Timestamp;
use serde::Serialize;

use crate::ApiError;

const NAME: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

/// A path's attributes, in the documented form.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireStat<'a> {
    name: &'a str,
    size: u64,
    mode: u32,
    mtime: Timestamp,
    link_target: &'a str,
}

/// Makes the field for a path.
pub(super) fn field(stat: &PathStat) -> Result<(HeaderName, HeaderValue), ApiError> {
    let wire = WireStat {
        name: &stat.name,
        size: stat.size,
        mode: go_mode(stat.kind, stat.permissions),
        mtime: stat.modified,
        link_target: stat.link_target.as_deref().unwrap_or_default(),
    };
    let text = serde_json::to_vec(&wire).map_err(|error| ApiError::internal(error.to_string()))?;
    let value = HeaderValue::try_from(STANDARD.encode(text));
    Ok((NAME, value.map_err(|error| ApiError::internal(error.to_string()))?))
}

/// The bits of Go's `os.FileMode` (package os, constants `ModeDir` and following).
fn go_mode(kind: FileKind, permissions: u32) -> u32 {
    const DIRECTORY: u32 = 1 << 31;
    const SYMLINK: u32 = 1 << 27;
    const DEVICE: u32 = 1 << 26;
    const PIPE: u32 = 1 << 25;
    const SOCKET: u32 = 1 << 24;
    const SETUID: u32 = 1 << 23;
    const SETGID: u32 = 1 << 22;
    const CHARACTER: u32 = 1 << 21;
    const STICKY: u32 = 1 << 20;
    let kind = match kind {
        FileKind::File => 0,
        FileKind::Directory => DIRECTORY,
        FileKind::Symlink => SYMLINK,
        FileKind::BlockDevice => DEVICE,
        FileKind::CharacterDevice => DEVICE | CHARACTER,
        FileKind::Pipe => PIPE,
        FileKind::Socket => SOCKET,
    };
    let special = [(0o4000, SETUID), (0o2000, SETGID), (0o1000, STICKY)];
    let special = special.iter().filter(|(bit, _)| permissions & bit != 0).map(|(_, mode)| mode);
    (permissions & 0o777) | kind | special.sum::<u32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_gos() {
        for (kind, permissions, mode) in [
            (FileKind::File, 0o640, 0o640),
            (FileKind::File, 0o4755, 1 << 23 | 0o755),
            (FileKind::Directory, 0o1777, 1 << 31 | 1 << 20 | 0o777),
            (FileKind::Directory, 0o700, 2_147_484_096),
            (FileKind::CharacterDevice, 0o666, 1 << 26 | 1 << 21 | 0o666),
            (FileKind::Symlink, 0o777, 1 << 27 | 0o777),
        ] {
            assert_eq!(go_mode(kind, permissions), mode, "{kind:?} {permissions:o}");
        }
    }
}
