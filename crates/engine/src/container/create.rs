//! Makes a container: checks everything first, then takes its name, its volumes and its row.

use std::sync::Arc;

use images::registry::Platform;
use model::{
    ContainerId, ContainerReference, ContainerSettings, Digest, EventAction, HostSettings, IdMapping,
    NetworkMode, Timestamp, UtsMode,
};

use crate::container::{
    Command, Container, Decision, Purpose, Record, decide, joining, modes, security, settings, storage,
    user_namespace, words,
};
use crate::directory::{Directory, ImageClaim};
use crate::error::{Error, file_error};
use crate::events::{Events, Planned};
use crate::image::Images;
use crate::networking::{Networking, attachments, relays};
use crate::options::Options;
use crate::paths::Paths;
use crate::pod_role::PodRole;
use crate::store::{Database, Durability, Row, VolumeRow};
use crate::volumes::{Volumes, show_saved};
use crate::{names, random};

/// A client's request to create a container.
#[derive(Debug, Clone, Default)]
pub struct NewContainer {
    /// Its name as given; generated when `None`.
    pub name: Option<String>,
    /// Its requested settings.
    pub settings: ContainerSettings,
    /// Its role in a pod; `None` for containers of Docker's clients.
    pub pod: Option<PodRole>,
    /// Which of the images that its image's name has for several platforms; the name's own when `None`.
    pub image: Option<Digest>,
    /// The id that it gets; a random one when `None`.
    pub id: Option<ContainerId>,
    /// Its purpose: a step is made without the volumes and the health check of its image.
    pub purpose: Purpose,
}

/// A made container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its id.
    pub id: ContainerId,
    /// Requested settings that the host does not support.
    pub warnings: Vec<String>,
    /// The platform of its image.
    pub platform: Platform,
}

/// A validated container that can be made.
struct Draft<'d> {
    /// All but its name.
    record: Record,
    warnings: Vec<String>,
    platform: Platform,
    /// Held until the container is in the directory: no removal takes the image before.
    claim: Option<ImageClaim<'d>>,
}

/// Makes containers.
pub(crate) struct Creator {
    pub(crate) database: Arc<Database>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) events: Arc<Events>,
    pub(crate) images: Arc<Images>,
    pub(crate) networking: Arc<Networking>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) options: Arc<Options>,
}

