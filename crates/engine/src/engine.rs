//! The engine: what all requests share, and how it opens and closes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::{Actor, ContainerId, ExecId, ResourceKind};
use sys::program::SealedProgram;

use crate::cgroup_moves::CgroupMoves;
use crate::clients::ClientNumbers;
use crate::container::{Container, Phase, Record};
use crate::database::Database;
use crate::directory::Directory;
use crate::error::{Error, file_error};
use crate::events::Events;
use crate::exec::Exec;
use crate::options::Options;
use crate::volumes::Volumes;

/// The engine. Every request works through one of these, shared by all.
pub struct Engine {
    pub(crate) options: Options,
    pub(crate) database: Arc<Database>,
    pub(crate) directory: Directory,
    pub(crate) events: Events,
    pub(crate) images: images::Store,
    pub(crate) builder: builder::Builder,
    pub(crate) network: Arc<network::Network>,
    pub(crate) volumes: Volumes,
    pub(crate) shim_program: SealedProgram,
    pub(crate) cgroup_moves: Arc<CgroupMoves>,
    pub(crate) registry: RwLock<Arc<images::registry::Client>>,
    pub(crate) execs: Mutex<HashMap<ExecId, Arc<Exec>>>,
    /// Shared by ends of containers until their addresses and ports are free.
    pub(crate) endings: tokio::sync::RwLock<()>,
    /// Held while a container's hosts file is read and written.
    pub(crate) hosts_files: Mutex<()>,
    pub(crate) clients: ClientNumbers,
    identity: String,
}

impl Engine {
    /// Opens the engine: its directories, database, images and network; takes over containers that
    /// run, records the exits that happened meanwhile, sweeps what was left half made, and starts
    /// containers whose policy asks for it.
    ///
    /// # Errors
    /// When a directory, the database or the network cannot be set up.
    pub async fn open(options: Options) -> Result<Arc<Self>, Error> {
        crate::roots::close(&options)?;
        let database = Arc::new(Database::open(&options.data_root.join("state.db"))?);
        let records = database.containers()?;
        let endpoints = records.iter().filter_map(|record| record.endpoint.clone()).collect();
        let network = network::Network::open_with(&options.network, endpoints, crate::fault::of_network())
            .map_err(Error::Network)?;
        let shim_program =
            SealedProgram::load(&options.shim).map_err(file_error("load the shim", &options.shim))?;
        let images = images::Store::open(options.data_root.join("images")).map_err(Error::Image)?;
        if let Some(bytes) = options.unpack_allowance {
            images.set_unpack_allowance(bytes);
        }
        let builder =
            builder::Builder::new(images.clone(), options.data_root.join("builds"), &options.version)
                .map_err(|error| Error::refused(error.to_string()))?;
        let engine = Arc::new(Self {
            images,
            builder,
            network: Arc::new(network),
            volumes: Volumes::open(&options.data_root.join("volumes")),
            directory: Directory::default(),
            events: Events::kept_in(Arc::clone(&database))?,
            shim_program,
            cgroup_moves: CgroupMoves::open(),
            registry: RwLock::new(Arc::new(images::registry::Client::new(options.registry.clone()))),
            execs: Mutex::default(),
            endings: tokio::sync::RwLock::default(),
            hosts_files: Mutex::default(),
            clients: ClientNumbers::default(),
            identity: database.setting("identity", make_identity)?,
            options,
            database,
        });
        for warning in engine.network.warnings() {
            tracing::warn!("{warning}");
        }
        crate::reconcile::all(&engine, records).await?;
        Ok(engine)
    }

    /// Ends gracefully; containers run on unless told otherwise.
    pub async fn close(self: &Arc<Self>) {
        if self.options.stop_containers_on_exit {
            let running =
                self.directory.all().into_iter().filter(|container| container.record().is_running());
            let stops: Vec<_> = running
                .map(|container| {
                    let engine = Arc::clone(self);
                    tokio::spawn(async move { engine.stop(container.id().as_str(), None).await })
                })
                .collect();
            for stop in stops {
                let _ = stop.await;
            }
        }
        self.leave_host_alone();
    }

    /// Removes bridge and firewall rules where no container needs them while no daemon runs.
    fn leave_host_alone(&self) {
        let needs = |phase: Phase| match phase {
            Phase::Running(_) | Phase::Paused(_) | Phase::Starting | Phase::Restarting => true,
            Phase::Created | Phase::Exited | Phase::Removing => false,
        };
        if self.directory.all().iter().any(|container| needs(container.record().phase)) {
            return;
        }
        if let Err(error) = self.network.remove() {
            tracing::warn!("cannot remove the engine's bridge and firewall rules: {error}");
        }
    }

    /// The settings it was opened with.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The image store.
    #[must_use]
    pub const fn images(&self) -> &images::Store {
        &self.images
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &network::Network {
        &self.network
    }

    /// The engine's events.
    #[must_use]
    pub const fn events(&self) -> &Events {
        &self.events
    }

    /// The engine's own id, twelve groups of four letters and digits; made once.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Finds a container by id, name or the start of its id.
    ///
    /// # Errors
    /// [`Error::NoSuchContainer`] or [`Error::AmbiguousContainer`].
    pub fn find(&self, reference: &str) -> Result<Arc<Container>, Error> {
        self.directory.find(reference).or_else(|error| self.find_by_link(reference).ok_or(error))
    }

    /// All containers, newest first.
    #[must_use]
    pub fn containers(&self) -> Vec<Arc<Container>> {
        let mut all: Vec<_> = self
            .directory
            .all()
            .into_iter()
            .map(|container| (container.record().created, container))
            .collect();
        all.sort_by(|(one, first), (other, second)| other.cmp(one).then_with(|| first.id().cmp(second.id())));
        all.into_iter().map(|(_, container)| container).collect()
    }

    /// Where a container's own files are.
    #[must_use]
    pub fn container_directory(&self, id: &ContainerId) -> PathBuf {
        self.options.data_root.join("containers").join(id.as_str())
    }

    /// Tells listeners what happened to a container.
    pub(crate) fn emit(&self, record: &Record, action: impl Into<String>, more: &[(&str, String)]) {
        let mut attributes = record.config.labels.clone().unwrap_or_default();
        attributes.insert("image".to_owned(), record.config.image.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        for (name, value) in more {
            attributes.insert((*name).to_owned(), value.clone());
        }
        let actor = Actor { id: record.id.to_string(), attributes };
        self.events.emit(ResourceKind::Container, action, actor);
    }

    /// Tells listeners what happened to an image.
    pub fn emit_image(&self, action: &str, name: &str) {
        let attributes = [("name".to_owned(), name.to_owned())].into();
        self.events.emit(ResourceKind::Image, action, Actor { id: name.to_owned(), attributes });
    }

    pub(crate) fn exec(&self, id: &str) -> Result<Arc<Exec>, Error> {
        let unknown = || Error::NoSuchExec(id.to_owned());
        let id = ExecId::parse(id).map_err(|_| unknown())?;
        self.execs.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned().ok_or_else(unknown)
    }
}

fn make_identity() -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bytes: [u8; 48] = crate::random::bytes();
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(":")
}
