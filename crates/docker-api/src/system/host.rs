//! The host's properties, read from the kernel's files.

use std::fs;
use std::path::Path;

/// Kernel and host name, uname(2).
pub(super) struct Names {
    pub(super) kernel: String,
    pub(super) host: String,
    pub(super) machine: String,
}

pub(super) fn names() -> Names {
    let names = rustix::system::uname();
    let text = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
    Names { kernel: text(names.release()), host: text(names.nodename()), machine: text(names.machine()) }
}

/// The architecture as the API calls it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// Bytes of memory.
pub(super) fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = text.lines().find_map(|line| {
        line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    });
    kibibytes.unwrap_or_default() * 1024
}

/// `PRETTY_NAME` of os-release(5).
pub(super) fn operating_system() -> String {
    system_value("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned())
}

/// `VERSION_ID` of os-release(5); empty where the system has none.
pub(super) fn system_version() -> String {
    system_value("VERSION_ID").unwrap_or_default()
}

fn system_value(name: &str) -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    value_of(name, &text.ok()?)
}

fn value_of(name: &str, text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// Whether a switch in /proc/sys is on.
pub(super) fn is_switched_on(path: &str) -> bool {
    fs::read_to_string(Path::new("/proc/sys").join(path)).is_ok_and(|text| text.trim() == "1")
}

/// How many descriptors this process has open.
pub(super) fn open_descriptors() -> usize {
    // Reading the directory takes one itself.
    fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count().saturating_sub(1))
}

/// The kind of file system that a directory is on, as the reference names it.
pub(super) fn file_system(path: &Path) -> String {
    let Ok(found) = rustix::fs::statfs(path) else { return "unknown".to_owned() };
    match found.f_type {
        0xef53 => "extfs".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        0x2fc1_2fc1 => "zfs".to_owned(),
        0x794c_7630 => "overlayfs".to_owned(),
        other => format!("{other:#x}"),
    }
}

/// A proxy variable in either spelling, without the user and the password in it.
pub(super) fn proxy(name: &str) -> String {
    let value = std::env::var(name.to_ascii_uppercase()).or_else(|_| std::env::var(name));
    without_credentials(&value.unwrap_or_default())
}

/// A URL whose user and password are crosses, as the specification's examples have them.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(end) => format!("{scheme}://xxxxx:xxxxx{}", &rest[end..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_of_proxies_are_not_shown() {
        for (url, shown) in [
            ("http://user:p@ss@proxy:8080/x", "http://xxxxx:xxxxx@proxy:8080/x"),
            ("http://proxy:8080/a@b", "http://proxy:8080/a@b"),
            ("*.local, 169.254/16", "*.local, 169.254/16"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }

    #[test]
    fn names_of_systems() {
        assert_eq!(
            value_of("PRETTY_NAME", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n").as_deref(),
            Some("Debian GNU/Linux 12")
        );
        assert_eq!(value_of("VERSION_ID", "VERSION=1\nVERSION_ID=12\n").as_deref(), Some("12"));
        assert_eq!(value_of("PRETTY_NAME", "ID=x\n"), None);
        assert!(memory() > 0 && open_descriptors() > 0);
        assert!(!names().kernel.is_empty());
    }
}
