//! `HostConfig.Mounts`: mounts by their parts, each kind with options of its own.

mod strict;

use std::collections::BTreeMap;

use model::{
    Bind, BindSource, MountKind, MountRequest, Owners, Propagation, SettingError, Submounts,
    check_volume_name, clean,
};
use serde_json::{Map, Value};

use super::host_config::MountSpec;
use super::mount_options::{Written, bad_mount, is_unset, known};
pub(super) use strict::{check, short_volume_name};

use crate::ApiError;

/// The bits of a file's mode that are permissions (inode(7)).
const PERMISSIONS: u32 = 0o7777;

/// Reads one mount.
///
/// # Errors
/// An unknown kind, options that are not supported, names and places that cannot be.
pub(super) fn read(spec: MountSpec) -> Result<MountRequest, ApiError> {
    let kind = match spec.kind.as_str() {
        "tmpfs" => tmpfs(&spec)?,
        "image" => image(&spec)?,
        kind @ ("bind" | "volume") => {
            if !spec.target.starts_with('/') || clean(&spec.target) == std::path::Path::new("/") {
                return Err(bad_mount(&format!("the target '{}' is not usable", spec.target)));
            }
            if kind == "bind" { bind(&spec)? } else { volume(&spec)? }
        }
        other => return Err(bad_mount(&format!("mount type \"{other}\" is not known"))),
    };
    let request =
        MountRequest { target: spec.target.clone(), read_only: spec.read_only, kind, written: None };
    if write(&request) == spec {
        return Ok(request);
    }
    let written = serde_json::to_value(&spec).map_err(|error| ApiError::invalid(error.to_string()))?;
    Ok(MountRequest { written: Some(written), ..request })
}

/// Writes one mount: as the client did, or in the usual way.
pub(super) fn write(request: &MountRequest) -> MountSpec {
    let written = request.written.clone().and_then(|written| serde_json::from_value(written).ok());
    written.unwrap_or_else(|| usual(request))
}

fn usual(request: &MountRequest) -> MountSpec {
    let spec =
        MountSpec { target: request.target.clone(), read_only: request.read_only, ..MountSpec::default() };
    match &request.kind {
        MountKind::Bind { source, propagation, make_source, submounts, writable_submounts, owners: _ } => {
            let mut options = Map::new();
            if let Some(propagation) = propagation {
                options.insert("Propagation".to_owned(), propagation.word().into());
            }
            put(&mut options, "NonRecursive", *submounts == Submounts::Excluded);
            put(&mut options, "CreateMountpoint", *make_source);
            put(&mut options, "ReadOnlyNonRecursive", *writable_submounts);
            MountSpec {
                kind: "bind".to_owned(),
                source: source.clone(),
                bind_options: Written::of_fields(options),
                ..spec
            }
        }
        MountKind::Volume { name, no_copy, labels, driver, options, subpath } => {
            let mut driver_config = Map::new();
            put(&mut driver_config, "Name", driver.name());
            put(&mut driver_config, "Options", texts(options));
            let mut volume = Map::new();
            put(&mut volume, "NoCopy", *no_copy);
            put(&mut volume, "Labels", texts(labels));
            put(&mut volume, "DriverConfig", Value::Object(driver_config));
            put(&mut volume, "Subpath", subpath.as_str());
            MountSpec {
                kind: "volume".to_owned(),
                source: name.clone().unwrap_or_default(),
                volume_options: Written::of_fields(volume),
                ..spec
            }
        }
        MountKind::Tmpfs { size, mode, executable } => {
            let mut options = Map::new();
            if let Some(size) = size {
                options.insert("SizeBytes".to_owned(), (*size).into());
            }
            if let Some(mode) = mode {
                options.insert("Mode".to_owned(), (*mode).into());
            }
            if *executable {
                options.insert("Options".to_owned(), serde_json::json!([["exec"]]));
            }
            MountSpec { kind: "tmpfs".to_owned(), tmpfs_options: Written::of_fields(options), ..spec }
        }
        MountKind::Image { image, subpath } => {
            let mut options = Map::new();
            put(&mut options, "Subpath", subpath.as_str());
            let image_options = Written::of_fields(options);
            MountSpec { kind: "image".to_owned(), source: image.clone(), image_options, ..spec }
        }
    }
}

/// Sets a field unless its value is empty.
fn put(fields: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    let value = value.into();
    if !is_unset(&value) {
        fields.insert(name.to_owned(), value);
    }
}

