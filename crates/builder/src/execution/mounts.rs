//! The mounts of a RUN step: what they are worth as a cache key, and what the container gets.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use model::{MountKind, MountRequest, Owners, Submounts};

use super::cache_mounts::CacheUse;
use super::metadata::absolute;
use super::state::Build;
use super::trees::StepTree;
use crate::dockerfile::{Access, HereDocument, RunCommand, RunMount, RunMountKind};
use crate::error::BuildError;
use crate::event::{BuildEvent, Provision};
use crate::identity::random_digits;
use crate::order::Order;
use crate::request::Provisions;
use crate::transfer::{Item, sum};

/// Where secrets are mounted that name no place.
const SECRETS: &str = "/run/secrets";
/// Where sockets of ssh agents are mounted that name no place; a number follows.
const AGENTS: &str = "/run/buildkit/ssh_agent.";
/// Where a script is mounted that names its interpreter.
const SCRIPTS: &str = "/dev/pipes";

/// A mount with the files that it shows.
pub(super) struct PlannedMount {
    pub(super) mount: RunMount,
    pub(super) tree: Option<StepTree>,
    /// Identifies the files that it shows, or begins with.
    pub(super) worth: String,
    /// The mount for the cache.
    pub(super) key: String,
}

/// The mounts of a container, with what must be there as long as it runs.
#[derive(Default)]
pub(super) struct StepMounts {
    pub(super) requests: Vec<MountRequest>,
    /// Variables that only the container sees.
    pub(super) variables: Vec<String>,
    /// How many ssh agents there are, missing ones too.
    agents: usize,
    /// The directories of caches, by the numbers of their mounts.
    cache_paths: BTreeMap<usize, PathBuf>,
    caches: Vec<CacheUse>,
    secrets: Vec<PathBuf>,
}

impl StepMounts {
    /// The place of an agent's socket; the variable holds that of the first one.
    fn name_agent(&mut self, target: &str) -> String {
        let standard = || format!("{AGENTS}{}", self.agents);
        let place = if target.is_empty() { standard() } else { target.to_owned() };
        if self.agents == 0 {
            self.variables.push(format!("SSH_AUTH_SOCK={place}"));
        }
        self.agents += 1;
        place
    }
}

impl Drop for StepMounts {
    fn drop(&mut self) {
        for secret in &self.secrets {
            if let Err(error) = fs::remove_file(secret) {
                tracing::warn!(path = %secret.display(), %error, "cannot remove a build's secret");
            }
        }
        self.caches.clear();
    }
}

