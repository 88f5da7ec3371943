//! Finds the engine's state as it is after whatever happened to the last daemon.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{ContainerId, RestartPolicy};
use shim_protocol::RunDirectory;
use tokio::task::JoinHandle;

use super::foundations::FoundShims;
use crate::container::pause::Freezer;
use crate::container::remove::Removal;
use crate::container::{Container, Phase, Purpose, Record, scope};
use crate::disposal::{delete_tree, remove_run_directory};
use crate::endpoint::NONE;
use crate::networking::moving::Moving;
use crate::networking::relays;
use crate::outcome::joined;
use crate::realm::Realm;
use crate::shim::{FoundShim, Shim};
use crate::store::ExecRow;

/// How long the daemon's start waits for a running container to match its record.
const SETTLE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

/// What the last daemon left.
pub(crate) struct Left {
    pub(crate) containers: Vec<Record>,
    pub(crate) execs: Vec<ExecRow>,
    /// The containers of builds during which it died.
    pub(crate) of_builds: Vec<ContainerId>,
    /// The shims that run.
    pub(super) shims: FoundShims,
}

/// Takes over every container: adopts those that run, records exits, finishes removals, deletes leftovers,
/// and starts those whose policy requires it. The kubelet restarts containers of pods.
pub(crate) async fn all(docker: &Arc<Realm>, pods: &Arc<Realm>, left: Left) {
    let (of_pods, of_docker): (Vec<_>, Vec<_>) =
        left.containers.into_iter().partition(|record| record.pod.is_some());
    let is_of_pod = |exec: &ExecRow| of_pods.iter().any(|record| record.id == exec.container);
    let (execs_of_pods, execs): (Vec<_>, Vec<_>) = left.execs.into_iter().partition(is_of_pod);
    let mut shims = left.shims;
    let to_start = take_over(docker, of_docker, execs, &mut shims).await;
    take_over(pods, of_pods, execs_of_pods, &mut shims).await;
    let (own, of_kubelet) = (Arc::clone(docker), Arc::clone(pods));
    match tokio::task::spawn_blocking(move || sweep(&own, &of_kubelet)).await {
        Ok(taken_down) => {
            for cgroups in taken_down {
                scope::stop(&cgroups).await;
            }
        }
        Err(failure) => tracing::error!("cannot delete what belongs to no container: {failure}"),
    }
    remove_leftovers(docker, left.of_builds);
    super::order::start_all(docker, to_start);
}

/// Takes over the containers of one realm; returns those whose policy requires a start.
async fn take_over(
    realm: &Arc<Realm>,
    records: Vec<Record>,
    execs: Vec<ExecRow>,
    shims: &mut FoundShims,
) -> Vec<Arc<Container>> {
    for record in records {
        if let Err(error) = realm.directory.reserve(&record.name, &record.id) {
            tracing::error!("container {} has the name of another: {error}", record.id);
        }
        realm.directory.insert(Container::new(
            Arc::new(record),
            Arc::clone(&realm.database),
            Purpose::Client,
        ));
    }
    realm.networking.links.forget_lost();
    realm.execs.restore(execs);
    // As many at a time as can run: most need the kernel alone, and a task of its own costs more than they do.
    let mut containers = realm.directory.all();
    let at_a_time = tokio::runtime::Handle::current().metrics().num_workers();
    let size = containers.len().div_ceil(at_a_time).max(1);
    let mut begun = Vec::new();
    while !containers.is_empty() {
        let share = containers.split_off(containers.len().saturating_sub(size));
        let share = share.into_iter().map(|container| (shims.remove(container.id()), container));
        let (realm, share) = (Arc::clone(realm), share.collect::<Vec<_>>());
        begun.push(tokio::spawn(async move {
            let open = share.into_iter().filter_map(|(shim, container)| begin(&realm, container, shim));
            open.collect::<Vec<_>>()
        }));
    }
    let mut to_start = Vec::new();
    for task in begun {
        for task in task.await.unwrap_or_else(cannot_take_over) {
            to_start.extend(task.await.unwrap_or_else(cannot_take_over));
        }
    }
    to_start
}

