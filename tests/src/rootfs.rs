//! The tests' only image: Debian's static busybox with the files a small system has.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

/// Where Debian's package `busybox-static` puts its program.
const BUSYBOX: &str = "/bin/busybox";

/// The files of every image of a system, and the users of tests.
const FILES: [(&str, &str); 5] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nmary:x:1001:100::/:/bin/sh\n",
    ),
    ("etc/group", "root:x:0:\ndaemon:x:1:alice\nusers:x:100:\nalice:x:1000:\nteam:x:2000:alice,mary\n"),
    ("etc/shadow", "root:*:1::::::\n"),
    ("etc/profile", ""),
    ("etc/hostname", "image\n"),
];

/// Writes the image's tar archive.
///
/// # Panics
/// When `busybox-static` is not installed.
#[must_use]
pub fn busybox() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| build(Path::new(BUSYBOX)))
}

fn build(program: &Path) -> Vec<u8> {
    let bytes = fs::read(program).expect("/bin/busybox (Debian's package busybox-static)");
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["bin", "dev", "etc", "home", "home/alice", "proc", "root", "sys", "usr", "var"] {
        append(&mut archive, name, tar::EntryType::Directory, 0o755, b"");
    }
    append(&mut archive, "tmp", tar::EntryType::Directory, 0o1777, b"");
    append(&mut archive, "bin/busybox", tar::EntryType::Regular, 0o755, &bytes);
    for applet in applets(program) {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Link);
        header.set_mode(0o755);
        header.set_size(0);
        archive
            .append_link(&mut header, format!("bin/{applet}"), "bin/busybox")
            .expect("a link in the archive");
    }
    for (name, text) in FILES {
        append(&mut archive, name, tar::EntryType::Regular, 0o644, text.as_bytes());
    }
    archive.into_inner().expect("the archive's end")
}

/// The names under which the program answers.
fn applets(program: &Path) -> Vec<String> {
    let listed = std::process::Command::new(program).arg("--list").output().expect("busybox --list");
    let names = String::from_utf8(listed.stdout).expect("names");
    names.lines().filter(|name| *name != "busybox").map(str::to_owned).collect()
}

/// Adds one entry to an archive.
///
/// # Panics
/// When the name does not fit.
pub fn append<W: Write>(
    archive: &mut tar::Builder<W>,
    name: &str,
    kind: tar::EntryType,
    mode: u32,
    bytes: &[u8],
) {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(1_400_000_000);
    header.set_size(u64::try_from(bytes.len()).expect("a length"));
    archive.append_data(&mut header, name, bytes).expect("an entry in the archive");
}
