//! The options of the driver `local`: `type`, `o` and `device`, as mount(8) takes them.

use std::collections::BTreeMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::OpenTreeFlags;
use sys::filesystem::{self, MountOptions};

use crate::error::Error;

/// The mount of a volume whose content is not a directory of the engine's own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LocalMount<'o> {
    /// A directory of the host; with what is mounted beneath it where `recursive`.
    Bind { directory: &'o str, recursive: bool, options: MountOptions<'o> },
    /// A file system of this kind.
    FileSystem { kind: &'o str, device: &'o str, options: MountOptions<'o> },
}

impl<'o> LocalMount<'o> {
    /// Reads the options of a volume; `None` for a directory of the engine's own.
    ///
    /// # Errors
    /// One that there is not, that is not possible, or that lacks another.
    pub(super) fn parse(all: &'o BTreeMap<String, String>) -> Result<Option<Self>, Error> {
        if let Some(name) = all.keys().find(|name| !["type", "o", "device", "size"].contains(&name.as_str()))
        {
            return Err(Error::refused(format!("invalid option: {name:?}")));
        }
        if all.keys().all(|name| name == "size") {
            return Ok(None);
        }
        if all.contains_key("size") {
            return Err(Error::refused(
                "invalid option: \"size\" of a volume that is mounted: its own size is one of the options in \"o\"",
            ));
        }
        let option = |name: &str| all.get(name).map(String::as_str).filter(|value| !value.is_empty());
        let missing = |name: &str| Error::refused(format!("missing required option: {name:?}"));
        let device = option("device").ok_or_else(|| missing("device"))?;
        let options = MountOptions::parse(option("o").unwrap_or_default());
        let is_bind = |word: &&str| matches!(*word, "bind" | "rbind");
        if let Some(word) = options.settings().iter().copied().find(|word| is_bind(word)) {
            if !device.starts_with('/') {
                return Err(Error::refused(format!(
                    "invalid option: the device {device:?} of a bind is no absolute path"
                )));
            }
            if let Some(other) = options.settings().iter().find(|word| !is_bind(word)) {
                return Err(Error::refused(format!("invalid option: {other:?} of a bind")));
            }
            return Ok(Some(Self::Bind { directory: device, recursive: word == "rbind", options }));
        }
        match option("type") {
            None | Some("none") => Err(missing("type")),
            Some(kind) => Ok(Some(Self::FileSystem { kind, device, options })),
        }
    }

    /// Mounts it, attached nowhere.
    ///
    /// # Errors
    /// Those of open_tree(2) and fsconfig(2), and a server's name that cannot be resolved.
    pub(super) fn open(self, volume: &str) -> Result<OwnedFd, Error> {
        let failed = |device: &str, error: std::io::Error| {
            let device = device.to_owned();
            Error::of_host(format!("failed to mount local volume {volume}: mount {device}: {error}"))
        };
        match self {
            Self::Bind { directory, recursive, options } => {
                bind(directory, recursive, &options).map_err(|error| failed(directory, error))
            }
            Self::FileSystem { kind, device, options } => {
                let address = server(&options).map_err(|error| failed(device, error))?;
                let options = match &address {
                    Some(address) => {
                        let mut settings = options.settings().to_vec();
                        settings.retain(|setting| !setting.starts_with(ADDRESS));
                        settings.push(address);
                        options.with_settings(settings)
                    }
                    None => options,
                };
                filesystem::mount(kind, device, &options).map_err(|error| failed(device, error))
            }
        }
    }
}

fn bind(directory: &str, recursive: bool, options: &MountOptions<'_>) -> std::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let mount = rustix::mount::open_tree(CWD, Path::new(directory), flags)?;
    sys::mount::set_attributes(&mount, c"", options.attribute_change())?;
    Ok(mount)
}

/// The option by which nfs(5) gets the server's address.
const ADDRESS: &str = "addr=";

/// The option with the address instead of a server's name, which the kernel does not resolve.
fn server(options: &MountOptions<'_>) -> std::io::Result<Option<String>> {
    let named = options.settings().iter().find_map(|setting| setting.strip_prefix(ADDRESS));
    let Some(name) = named.filter(|name| name.parse::<IpAddr>().is_err()) else { return Ok(None) };
    let mut found = (name, 0).to_socket_addrs()?;
    let address = found.next().ok_or_else(|| std::io::Error::other(format!("{name} has no address")))?;
    Ok(Some(format!("{ADDRESS}{}", address.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_say_what_is_mounted() {
        assert_eq!(LocalMount::parse(&options(&[])).expect("none"), None);
        let all = options(&[("type", "none"), ("o", "bind,ro"), ("device", "/srv")]);
        let Some(LocalMount::Bind { directory: "/srv", recursive: false, .. }) =
            LocalMount::parse(&all).expect("a bind")
        else {
            panic!("{all:?}")
        };
        let all = options(&[("type", "tmpfs"), ("o", "size=1m"), ("device", "tmpfs")]);
        let expected = MountOptions::parse("size=1m");
        assert_eq!(
            LocalMount::parse(&all).expect("memory"),
            Some(LocalMount::FileSystem { kind: "tmpfs", device: "tmpfs", options: expected })
        );
    }

    #[test]
    fn options_that_cannot_be_are_refused_by_name() {
        for (pairs, words) in [
            (&[("foo", "bar")][..], "\"foo\""),
            (&[("type", "tmpfs")], "\"device\""),
            (&[("o", "bind")], "\"device\""),
            (&[("device", "/srv")], "\"type\""),
            (&[("device", "/srv"), ("type", "none")], "\"type\""),
            (&[("device", "srv"), ("o", "bind")], "absolute"),
            (&[("device", "/srv"), ("o", "bind,size=1m")], "size=1m"),
            (&[("size", "1m"), ("type", "tmpfs"), ("device", "tmpfs")], "\"o\""),
        ] {
            let all = options(pairs);
            let error = LocalMount::parse(&all).expect_err(words).to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_size_alone_is_that_of_a_directory() {
        let all = options(&[("size", "10m")]);
        assert_eq!(LocalMount::parse(&all).expect("a directory"), None);
    }

    #[test]
    fn a_servers_name_becomes_its_address() {
        let address = |text| server(&MountOptions::parse(text)).expect(text);
        assert_eq!(address("addr=127.0.0.1,rw"), None);
        assert_eq!(address("rw"), None);
        let found = address("vers=4,addr=localhost").expect("an address");
        assert!(["addr=127.0.0.1", "addr=::1"].contains(&found.as_str()), "{found}");
    }
}
