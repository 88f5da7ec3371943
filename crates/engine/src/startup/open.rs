//! Makes the engine's services, from the lowest level to the highest.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use super::foundations::{self, Foundations};
use super::reconcile;
use super::state::State;
use crate::builds::Builds;
use crate::clients::ClientNumbers;
use crate::container::containers::Containers;
use crate::container::create::Creator;
use crate::container::exit::Supervisor;
use crate::container::follow_up::FollowUps;
use crate::container::pause::Freezer;
use crate::container::remove::Remover;
use crate::container::restart::Restarter;
use crate::container::start::Starter;
use crate::container::start_inputs::StartLookup;
use crate::container::stop::Stopper;
use crate::container::update::Updater;
use crate::directory::{Directory, UsersOfImages};
use crate::engine::Engine;
use crate::error::{Error, file_error};
use crate::events::Events;
use crate::exec::Execs;
use crate::files::{BaseLayer, Files};
use crate::image::Images;
use crate::logs::{LogWakeups, Logs};
use crate::networking::Networking;
use crate::networks::opening;
use crate::networks::registry::NetworkRegistry;
use crate::networks::service::Networks;
use crate::options::{CgroupDriver, Options};
use crate::paths::Paths;
use crate::pods::{PodNetworks, PodStreams, Pods};
use crate::realm::Realm;
use crate::shim::{ShimProgram, ShimSource};
use crate::step_hosts::Remains;
use crate::store::{Database, Saved, VolumeRow};
use crate::streams::Streams;
use crate::usage::Usage;
use crate::volumes::{self, HeldMounts, VolumeMounts, Volumes};

/// Where the host has its cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";

impl Engine {
    /// Opens the engine: its directories, database, images and network; takes over running containers,
    /// records the exits that happened meanwhile, removes what was left half made, and starts containers
    /// whose policy requires it.
    ///
    /// # Errors
    /// When a directory, the database or the network cannot be set up.
    pub async fn open(options: Options) -> Result<Arc<Self>, Error> {
        if options.pod_cgroup_driver == CgroupDriver::Systemd {
            systemd::Systemd::default().check(Path::new(CGROUPS)).await.map_err(Error::Systemd)?;
        }
        let options = Arc::new(options);
        let paths = Arc::new(Paths::new(&options));
        let shim_program = Arc::new(ShimProgram::open(&options.shim)?);
        crate::roots::close(&options)?;
        let pod_networks = paths.pod_networks();
        std::fs::create_dir_all(&pod_networks).map_err(file_error("make", &pod_networks))?;
        let (State { database, saved, .. }, Foundations { network, store, builder, shims: found }) =
            foundations::open(&options, &paths).await?;
        let Saved { mut containers, execs, volumes, networks, events, identity, .. } = saved;
        let identity = identity.unwrap_or_else(|| super::identity::make(&database));
        super::lost::find_images(&paths, &store, &mut containers);
        let directory = Arc::new(Directory::default());
        let directory_of_pods = Arc::new(Directory::default());
        let users = [&directory, &directory_of_pods].map(Arc::clone);
        store.set_users(Arc::new(UsersOfImages(users)));
        let events = Arc::new(Events::kept_in(Arc::clone(&database), events));
        let registry = Arc::new(opening::open(network, networks, &mut containers, (&options, &database)));
        let low = Low {
            networking: Arc::new(Networking::new(&registry, &events, &directory, &paths, &options)),
            registry,
            images: Arc::new(Images::new(store, options.registry.clone(), &events)),
            options,
            paths,
            database,
            directory,
            directory_of_pods,
            events,
        };
        for warning in low.networking.network.warnings() {
            tracing::warn!("{warning}");
        }
        let of_builds = builder.leftover_containers().to_vec();
        let shims = ShimSource::new(Arc::clone(&shim_program), &low.paths.runs());
        tokio::spawn(Arc::clone(&shims).keep_parked());
        let engine = Arc::new(low.build(&shims, builder, volumes, identity));
        for realm in [&engine.docker, &engine.pods.realm] {
            tokio::spawn(Arc::clone(&realm.execs).forget_ended());
        }
        let left = reconcile::Left { containers, execs, of_builds, shims: found };
        reconcile::all(&engine.docker, &engine.pods.realm, left).await;
        crate::pods::settle(&engine.pods);
        tokio::spawn(shim_program.copy_soon());
        Ok(engine)
    }
}

