//! A connection to a bus: who the client is, calls and their answers, and signals that come meanwhile.

use std::collections::VecDeque;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::bus_error::BusError;
use crate::message::{self, HEAD, Kind, Message, Object};
use crate::value::Body;

/// The bus itself, which answers calls too.
const BUS: Object =
    Object { name: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };

/// The longest line of the conversation before the first message.
const LONGEST_LINE: usize = 4096;

/// How many signals may wait to be looked at; those that were asked for are the ends of one unit's jobs.
const LONGEST_QUEUE: usize = 1024;

/// A connection to a bus.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: UnixStream,
    serial: u32,
    signals: VecDeque<Message>,
}

impl Connection {
    /// Connects to the first address of a list, `unix:path=…;unix:abstract=…`, at which a bus is.
    pub(crate) async fn open(addresses: &str) -> Result<Self, BusError> {
        let mut failure = BusError::Address(addresses.to_owned());
        for address in addresses.split(';') {
            match Self::open_one(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn open_one(address: &str) -> Result<Self, BusError> {
        let place = place(address).ok_or_else(|| BusError::Address(address.to_owned()))??;
        let mut socket = connect(&place).await?;
        authenticate(&mut socket).await?;
        let mut connection = Self { socket, serial: 0, signals: VecDeque::new() };
        connection.call(BUS, "Hello", &Body::default()).await?;
        Ok(connection)
    }

    /// Asks the bus for the signals that a rule describes.
    pub(crate) async fn subscribe(&mut self, rule: &str) -> Result<(), BusError> {
        self.call(BUS, "AddMatch", &Body::default().text(rule)).await.map(drop)
    }

    /// Calls a method; gives its answer.
    pub(crate) async fn call(
        &mut self,
        object: Object,
        method: &str,
        body: &Body,
    ) -> Result<Message, BusError> {
        self.serial += 1;
        self.socket.write_all(&message::call(self.serial, object, method, body)).await?;
        loop {
            let message = self.read().await?;
            match message.kind {
                Kind::Return if message.reply_to == Some(self.serial) => return Ok(message),
                Kind::Error if message.reply_to == Some(self.serial) => {
                    let words = message.words();
                    return Err(BusError::Refused { name: message.error, words });
                }
                Kind::Signal if self.signals.len() == LONGEST_QUEUE => return Err(BusError::Malformed),
                Kind::Signal => self.signals.push_back(message),
                Kind::Return | Kind::Error | Kind::Other => {}
            }
        }
    }

    /// The next signal, one that has come already first.
    pub(crate) async fn next_signal(&mut self) -> Result<Message, BusError> {
        if let Some(signal) = self.signals.pop_front() {
            return Ok(signal);
        }
        loop {
            let message = self.read().await?;
            if message.kind == Kind::Signal {
                return Ok(message);
            }
        }
    }

    async fn read(&mut self) -> Result<Message, BusError> {
        let mut head = [0; HEAD];
        self.socket.read_exact(&mut head).await?;
        let mut bytes = head.to_vec();
        bytes.resize(message::total(&head)?, 0);
        self.socket.read_exact(&mut bytes[HEAD..]).await?;
        Message::parse(&bytes)
    }
}

/// Where a socket is; `None` for an address of another form.
fn place(address: &str) -> Option<io::Result<SocketAddr>> {
    let mut settings =
        address.strip_prefix("unix:")?.split(',').filter_map(|setting| setting.split_once('='));
    settings.find_map(|(name, value)| match name {
        "path" => Some(SocketAddr::from_pathname(unescaped(value))),
        "abstract" => Some(SocketAddr::from_abstract_name(unescaped(value))),
        _ => None,
    })
}

/// A value of an address, in which `%` and two digits stand for a byte.
fn unescaped(value: &str) -> String {
    let mut parts = value.split('%');
    let mut plain = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                plain.extend_from_slice(&part.as_bytes()[2..]);
            }
            None => plain.extend([b"%", part.as_bytes()].concat()),
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

async fn connect(place: &SocketAddr) -> io::Result<UnixStream> {
    if let Some(path) = place.as_pathname() {
        return UnixStream::connect(path).await;
    }
    // A name that is no file: its socket is there at once or not at all.
    let socket = std::os::unix::net::UnixStream::connect_addr(place)?;
    socket.set_nonblocking(true)?;
    UnixStream::from_std(socket)
}

/// Says who the client is, which the kernel tells the bus too ("Authentication Protocol", EXTERNAL).
async fn authenticate(socket: &mut UnixStream) -> Result<(), BusError> {
    let user: String =
        rustix::process::geteuid().as_raw().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
    socket.write_all(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes()).await?;
    let mut line = Vec::new();
    // Nothing follows the line until it is answered.
    while !line.ends_with(b"\r\n") {
        if line.len() > LONGEST_LINE {
            return Err(BusError::Malformed);
        }
        let mut piece = [0; 256];
        match socket.read(&mut piece).await? {
            0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            count => line.extend_from_slice(&piece[..count]),
        }
    }
    if !line.starts_with(b"OK ") {
        return Err(BusError::NotAuthenticated(String::from_utf8_lossy(&line).trim().to_owned()));
    }
    Ok(socket.write_all(b"BEGIN\r\n").await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_paths_or_names() {
        let path = |address: &str| {
            let place = place(address)?.ok()?;
            place.as_pathname().map(|path| path.display().to_string())
        };
        assert_eq!(path("unix:path=/run/bus,guid=0").as_deref(), Some("/run/bus"));
        assert_eq!(path("unix:guid=0,path=/a%20b%zz").as_deref(), Some("/a b%zz"));
        let named = place("unix:abstract=one").expect("a place").expect("an address");
        assert_eq!(named.as_abstract_name(), Some(&b"one"[..]));
        for other in ["", "tcp:host=h,port=1", "unix:tmpdir=/tmp", "unix:path"] {
            assert!(place(other).is_none(), "{other}");
        }
    }
}
