//! Looks up for a start what lies outside the container: image, namespaces, resolver files, log.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{
    ContainerReference, Device, LogDriver, LogForm, LogSpec, Mount, MountAccess, MountKind, MountPoint,
    MountSource, Namespace, Owners, Propagation, Submounts, kernel_words,
};

use crate::cdi::{self, DeviceEdits};
use crate::container::mounts::clean;
use crate::container::specification::{StartInputs, full_hostname, own_namespaces};
use crate::container::{Container, Purpose, Record, devices, scope, user_namespace};
use crate::directory::Directory;
use crate::error::Error;
use crate::files::BaseLayer;
use crate::image::Images;
use crate::log_options;
use crate::networking::{Networking, attachments};
use crate::options::Options;
use crate::outcome::joined;
use crate::paths::Paths;
use crate::pod_role::{PodPart, PodRole};
use crate::volumes::{HeldVolume, VolumeMounts, Volumes};

/// Looks up what starts need.
pub(crate) struct StartLookup {
    pub(crate) directory: Arc<Directory>,
    pub(crate) images: Arc<Images>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) volume_mounts: Arc<VolumeMounts>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) options: Arc<Options>,
    pub(crate) base_layer: BaseLayer,
}

impl StartLookup {
    /// Gathers everything a container's specification needs besides its record, and mounts those of its volumes that are
    /// mounts.
    pub(crate) async fn gather(
        &self,
        record: &Arc<Record>,
        purpose: Purpose,
    ) -> Result<(StartInputs, Vec<HeldVolume>), Error> {
        attachments::check_networks(&self.networking.registry, record)?;
        self.networking.links.check(record)?;
        let mut namespaces = own_namespaces(record);
        if namespaces.network == Namespace::Own {
            namespaces.network = self.kept_network(record);
        }
        let host = &record.settings.host;
        for (name, joined, namespace) in [
            ("network", host.network_mode.joined(), &mut namespaces.network),
            ("PID", host.pid_mode.joined(), &mut namespaces.pid),
            ("IPC", host.ipc_mode.joined(), &mut namespaces.ipc),
        ] {
            if let Some(other) = joined {
                *namespace = self.namespace_of(other, name, record)?;
            }
        }
        let other = match host.network_mode.joined() {
            Some(other) => Some(self.directory.find(other.as_str())?.record()),
            None => None,
        };
        let named = other.as_ref().unwrap_or(record);
        let resolver_files = match &other {
            Some(other) => self.networking.written_resolver_files(other),
            // They are written with what else the start writes.
            None => self.networking.resolver_files(record).to_vec(),
        };
        let resolver_files = resolver_files
            .into_iter()
            .filter(|(_, place)| !record.mounts.iter().any(|mount| mount.destination == *place))
            .collect();
        let on_host = self.look_at_host(record).await?;
        let lower = match purpose {
            _ if record.is_sandbox() => Vec::new(),
            Purpose::Client => self.images.lower_directories(record)?,
            Purpose::Step => self.base_layer.below(self.images.lower_directories(record)?),
            Purpose::StepHost => self.base_layer.below(Vec::new()),
        };
        let inputs = StartInputs {
            lower,
            volatile: purpose == Purpose::Step,
            held_volumes: on_host.held.iter().map(|held| (held.volume.clone(), held.owners)).collect(),
            devices: on_host.devices,
            images: self.mounted_images(record)?,
            directory: self.paths.container(&record.id),
            namespaces,
            hostname: full_hostname(&named.settings),
            domainname: named.settings.domainname.clone(),
            resolver_files,
            link_environment: self.networking.links.environment(record),
            log: self.log_spec(record).await?,
            default_limits: self.options.ulimits.clone(),
            device_edits: on_host.device_edits,
            user_namespace: match &record.pod {
                Some(pod) => pod.user_namespace.clone(),
                None => user_namespace::mapping(host, self.options.user_mapping.as_ref())?.cloned(),
            },
            own_directories: self.paths.shared_with_containers(),
            cgroup_parent: self.options.cgroup_parent.clone(),
            scope: scope::name(record, self.options.pod_cgroup_driver),
        };
        Ok((inputs, on_host.held))
    }

    /// Looks up what the container names on the host, on a thread that may block on file systems which do not answer.
    /// Most containers name nothing, and do not wait here.
    async fn look_at_host(&self, record: &Arc<Record>) -> Result<OnHost, Error> {
        let host = &record.settings.host;
        let names_no_device = host.devices.as_ref().is_none_or(Vec::is_empty)
            && host.device_requests.as_ref().is_none_or(Vec::is_empty);
        if record.mounts.is_empty() && names_no_device {
            return Ok(OnHost::default());
        }
        let (mounts, record, options) =
            (Arc::clone(&self.volume_mounts), Arc::clone(record), Arc::clone(&self.options));
        let looked = tokio::task::spawn_blocking(move || {
            make_sources(&mounts.volumes, &record)?;
            let host = &record.settings.host;
            let devices = devices::shown(host)?;
            let requests = host.device_requests.as_deref().unwrap_or_default();
            let device_edits = cdi::resolve(requests, &options.cdi_directories).map_err(Error::refused)?;
            Ok(OnHost { devices, device_edits, held: mounts.hold(&record)? })
        });
        joined(looked.await)?
    }