fn texts(map: &BTreeMap<String, String>) -> Value {
    map.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect::<Map<_, _>>().into()
}

fn bind(spec: &MountSpec) -> Result<MountKind, ApiError> {
    let names =
        ["Propagation", "NonRecursive", "CreateMountpoint", "ReadOnlyNonRecursive", "ReadOnlyForceRecursive"];
    let options = known(spec.bind_options.as_ref(), &names)?;
    let propagation: Option<Propagation> = match options.propagation.as_str() {
        "" => None,
        word => Some(word.parse().map_err(|error: model::UnknownPropagation| bad_mount(&error.to_string()))?),
    };
    let writable_submounts = options.read_only_non_recursive;
    let forced = options.read_only_force_recursive;
    for (name, is_asked) in [("ReadOnlyNonRecursive", writable_submounts), ("ReadOnlyForceRecursive", forced)]
    {
        if is_asked && !spec.read_only {
            return Err(bad_mount(&format!("BindOptions.{name} needs ReadOnly")));
        }
    }
    if writable_submounts && forced {
        return Err(bad_mount("ReadOnlyNonRecursive and ReadOnlyForceRecursive contradict each other"));
    }
    if forced && !matches!(propagation, None | Some(Propagation::RecursivePrivate)) {
        return Err(bad_mount("ReadOnlyForceRecursive needs the propagation rprivate"));
    }
    let submounts = if options.non_recursive { Submounts::Excluded } else { Submounts::Included };
    Ok(MountKind::Bind {
        source: spec.source.clone(),
        propagation,
        make_source: options.create_mountpoint,
        submounts,
        writable_submounts,
        owners: Owners::OfHost,
    })
}

fn volume(spec: &MountSpec) -> Result<MountKind, ApiError> {
    let written = spec.volume_options.as_ref();
    let options = known(written, &["NoCopy", "Labels", "DriverConfig", "Subpath"])?;
    written.map_or(Ok(()), Written::check_driver)?;
    let name = Some(spec.source.as_str()).filter(|name| !name.is_empty());
    let name =
        name.map(check_volume_name).transpose().map_err(|error| ApiError::invalid(error.to_string()))?;
    Ok(MountKind::Volume {
        name: name.map(str::to_owned),
        no_copy: options.no_copy,
        labels: options.labels,
        driver: options.driver_config.name.into(),
        options: options.driver_config.options,
        subpath: subpath(options.subpath)?,
    })
}

/// A path within a volume or image.
fn subpath(text: String) -> Result<String, ApiError> {
    let leads_out =
        std::path::Path::new(&text).components().any(|part| part == std::path::Component::ParentDir);
    if text.starts_with('/') || leads_out {
        return Err(bad_mount(&format!("the subpath {text:?} is no relative path within the volume")));
    }
    Ok(text)
}

fn image(spec: &MountSpec) -> Result<MountKind, ApiError> {
    let options = known(spec.image_options.as_ref(), &["Subpath"])?;
    Ok(MountKind::Image { image: spec.source.clone(), subpath: subpath(options.subpath)? })
}

fn tmpfs(spec: &MountSpec) -> Result<MountKind, ApiError> {
    let options = known(spec.tmpfs_options.as_ref(), &["SizeBytes", "Mode", "Options"])?;
    if options.mode > PERMISSIONS {
        return Err(bad_mount(&format!("the mode {:o} has bits beyond {PERMISSIONS:o}", options.mode)));
    }
    let mut executable = false;
    for words in &options.options {
        executable = match words.as_slice() {
            [word] if word == "exec" => true,
            [word] if word == "noexec" => false,
            _ => return Err(bad_mount(&format!("invalid option: {words:?}"))),
        };
    }
    Ok(MountKind::Tmpfs {
        size: u64::try_from(options.size_bytes).ok().filter(|size| *size != 0),
        mode: Some(u64::from(options.mode)).filter(|mode| *mode != 0),
        executable,
    })
}

/// Refuses binds that name a place in the container alone, which earlier clients' engines do not take for new volumes.
///
/// # Errors
/// 400 for the first of them, or 500, as the version has it.
pub(super) fn refuse_anonymous_binds(binds: &[String]) -> Result<(), ApiError> {
    let is_anonymous =
        |text: &&String| text.parse::<Bind>().is_ok_and(|bind| bind.source == BindSource::Anonymous);
    match binds.iter().find(is_anonymous) {
        Some(text) => Err(ApiError::invalid(SettingError::Bind(text.clone()).to_string())),
        None => Ok(()),
    }
}
