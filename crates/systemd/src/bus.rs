//! The connection to systemd's manager. Each operation has one of its own: the bus may be restarted between two.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use zbus::export::futures_core::Stream;
use zbus::zvariant::{DynamicType, OwnedObjectPath};
use zbus::{Connection, MatchRule, Message, MessageStream};

use crate::Error;

/// The manager's name, object and interface, org.freedesktop.systemd1(5).
const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";

/// The system's bus. The specification of D-Bus has `/var/run`, which need not lead to `/run` everywhere.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// The error of a unit that does not exist (any more).
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// How long an operation may take with its job.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many ends of jobs of one unit may wait to be read. zbus stops reading when they are more.
const QUEUE: usize = 16;

/// Where the unit of a signal `JobRemoved` is: number, job, unit, result.
const UNIT_ARGUMENT: u8 = 2;

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

    /// Gives up an operation when its time is over.
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

    /// Opens a connection to the manager's bus. No call of it has an end of its own: an operation has one, and one word for it.
    pub(crate) async fn connect(&self) -> Result<Manager, Error> {
        let connected = match zbus::connection::Builder::address(self.address.as_str()) {
            Ok(builder) => builder.build().await,
            Err(error) => Err(error),
        };
        connected.map(Manager).map_err(|source| Error::Bus(Box::new(source)))
    }
}

/// An operation on a unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation<'a> {
    pub(crate) verb: &'static str,
    pub(crate) unit: &'a str,
}

impl Operation<'_> {
    pub(crate) fn failed(&self, source: zbus::Error) -> Error {
        Error::Unit { act: self.verb, unit: self.unit.to_owned(), source: Box::new(source) }
    }
}

/// Takes a unit that does not exist for success.
pub(crate) fn unless_gone(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Unit { source, .. }) if matches!(&*source, zbus::Error::MethodError(name, ..) if name.as_str() == NO_SUCH_UNIT) => {
            Ok(())
        }
        other => other,
    }
}

/// A connection to the manager.
pub(crate) struct Manager(Connection);

impl Manager {
    /// Calls a method of the manager.
    pub(crate) async fn call<B>(&self, method: &'static str, body: &B) -> Result<Message, zbus::Error>
    where
        B: Serialize + DynamicType,
    {
        self.0.call_method(Some(NAME), PATH, Some(INTERFACE), method, body).await
    }

    /// Makes a call that is answered with a job of the unit, and waits for the job's end.
    pub(crate) async fn run_job<B>(
        &self,
        operation: Operation<'_>,
        method: &'static str,
        body: &B,
    ) -> Result<(), Error>
    where
        B: Serialize + DynamicType,
    {
        let failed = |source| operation.failed(source);
        // Subscribed to before there is a job: its end may be sent before the call is answered.
        let mut ends = self.job_ends(operation.unit).await.map_err(failed)?;
        let answer = self.call(method, body).await.map_err(failed)?;
        let job: OwnedObjectPath = answer.body().deserialize().map_err(failed)?;
        loop {
            let next = std::future::poll_fn(|context| Pin::new(&mut ends).poll_next(context)).await;
            let message = next.unwrap_or_else(|| Err(connection_lost())).map_err(failed)?;
            let body = message.body();
            let end: (u32, OwnedObjectPath, String, String) = body.deserialize().map_err(failed)?;
            let (_, ended, _, result) = end;
            if ended != job {
                continue;
            }
            return match result.as_str() {
                "done" => Ok(()),
                _ => Err(Error::Job { act: operation.verb, unit: operation.unit.to_owned(), result }),
            };
        }
    }

    /// The ends of a unit's jobs; the bus keeps those of others to itself.
    async fn job_ends(&self, unit: &str) -> Result<MessageStream, zbus::Error> {
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .sender(NAME)?
            .interface(INTERFACE)?
            .member("JobRemoved")?
            .arg(UNIT_ARGUMENT, unit)?
            .build();
        let ends = MessageStream::for_match_rule(rule, &self.0, Some(QUEUE)).await?;
        self.call("Subscribe", &()).await?;
        Ok(ends)
    }
}

fn connection_lost() -> zbus::Error {
    zbus::Error::InputOutput(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into())
}
