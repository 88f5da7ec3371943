//! `HostConfig.Mounts`: mounts by their parts, each kind with options of its own.

use model::{MountKind, MountRequest, Propagation, SettingError, check_volume_name, clean};
use serde_json::{Value, json};

use super::host_config::MountSpec;
use crate::ApiError;

/// Reads one mount.
///
/// # Errors
/// An unknown kind, options that are not supported, names and places that cannot be.
pub(super) fn read(spec: MountSpec) -> Result<MountRequest, ApiError> {
    let kind = match spec.kind.as_str() {
        "tmpfs" => tmpfs(&spec),
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
        MountKind::Bind { source, propagation, make_source } => {
            let mut options = serde_json::Map::new();
            if let Some(propagation) = propagation {
                options.insert("Propagation".to_owned(), propagation.word().into());
            }
            if *make_source {
                options.insert("CreateMountpoint".to_owned(), true.into());
            }
            let bind_options = (!options.is_empty()).then_some(Value::Object(options));
            MountSpec { kind: "bind".to_owned(), source: source.clone(), bind_options, ..spec }
        }
        MountKind::Volume { name, no_copy } => MountSpec {
            kind: "volume".to_owned(),
            source: name.clone().unwrap_or_default(),
            volume_options: no_copy.then(|| json!({ "NoCopy": true })),
            ..spec
        },
        MountKind::Tmpfs { size, mode } => {
            let mut options = serde_json::Map::new();
            if let Some(size) = size {
                options.insert("SizeBytes".to_owned(), (*size).into());
            }
            if let Some(mode) = mode {
                options.insert("Mode".to_owned(), (*mode).into());
            }
            let tmpfs_options = (!options.is_empty()).then_some(Value::Object(options));
            MountSpec { kind: "tmpfs".to_owned(), tmpfs_options, ..spec }
        }
    }
}

fn bad_mount(cause: &str) -> ApiError {
    ApiError::invalid(format!("invalid mount config: {cause}"))
}

fn bind(spec: &MountSpec) -> Result<MountKind, ApiError> {
    let options = Options::of(spec.bind_options.as_ref(), &["Propagation", "CreateMountpoint"])?;
    let word = options.text("Propagation");
    let propagation: Option<Propagation> = match word {
        "" => None,
        word => Some(word.parse().map_err(|_| {
            let mode = if spec.read_only { format!("ro,{word}") } else { word.to_owned() };
            ApiError::invalid(SettingError::MountMode(mode).to_string())
        })?),
    };
    let make_source = options.is_true("CreateMountpoint");
    Ok(MountKind::Bind { source: spec.source.clone(), propagation, make_source })
}

fn volume(spec: &MountSpec) -> Result<MountKind, ApiError> {
    let options = Options::of(spec.volume_options.as_ref(), &["NoCopy", "Labels", "DriverConfig"])?;
    let driver = Options::of(options.value("DriverConfig"), &["Name"])?;
    if !matches!(driver.text("Name"), "" | "local") {
        let name = driver.text("Name");
        return Err(ApiError::not_found(format!("Error looking up volume plugin {name}: Plugin not found")));
    }
    let name = Some(spec.source.as_str()).filter(|name| !name.is_empty());
    let name =
        name.map(check_volume_name).transpose().map_err(|error| ApiError::invalid(error.to_string()))?;
    Ok(MountKind::Volume { name: name.map(str::to_owned), no_copy: options.is_true("NoCopy") })
}

fn tmpfs(spec: &MountSpec) -> MountKind {
    let option = |name: &str| spec.tmpfs_options.as_ref()?.get(name)?.as_u64().filter(|value| *value != 0);
    MountKind::Tmpfs { size: option("SizeBytes"), mode: option("Mode") }
}

/// An object of options; those that are set are among the known ones.
struct Options<'v>(Option<&'v Value>);

impl<'v> Options<'v> {
    fn of(options: Option<&'v Value>, known: &[&str]) -> Result<Self, ApiError> {
        let is_unset = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Bool(true) | Value::Number(_) => false,
        };
        let fields = options.and_then(Value::as_object).into_iter().flatten();
        for (name, value) in fields {
            if !known.contains(&name.as_str()) && !is_unset(value) {
                return Err(bad_mount(&format!("the option {name} is not supported")));
            }
        }
        Ok(Self(options))
    }

    fn value(&self, name: &str) -> Option<&'v Value> {
        self.0.and_then(|options| options.get(name))
    }

    fn text(&self, name: &str) -> &'v str {
        self.value(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn is_true(&self, name: &str) -> bool {
        self.value(name).and_then(Value::as_bool).unwrap_or_default()
    }
}
