//! The connection to systemd's manager. Each operation has one of its own: the bus may be restarted between two.

use std::future::Future;
use std::time::Duration;

use crate::connection::Connection;
use crate::message::{Message, Object};
use crate::value::Body;
use crate::{BusError, Error};

/// The manager, org.freedesktop.systemd1(5).
const MANAGER: Object = Object {
    name: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// The system's bus. The specification of D-Bus has `/var/run`, which need not lead to `/run` everywhere.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// The error of a unit that does not exist (any more).
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// How long an operation may take with its job.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The signal that a job has ended: its number, its path, its unit, its result.
const JOB_REMOVED: &str = "JobRemoved";
const JOB_REMOVED_TYPES: &str = "uoss";

/// The service manager that a bus leads to.
#[derive(Debug, Clone)]
pub struct Systemd {
    address: String,
    timeout: Duration,
}

impl Default for Systemd {
    /// The host's: at the address that `DBUS_SYSTEM_BUS_ADDRESS` names, or at its usual one.
    fn default() -> Self {
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").unwrap_or_else(|_| SYSTEM_BUS.to_owned());
        Self { address, timeout: TIMEOUT }
    }
}

impl Systemd {
    /// The one at a bus with this address (`unix:path=…`), whose operations end after `timeout`.
    #[must_use]
    pub fn at(address: &str, timeout: Duration) -> Self {
        Self { address: address.to_owned(), timeout }
    }

    /// Gives an operation up when its time is over.
    pub(crate) async fn within_time(
        &self,
        operation: Operation<'_>,
        work: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), Error> {
        let timed = tokio::time::timeout(self.timeout, work).await;
        timed.unwrap_or_else(|_| {
            let Operation { verb, unit } = operation;
            Err(Error::Timeout { act: verb, unit: unit.to_owned(), timeout: self.timeout })
        })
    }

    /// Opens a connection to the manager's bus.
    pub(crate) async fn connect(&self) -> Result<Manager, Error> {
        Connection::open(&self.address).await.map(Manager).map_err(Error::Bus)
    }
}

/// What is done to which unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) verb: &'static str,
    pub(crate) unit: &'a str,
}

impl Operation<'_> {
    pub(crate) fn failed(&self, source: BusError) -> Error {
        Error::Unit { act: self.verb, unit: self.unit.to_owned(), source }
    }
}

/// Takes a unit that does not exist for success.
pub(crate) fn unless_gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Unit { source: BusError::Refused { name, .. }, .. }) if name == NO_SUCH_UNIT => Ok(()),
        other => other,
    }
}

/// A connection to the manager.
pub(crate) struct Manager(Connection);

impl Manager {
    /// Calls a method of the manager.
    pub(crate) async fn call(&mut self, method: &str, body: &Body) -> Result<Message, BusError> {
        self.0.call(MANAGER, method, body).await
    }

    /// Makes a call that is answered with a job of the unit, and waits for the job's end.
    pub(crate) async fn run_job(
        &mut self,
        operation: Operation<'_>,
        method: &str,
        body: &Body,
    ) -> Result<(), Error> {
        let result = self.result_of_job(operation.unit, method, body).await;
        match result.map_err(|source| operation.failed(source))?.as_str() {
            "done" => Ok(()),
            result => Err(Error::Job {
                act: operation.verb,
                unit: operation.unit.to_owned(),
                result: result.to_owned(),
            }),
        }
    }

    async fn result_of_job(&mut self, unit: &str, method: &str, body: &Body) -> Result<String, BusError> {
        // Subscribed to before there is a job: its end may be sent before the call is answered. The bus keeps the ends of
        // others' jobs to itself.
        let Object { name, interface, .. } = MANAGER;
        let rule = format!(
            "type='signal',sender='{name}',interface='{interface}',member='{JOB_REMOVED}',arg2='{unit}'"
        );
        self.0.subscribe(&rule).await?;
        self.call("Subscribe", &Body::default()).await?;
        let answer = self.call(method, body).await?;
        let job = answer.body("o")?.text()?;
        loop {
            let signal = self.0.next_signal().await?;
            // Whoever may send to this connection could send a signal of that name.
            if signal.sender != answer.sender || signal.member != JOB_REMOVED {
                continue;
            }
            let mut end = signal.body(JOB_REMOVED_TYPES)?;
            let _number = end.number()?;
            let (ended, _unit, result) = (end.text()?, end.text()?, end.text()?);
            if ended == job {
                return Ok(result.to_owned());
            }
        }
    }
}
