//! Checks of `HostConfig.Mounts` in versions that have it: before 1.25 it is accepted as clients ahead of their
//! version send it.

use model::clean;

use crate::ApiError;
use crate::container_settings::host_config::MountSpec;
use crate::version::{ApiVersion, IMAGE_MOUNTS_SINCE, VOLUME_SUBPATHS_SINCE};

/// Validates mounts by the rules of a version.
///
/// # Errors
/// Impossible paths, options of another kind of mount, and options of a later version.
pub(crate) fn check(version: ApiVersion, mounts: &[MountSpec]) -> Result<(), ApiError> {
    if !version.create_has_typed_mounts() {
        return Ok(());
    }
    mounts.iter().try_for_each(|mount| paths(mount).and_then(|()| options(version, mount)))
}

fn refused(cause: &str, mount: &MountSpec) -> ApiError {
    ApiError::invalid(format!("invalid mount config for type \"{}\": {cause}", mount.kind))
}

/// The refusal of a volume's name of one letter.
pub(crate) fn short_volume_name(name: &str) -> ApiError {
    ApiError::invalid(format!(
        "create {name}: volume name is too short, names should be at least two alphanumeric characters"
    ))
}

fn paths(mount: &MountSpec) -> Result<(), ApiError> {
    let field = |name: &str, path: &str| match path {
        "" => Err(refused(&format!("field {name} must not be empty"), mount)),
        path if !path.starts_with('/') => {
            Err(refused(&format!("invalid mount path: '{path}' mount path must be absolute"), mount))
        }
        _ => Ok(()),
    };
    field("Target", &mount.target)?;
    if clean(&mount.target) == std::path::Path::new("/") {
        return Err(refused("invalid specification: destination can't be '/'", mount));
    }
    match mount.kind.as_str() {
        "bind" => field("Source", &mount.source),
        "volume" if mount.source.chars().count() == 1 => Err(short_volume_name(&mount.source)),
        "image" if mount.source.is_empty() => Err(refused("field Source must not be empty", mount)),
        "tmpfs" if !mount.source.is_empty() => Err(refused("field Source must not be specified", mount)),
        _ => Ok(()),
    }
}

fn options(version: ApiVersion, mount: &MountSpec) -> Result<(), ApiError> {
    let given = [
        ("bind", "BindOptions", mount.bind_options.is_some()),
        ("volume", "VolumeOptions", mount.volume_options.is_some()),
        ("tmpfs", "TmpfsOptions", mount.tmpfs_options.is_some()),
        ("image", "ImageOptions", mount.image_options.is_some()),
    ];
    if version.mount_options_fit_their_type()
        && let Some((_, name, _)) =
            given.into_iter().find(|(kind, _, is_given)| *kind != mount.kind && *is_given)
    {
        return Err(refused(&format!("field {name} must not be specified"), mount));
    }
    let has_subpath =
        mount.volume_options.as_ref().is_some_and(|written| !written.options.subpath.is_empty());
    if has_subpath && !version.volumes_have_subpaths() {
        return Err(refused(
            &format!("VolumeOptions.Subpath needs API v{VOLUME_SUBPATHS_SINCE} or newer"),
            mount,
        ));
    }
    if mount.kind == "image" && !version.images_can_be_mounted() {
        return Err(refused(
            &format!("mount type \"image\" needs API v{IMAGE_MOUNTS_SINCE} or newer"),
            mount,
        ));
    }
    if mount.tmpfs_options.as_ref().is_some_and(|written| written.options.size_bytes < 0) {
        return Err(refused("invalid option: SizeBytes is negative", mount));
    }
    Ok(())
}
