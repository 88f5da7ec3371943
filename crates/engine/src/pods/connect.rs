//! Streams of pods: commands and attachments over a connection, and ports.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::ExecId;
use tokio::net::{TcpStream, UnixStream};

use super::find;
use crate::container::Record;
use crate::container::saved_exec::{ExecConfig, ExecState};
use crate::error::{Error, file_error};
use crate::exec::{ExecClient, ExecStartOptions};
use crate::network_namespace;
use crate::realm::Realm;
use crate::streams::{AttachRequest, Streams};

/// How long a port of a pod may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A command that runs, and the connection of its streams: framed as the specification's "stream details" has them, but
/// for those of a terminal.
pub struct OpenCommand {
    /// Its id.
    pub id: ExecId,
    /// The connection.
    pub socket: UnixStream,
}

/// The commands and streams of clients in pods: what goes on inside of the parts that `Pods` makes and ends.
pub struct PodStreams {
    pub(crate) realm: Arc<Realm>,
    pub(crate) streams: Arc<Streams>,
}

impl PodStreams {
    /// Starts a command in a container, with a connection to its streams.
    ///
    /// # Errors
    /// Unknown container, one that does not run, or a program that cannot be run.
    pub async fn open_command(&self, reference: &str, config: ExecConfig) -> Result<OpenCommand, Error> {
        let record = find::container(&self.realm, reference)?.record();
        let execs = &self.realm.execs;
        let terminal = config.tty;
        let id = execs.create(record.id.as_str(), config).await?;
        let (socket, theirs) = connection()?;
        let session = execs.prepare(id.as_str(), ExecStartOptions { terminal, console_size: None })?;
        session.run(Some(ExecClient { socket: theirs, early_input: Vec::new() })).await?;
        Ok(OpenCommand { id, socket })
    }

    /// Waits for a command's end; returns its exit code.
    ///
    /// # Errors
    /// Unknown command, or one whose container has ended.
    pub async fn exit_code_of(&self, id: &str) -> Result<i32, Error> {
        let (exec, _) = self.realm.execs.inspect(id).await?;
        exec.ended().await;
        Ok(match exec.state() {
            ExecState::Exited(code) => code,
            ExecState::Created | ExecState::Running(_) => 0,
        })
    }

    /// Sets the size of a command's terminal.
    ///
    /// # Errors
    /// Unknown command, or one that does not run.
    pub async fn resize_command(&self, id: &str, height: u16, width: u16) -> Result<(), Error> {
        self.realm.execs.resize(id, height, width).await
    }

    /// Joins a container's own stdio.
    ///
    /// # Errors
    /// Unknown container, or one that does not run.
    pub async fn open_attachment(
        &self,
        reference: &str,
        request: AttachRequest,
    ) -> Result<UnixStream, Error> {
        let record = find::container(&self.realm, reference)?.record();
        if !record.is_running() {
            return Err(Error::NotRunning(reference.to_owned()));
        }
        let session = self.streams.prepare_attach(record.id.as_str(), request)?;
        let (socket, theirs) = connection()?;
        session.join(theirs, Vec::new()).await?;
        Ok(socket)
    }

    /// Sets the size of a container's own terminal.
    ///
    /// # Errors
    /// Unknown container, or one that does not run.
    pub async fn resize(&self, reference: &str, height: u16, width: u16) -> Result<(), Error> {
        let record = find::container(&self.realm, reference)?.record();
        self.streams.resize(record.id.as_str(), height, width).await
    }

    /// Connects to a port of a pod, at the loopback addresses of its network: that of IPv4, then that of IPv6.
    ///
    /// # Errors
    /// Unknown sandbox, one that does not run, or a port without a listener.
    pub async fn connect(&self, reference: &str, port: u16) -> Result<TcpStream, Error> {
        let sandbox = find::sandbox(&self.realm, reference)?.record();
        let connection =
            crate::outcome::joined(tokio::task::spawn_blocking(move || connect_in(&sandbox, port)).await)??;
        let failed = |source| Error::refused(format!("cannot use the connection to port {port}: {source}"));
        TcpStream::from_std(connection).map_err(failed)
    }
}

/// Connects to a port at the loopback addresses of a sandbox's network.
fn connect_in(sandbox: &Record, port: u16) -> Result<std::net::TcpStream, Error> {
    let namespace = network_namespace::of(sandbox)?;
    let own = Path::new("/proc/thread-self/ns/net");
    let home = File::open(own).map_err(file_error("open", own))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let failed = |source| Error::refused(format!("cannot connect to {address} in the pod: {source}"));
    let connected = sys::network_namespace::within(namespace.as_fd(), home.as_fd(), || {
        let connect = |address| std::net::TcpStream::connect_timeout(&address, TIMEOUT);
        // A server may listen at one of the two alone.
        connect(address).or_else(|error| connect((Ipv6Addr::LOCALHOST, port).into()).map_err(|_| error))
    });
    let connection = connected.and_then(|connected| connected).map_err(failed)?;
    connection.set_nonblocking(true).map_err(failed)?;
    Ok(connection)
}

/// A connection to a shim: our end, and the end that it gets.
fn connection() -> Result<(UnixStream, OwnedFd), Error> {
    let failed = |source| Error::Shim { act: "make a connection to", source };
    let (ours, theirs) = StdStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    Ok((UnixStream::from_std(ours).map_err(failed)?, OwnedFd::from(theirs)))
}
