//! Names of images with their registry, and with `library/` where Docker Hub has it.

use crate::ImageReference;

/// The registry that a name without one means.
const HUB: &str = "docker.io";

/// A name in full: `busybox:1` is `docker.io/library/busybox:1`. What is no name stays as it is.
#[must_use]
pub fn qualified(name: &str) -> String {
    let Ok(reference) = ImageReference::parse(name) else { return name.to_owned() };
    if reference.repository.host().is_some() {
        return name.to_owned();
    }
    let familiar = reference.repository.familiar_path();
    let rest = name.strip_prefix(familiar).unwrap_or_default();
    format!("{HUB}/{}{rest}", reference.repository.remote_path())
}

#[cfg(test)]
mod tests {
    use super::qualified;

    #[test]
    fn names_have_their_registry() {
        assert_eq!(qualified("busybox:1"), "docker.io/library/busybox:1");
        assert_eq!(qualified("me/app:v2"), "docker.io/me/app:v2");
        assert_eq!(qualified("registry.k8s.io/pause:3.10"), "registry.k8s.io/pause:3.10");
        let digest = format!("busybox@sha256:{:064}", 7);
        assert_eq!(qualified(&digest), format!("docker.io/library/{digest}"));
    }
}
