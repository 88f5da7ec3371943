//! The mounts of a container: paths of the host and images.

use model::{IdMapping, MountKind, MountRequest, Propagation, Submounts};
use tonic::Status;

use super::refusal::unsupported;
use super::user_namespace;
use crate::status::invalid;
use crate::wire::container::{Mount, MountPropagation};

/// The requested mounts, in a pod with this user namespace.
pub(super) fn of_mounts(mounts: &[Mount], users: Option<&IdMapping>) -> Result<Vec<MountRequest>, Status> {
    mounts.iter().map(|mount| request(mount, users)).collect()
}

fn request(mount: &Mount, users: Option<&IdMapping>) -> Result<MountRequest, Status> {
    let place = &mount.container_path;
    if !mount.mount_options.is_empty() {
        return Err(unsupported("further options of mounts"));
    }
    let image = mount.image.as_ref().map(|image| image.image.as_str()).filter(|image| !image.is_empty());
    let kind = match image {
        Some(image) => of_image(mount, image)?,
        None => of_host(mount, users)?,
    };
    Ok(MountRequest { target: place.clone(), read_only: mount.readonly, kind, written: None })
}

fn of_image(mount: &Mount, image: &str) -> Result<MountKind, Status> {
    if !mount.readonly {
        return Err(invalid(format!("the image at {} must be mounted read-only", mount.container_path)));
    }
    if !mount.host_path.is_empty() {
        let place = &mount.container_path;
        return Err(invalid(format!("the mount at {place} names an image and a path of the host")));
    }
    Ok(MountKind::Image { image: image.to_owned(), subpath: mount.image_sub_path.clone() })
}

fn of_host(mount: &Mount, users: Option<&IdMapping>) -> Result<MountKind, Status> {
    let place = &mount.container_path;
    let propagation = match mount.propagation() {
        MountPropagation::Private => Propagation::RecursivePrivate,
        MountPropagation::HostToContainer => Propagation::RecursiveSlave,
        MountPropagation::Bidirectional => Propagation::RecursiveShared,
    };
    if mount.recursive_read_only && !mount.readonly {
        return Err(invalid(format!("the mount at {place} is recursively read-only and not read-only")));
    }
    if mount.recursive_read_only && propagation != Propagation::RecursivePrivate {
        return Err(invalid(format!("the mount at {place} is recursively read-only and not private")));
    }
    Ok(MountKind::Bind {
        source: mount.host_path.clone(),
        propagation: Some(propagation),
        make_source: true,
        submounts: Submounts::Included,
        writable_submounts: mount.readonly && !mount.recursive_read_only,
        owners: user_namespace::owners(mount, users)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::value::ImageSpec;

    fn mount() -> Mount {
        Mount { container_path: "/a".to_owned(), host_path: "/b".to_owned(), ..Mount::default() }
    }

    #[test]
    fn a_recursively_read_only_mount_is_read_only_and_private() {
        let whole = Mount { readonly: true, recursive_read_only: true, ..mount() };
        let asked = request(&whole, None).expect("a mount");
        assert!(asked.read_only);
        assert!(matches!(asked.kind, MountKind::Bind { writable_submounts: false, .. }));
        let alone = Mount { recursive_read_only: false, ..whole.clone() };
        let asked = request(&alone, None).expect("a mount");
        assert!(matches!(asked.kind, MountKind::Bind { writable_submounts: true, .. }));
        let shared = MountPropagation::Bidirectional.into();
        for bad in [Mount { readonly: false, ..whole.clone() }, Mount { propagation: shared, ..whole }] {
            assert!(of_mounts(&[bad], None).is_err());
        }
    }

    #[test]
    fn an_image_is_mounted_read_only() {
        let image = Some(ImageSpec { image: "i".to_owned(), ..ImageSpec::default() });
        let mount = Mount { host_path: String::new(), image, readonly: true, ..mount() };
        let asked = request(&mount, None).expect("a mount");
        assert!(matches!(&asked.kind, MountKind::Image { image, .. } if image == "i"));
        assert!(of_mounts(&[Mount { readonly: false, ..mount }], None).is_err());
    }
}
