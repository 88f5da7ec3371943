//! Clients of UDP: each has a socket to the container, so that its answers find back.

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

use sys::packet_info::LocalEnd;

use super::bounds::{MOST_FLOWS, TURN};
use super::listening::Listening;
use crate::event_loop::EventLoop;
use crate::token::{RelayPart, Token};

/// A client that neither sends nor receives anything for so long is dropped: somewhat longer than the timeout of
/// the kernel's own translation, `nf_conntrack_udp_timeout_stream`.
const SILENCE: Duration = Duration::from_secs(180);

/// A client at one of the ports, and the address that it sent to.
pub(super) type Client = (u32, SocketAddrV6, LocalEnd);

struct Flow {
    client: Client,
    container: UdpSocket,
    active_at: Instant,
}

/// All clients.
#[derive(Default)]
pub(super) struct Flows {
    numbers: BTreeMap<Client, u32>,
    all: BTreeMap<u32, Flow>,
    next: u32,
}

impl Flows {
    /// Sends the container what a client sent, which stands in the loop's buffer with this length. A datagram that cannot
    /// be sent is lost.
    pub(super) fn send(
        &mut self,
        client: Client,
        (container, length): (SocketAddr, usize),
        shared: &mut EventLoop,
    ) {
        let Some(flow) = self.find(client, container, shared) else { return };
        flow.active_at = shared.now;
        let _ = flow.container.send(&shared.scratch[..length]);
    }

    fn find(&mut self, client: Client, container: SocketAddr, shared: &EventLoop) -> Option<&mut Flow> {
        if let Some(number) = self.numbers.get(&client) {
            return self.all.get_mut(number);
        }
        if self.all.len() >= MOST_FLOWS {
            let silent = self.all.iter().min_by_key(|(_, flow)| flow.active_at).map(|(number, _)| *number);
            self.close(silent?);
        }
        let socket = sys::inet::udp_client(container).ok()?;
        let number = self.next;
        self.next = self.next.wrapping_add(1) & RelayPart::MOST;
        let token = Token::Relay(RelayPart::Flow(number)).pack();
        shared.poller.add(&socket, token, sys::epoll::Interest::READ).ok()?;
        self.numbers.insert(client, number);
        Some(self.all.entry(number).or_insert(Flow { client, container: socket, active_at: shared.now }))
    }

    /// Sends a client what the container answered.
    pub(super) fn answer(
        &mut self,
        number: u32,
        listening: &BTreeMap<u32, Listening>,
        shared: &mut EventLoop,
    ) {
        let Some(flow) = self.all.get_mut(&number) else { return };
        let (port, client, local) = flow.client;
        for _ in 0..TURN {
            // Nothing more, or no listener in the container has the port.
            let Ok(length) = flow.container.recv(&mut shared.scratch) else { return };
            flow.active_at = shared.now;
            if let Some(listening) = listening.get(&port) {
                listening.answer(&shared.scratch[..length], client, local);
            }
        }
    }

    /// When the first client has been silent for too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all.values().map(|flow| flow.active_at + SILENCE).min()
    }

    pub(super) fn forget_silent(&mut self, now: Instant) {
        let is_silent = |flow: &Flow| flow.active_at + SILENCE <= now;
        let silent: Vec<u32> =
            self.all.iter().filter(|(_, flow)| is_silent(flow)).map(|(number, _)| *number).collect();
        silent.into_iter().for_each(|number| self.close(number));
    }

    /// Drops the clients of a port.
    pub(super) fn close_all_of(&mut self, port: u32) {
        let of_port = |flow: &Flow| flow.client.0 == port;
        let numbers: Vec<u32> =
            self.all.iter().filter(|(_, flow)| of_port(flow)).map(|(number, _)| *number).collect();
        numbers.into_iter().for_each(|number| self.close(number));
    }

    fn close(&mut self, number: u32) {
        if let Some(flow) = self.all.remove(&number) {
            self.numbers.remove(&flow.client);
        }
    }
}
