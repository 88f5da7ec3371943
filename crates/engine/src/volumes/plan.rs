//! Decides what is mounted into a container: `Binds`, `Mounts`, `VolumesFrom` and `Volumes`.

use std::path::Path;

use model::{BindMount, MountPoint, MountSpec};
use serde_json::Value;

use super::Volumes;
use crate::container::{Record, mounts};
use crate::error::Error;
use crate::random;

/// What is mounted into a container.
pub(super) struct Plan {
    /// In the order of inspect.
    pub(super) mounts: Vec<MountPoint>,
    /// Names of the volumes that are made up for this container.
    pub(super) anonymous: Vec<String>,
}

impl Volumes {
    /// Decides what is mounted into a container. What it has mounted already stays where nothing
    /// else was asked for.
    ///
    /// # Errors
    /// Refused, in the reference's words, when an entry is malformed.
    pub(super) fn plan_mounts(&self, record: &Record) -> Result<Plan, Error> {
        let host = &record.host_config;
        for driver in [&record.config.volume_driver, &host.volume_driver] {
            check_driver(driver)?;
        }
        let mut anonymous = Vec::new();
        let mut own: Vec<MountPoint> = Vec::new();
        for text in host.binds.iter().flatten() {
            let bind = mounts::parse_bind(text)?;
            mounts::check_duplicate(&own, &bind.destination)?;
            own.push(self.bind_point(&bind));
        }
        for spec in host.mounts.iter().flatten().filter(|spec| spec.kind != "tmpfs") {
            let point = self.mount_point(spec, &mut anonymous)?;
            mounts::check_duplicate(&own, &point.destination)?;
            own.push(point);
        }
        let mut planned = self.mounts_from(host.volumes_from.as_deref().unwrap_or_default())?;
        // A mount of its own hides what VolumesFrom brought to the same place.
        planned.retain(|mount| own.iter().all(|own| own.destination != mount.destination));
        planned.append(&mut own);
        let is_free =
            |planned: &[MountPoint], place: &str| planned.iter().all(|mount| mount.destination != place);
        for mount in &record.mounts {
            if is_free(&planned, &mount.destination) {
                planned.push(mount.clone());
            }
        }
        for destination in record.config.volumes.iter().flat_map(|volumes| volumes.keys()) {
            let destination = mounts::clean(destination).to_string_lossy().into_owned();
            if destination == "/" {
                return Err(Error::system("mounting into / is prohibited"));
            }
            if is_free(&planned, &destination) {
                self.refuse_existing_file(record, &destination)?;
                let name = random::name();
                anonymous.push(name.clone());
                planned.push(self.volume_point(name, destination, ""));
            }
        }
        Ok(Plan { mounts: planned, anonymous })
    }

    /// The mounts of other containers that this one inherits.
    fn mounts_from(&self, entries: &[String]) -> Result<Vec<MountPoint>, Error> {
        let mut inherited: Vec<MountPoint> = Vec::new();
        for entry in entries {
            let (container, mode) = mounts::parse_volumes_from(entry)?;
            for mount in &self.directory.find(&container)?.record().mounts {
                let mut mount = mount.clone();
                if let Some(mode) = &mode {
                    mount.rw = mount.rw && mounts::is_writable(mode);
                    mount.mode.clone_from(mode);
                }
                inherited.retain(|other| other.destination != mount.destination);
                inherited.push(mount);
            }
        }
        Ok(inherited)
    }

    fn bind_point(&self, bind: &BindMount) -> MountPoint {
        if !mounts::is_host_path(&bind.source) {
            let mode = if bind.mode.is_empty() { "z" } else { bind.mode.as_str() };
            return self.volume_point(bind.source.clone(), bind.destination.clone(), mode);
        }
        MountPoint {
            source: bind.source.clone(),
            destination: bind.destination.clone(),
            mode: bind.mode.clone(),
            rw: mounts::is_writable(&bind.mode),
            ..MountPoint::default()
        }
    }

    fn volume_point(&self, name: String, destination: String, mode: &str) -> MountPoint {
        MountPoint {
            source: self.content(&name).to_string_lossy().into_owned(),
            name,
            destination,
            driver: "local".to_owned(),
            mode: mode.to_owned(),
            rw: mounts::is_writable(mode),
        }
    }

    fn mount_point(&self, spec: &MountSpec, anonymous: &mut Vec<String>) -> Result<MountPoint, Error> {
        let destination = mounts::clean(&spec.target).to_string_lossy().into_owned();
        if !spec.target.starts_with('/') || destination == "/" {
            return Err(bad_mount(&format!("the target '{}' is not usable", spec.target)));
        }
        match spec.kind.as_str() {
            "bind" => bind_mount(spec, destination),
            "volume" => {
                let copies_up = check_volume_options(spec.volume_options.as_ref())?;
                let name = if spec.source.is_empty() {
                    let name = random::name();
                    anonymous.push(name.clone());
                    name
                } else {
                    mounts::check_volume_name(&spec.source)?;
                    spec.source.clone()
                };
                let words = [if spec.read_only { "ro" } else { "z" }, if copies_up { "" } else { "nocopy" }];
                Ok(self.volume_point(name, destination, &joined(&words)))
            }
            other => Err(bad_mount(&format!("mount type \"{other}\" is not known"))),
        }
    }

    fn refuse_existing_file(&self, record: &Record, destination: &str) -> Result<(), Error> {
        let occupied = images::is_occupied(&self.images.lower_directories(record)?, Path::new(destination))
            .map_err(|source| {
            Error::refused(format!("cannot look for {destination} in the image: {source}"))
        })?;
        if occupied {
            return Err(Error::refused(format!(
                "cannot mount volume over existing file, file exists {destination}"
            )));
        }
        Ok(())
    }
}

fn bad_mount(cause: &str) -> Error {
    Error::refused(format!("invalid mount config: {cause}"))
}

fn check_driver(driver: &str) -> Result<(), Error> {
    if matches!(driver, "" | "local") {
        return Ok(());
    }
    Err(Error::not_found(format!("Error looking up volume plugin {driver}: Plugin not found")))
}

fn joined(words: &[&str]) -> String {
    words.iter().copied().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(",")
}

fn bind_mount(spec: &MountSpec, destination: String) -> Result<MountPoint, Error> {
    let options = Options::of(spec.bind_options.as_ref(), &["Propagation", "CreateMountpoint"])?;
    let exists = spec.source.starts_with('/')
        && (options.is_true("CreateMountpoint") || Path::new(&spec.source).exists());
    if !exists {
        return Err(Error::refused(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            spec.source
        )));
    }
    let mode = joined(&[if spec.read_only { "ro" } else { "" }, options.text("Propagation")]);
    mounts::check_mode(&mode)?;
    Ok(MountPoint {
        source: mounts::clean(&spec.source).to_string_lossy().into_owned(),
        destination,
        rw: !spec.read_only,
        mode,
        ..MountPoint::default()
    })
}

/// Whether the image's content is copied into the volume.
fn check_volume_options(options: Option<&Value>) -> Result<bool, Error> {
    let options = Options::of(options, &["NoCopy", "Labels", "DriverConfig"])?;
    let driver = Options::of(options.value("DriverConfig"), &["Name"])?;
    check_driver(driver.text("Name"))?;
    Ok(!options.is_true("NoCopy"))
}

/// An object of options; those that are set are among the known ones.
struct Options<'v>(Option<&'v Value>);

impl<'v> Options<'v> {
    fn of(options: Option<&'v Value>, known: &[&str]) -> Result<Self, Error> {
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
