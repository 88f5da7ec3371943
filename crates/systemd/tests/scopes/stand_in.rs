//! A bus of the tests' own, and the stand-in for systemd's manager at it.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue};
use zbus::{Connection, interface};

const PATH: &str = "/org/freedesktop/systemd1";

/// How many jobs of other units end before the one that is waited for, more than a client's queue has room for.
const OTHER_JOBS: u32 = 300;

/// A bus without access control.
const CONFIGURATION: &str = r#"<busconfig>
  <type>session</type>
  <listen>unix:path=DIRECTORY/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"#;

/// A bus, which ends with this value.
pub(crate) struct Bus {
    daemon: Child,
    address: String,
    _directory: TempDir,
}

impl Bus {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let configuration = directory.path().join("bus.conf");
        let text = CONFIGURATION.replace("DIRECTORY", &directory.path().display().to_string());
        fs::write(&configuration, text).expect("the bus's configuration");
        let mut daemon = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", configuration.display()))
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon (Debian's package dbus-daemon)");
        // It prints its address once it listens there.
        let mut address = String::new();
        let output = daemon.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut address).expect("its address");
        Self { daemon, address: address.trim().to_owned(), _directory: directory }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// How the stand-in's jobs end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Failed,
    Never,
}

/// One call that the stand-in received.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) unit: String,
    /// Of jobs; `runtime` for properties that are lost at boot.
    pub(crate) mode: String,
    pub(crate) properties: Vec<(String, OwnedValue)>,
}

impl Call {
    /// The value of a property that counts where it is given more than once.
    pub(crate) fn last(&self, name: &str) -> Option<OwnedValue> {
        let found = self.properties.iter().rev().find(|(other, _)| other == name);
        found.and_then(|(_, value)| value.try_clone().ok())
    }
}

pub(crate) fn number(call: &Call, name: &str) -> u64 {
    call.last(name)
        .and_then(|value| u64::try_from(value).ok())
        .unwrap_or_else(|| panic!("no {name}: {call:?}"))
}

pub(crate) fn text(call: &Call, name: &str) -> String {
    call.last(name)
        .and_then(|value| String::try_from(value).ok())
        .unwrap_or_else(|| panic!("no {name}: {call:?}"))
}

/// What the stand-in keeps, for it and for the test.
type Calls = Arc<Mutex<VecDeque<Call>>>;

/// The stand-in, which leaves the bus with this value.
pub(crate) struct StandIn {
    calls: Calls,
    _connection: Connection,
}

impl StandIn {
    pub(crate) async fn join(bus: &Bus, end: End) -> Self {
        let calls = Calls::default();
        let manager = Manager { end, calls: Arc::clone(&calls), units: BTreeSet::new(), jobs: 0 };
        let builder = zbus::connection::Builder::address(bus.address()).expect("the bus's address");
        let builder = builder.serve_at(PATH, manager).expect("the manager's object");
        let builder = builder.name("org.freedesktop.systemd1").expect("systemd's name");
        Self { calls, _connection: builder.build().await.expect("a connection") }
    }

    /// The next call.
    pub(crate) fn take(&self) -> Call {
        self.calls.lock().expect("the calls").pop_front().expect("a call")
    }
}

/// Errors with systemd's names.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.systemd1")]
enum ManagerError {
    #[zbus(error)]
    Bus(zbus::Error),
    NoSuchUnit(String),
}

struct Manager {
    end: End,
    calls: Calls,
    units: BTreeSet<String>,
    jobs: u32,
}

impl Manager {
    fn note(&self, method: &'static str, unit: &str, mode: &str, properties: Vec<(String, OwnedValue)>) {
        let call = Call { method, unit: unit.to_owned(), mode: mode.to_owned(), properties };
        self.calls.lock().expect("the calls").push_back(call);
    }

    fn check(&self, unit: &str) -> Result<(), ManagerError> {
        let known = self.units.contains(unit);
        known.then_some(()).ok_or_else(|| ManagerError::NoSuchUnit(format!("Unit {unit} not loaded.")))
    }

    /// Ends a new job before its number is returned, as systemd may, and after those of others.
    async fn run_job(
        &mut self,
        emitter: &SignalEmitter<'_>,
        unit: &str,
    ) -> Result<OwnedObjectPath, ManagerError> {
        let path = |number: u32| ObjectPath::try_from(format!("{PATH}/job/{number}")).expect("a path");
        for _ in 0..OTHER_JOBS {
            self.jobs += 1;
            Self::job_removed(emitter, self.jobs, path(self.jobs), "other.service", "failed").await?;
        }
        self.jobs += 1;
        let result = match self.end {
            End::Done => Some("done"),
            End::Failed => Some("failed"),
            End::Never => None,
        };
        if let Some(result) = result {
            Self::job_removed(emitter, self.jobs, path(self.jobs), unit, result).await?;
        }
        Ok(path(self.jobs).into())
    }
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {}

    #[zbus(name = "GetUnit")]
    fn find_unit(&self, name: &str) -> Result<OwnedObjectPath, ManagerError> {
        if name != "init.scope" {
            self.check(name)?;
        }
        Ok(ObjectPath::from_static_str_unchecked("/org/freedesktop/systemd1/unit/one").into())
    }

    async fn start_transient_unit(
        &mut self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        name: &str,
        mode: &str,
        properties: Vec<(String, OwnedValue)>,
        auxiliary: Vec<(String, Vec<(String, OwnedValue)>)>,
    ) -> Result<OwnedObjectPath, ManagerError> {
        assert!(auxiliary.is_empty(), "{auxiliary:?}");
        self.note("StartTransientUnit", name, mode, properties);
        self.units.insert(name.to_owned());
        self.run_job(&emitter, name).await
    }

    async fn stop_unit(
        &mut self,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        name: &str,
        mode: &str,
    ) -> Result<OwnedObjectPath, ManagerError> {
        self.check(name)?;
        self.note("StopUnit", name, mode, Vec::new());
        let job = self.run_job(&emitter, name).await?;
        self.units.remove(name);
        Ok(job)
    }

    fn reset_failed_unit(&self, name: &str) -> Result<(), ManagerError> {
        self.note("ResetFailedUnit", name, "", Vec::new());
        self.check(name)
    }

    fn set_unit_properties(
        &self,
        name: &str,
        is_lost_at_boot: bool,
        properties: Vec<(String, OwnedValue)>,
    ) -> Result<(), ManagerError> {
        self.check(name)?;
        self.note("SetUnitProperties", name, if is_lost_at_boot { "runtime" } else { "" }, properties);
        Ok(())
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: ObjectPath<'_>,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;
}