fn cannot_take_over<T: Default>(failure: tokio::task::JoinError) -> T {
    tracing::error!("cannot take over a container: {failure}");
    T::default()
}

/// Begins to take over one container; `None` when it is adopted and that was all. The future returns a container whose
/// policy requires a start.
fn begin(
    realm: &Arc<Realm>,
    container: Arc<Container>,
    shim: Option<FoundShim>,
) -> Option<JoinHandle<Option<Arc<Container>>>> {
    let record = container.record();
    if let Some(found) = shim {
        let directory = realm.paths.run(container.id());
        let (shim, notices) = Shim::of_found(&directory, found);
        container.set_shim(Some(shim));
        realm.volume_mounts.take_over(&record, &directory);
        realm.supervisor.supervise(Arc::clone(&container), notices);
        return may_be_open(realm, &container, &record).then(|| {
            let realm = Arc::clone(realm);
            tokio::spawn(async move {
                settle(realm, container).await;
                None
            })
        });
    }
    let realm = Arc::clone(realm);
    Some(tokio::spawn(async move { one(&realm, &container).await.then_some(container) }))
}

/// Whether the last daemon may have left anything half done with a container that is adopted.
fn may_be_open(realm: &Realm, container: &Container, record: &Record) -> bool {
    Freezer::may_be_open(record) || container.execs.has_open() || may_have_open_networks(realm, record)
}

/// Takes over one container that has no shim; returns whether its policy requires a start.
async fn one(realm: &Arc<Realm>, container: &Arc<Container>) -> bool {
    let record = container.record();
    match record.phase {
        Phase::Removing => {
            finish_removal(realm, container).await;
            false
        }
        Phase::Running(_) | Phase::Paused(_) => {
            let end = realm.supervisor.exit_without_shim(container).await;
            realm.supervisor.record_exit(container, end).await;
            false
        }
        Phase::Created | Phase::Starting | Phase::Restarting | Phase::Exited => {
            let directory = realm.paths.run(&record.id);
            if directory.path().exists() {
                super::interrupted_start::settle(realm, container, &directory).await;
            }
            if !container.record().is_running() {
                settle_unstarted(realm, container).await;
            }
            let now = container.record();
            if now.settings.host.auto_remove && matches!(now.phase, Phase::Exited) {
                // The last daemon died between its end and its removal.
                realm.supervisor.follow_ups.remove(&now.id);
            }
            wants_start(&record)
        }
    }
}

/// Whether a container that does not run is started when the engine starts.
fn wants_start(record: &Record) -> bool {
    match record.settings.host.restart_policy.policy() {
        RestartPolicy::No => false,
        RestartPolicy::Always => record.was_started(),
        RestartPolicy::UnlessStopped => record.was_started() && !record.stopped_by_client,
        RestartPolicy::OnFailure { .. } => record.is_restarting(),
    }
}

/// Brings to an end what the last daemon had begun with an adopted container.
async fn settle(realm: Arc<Realm>, container: Arc<Container>) {
    let settling = tokio::spawn(async move {
        realm.containers.freezer.settle_freezer(&container).await;
        realm.execs.settle(&container).await;
        settle_networks(&realm, &container).await;
    });
    // A shim that does not respond must not delay the daemon's start.
    let _ = tokio::time::timeout(SETTLE_TIMEOUT, settling).await;
}

/// Whether a container's interfaces can be others than its record's.
fn can_move(record: &Record) -> bool {
    record.has_own_network() && record.endpoints.iter().all(|endpoint| endpoint.name != NONE)
}

/// Whether [`settle_networks`] has anything to do for a container.
fn may_have_open_networks(realm: &Realm, record: &Record) -> bool {
    can_move(record) && (record.has_names() || Moving::interrupted(&realm.networking, &record.id).is_some())
}

