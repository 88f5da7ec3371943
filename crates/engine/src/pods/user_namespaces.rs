//! Whether this host can give pods users of their own.

/// The first kernel whose overlays can be made of layers with mapped owners.
const FIRST_KERNEL: (u32, u32) = (5, 19);

/// Whether the kernel makes user namespaces, and layers for them. A file system without idmapped mounts shows at a start.
#[must_use]
pub fn has_user_namespaces() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The file is missing in a kernel without user namespaces, namespaces(7).
    let most = std::fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    has(&release, &most)
}

/// 0 forbids them, namespaces(7).
fn has(release: &str, most: &str) -> bool {
    let is_new = version(release).is_some_and(|version| version >= FIRST_KERNEL);
    is_new && most.trim().parse::<u64>().is_ok_and(|most| most > 0)
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
        assert!(has("6.18.5-cloud\n", "94820\n") && has("5.19.0\n", "1\n"));
        assert!(!has("5.4.0-generic\n", "94820\n") && !has("6.1\n", "0\n"));
        assert!(!has("6.1.0\n", "") && !has("", "1\n"));
    }
}
