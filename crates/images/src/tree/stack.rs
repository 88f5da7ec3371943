//! Stacked directories as overlay shows them, read without a mount (overlayfs documentation,
//! "Upper and Lower", "whiteouts and opaque directories").

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// How a directory of several layers is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An ordinary directory: every name is what it is.
    Plain,
    /// Overlay's layers: whiteouts hide, directories merge.
    Merged,
    /// One layer as the difference it makes: whiteouts are names of their own.
    Difference,
}

/// The directories that make up one directory, topmost first.
#[derive(Debug, Clone)]
pub(crate) struct Stack(pub(crate) Vec<Arc<OwnedFd>>);

/// One name of a stacked directory.
#[derive(Debug)]
pub(crate) struct Found {
    /// Which of the stack's directories has it.
    pub(crate) layer: usize,
    pub(crate) stat: Stat,
}

impl Stack {
    /// Opens layers, topmost first.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub(crate) fn open(paths: &[impl AsRef<Path>]) -> io::Result<Self> {
        let open =
            |path: &_| open_directory(CWD, AsRef::<Path>::as_ref(path).as_os_str().as_bytes()).map(Arc::new);
        Ok(Self(paths.iter().map(open).collect::<Result<_, Errno>>()?))
    }

    /// Whether there is nothing.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory's names in order, with what they stand for. Whiteouts are left out where
    /// layers merge.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub(crate) fn names(&self, form: Form) -> io::Result<BTreeMap<Vec<u8>, Found>> {
        let mut names: BTreeMap<Vec<u8>, Found> = BTreeMap::new();
        for (layer, directory) in self.0.iter().enumerate() {
            for child in Dir::read_from(directory)? {
                let child = child?;
                let name = child.file_name().to_bytes();
                if matches!(name, b"." | b"..") || names.contains_key(name) {
                    continue;
                }
                // It may have gone since it was listed.
                if let Some(stat) = look(directory, child.file_name())? {
                    names.insert(name.to_vec(), Found { layer, stat });
                }
            }
        }
        if form == Form::Merged {
            names.retain(|_, found| !is_whiteout(&found.stat));
        }
        Ok(names)
    }

    /// The node of a name; `None` for a whiteout.
    pub(crate) fn find(&self, name: &[u8]) -> io::Result<Option<Found>> {
        for (layer, directory) in self.0.iter().enumerate() {
            if let Some(stat) = look(directory, OsStr::from_bytes(name))? {
                return Ok((!is_whiteout(&stat)).then_some(Found { layer, stat }));
            }
        }
        Ok(None)
    }

    /// The directories that make up the child directory `name`, found in layer `from`.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub(crate) fn child(&self, name: &[u8], from: usize, form: Form) -> io::Result<Self> {
        let mut child = Vec::new();
        for directory in self.0.iter().skip(from) {
            match open_directory(directory, name) {
                Ok(opened) => {
                    let ends = form != Form::Plain && is_opaque(&opened)?;
                    child.push(Arc::new(opened));
                    if ends || form != Form::Merged {
                        break;
                    }
                }
                Err(Errno::NOENT) => {}
                // A file or whiteout hides what is below it.
                Err(Errno::NOTDIR | Errno::LOOP) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self(child))
    }
}

fn look(directory: &OwnedFd, name: impl rustix::path::Arg) -> Result<Option<Stat>, Errno> {
    match fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a directory for reading, never through a symlink.
pub(crate) fn open_directory(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(parent, OsStr::from_bytes(name), flags, Mode::empty())
}

/// Whether a directory hides what layers below have in it.
pub(crate) fn is_opaque(directory: &OwnedFd) -> Result<bool, Errno> {
    let mut value = [0_u8; 1];
    match fs::fgetxattr(directory, crate::whiteout::OPAQUE, &mut value) {
        Ok(length) => Ok(length == 1 && value == *b"y"),
        Err(Errno::NODATA | Errno::NOTSUP | Errno::RANGE) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

pub(crate) fn is_directory(stat: &Stat) -> bool {
    kind(stat) == FileType::Directory
}

pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// The extended attributes of something open, overlay's own left out.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn attributes(file: &OwnedFd) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    attributes_with(|buffer| fs::flistxattr(file, buffer), |name, buffer| fs::fgetxattr(file, name, buffer))
}

/// The extended attributes of what cannot be opened: a symlink, a device, a pipe.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn attributes_at(parent: &OwnedFd, name: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    use std::os::fd::AsRawFd;
    let place = [format!("/proc/self/fd/{}/", parent.as_raw_fd()).as_bytes(), name].concat();
    let place = OsStr::from_bytes(&place);
    attributes_with(|buffer| fs::llistxattr(place, buffer), |name, buffer| fs::lgetxattr(place, name, buffer))
}

fn attributes_with(
    list: impl Fn(&mut [u8]) -> Result<usize, Errno>,
    value: impl Fn(&CStr, &mut [u8]) -> Result<usize, Errno>,
) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let names = match filled(list) {
        Ok(names) if names.is_empty() => return Ok(Vec::new()),
        Err(Errno::NOTSUP | Errno::NOENT) => return Ok(Vec::new()),
        names => names?,
    };
    let mut found = Vec::new();
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let bytes = name.to_bytes();
        if bytes.starts_with(b"trusted.overlay.") || bytes.starts_with(b"user.overlay.") {
            continue;
        }
        // Labels of the host's security modules mean nothing elsewhere.
        if bytes == b"security.selinux" {
            continue;
        }
        match filled(|buffer| value(name, buffer)) {
            Ok(value) => found.push((bytes.to_vec(), value)),
            // Changed meanwhile by a running container.
            Err(Errno::NODATA | Errno::RANGE | Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    found.sort();
    Ok(found)
}

/// The content of a buffer that a call fills: most results fit a small one, none is larger than 64 KiB
/// (xattr(7), "Filesystem differences").
fn filled(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 1024];
    match call(&mut small) {
        Err(Errno::RANGE) => {
            let mut large = vec![0; 64 * 1024];
            let length = call(&mut large)?;
            large.truncate(length);
            Ok(large)
        }
        length => Ok(small[..length?].to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_and_overlay_s_own_left_out() {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let path = std::env::temp_dir().join(format!("berth-attributes-{}", std::process::id()));
        std::fs::write(&path, "x").expect("a file");
        let file = OwnedFd::from(std::fs::File::open(&path).expect("it"));
        assert_eq!(attributes(&file).expect("none"), []);
        for name in ["user.note", "trusted.overlay.origin", "trusted.other"] {
            fs::fsetxattr(&file, name, b"hello", fs::XattrFlags::empty()).expect(name);
        }
        let expected =
            [(b"trusted.other".to_vec(), b"hello".to_vec()), (b"user.note".to_vec(), b"hello".to_vec())];
        assert_eq!(attributes(&file).expect("two"), expected);
        let parent = open_directory(CWD, std::env::temp_dir().as_os_str().as_bytes()).expect("it");
        let name = path.file_name().expect("a name").as_bytes();
        assert_eq!(attributes_at(&parent, name).expect("two"), expected);
        std::fs::remove_file(&path).expect("removed");
    }
}
