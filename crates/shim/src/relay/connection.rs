//! One connection of TCP: a client and the container, with a way from each to the other.
//!
//! ```text
//! Open ──end of what came──→ Ended, and the other side is shut down
//! ```
//!
//! What cannot be sent stays where it came from: it is peeked at, sent, and taken only as far as it was sent.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use sys::epoll::{Event, Interest, Poller};

use crate::token::{RelayPart, Token};

/// A side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Container,
}

/// The state of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Input is passed on.
    Open,
    /// The other side has no room: what comes waits until it has.
    Full,
    /// Nothing more comes.
    Ended,
}

/// A side with its registration at the poller.
struct Side {
    stream: TcpStream,
    token: u64,
    /// The awaited events; `None` of a side that is not in the set, since even its hang-up would be reported without
    /// end.
    interest: Option<Interest>,
    /// The direction to the other side.
    way: Way,
}

/// Both sides.
pub(super) struct Connection {
    client: Side,
    container: Side,
    is_connected: bool,
}

/// The outcome of one attempt to pass on what a side has sent.
enum Passed {
    /// Something, or nothing was there.
    Room,
    /// Not all of it.
    NoRoom,
    End,
}

impl Connection {
    /// Begins a connection to the container for a client.
    pub(super) fn open(
        client: TcpStream,
        container: SocketAddr,
        number: u32,
        poller: &Poller,
    ) -> io::Result<Self> {
        let container = sys::inet::tcp_client(container)?;
        for stream in [&client, &container] {
            stream.set_nodelay(true)?;
            sys::inet::keep_alive(stream)?;
        }
        let mut connection = Self {
            client: Side::new(client, Token::Relay(RelayPart::Client(number)).pack()),
            container: Side::new(container, Token::Relay(RelayPart::Container(number)).pack()),
            is_connected: false,
        };
        connection.register(poller)?;
        Ok(connection)
    }

    /// Continues after an event at one side; false when the connection is over.
    pub(super) fn advance(&mut self, at: End, event: Event, scratch: &mut [u8], poller: &Poller) -> bool {
        self.try_advance(at, event, scratch, poller).unwrap_or(false)
    }

    fn try_advance(
        &mut self,
        at: End,
        event: Event,
        scratch: &mut [u8],
        poller: &Poller,
    ) -> io::Result<bool> {
        if !self.is_connected {
            if at == End::Client {
                // It is not read before the container is there, and cannot have gone without a hang-up.
                return Ok(!event.hung_up);
            }
            if let Some(error) = self.container.stream.take_error()? {
                return Err(error);
            }
            self.is_connected = event.writable;
        }
        let (side, other) = match at {
            End::Client => (&mut self.client, &mut self.container),
            End::Container => (&mut self.container, &mut self.client),
        };
        if event.hung_up
            && let Some(error) = side.stream.take_error()?
        {
            return Err(error);
        }
        if event.readable || event.hung_up {
            side.pass_to(other, scratch)?;
        }
        if event.writable && other.way == Way::Full {
            other.way = Way::Open;
            other.pass_to(side, scratch)?;
        }
        self.register(poller)?;
        Ok(self.client.way != Way::Ended || self.container.way != Way::Ended)
    }

    /// Waits for what is useful next, and for the end of each side.
    fn register(&mut self, poller: &Poller) -> io::Result<()> {
        let (to_container, to_client) = (self.client.way, self.container.way);
        let is_connected = self.is_connected;
        self.client.wait_for(
            Interest { read: is_connected && to_container == Way::Open, write: to_client == Way::Full },
            to_client,
            poller,
        )?;
        let write = !is_connected || to_container == Way::Full;
        self.container.wait_for(Interest { read: to_client == Way::Open, write }, to_container, poller)
    }
}

impl Side {
    const fn new(stream: TcpStream, token: u64) -> Self {
        Self { stream, token, interest: None, way: Way::Open }
    }

    /// Passes on what this side has sent, as far as the other has room.
    fn pass_to(&mut self, other: &mut Self, scratch: &mut [u8]) -> io::Result<()> {
        if self.way != Way::Open {
            return Ok(());
        }
        match pass(&mut self.stream, &mut other.stream, scratch)? {
            Passed::Room => {}
            Passed::NoRoom => self.way = Way::Full,
            Passed::End => {
                self.way = Way::Ended;
                // One that is gone already needs no notice.
                let _ = other.stream.shutdown(Shutdown::Write);
            }
        }
        Ok(())
    }

    /// Waits for this and for a hang-up. One that was sent the end, and has ended too, has hung up: it is not waited
    /// for while what it sent has no room.
    fn wait_for(&mut self, interest: Interest, from_other: Way, poller: &Poller) -> io::Result<()> {
        let would_hang_up = self.way == Way::Full && from_other == Way::Ended;
        let wanted = (!would_hang_up).then_some(interest);
        match (self.interest, wanted) {
            (before, after) if before == after => {}
            (Some(_), Some(interest)) => poller.modify(&self.stream, self.token, interest)?,
            (None, Some(interest)) => poller.add(&self.stream, self.token, interest)?,
            (_, None) => poller.remove(&self.stream)?,
        }
        self.interest = wanted;
        Ok(())
    }
}

/// Sends what has come, and takes from it what was sent.
fn pass(from: &mut TcpStream, to: &mut TcpStream, scratch: &mut [u8]) -> io::Result<Passed> {
    let length = match from.peek(scratch) {
        Ok(0) => return Ok(Passed::End),
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Passed::Room),
        Err(error) => return Err(error),
    };
    let sent = match to.write(&scratch[..length]) {
        Ok(sent) => sent,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Passed::NoRoom),
        Err(error) => return Err(error),
    };
    from.read_exact(&mut scratch[..sent])?;
    Ok(if sent == length { Passed::Room } else { Passed::NoRoom })
}