impl Build<'_> {
    /// Parses the mounts of a step and finds the files that they show.
    ///
    /// # Errors
    /// [`BuildError`] when a mount is malformed, or its source is not there.
    pub(super) fn plan_mounts(&self, run: &RunCommand) -> Result<Vec<PlannedMount>, BuildError> {
        run.mounts.iter().map(|text| self.plan_mount(text)).collect()
    }

    /// Reports what of the client's a mount shows, where clients see a graph.
    fn report_provision(&self, kind: &RunMountKind) {
        let (provision, is_required) = match kind {
            RunMountKind::Secret { id, required, .. } => (Provision::Secret(id.clone()), *required),
            RunMountKind::Ssh { id, required, .. } => (Provision::Agent(id.clone()), *required),
            RunMountKind::Bind { .. } | RunMountKind::Cache { .. } | RunMountKind::Tmpfs { .. } => return,
        };
        if self.work.parameters.order == Order::Graph {
            self.work.session.events.send(BuildEvent::Provision { provision, is_required });
        }
    }

    fn plan_mount(&self, text: &str) -> Result<PlannedMount, BuildError> {
        let text = self.expand(text)?;
        let mount = RunMount::parse(&text)?;
        self.report_provision(&mount.kind);
        let tree_of = |from: Option<&str>| {
            self.tree_of(from).map_err(|error| match error {
                BuildError::LaterStage { from, .. } => {
                    BuildError::LaterMount { from, target: mount.target.clone() }
                }
                other => other,
            })
        };
        let (tree, source) = match &mount.kind {
            RunMountKind::Bind { from, source } => (Some(tree_of(from.as_deref())?), source),
            RunMountKind::Cache { from: Some(from), source, .. } => (Some(tree_of(Some(from))?), source),
            RunMountKind::Cache { .. }
            | RunMountKind::Tmpfs { .. }
            | RunMountKind::Secret { .. }
            | RunMountKind::Ssh { .. } => {
                let key = format!("--mount={text}");
                return Ok(PlannedMount { mount, tree: None, worth: String::new(), key });
            }
        };
        let worth = match &tree {
            Some(StepTree::Image { tree, .. }) => tree.worth().to_string(),
            Some(tree) => sum(&tree.cancellable(self), &[Item::Local(tree.find(source, self)?)], None)?,
            None => String::new(),
        };
        let key = match mount.kind {
            // A cache is begun with these files, and has others later.
            RunMountKind::Cache { .. } => format!("--mount={text}"),
            _ => format!("--mount={text}@{worth}"),
        };
        Ok(PlannedMount { mount, tree, worth, key })
    }

    /// Makes the mounts.
    ///
    /// # Errors
    /// [`BuildError`] when the client lacks a secret that is required, or the host refuses something.
    pub(super) fn make_mounts(
        &self,
        planned: &[PlannedMount],
        script: Option<&HereDocument>,
    ) -> Result<StepMounts, BuildError> {
        let (caches, cache_paths) = self.caches(planned)?;
        let mut made = StepMounts::default();
        (made.caches, made.cache_paths) = (caches, cache_paths);
        for (number, PlannedMount { mount, tree, .. }) in planned.iter().enumerate() {
            match &mount.kind {
                RunMountKind::Bind { source, .. } => {
                    let kind = self.bind(tree.as_ref(), source, mount.read_only)?;
                    self.add(&mut made, &mount.target, mount.read_only, kind)?;
                }
                RunMountKind::Cache { .. } => {
                    let Some(kind) = made.cache_paths.get(&number).map(|path| host_mount(path)) else {
                        continue;
                    };
                    self.add(&mut made, &mount.target, mount.read_only, kind)?;
                }
                RunMountKind::Tmpfs { size } => {
                    let kind = MountKind::Tmpfs { size: *size, mode: None, executable: true };
                    self.add(&mut made, &mount.target, false, kind)?;
                }
                RunMountKind::Secret { id, required, variable, access } => {
                    let Some(bytes) = self.provisions("secret")?.secret(id)? else {
                        self.check_optional(*required, "secret", id)?;
                        continue;
                    };
                    self.add_secret(&mut made, (id, &mount.target), (variable.as_deref(), *access), &bytes)?;
                }
                RunMountKind::Ssh { id, required, access } => {
                    let Some(socket) = self.provisions("ssh")?.ssh_agent(id)? else {
                        self.check_optional(*required, "ssh agent", id)?;
                        // Commands find the place where it would be.
                        made.name_agent(&mount.target);
                        continue;
                    };
                    self.add_agent(&mut made, &mount.target, &socket, *access)?;
                }
            }
        }
        if let Some(script) = script {
            let path = self.write_secret(&mut made, script.content.as_bytes(), SCRIPT_ACCESS)?;
            self.add(&mut made, &script_path(script), true, host_mount(&path))?;
        }
        Ok(made)
    }

    fn add(
        &self,
        made: &mut StepMounts,
        target: &str,
        read_only: bool,
        kind: MountKind,
    ) -> Result<(), BuildError> {
        let target = absolute(&self.stage_ref()?.config.working_dir, target);
        made.requests.push(MountRequest { target, read_only, kind, written: None });
        Ok(())
    }

    /// An image's directory is mounted as it is, unless it is written to; all else is copied first.
    fn bind(&self, tree: Option<&StepTree>, source: &str, read_only: bool) -> Result<MountKind, BuildError> {
        let Some(tree) = tree else { return Err(BuildError::NoContext) };
        if let (StepTree::Image { image: Some(image), .. }, true) = (tree, read_only) {
            let found = tree.find(source, self)?;
            if found.node.is_directory() {
                let subpath = found.path.to_string_lossy().into_owned();
                return Ok(MountKind::Image { image: image.hexadecimal(), subpath });
            }
        }
        Ok(host_mount(&self.copy_out(tree, source)?))
    }

    /// The client's secrets and agents; a client without BuildKit's protocol has none.
    fn provisions(&self, kind: &'static str) -> Result<&dyn Provisions, BuildError> {
        self.work.parameters.provisions.as_deref().ok_or(BuildError::NoProvisions(kind))
    }

    fn check_optional(&self, required: bool, kind: &'static str, id: &str) -> Result<(), BuildError> {
        if required { Err(BuildError::NoSuchProvision { kind, id: id.to_owned() }) } else { Ok(()) }
    }

    fn add_secret(
        &self,
        made: &mut StepMounts,
        (id, target): (&str, &str),
        (variable, access): (Option<&str>, Access),
        bytes: &[u8],
    ) -> Result<(), BuildError> {
        if let Some(variable) = variable {
            made.variables.push(format!("{variable}={}", String::from_utf8_lossy(bytes)));
            if target.is_empty() {
                return Ok(());
            }
        }
        let path = self.write_secret(made, bytes, access)?;
        let standard = format!("{SECRETS}/{id}");
        let target = if target.is_empty() { &standard } else { target };
        self.add(made, target, true, host_mount(&path))
    }

    fn add_agent(
        &self,
        made: &mut StepMounts,
        target: &str,
        socket: &Path,
        access: Access,
    ) -> Result<(), BuildError> {
        set_access(socket, access).map_err(BuildError::file("hand out", socket))?;
        let target = made.name_agent(target);
        self.add(made, &target, false, host_mount(socket))
    }

    /// Writes a file that is removed with the step, in memory where the engine's runtime directory is.
    fn write_secret(
        &self,
        made: &mut StepMounts,
        bytes: &[u8],
        access: Access,
    ) -> Result<PathBuf, BuildError> {
        let directory = &self.work.builder.secrets;
        let number = random_digits().map_err(BuildError::file("read", "/dev/urandom"))?;
        let path = directory.join(number);
        let failed = |error| BuildError::file("write", &path)(error);
        made.secrets.push(path.clone());
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        set_access(&path, access).map_err(failed)?;
        Ok(path)
    }
}

/// Those of a script: executable for all.
const SCRIPT_ACCESS: Access = Access { mode: 0o755, user: 0, group: 0 };

/// Where a script is mounted.
pub(super) fn script_path(script: &HereDocument) -> String {
    format!("{SCRIPTS}/{}", script.name.replace('/', "_"))
}

pub(super) fn set_access(path: &Path, access: Access) -> std::io::Result<()> {
    chown(path, Some(access.user), Some(access.group))?;
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode))
}

fn host_mount(path: &Path) -> MountKind {
    MountKind::Bind {
        source: path.to_string_lossy().into_owned(),
        propagation: None,
        make_source: false,
        submounts: Submounts::default(),
        writable_submounts: false,
        owners: Owners::OfHost,
    }
}