/// The last daemon may have died before it led routes and ports to a network that a container was connected to or
/// disconnected from, changed its files, or sent its shim the change.
async fn settle_networks(realm: &Realm, container: &Arc<Container>) {
    let _order = container.transition.lock().await;
    let record = container.record();
    if !record.is_running() || !can_move(&record) {
        return;
    }
    let Some(moving) = Moving::interrupted(&realm.networking, &record.id) else {
        // The host's name servers, or those of the daemon's flags, may be others now.
        if record.has_names() {
            send_names(realm, container).await;
        }
        return;
    };
    let (networking, own) = (Arc::clone(&realm.networking), Arc::clone(container));
    let settled = tokio::task::spawn_blocking(move || networking.settle_running(&own)).await;
    if let Err(error) = joined(settled).and_then(|result| result) {
        tracing::warn!("cannot settle the networks of container {}: {error}", record.id);
    }
    send_names(realm, container).await;
    if let Err(error) = relays::settle(container).await {
        tracing::warn!("the ports of container {} are not relayed: {error}", record.id);
    }
    moving.done();
}

async fn send_names(realm: &Realm, container: &Container) {
    if let Err(error) = realm.networking.name_servers.settle(container).await {
        tracing::warn!("cannot send the shim of container {} its networks' names: {error}", container.id());
    }
}

async fn finish_removal(realm: &Arc<Realm>, container: &Arc<Container>) {
    let (remover, own) = (Arc::clone(&realm.containers.remover), Arc::clone(container));
    let work = tokio::task::spawn_blocking(move || remover.forget(&own));
    if let Err(error) = joined(work.await).and_then(|result| result) {
        tracing::error!("cannot finish the removal of container {}: {error}", container.id());
        realm.directory.remove(container);
    }
}

/// Releases what a container that does not run still has of the network: the last daemon died between its end,
/// or its interrupted start, and that. One that was about to start has its former state again.
async fn settle_unstarted(realm: &Arc<Realm>, container: &Arc<Container>) {
    realm.networking.disconnect_network(container).await;
    let record = container.record();
    let is_starting = matches!(record.phase, Phase::Starting);
    if !is_starting
        && record.endpoints.iter().all(|endpoint| endpoint.id.is_none() && endpoint.lease.is_none())
    {
        return;
    }
    container.update(|record| {
        record.clear_endpoints();
        if is_starting {
            record.phase = if record.was_started() { Phase::Exited } else { Phase::Created };
        }
    });
}

/// Removes the containers of builds during which a daemon died.
fn remove_leftovers(realm: &Arc<Realm>, containers: Vec<ContainerId>) {
    for id in containers {
        let realm = Arc::clone(realm);
        tokio::spawn(async move {
            let removal = Removal { volumes: true, force: true, link: false };
            if let Err(error) = realm.containers.remove(id.as_str(), removal).await {
                tracing::debug!("cannot remove container {id} of an interrupted build: {error}");
            }
        });
    }
}

/// Deletes files and run directories that belong to no container; returns the cgroups of those that were taken down. Blocks.
fn sweep(docker: &Realm, pods: &Realm) -> Vec<Vec<PathBuf>> {
    let is_known = |path: &Path| {
        let id = path.file_name().and_then(OsStr::to_str).and_then(|name| ContainerId::parse(name).ok());
        id.is_some_and(|id| [docker, pods].iter().any(|realm| realm.directory.get(&id).is_some()))
    };
    for path in entries(&docker.paths.containers()).filter(|path| !is_known(path)) {
        delete_tree(&path);
    }
    let mut taken_down = Vec::new();
    for path in entries(&docker.paths.runs()).filter(|path| !is_known(path)) {
        let directory = RunDirectory::at(path);
        taken_down.push(crate::cgroup::take_down_shim(&directory, Vec::new(), None));
        remove_run_directory(&directory);
    }
    docker.volumes.sweep();
    // Listed now: what comes later goes when its readers are done.
    let trash: Vec<PathBuf> = entries(&docker.paths.trash()).collect();
    // Nothing waits for what is out of sight already.
    tokio::task::spawn_blocking(move || trash.iter().for_each(|path| delete_tree(path)));
    taken_down
}

/// The entries of a directory, as far as it can be listed.
fn entries(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path())
}
