//! A query that is forwarded to upstream servers, one after the other.
//!
//! Each server is queried with a random number and from a random port, at a socket that receives from that server
//! alone; what does not answer the question is passed over, a few times.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use domain::base::iana::Rcode;
use domain::base::{Header, Message};
use shim_protocol::names::Upstream;
use sys::epoll::{Event, Interest, Poller};
use sys::inet;

use super::answer;
use super::namespaces::Namespaces;
use super::query::{Query, Transport};
use super::tcp_exchange::TcpExchange;
use crate::event_loop::EventLoop;
use crate::token::Token;

/// At most so many servers are queried, as by resolv.conf(5).
pub(super) const MOST_SERVERS: usize = 3;

/// The port of every server.
const DOMAIN: u16 = 53;

/// How long one server has for its answer.
const TIMEOUT: Duration = Duration::from_secs(4);

/// More datagrams that do not match the question mean that a sender is guessing its number.
const MOST_WRONG: u32 = 32;

/// How many datagrams are read before others of the shim have their turn.
const TURN: u32 = 8;

/// The client that waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// The sender of a datagram from this address.
    Datagram(SocketAddr),
    /// The connection of this number.
    Connection(u32),
}

impl Client {
    pub(super) const fn transport(self) -> Transport {
        match self {
            Self::Datagram(_) => Transport::Datagram,
            Self::Connection(_) => Transport::Connection,
        }
    }
}

/// The outcome of an event.
pub(super) enum Progress {
    Waits,
    /// This server has no answer.
    Failed,
    /// The answer, as the client gets it.
    Answered(Vec<u8>),
}

/// A query on its way.
pub(super) struct Exchange {
    client: Client,
    /// The number that the client gave it.
    client_number: u16,
    /// How long the client's answer may be, in bytes.
    limit: usize,
    /// The query with the number that the present server gets.
    query: Vec<u8>,
    servers: std::vec::IntoIter<Upstream>,
    conversation: Option<Conversation>,
    deadline: Instant,
}

/// With the present server.
enum Conversation {
    Datagrams { socket: UdpSocket, wrong: u32 },
    Connection(TcpExchange),
}

impl Exchange {
    pub(super) fn new(query: &Query<'_>, client: Client, mut servers: Vec<Upstream>) -> Self {
        servers.truncate(MOST_SERVERS);
        Self {
            client,
            client_number: query.message.header().id(),
            limit: query.limit,
            query: query.message.as_slice().to_vec(),
            servers: servers.into_iter(),
            conversation: None,
            deadline: Instant::now(),
        }
    }

    pub(super) const fn client(&self) -> Client {
        self.client
    }

    /// When the present server has had its time.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline <= now
    }

    /// Sends the query to the next server that can be reached; false when there is none.
    pub(super) fn ask_next(&mut self, token: Token, namespaces: &Namespaces, shared: &EventLoop) -> bool {
        // Its socket leaves the poller as it closes.
        self.conversation = None;
        while let Some(server) = self.servers.next() {
            if let Ok(conversation) = self.query(&server, token, namespaces, &shared.poller) {
                self.conversation = Some(conversation);
                self.deadline = shared.now + TIMEOUT;
                return true;
            }
        }
        false
    }

    fn query(
        &mut self,
        server: &Upstream,
        token: Token,
        namespaces: &Namespaces,
        poller: &Poller,
    ) -> io::Result<Conversation> {
        let number = u16::from_ne_bytes(sys::random::bytes());
        Header::for_message_slice_mut(&mut self.query).set_id(number);
        let address = SocketAddr::new(server.address, DOMAIN);
        match self.client.transport() {
            Transport::Datagram => {
                let socket = namespaces.open_in(server.namespace, || inet::udp_client(address))?;
                socket.send(&self.query)?;
                poller.add(&socket, token.pack(), Interest::READ)?;
                Ok(Conversation::Datagrams { socket, wrong: 0 })
            }
            Transport::Connection => {
                let stream = namespaces.open_in(server.namespace, || inet::tcp_client(address))?;
                poller.add(&stream, token.pack(), Interest { read: false, write: true })?;
                Ok(Conversation::Connection(TcpExchange::new(stream, &self.query, token)))
            }
        }
    }

    /// Reads what the server sent; returns also what that costs of the budget.
    pub(super) fn advance(&mut self, event: Event, scratch: &mut [u8], poller: &Poller) -> (Progress, u32) {
        let Some(mut conversation) = self.conversation.take() else {
            return (Progress::Waits, 0);
        };
        let (progress, cost) = match &mut conversation {
            Conversation::Datagrams { socket, wrong } => self.read_datagrams(socket, wrong, scratch),
            Conversation::Connection(connection) => match connection.advance(event, scratch, poller) {
                Ok(None) => (Progress::Waits, 1),
                Ok(Some(answer)) => (self.judge(&answer).unwrap_or(Progress::Failed), 1),
                Err(_) => (Progress::Failed, 1),
            },
        };
        if matches!(progress, Progress::Waits) {
            self.conversation = Some(conversation);
        }
        (progress, cost)
    }

    fn read_datagrams(&self, socket: &UdpSocket, wrong: &mut u32, scratch: &mut [u8]) -> (Progress, u32) {
        for cost in 1..=TURN {
            match socket.recv(scratch) {
                Ok(length) => match self.judge(&scratch[..length]) {
                    Some(progress) => return (progress, cost),
                    None => *wrong += 1,
                },
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (Progress::Waits, cost),
                // There is no listener, or no route.
                Err(_) => return (Progress::Failed, cost),
            }
            if *wrong > MOST_WRONG {
                return (Progress::Failed, cost);
            }
        }
        (Progress::Waits, TURN)
    }

    /// The outcome of a server's packet; `None` when it does not answer the question.
    fn judge(&self, packet: &[u8]) -> Option<Progress> {
        let reply = Message::from_slice(packet).ok()?;
        let query = Message::from_slice(&self.query).ok()?;
        if !reply.is_answer(query) {
            return None;
        }
        let code = reply.header().rcode();
        if code == Rcode::SERVFAIL || code == Rcode::REFUSED {
            return Some(Progress::Failed);
        }
        let is_too_long = packet.len() > self.limit;
        let reply = if is_too_long { answer::cut(query, code) } else { packet.to_vec() };
        Some(Progress::Answered(self.for_client(reply)))
    }

    /// The answer when no server has one.
    pub(super) fn failure(&self) -> Vec<u8> {
        let answer = Message::from_slice(&self.query).map(|query| answer::failure(query, Vec::new()));
        self.for_client(answer.unwrap_or_default())
    }

    fn for_client(&self, mut answer: Vec<u8>) -> Vec<u8> {
        if Message::from_slice(&answer).is_ok() {
            Header::for_message_slice_mut(&mut answer).set_id(self.client_number);
        }
        answer
    }
}
