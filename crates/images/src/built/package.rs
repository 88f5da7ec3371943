//! Images as packages.

use model::ImageReference;

use crate::registry::{HUB, Platform};

/// An image as a package's address (package URL specification, type `docker`).
#[must_use]
pub fn package_address(name: &ImageReference, platform: Option<&Platform>) -> String {
    let path = name.repository.remote_path();
    let path = path.strip_prefix("library/").unwrap_or(&path);
    let host = name.repository.host().filter(|host| *host != HUB);
    let host = host.map(|host| format!("{}/", host.replace(':', "%3A"))).unwrap_or_default();
    let tag = name.tag.as_ref().map(|tag| format!("@{tag}")).unwrap_or_default();
    let platform = platform.map(|platform| platform.to_string().replace('/', "%2F"));
    let platform = platform.map(|platform| format!("?platform={platform}")).unwrap_or_default();
    format!("pkg:docker/{host}{path}{tag}{platform}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_leave_out_what_is_the_default() {
        let address = |name: &str| {
            let name = ImageReference::parse(name).expect("a name").with_default_tag();
            package_address(&name, None)
        };
        assert_eq!(address("busybox"), "pkg:docker/busybox@latest");
        assert_eq!(address("a/b:c"), "pkg:docker/a/b@c");
        assert_eq!(address("localhost:5000/a:b"), "pkg:docker/localhost%3A5000/a@b");
    }
}