/// The services of the low levels.
#[derive(Clone)]
struct Low {
    options: Arc<Options>,
    paths: Arc<Paths>,
    database: Arc<Database>,
    directory: Arc<Directory>,
    directory_of_pods: Arc<Directory>,
    events: Arc<Events>,
    networking: Arc<Networking>,
    registry: Arc<NetworkRegistry>,
    images: Arc<Images>,
}

impl Low {
    /// Makes all services above these.
    fn build(
        self,
        shims: &Arc<ShimSource>,
        builder: builder::Builder,
        volumes: Vec<VolumeRow>,
        identity: String,
    ) -> Engine {
        let clients = Arc::new(ClientNumbers::default());
        let pods = self.pods(shims, &clients);
        let docker = Arc::new(self.realm(shims, volumes, &clients));
        let logs = Arc::new(self.logs());
        let streams = Arc::new(self.streams(&clients, &logs));
        let containers = Arc::clone(&docker.containers);
        let builds = Arc::new(Builds {
            builder,
            images: Arc::clone(&self.images),
            events: Arc::clone(&self.events),
            containers: Arc::clone(&containers),
            streams: Arc::clone(&streams),
            paths: Arc::clone(&self.paths),
            remains: Remains::default(),
        });
        Engine {
            execs: Arc::clone(&docker.execs),
            files: Arc::new(self.files(&docker.volume_mounts, &containers)),
            networks: Arc::new(self.networks()),
            usage: Arc::new(self.usage(&docker.volumes)),
            volumes: Arc::clone(&docker.volumes),
            pods: Arc::new(pods),
            identity,
            containers,
            streams,
            logs,
            builds,
            docker,
            options: self.options,
            database: self.database,
            events: self.events,
            networking: self.networking,
            images: self.images,
        }
    }

    /// Makes the services of one realm of containers, with this directory, events and networking.
    fn realm(&self, shims: &Arc<ShimSource>, volumes: Vec<VolumeRow>, clients: &Arc<ClientNumbers>) -> Realm {
        let (follow_ups, requests) = FollowUps::channel();
        let volumes = Arc::new(self.volumes(volumes));
        let volume_mounts =
            Arc::new(VolumeMounts { volumes: Arc::clone(&volumes), held: HeldMounts::default() });
        let supervisor = Arc::new(self.supervisor(&volume_mounts, &follow_ups));
        let containers =
            Arc::new(self.containers(&volume_mounts, &supervisor, follow_ups, Arc::clone(shims)));
        tokio::spawn(Arc::clone(&containers.restarter).follow_up(requests));
        Realm {
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            networking: Arc::clone(&self.networking),
            execs: Arc::new(self.execs(Arc::clone(clients))),
            paths: Arc::clone(&self.paths),
            database: Arc::clone(&self.database),
            containers,
            supervisor,
            volumes,
            volume_mounts,
        }
    }

    /// Makes the services of pods: nothing that happens there is an event of Docker's.
    fn pods(&self, shims: &Arc<ShimSource>, clients: &Arc<ClientNumbers>) -> Pods {
        let (directory, events) = (Arc::clone(&self.directory_of_pods), Arc::new(Events::default()));
        let networking = Networking::new(&self.registry, &events, &directory, &self.paths, &self.options);
        let low = Self { networking: Arc::new(networking), directory, events, ..self.clone() };
        let logs = Arc::new(low.logs());
        let streams = Arc::new(low.streams(clients, &logs));
        let networks = PodNetworks::new(&self.options, &self.paths, &low.directory);
        let realm = Arc::new(low.realm(shims, Vec::new(), clients));
        Pods {
            streams: Arc::new(PodStreams { realm: Arc::clone(&realm), streams }),
            realm,
            networks,
            unfinished: Arc::default(),
        }
    }

    fn logs(&self) -> Logs {
        Logs {
            directory: Arc::clone(&self.directory),
            paths: Arc::clone(&self.paths),
            wakeups: LogWakeups::default(),
        }
    }

    fn streams(&self, clients: &Arc<ClientNumbers>, logs: &Arc<Logs>) -> Streams {
        Streams {
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            clients: Arc::clone(clients),
            logs: Arc::clone(logs),
        }
    }

    fn usage(&self, volumes: &Arc<Volumes>) -> Usage {
        Usage {
            directory: Arc::clone(&self.directory),
            volumes: Arc::clone(volumes),
            paths: Arc::clone(&self.paths),
            measured: Mutex::default(),
        }
    }

