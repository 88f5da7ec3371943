//! Mounts a new, detached file system, with options in the form of mount(8).

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};

use crate::mount::{AttributeChange, MountAttributes};

/// The kernel's report about one refused option or mount, fsopen(2), is at most this long.
const LONGEST_MESSAGE: usize = 4096;

/// Options of a mount: those that the kernel keeps with the mount, and those that the file system itself reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOptions<'t> {
    attributes: MountAttrFlags,
    settings: Vec<&'t str>,
}

impl<'t> MountOptions<'t> {
    /// Reads words such as `ro,size=64m`.
    #[must_use]
    pub fn parse(text: &'t str) -> Self {
        Self::beginning_with(MountAttrFlags::empty(), text)
    }

    /// Reads them where without others nothing can run, be set-user-ID or be a device.
    #[must_use]
    pub fn restricted(text: &'t str) -> Self {
        let restricted = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        Self::beginning_with(restricted, text)
    }

    fn beginning_with(mut attributes: MountAttrFlags, text: &'t str) -> Self {
        let mut settings = Vec::new();
        for option in text.split(',').filter(|option| !option.is_empty()) {
            match option {
                "ro" => attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY,
                "rw" => attributes -= MountAttrFlags::MOUNT_ATTR_RDONLY,
                "nosuid" => attributes |= MountAttrFlags::MOUNT_ATTR_NOSUID,
                "suid" => attributes -= MountAttrFlags::MOUNT_ATTR_NOSUID,
                "nodev" => attributes |= MountAttrFlags::MOUNT_ATTR_NODEV,
                "dev" => attributes -= MountAttrFlags::MOUNT_ATTR_NODEV,
                "noexec" => attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
                "exec" => attributes -= MountAttrFlags::MOUNT_ATTR_NOEXEC,
                "noatime" => attributes |= MountAttrFlags::MOUNT_ATTR_NOATIME,
                "nodiratime" => attributes |= MountAttrFlags::MOUNT_ATTR_NODIRATIME,
                "strictatime" => attributes |= MountAttrFlags::MOUNT_ATTR_STRICTATIME,
                // What the kernel does by itself, or what has no meaning for a new mount.
                "relatime" | "atime" | "diratime" | "async" | "defaults" | "private" | "rprivate" => {}
                setting => settings.push(setting),
            }
        }
        Self { attributes, settings }
    }

    /// Those that the file system itself reads.
    #[must_use]
    pub fn settings(&self) -> &[&'t str] {
        &self.settings
    }

    /// Replaces those that the file system itself reads.
    #[must_use]
    pub fn with_settings(self, settings: Vec<&'t str>) -> Self {
        Self { settings, ..self }
    }

    /// The attributes as a change of a mount that is there.
    #[must_use]
    pub fn attribute_change(&self) -> AttributeChange {
        let chosen = [
            (MountAttrFlags::MOUNT_ATTR_RDONLY, MountAttributes::READ_ONLY),
            (MountAttrFlags::MOUNT_ATTR_NOSUID, MountAttributes::NO_SET_USER_ID),
            (MountAttrFlags::MOUNT_ATTR_NODEV, MountAttributes::NO_DEVICES),
            (MountAttrFlags::MOUNT_ATTR_NOEXEC, MountAttributes::NO_EXECUTE),
        ];
        let set = chosen.into_iter().filter(|(flag, _)| self.attributes.contains(*flag));
        let set = set.fold(MountAttributes::default(), |all, (_, attribute)| all.and(attribute));
        AttributeChange { set, ..AttributeChange::default() }
    }
}

/// Mounts a new file system of a kind that the kernel has.
///
/// # Errors
/// Those of fsopen(2), fsconfig(2) and fsmount(2), in the kernel's own words where it has some.
pub fn mount(kind: &str, source: &str, options: &MountOptions<'_>) -> io::Result<OwnedFd> {
    let kind = CString::new(kind)?;
    let context = fsopen(kind.as_c_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    let set = |key: &str, value: Option<&str>| -> Result<(), Errno> {
        match value {
            Some(value) => fsconfig_set_string(&context, key, value),
            None => fsconfig_set_flag(&context, key),
        }
    };
    let mounted = (|| {
        set("source", Some(source))?;
        for setting in &options.settings {
            let (key, value) =
                setting.split_once('=').map_or((*setting, None), |(key, value)| (key, Some(value)));
            set(key, value)?;
        }
        // A device that cannot be written to can only be mounted so; memory always can.
        if options.attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY) && kind.as_c_str() != c"tmpfs" {
            set("ro", None)?;
        }
        fsconfig_create(&context)?;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, options.attributes)
    })();
    mounted.map_err(|error: Errno| in_own_words(&context, error))
}

/// The error with what the kernel reports about it, `e tmpfs: Bad value for 'size'`.
fn in_own_words(context: &OwnedFd, error: Errno) -> io::Error {
    let mut message = [0; LONGEST_MESSAGE];
    let error = io::Error::from(error);
    match rustix::io::read(context, &mut message) {
        Ok(length) if length > 2 => {
            let words = String::from_utf8_lossy(&message[2..length]).trim().to_owned();
            io::Error::new(error.kind(), format!("{error}: {words}"))
        }
        Ok(_) | Err(_) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_told_apart() {
        let options = MountOptions::restricted("rw,exec,size=64m,,mode=1777,ro");
        assert_eq!(options.settings(), ["size=64m", "mode=1777"]);
        let read_only = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NODEV;
        assert!(options.attributes.contains(read_only));
        assert!(!options.attributes.contains(MountAttrFlags::MOUNT_ATTR_NOEXEC));
        assert!(MountOptions::parse("defaults,nosuid").attributes == MountAttrFlags::MOUNT_ATTR_NOSUID);
    }

    #[test]
    fn a_refusal_is_in_the_kernels_words() {
        assert!(rustix::process::geteuid().is_root(), "this test needs root");
        let error = mount("tmpfs", "tmpfs", &MountOptions::parse("size=much")).expect_err("a bad size");
        assert!(error.to_string().contains("size"), "{error}");
        let error = mount("nosuchfs", "none", &MountOptions::parse("")).expect_err("no such file system");
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
