//! A container's first process between its birth and its program: it builds what it will see,
//! waits at the gate, and then becomes its program.

use std::convert::Infallible;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use model::{ContainerSpec, InterfaceConfig, Namespace};
use rustix::fs::CWD;
use rustix::mount::OpenTreeFlags;
use sys::clone::NewNamespaces;
use sys::process_title::ProcessTitle;

use crate::capabilities;
use crate::cgroup::Cgroup;
use crate::cgroup::enter::Entrances;
use crate::channel::{Channel, Command};
use crate::error::Doing;
use crate::namespaces::Joined;
use crate::process::launch::{self, Launch, Streams};
use crate::process::terminal::Terminal;
use crate::process::{Stdio, user};
use crate::root::cgroup_view::{self, CgroupView};
use crate::root::devices::{self, Devices};
use crate::root::kernel::KernelFileSystems;
use crate::root::mounts::Sources;
use crate::root::place::{Kind, Root};
use crate::root::{base, hiding, host_devices, is_overridden, mapped_layers};
use crate::{FailureKind, StartError, interface, seccomp, sysctl, tiny_init};

/// The parent's preparations before the clone.
#[derive(Debug)]
pub(crate) struct Birth<'a> {
    /// The container.
    pub(crate) spec: &'a ContainerSpec,
    /// Namespaces to enter.
    pub(crate) joined: &'a Joined,
    /// The container's cgroups.
    pub(crate) cgroup: &'a Cgroup,
    /// Nodes of the host's devices.
    pub(crate) devices: &'a [host_devices::Node],
    /// The mount namespaces that hold volumes that are mounts.
    pub(crate) held_mounts: &'a [OwnedFd],
    /// Where its arguments are.
    pub(crate) title: Option<ProcessTitle>,
    /// The line to the parent.
    pub(crate) channel: &'a Channel,
}

/// Made with the rights of the host's root, before the host's tree is left.
struct Prepared {
    sources: Sources,
    host_null: Option<OwnedFd>,
    file_systems: KernelFileSystems,
    devices: Option<Devices>,
    root: OwnedFd,
    cgroups: Option<CgroupView>,
}

/// A root that is complete but for what is made read-only last.
struct Tree {
    root: Root,
    file_systems: KernelFileSystems,
    devices: Option<Devices>,
}