impl Creator {
    /// Makes a container.
    ///
    /// # Errors
    /// Refused settings, an unknown image, a taken name. Nothing is left then.
    pub(crate) async fn create(self: &Arc<Self>, new: NewContainer) -> Result<Created, Error> {
        let creator = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || creator.make(new, Durability::PowerLoss));
        crate::outcome::joined(work.await)?
    }

    /// Makes a container that has to survive a crash of the daemon, or none at all: a step of a build
    /// need not wait for the disk.
    ///
    /// # Errors
    /// Refused settings, an unknown image, a taken name. Nothing is left then.
    pub(crate) fn make(&self, new: NewContainer, durability: Durability) -> Result<Created, Error> {
        let name = new.name.as_deref().filter(|name| !name.is_empty()).map(names::check).transpose()?;
        let purpose = new.purpose;
        let Draft { mut record, warnings, platform, claim } = self.draft(new)?;
        // The last of what may fail: from here on `put` gives it back.
        record.name = self.take_name(name, &record.id)?;
        let id = self.put(record, durability, purpose)?;
        // Only now do removals see that the container uses it.
        drop(claim);
        Ok(Created { id, warnings, platform })
    }

    /// Makes a container that hosts the steps of a build the next step's container: with its image, its
    /// program and all its other settings, except for its place in the network.
    ///
    /// # Errors
    /// Refused settings, an unknown image. It still is the last step's container then.
    pub(crate) fn make_next_step(&self, host: &Container, new: NewContainer) -> Result<Arc<Record>, Error> {
        let Draft { record: step, claim, .. } = self.draft(new)?;
        let record = host.publish(|record| {
            (record.image, record.settings) = (step.image, step.settings);
            (record.path, record.arguments) = (step.path, step.arguments);
        });
        drop(claim);
        Ok(record)
    }

    /// Validates the request and returns its record, which has no name yet.
    fn draft(&self, new: NewContainer) -> Result<Draft<'_>, Error> {
        let mut settings = new.settings;
        settings::check(&settings)?;
        let mut warnings = crate::warnings::discard_unsupported(&mut settings.host.resources);
        warnings.extend(security::label_warning(&settings.host));
        settings::adopt_default_log(&mut settings.host.log, &self.options.log);
        modes::check(&settings, &settings.host)?;
        modes::check_names(&settings)?;
        user_namespace::mapping(&settings.host, self.user_mapping(new.pod.is_some()))?;
        if settings.image.is_empty() {
            return Err(Error::refused("No command specified"));
        }
        let id = new.id.unwrap_or_else(|| ContainerId::from_random(random::bytes()));
        let name_of_image = new.image.map_or_else(|| settings.image.clone(), |image| image.hexadecimal());
        // Held until the container is in the directory: no removal takes the image before.
        let mut claim = None;
        let image = self
            .images
            .store()
            .resolve_for_use(&name_of_image, |image| claim = Some(self.directory.claim_image(&id, image)))
            .map_err(|error| unknown_image(&settings.image, error))?;
        let platform = Platform::of(&image.config);
        settings::merge_image(&mut settings, image.config.config.clone().unwrap_or_default());
        if new.pod.is_some() || new.purpose != Purpose::Client {
            // The kubelet probes, and does not use volumes of images: their places are directories of the container's
            // layer. The same holds for BuildKit's steps.
            (settings.health_check, settings.volumes) = (None, None);
        }
        if let Some(check) = &settings.health_check
            && let Err(error) = check.specification(None)
        {
            warnings.push(format!("The health check of the image {} is not run: {error}.", settings.image));
        }
        let links = self.networking.links.resolve(&settings.host)?;
        modes::check_links(&settings.host)?;
        let (path, arguments) = settings::command(&settings)?;
        self.check_joined(&settings.host)?;
        joining::write_full_ids(&self.directory, &mut settings.host);
        if settings.hostname.is_empty() {
            settings.hostname = default_hostname(&settings.host, &id);
        }
        words::check_full_hostname(&settings)?;
        attachments::write_full_ids(&self.networking.registry, &mut settings.host);
        let endpoints = attachments::asked(&self.networking.registry, &settings)?;
        let made = Record::new(id, String::new(), image.id, Timestamp::now());
        let pod = new.pod.map(Arc::new);
        let record = Record { path, arguments, settings, endpoints, links, pod, ..made };
        warnings.extend(relays::warning(&record, &self.options.network));
        Ok(Draft { record, warnings, platform, claim })
    }

    /// Makes what holds a pod's namespaces: a container without an image and a program.
    ///
    /// # Errors
    /// Refused settings. Nothing is left then.
    pub(crate) async fn create_sandbox(
        self: &Arc<Self>,
        settings: ContainerSettings,
        pod: PodRole,
    ) -> Result<ContainerId, Error> {
        let creator = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || creator.make_sandbox(settings, pod));
        crate::outcome::joined(work.await)?
    }

    fn make_sandbox(&self, mut settings: ContainerSettings, pod: PodRole) -> Result<ContainerId, Error> {
        settings::check(&settings)?;
        modes::check(&settings, &settings.host)?;
        let id = ContainerId::from_random(random::bytes());
        if settings.hostname.is_empty() {
            settings.hostname = default_hostname(&settings.host, &id);
        }
        words::check_full_hostname(&settings)?;
        let endpoints = attachments::asked(&self.networking.registry, &settings)?;
        let name = self.take_name(None, &id)?;
        let made = Record::new(id, name, Digest::from_bytes([0; 32]), Timestamp::now());
        let record = Record { settings, endpoints, pod: Some(Arc::new(pod)), ..made };
        self.put(record, Durability::PowerLoss, Purpose::Client)
    }

    /// Makes what a checked record needs, saves and publishes it; its name is taken already.
    fn put(
        &self,
        mut record: Record,
        durability: Durability,
        purpose: Purpose,
    ) -> Result<ContainerId, Error> {
        let save = |record: &Record, volumes: &[VolumeRow]| {
            let record = Arc::new(record.clone());
            // Behind those of its volumes, which come when they are saved.
            let event = volumes.is_empty().then(|| self.events.plan_container(&record, EventAction::Create));
            let mut rows = rows_of(volumes);
            rows.push(Row::Container(Arc::clone(&record)));
            rows.extend(event.as_ref().and_then(Planned::row));
            let container = Container::new(record, Arc::clone(&self.database), purpose);
            let showing = self.showing(container, volumes.to_vec(), event);
            self.database.write_then(rows, durability, showing).wait_blocking()
        };
        let made = self.make_directories(&record).and_then(|()| self.volumes.mount(&mut record, save));
        let mut volumes = match made {
            Ok(volumes) => volumes,
            Err(error) => {
                self.directory.release(&record.name, &record.id);
                self.discard_files(&record);
                return Err(error);
            }
        };
        volumes.keep();
        // Since it is in the directory, removals see that the container uses them.
        drop(volumes);
        Ok(record.id)
    }

    /// Publishes a container and its volumes once they are saved: from then on clients may start or remove it.
    fn showing(
        &self,
        container: Arc<Container>,
        volumes: Vec<VolumeRow>,
        event: Option<Planned>,
    ) -> impl FnOnce() + Send + use<> {
        let (directory, events) = (Arc::clone(&self.directory), Arc::clone(&self.events));
        let service = Arc::clone(&self.volumes);
        move || {
            show_saved(&service, &volumes);
            match event {
                Some(event) => events.publish(event),
                None => events.emit_container(&container.record(), EventAction::Create, &[]),
            }
            directory.insert(container);
        }
    }

    fn take_name(&self, name: Option<String>, id: &ContainerId) -> Result<String, Error> {
        if let Some(name) = name {
            return self.directory.reserve(&name, id).map(|()| name);
        }
        loop {
            let random = || u32::from_ne_bytes(random::bytes());
            let name = names::generate(random, |name| self.directory.is_free(name));
            if self.directory.reserve(&name, id).is_ok() {
                return Ok(name);
            }
        }
    }

    /// Makes the container's directories; its row makes it real, once its volumes are there.
    fn make_directories(&self, record: &Record) -> Result<(), Error> {
        self.make_layer_directories(record)
    }

    /// Makes the directories of the container's own layer where they are missing.
    pub(crate) fn make_layer_directories(&self, record: &Record) -> Result<(), Error> {
        let directory = self.paths.container(&record.id);
        sys::private::directory(&directory).map_err(file_error("make the directory", &directory))?;
        for part in ["upper", "work"] {
            let path = directory.join(part);
            std::fs::create_dir_all(&path).map_err(file_error("make the directory", &path))?;
        }
        match storage::size(&record.settings.host)? {
            Some(size) => storage::limit(&directory, size),
            None => Ok(()),
        }
    }

    /// Makes the directories of the layer of a step, which has an overlay that waits for no disk.
    pub(crate) fn make_step_directories(&self, record: &Record) -> Result<(), Error> {
        self.make_layer_directories(record)?;
        let work = self.paths.container(&record.id).join("work");
        sys::overlay::forget_volatile(&work).map_err(file_error("clear", &work))
    }

    /// Removes what was made of a container after a failure.
    fn discard_files(&self, record: &Record) {
        let directory = self.paths.container(&record.id);
        if record.settings.host.storage_options.is_some() {
            storage::release(&directory);
        }
        if let Err(error) = std::fs::remove_dir_all(&directory)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove {}: {error}", directory.display());
        }
    }

    /// How users of a container of Docker's clients map to the host's; pods bring their own mapping.
    fn user_mapping(&self, is_pod: bool) -> Option<&IdMapping> {
        self.options.user_mapping.as_ref().filter(|_| !is_pod)
    }

    /// Checks that containers whose IPC namespace is to be joined exist.
    fn check_joined(&self, host: &HostSettings) -> Result<(), Error> {
        match host.ipc_mode.joined().map(ContainerReference::as_str) {
            Some(other) if !other.is_empty() => self.directory.find(other).map(drop),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes over settings of the host that come with a start.
    pub(crate) async fn adopt_host_settings(
        self: &Arc<Self>,
        container: &Arc<Container>,
        host: HostSettings,
    ) -> Result<(), Error> {
        let _order = container.transition.lock().await;
        // It may have been started or removed meanwhile: then these settings are not applied.
        let record = container.record();
        if decide(record.phase, Command::Start) != Decision::Run || record.is_restarting() {
            return Ok(());
        }
        let (creator, container) = (Arc::clone(self), Arc::clone(container));
        let work = tokio::task::spawn_blocking(move || creator.replace_host_settings(&container, host));
        crate::outcome::joined(work.await)?
    }

    fn replace_host_settings(&self, container: &Container, mut host: HostSettings) -> Result<(), Error> {
        settings::check_host(&host)?;
        crate::warnings::discard_unsupported(&mut host.resources);
        joining::write_full_ids(&self.directory, &mut host);
        settings::adopt_default_log(&mut host.log, &self.options.log);
        let links = self.networking.links.resolve(&host)?;
        modes::check_links(&host)?;
        let before = container.record();
        modes::check(&before.settings, &host)?;
        user_namespace::mapping(&host, self.user_mapping(before.pod.is_some()))?;
        let mut changed = Record { links, ..Record::clone(&before) };
        if host.network_mode != changed.settings.host.network_mode {
            let settings = ContainerSettings { host: host.clone(), ..changed.settings.clone() };
            changed.endpoints = attachments::asked(&self.networking.registry, &settings)?;
        }
        changed.settings.host = host;
        let put = |from: &Record| {
            let Record { settings, links, mounts, image_mounts, endpoints, .. } = from.clone();
            move |record: &mut Record| {
                (record.settings, record.links, record.endpoints) = (settings, links, endpoints);
                (record.mounts, record.image_mounts) = (mounts, image_mounts);
            }
        };
        let save = |changed: &Record, volumes: &[VolumeRow]| {
            self.volumes.release(&before, &changed.mounts, |gone| {
                let mut rows = rows_of(volumes);
                rows.extend(gone);
                let saved = container.update_with(rows, put(changed)).1.wait_blocking();
                match &saved {
                    Ok(()) => show_saved(&self.volumes, volumes),
                    Err(_) => drop(container.update(put(&before))),
                }
                saved
            })
        };
        self.volumes.mount(&mut changed, save)?.keep();
        Ok(())
    }
}

fn rows_of(volumes: &[VolumeRow]) -> Vec<Row> {
    volumes.iter().cloned().map(Row::Volume).collect()
}

fn default_hostname(host: &HostSettings, id: &ContainerId) -> String {
    if host.network_mode == NetworkMode::Host || host.uts_mode == UtsMode::Host {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        return name.trim().to_owned();
    }
    id.short().to_owned()
}

/// The refusal of an unknown image with this endpoint's text, which has the requested tag.
fn unknown_image(name: &str, error: images::Error) -> Error {
    if !matches!(error, images::Error::NoSuchImage(_)) {
        return Error::Image(error);
    }
    let after_host = name.rfind('/').map_or(0, |slash| slash + 1);
    let tag = match (name.split_once('@'), name[after_host..].split_once(':')) {
        (Some((_, digest)), _) => digest,
        (None, Some((_, tag))) => tag,
        (None, None) => "latest",
    };
    Error::NoImageToCreate { name: name.to_owned(), tag: tag.to_owned() }
}