    /// The namespace of another container, by the name that clients have for it.
    fn namespace_of(
        &self,
        other: &ContainerReference,
        namespace: &'static str,
        record: &Record,
    ) -> Result<Namespace, Error> {
        if other.as_str().is_empty() {
            return Err(Error::refused("Prefix can't be empty"));
        }
        let other: Arc<Container> = self.directory.find(other.as_str())?;
        if *other.id() == record.id {
            return Err(Error::refused(format!("cannot join own {namespace}")));
        }
        let record = other.record();
        if namespace == "IPC" && !record.settings.host.ipc_mode.is_shareable() {
            return Err(Error::refused(format!(
                "failed to join IPC namespace: container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                record.id
            )));
        }
        let not_running = || Error::JoinedNotRunning { namespace, container: record.id.to_string() };
        record.phase.process().map(Namespace::Process).ok_or_else(not_running)
    }

    /// The network namespace of a start: the one of the last run if containers that joined it
    /// (`container:<this one>`) still run in it, so that they have a network again; else a new one.
    fn kept_network(&self, record: &Record) -> Namespace {
        for other in self.directory.all() {
            let other = other.record();
            let joined = other.settings.host.network_mode.joined();
            if let (Some(joined), Some(process)) = (joined, other.phase.process())
                && self.directory.find(joined.as_str()).is_ok_and(|owner| *owner.id() == record.id)
            {
                return Namespace::Process(process);
            }
        }
        Namespace::Own
    }

    /// The images that a container has mounted.
    fn mounted_images(&self, record: &Record) -> Result<Vec<Mount>, Error> {
        let mut mounts = Vec::new();
        for request in record.settings.host.mounts.iter().flatten() {
            let MountKind::Image { subpath, .. } = &request.kind else { continue };
            let Some(image) = record.image_mounts.get(&request.target) else { continue };
            let layers = self.images.store().lower_directories_of(image).map_err(Error::Image)?;
            mounts.push(Mount {
                source: MountSource::Image(layers),
                destination: clean(&request.target),
                access: MountAccess::ReadOnly,
                propagation: Propagation::RecursivePrivate,
                submounts: Submounts::Included,
                subpath: Some(PathBuf::from(subpath)).filter(|part| !part.as_os_str().is_empty()),
                owners: Owners::OfContainer,
            });
        }
        Ok(mounts)
    }

    /// Checks the log's options, looks its server up and gathers its driver's attributes.
    async fn log_spec(&self, record: &Record) -> Result<LogSpec, Error> {
        if let Some(pod) = &record.pod {
            return Ok(log_of_pod(pod));
        }
        let refused = |cause: String| Error::refused(format!("Failed to initialize logging driver: {cause}"));
        let config = &record.settings.host.log;
        let driver = log_options::check(config).map_err(|refusal| refused(refusal.to_string()))?;
        let attributes = log_options::attributes(record).map_err(refused)?;
        let config = log_options::resolve(config).await.map_err(refused)?;
        Ok(LogSpec {
            driver,
            options: config.options,
            path: self.paths.log(record),
            attributes,
            selected: log_options::selected(record),
            form: LogForm::Json,
        })
    }
}

/// A container's files on the host.
#[derive(Default)]
struct OnHost {
    devices: Vec<Device>,
    device_edits: DeviceEdits,
    held: Vec<HeldVolume>,
}

/// Makes directories of the host that binds name and that do not exist, as the reference does, and volumes
/// whose content was removed behind the engine's back. Blocks.
fn make_sources(volumes: &Volumes, record: &Record) -> Result<(), Error> {
    for mount in record.mounts.iter().filter(|mount| mount.is_bind()) {
        let source = Path::new(&mount.source);
        match std::fs::symlink_metadata(source) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                std::fs::create_dir_all(source).map_err(|error| refused_source("mkdir", source, &error))?;
            }
            Err(error) => return Err(refused_source("stat", source, &error)),
        }
    }
    record.mounts.iter().filter_map(MountPoint::volume).try_for_each(|volume| volumes.ensure(volume))
}

/// Where the output of a part of a pod goes: to the file that the kubelet reads, if it named one.
fn log_of_pod(pod: &PodRole) -> LogSpec {
    let path = match &pod.part {
        PodPart::Container { log, .. } => log.clone(),
        PodPart::Sandbox => None,
    };
    LogSpec {
        driver: if path.is_some() { LogDriver::JsonFile } else { LogDriver::None },
        options: BTreeMap::new(),
        path: path.unwrap_or_default(),
        attributes: BTreeMap::new(),
        selected: BTreeMap::new(),
        form: LogForm::Kubernetes,
    }
}

/// The reason why the source of a mount cannot be used, with the reference's text.
fn refused_source(call: &str, source: &Path, error: &io::Error) -> Error {
    let words = format!("{call} {}: {}", source.display(), kernel_words(error));
    if error.kind() == ErrorKind::NotFound { Error::not_found(words) } else { Error::refused(words) }
}