impl Birth<'_> {
    /// Runs the child from its birth to its end.
    pub(crate) fn live(&self, stdio: Stdio) -> ! {
        let Err(error) = self.become_container(stdio);
        self.channel.fail(&error);
        sys::clone::leave(error.exit_code())
    }

    fn become_container(&self, stdio: Stdio) -> Result<Infallible, StartError> {
        launch::hide_from_others()?;
        rustix::process::umask(rustix::fs::Mode::empty());
        self.joined.enter()?;
        self.name_host()?;
        let (prepared, entrances) = self.prepare()?;
        if let (Some(users), Some(mapping)) = (self.joined.users(), &self.spec.user_namespace) {
            let proc = prepared.file_systems.proc.as_fd();
            launch::prepare_for_user_namespace(&self.spec.process, mapping, Some(proc), &stdio)?;
            enter_user_namespace(users)?;
        }
        let tree = self.build_tree(prepared)?;
        let streams = self.open_streams(stdio, &tree)?;
        self.make_working_directory(&tree.root)?;
        let launch = self.prepare_launch(&tree)?;
        if self.spec.read_only_root {
            base::make_read_only(&tree.root)?;
        }
        let interface = self.wait_for_start()?;
        entrances.enter()?;
        if self.spec.namespaces.own_cgroup && !self.cgroup.is_unified() {
            sys::clone::unshare_cgroup_namespace().doing("making a cgroup namespace")?;
        }
        if self.spec.namespaces.network == Namespace::Own || interface.is_some() {
            interface::configure(&tree.file_systems.proc, interface.as_ref())?;
        }
        sysctl::set(&tree.file_systems.proc, &self.spec.sysctls)?;
        if self.spec.process.arguments.is_empty() {
            return tiny_init::hold(self.channel, self.title);
        }
        if self.spec.init {
            return tiny_init::run(launch, streams, self.title);
        }
        launch.run(streams)
    }

    fn name_host(&self) -> Result<(), StartError> {
        if self.spec.namespaces.uts != Namespace::Own {
            return Ok(());
        }
        rustix::system::sethostname(self.spec.hostname.as_bytes()).doing("setting the host name")?;
        if self.spec.domainname.is_empty() {
            return Ok(());
        }
        rustix::system::setdomainname(self.spec.domainname.as_bytes()).doing("setting the domain name")
    }

    fn prepare(&self) -> Result<(Prepared, Entrances), StartError> {
        let (spec, users) = (self.spec, self.joined.users());
        let sources = Sources::open(spec, self.held_mounts, users)?;
        let host_null = is_overridden(spec, "/dev").then(host_null).transpose()?;
        let file_systems = KernelFileSystems::make(spec, self.joined)?;
        let devices = if host_null.is_some() { None } else { Some(Devices::make()?) };
        if let (Some(devices), Some(mapping)) = (&devices, &spec.user_namespace) {
            devices.hand_over(self.devices, mapping)?;
        }
        base::make_private()?;
        if let Some(users) = users {
            mapped_layers::map(spec, users)?;
        }
        let sources = sources.complete(spec, base::place(&spec.root))?;
        let root = base::mount(spec, users)?;
        let cgroups = self.open_cgroups()?;
        let entrances = self.cgroup.entrances()?;
        Ok((Prepared { sources, host_null, file_systems, devices, root, cgroups }, entrances))
    }

    fn build_tree(&self, prepared: Prepared) -> Result<Tree, StartError> {
        let spec = self.spec;
        let Prepared { sources, host_null, file_systems, devices, root, cgroups } = prepared;
        if cgroups.is_none() {
            sys::clone::unshare_cgroup_namespace().doing("making a cgroup namespace")?;
        }
        let file_systems = file_systems.complete(spec, self.joined)?;
        let root = base::enter(root)?;
        file_systems.attach_system(spec, &root)?;
        if let Some(devices) = &devices {
            devices.attach(&root)?;
            file_systems.attach_devices(devices.directory())?;
        }
        if !is_overridden(spec, "/sys") && !is_overridden(spec, "/sys/fs/cgroup") {
            match cgroups {
                Some(view) => view.attach(&root)?,
                None => cgroup_view::attach_own_namespace(&root, spec.privileged)?,
            }
        }
        sources.attach(spec, &root)?;
        // Programs check by this file whether they run in a Docker container.
        root.mark(".dockerenv").doing("making /.dockerenv")?;
        if spec.user_namespace.is_none() {
            host_devices::make(self.devices, &root)?;
        }
        let null = match (host_null, &devices) {
            (Some(null), _) => null,
            (None, Some(devices)) => devices.null()?,
            (None, None) => return Err(unexpected()),
        };
        hiding::hide(spec, &root, null)?;
        Ok(Tree { root, file_systems, devices })
    }

    /// Waits for the directories; `None` when the container has a cgroup namespace of its own on a v2 host,
    /// whose file system shows nothing else.
    fn open_cgroups(&self) -> Result<Option<CgroupView>, StartError> {
        match self.channel.wait().doing("waiting for the cgroup")? {
            Command::CgroupMade => {}
            Command::Start(_) => return Err(unexpected()),
        }
        if self.spec.namespaces.own_cgroup && self.cgroup.is_unified() {
            return Ok(None);
        }
        CgroupView::open(&self.cgroup.layout(), self.spec.privileged).map(Some)
    }

    fn wait_for_start(&self) -> Result<Option<InterfaceConfig>, StartError> {
        match self.channel.wait().doing("waiting for the start")? {
            Command::Start(interface) => Ok(interface),
            Command::CgroupMade => Err(unexpected()),
        }
    }

    fn open_streams(&self, stdio: Stdio, tree: &Tree) -> Result<Streams, StartError> {
        let size = self.spec.process.terminal_size;
        let terminal = match stdio {
            Stdio::Streams { stdin, stdout, stderr } => {
                return Ok(Streams::Separate([stdin, stdout, stderr]));
            }
            Stdio::Terminal => match &tree.file_systems.terminals {
                Some(devpts) => Terminal::open(devpts, size)?,
                None => Terminal::open_in(&tree.root, size)?,
            },
        };
        let dev = match &tree.devices {
            Some(devices) => devices.directory().try_clone().doing("opening /dev")?,
            None => tree.root.find(Path::new("/dev")).doing("opening /dev")?,
        };
        devices::attach_console(dev, &terminal.slave)?;
        self.channel.give_terminal(terminal.master.as_fd()).doing("handing over the terminal")?;
        Ok(Streams::Terminal(terminal.slave))
    }

    fn make_working_directory(&self, root: &Root) -> Result<(), StartError> {
        let asked = self.spec.process.working_directory.as_str();
        let directory = model::clean(asked);
        if directory == Path::new("/") {
            return Ok(());
        }
        let made = root.find_or_make(&directory, Kind::Directory);
        let is_directory =
            |place: &OwnedFd| Ok(crate::root::place::file_type(place)? == rustix::fs::FileType::Directory);
        match made.and_then(|place| is_directory(&place)) {
            Ok(true) => Ok(()),
            Ok(false) | Err(rustix::io::Errno::NOTDIR) => {
                let message = format!("Cannot mkdir: {asked} is not a directory");
                Err(StartError::words(FailureKind::Refused, message))
            }
            Err(error) => Err(error).doing_with(|| format!("mkdir {asked}")),
        }
    }

    fn prepare_launch<'a>(&'a self, tree: &'a Tree) -> Result<Launch<'a>, StartError> {
        let spec = self.spec;
        let process = &spec.process;
        let capabilities = capabilities::mask(&process.capabilities)? & capabilities::bounding_set();
        let keyring = CString::new(format!("_ses.{}", spec.id.as_str())).map_err(io::Error::other);
        Ok(Launch {
            process,
            identity: user::identify(process, &tree.root)?,
            capabilities,
            filter: seccomp::filter(&spec.seccomp, capabilities)?,
            keyring: keyring.doing("naming the keyring")?,
            proc: Some(tree.file_systems.proc.as_fd()),
            channel: self.channel,
            rights: launch::Rights::of(spec),
            label: crate::label::choose(spec),
        })
    }
}

/// Becomes root of the container's user namespace, to which a copy of the mounts belongs then.
fn enter_user_namespace(users: BorrowedFd<'_>) -> Result<(), StartError> {
    sys::user_namespace::enter(users).doing("entering the user namespace")?;
    let mounts = NewNamespaces { mount: true, ..NewNamespaces::default() };
    sys::clone::unshare(mounts).doing("making the mount namespace")?;
    launch::hide_from_others()
}

/// The host's null device, for a container that brings its own /dev.
fn host_null() -> Result<OwnedFd, StartError> {
    let act = "opening /dev/null";
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let null = rustix::mount::open_tree(CWD, c"/dev/null", flags).doing(act)?;
    devices::verify_null(&null).doing(act)?;
    Ok(null)
}

fn unexpected() -> StartError {
    StartError::words(FailureKind::System, "the parent and the child disagree about the order of a start")
}
