//! Whether this host can give pods users of their own.

use std::path::Path;

/// The first kernel whose overlays can be made of layers with mapped owners.
const FIRST_KERNEL: (u32, u32) = (5, 19);

/// Bytes of a file of one line.
const LIMIT: u64 = 256;

/// Whether the kernel makes user namespaces, and layers for them. A file system without idmapped mounts shows at a start.
#[must_use]
pub fn has_user_namespaces() -> bool {
    has(Path::new("/proc"))
}

fn has(proc: &Path) -> bool {
    let read = |file: &str| {
        let bytes = sys::bounded_read::read(&proc.join(file), LIMIT).ok()?;
        String::from_utf8(bytes).ok()
    };
    let release = read("sys/kernel/osrelease").and_then(|release| version(&release));
    // The file is missing in a kernel without user namespaces; 0 forbids them, namespaces(7).
    let most = read("sys/user/max_user_namespaces").and_then(|most| most.trim().parse::<u64>().ok());
    release.is_some_and(|release| release >= FIRST_KERNEL) && most.is_some_and(|most| most > 0)
}

/// The first two numbers of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_new_enough_and_allows_it() {
        let proc = std::env::temp_dir().join(format!("berth-users-{}", std::process::id()));
        for directory in ["sys/kernel", "sys/user"] {
            std::fs::create_dir_all(proc.join(directory)).expect("a directory");
        }
        let host = |release: &str, most: Option<&str>| {
            std::fs::write(proc.join("sys/kernel/osrelease"), release).expect("written");
            let file = proc.join("sys/user/max_user_namespaces");
            match most {
                Some(most) => std::fs::write(file, most).expect("written"),
                None => std::fs::remove_file(file).expect("removed"),
            }
            has(&proc)
        };
        assert!(host("6.18.5-cloud\n", Some("94820\n")) && host("5.19.0\n", Some("1\n")));
        assert!(!host("5.4.0-generic\n", Some("94820\n")) && !host("6.1\n", Some("0\n")));
        assert!(!host("6.1.0\n", None));
        std::fs::remove_dir_all(proc).expect("removed");
    }
}