    fn volumes(&self, saved: Vec<VolumeRow>) -> Volumes {
        Volumes {
            drivers: volumes::Drivers::new(&self.paths),
            known: Mutex::new(volumes::Known::of(saved)),
            left: Condvar::new(),
            database: Arc::clone(&self.database),
            directory: Arc::clone(&self.directory),
            events: volumes::VolumeEvents(Arc::clone(&self.events)),
            images: Arc::clone(&self.images),
        }
    }

    fn supervisor(&self, mounts: &Arc<VolumeMounts>, follow_ups: &FollowUps) -> Supervisor {
        Supervisor {
            database: Arc::clone(&self.database),
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            networking: Arc::clone(&self.networking),
            volumes: Arc::clone(&mounts.volumes),
            volume_mounts: Arc::clone(mounts),
            paths: Arc::clone(&self.paths),
            follow_ups: follow_ups.clone(),
        }
    }

    fn containers(
        &self,
        mounts: &Arc<VolumeMounts>,
        supervisor: &Arc<Supervisor>,
        follow_ups: FollowUps,
        shims: Arc<ShimSource>,
    ) -> Containers {
        let volumes = &mounts.volumes;
        let creator = Arc::new(self.creator(volumes));
        let starter = Arc::new(Starter {
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            networking: Arc::clone(&self.networking),
            creator: Arc::clone(&creator),
            supervisor: Arc::clone(supervisor),
            lookup: self.start_lookup(mounts),
            follow_ups,
            shims,
            paths: Arc::clone(&self.paths),
        });
        let freezer =
            Arc::new(Freezer { directory: Arc::clone(&self.directory), events: Arc::clone(&self.events) });
        let stopper = Arc::new(Stopper {
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            freezer: Arc::clone(&freezer),
            networking: Arc::clone(&self.networking),
        });
        let remover = Arc::new(Remover {
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            networking: Arc::clone(&self.networking),
            volumes: Arc::clone(volumes),
            stopper: Arc::clone(&stopper),
            paths: Arc::clone(&self.paths),
            images: Arc::clone(&self.images),
        });
        let restarter = Arc::new(Restarter {
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            starter: Arc::clone(&starter),
            stopper: Arc::clone(&stopper),
            remover: Arc::clone(&remover),
        });
        let updater =
            Arc::new(Updater { directory: Arc::clone(&self.directory), events: Arc::clone(&self.events) });
        Containers {
            updater,
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            networking: Arc::clone(&self.networking),
            paths: Arc::clone(&self.paths),
            creator,
            starter,
            stopper,
            freezer,
            restarter,
            remover,
        }
    }

    fn creator(&self, volumes: &Arc<Volumes>) -> Creator {
        Creator {
            database: Arc::clone(&self.database),
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            images: Arc::clone(&self.images),
            networking: Arc::clone(&self.networking),
            volumes: Arc::clone(volumes),
            paths: Arc::clone(&self.paths),
            options: Arc::clone(&self.options),
        }
    }

    fn start_lookup(&self, mounts: &Arc<VolumeMounts>) -> StartLookup {
        StartLookup {
            directory: Arc::clone(&self.directory),
            images: Arc::clone(&self.images),
            networking: Arc::clone(&self.networking),
            volumes: Arc::clone(&mounts.volumes),
            volume_mounts: Arc::clone(mounts),
            paths: Arc::clone(&self.paths),
            options: Arc::clone(&self.options),
            base_layer: BaseLayer::new(self.paths.base_layer()),
        }
    }

    fn execs(&self, clients: Arc<ClientNumbers>) -> Execs {
        Execs {
            database: Arc::clone(&self.database),
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            networking: Arc::clone(&self.networking),
            clients,
            options: Arc::clone(&self.options),
        }
    }

    fn networks(&self) -> Networks {
        Networks {
            registry: Arc::clone(&self.registry),
            networking: Arc::clone(&self.networking),
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            database: Arc::clone(&self.database),
            options: Arc::clone(&self.options),
        }
    }

    fn files(&self, mounts: &Arc<VolumeMounts>, containers: &Containers) -> Files {
        Files {
            directory: Arc::clone(&self.directory),
            events: Arc::clone(&self.events),
            images: Arc::clone(&self.images),
            networking: Arc::clone(&self.networking),
            volumes: Arc::clone(&mounts.volumes),
            volume_mounts: Arc::clone(mounts),
            freezer: Arc::clone(&containers.freezer),
            paths: Arc::clone(&self.paths),
        }
    }
}
