//! Requests and events of the container's relay.

use std::io;

use shim_protocol::{Answer, Failure, FailureKind, RelayedPort};
use sys::epoll::Event;

use crate::relay::Relay;
use crate::supervisor::{Phase, Supervisor};
use crate::token::RelayPart;

impl Supervisor {
    /// Relays these published ports from now on.
    pub(crate) fn set_relay(&mut self, ports: &[RelayedPort]) -> Result<Answer, Failure> {
        if matches!(self.phase, Phase::Over(_)) && !ports.is_empty() {
            let message = "the container is not running".to_owned();
            return Err(Failure { kind: FailureKind::WrongState, message });
        }
        if self.relay.is_none() && ports.is_empty() {
            return Ok(Answer::Done);
        }
        let relay = self.relay.get_or_insert_with(|| Box::new(Relay::new()));
        let set = relay.set(ports, &self.shared);
        if relay.is_idle() {
            self.relay = None;
        }
        set.map(|()| Answer::Done).map_err(|(port, error)| {
            let reason = match error.kind() {
                io::ErrorKind::AddrInUse => "address already in use".to_owned(),
                io::ErrorKind::AddrNotAvailable => "cannot assign requested address".to_owned(),
                _ => error.to_string(),
            };
            let message = format!("listen {} {}: bind: {reason}", port.protocol, port.host);
            Failure { kind: FailureKind::System, message }
        })
    }

    /// Something happened at a relayed port.
    pub(crate) fn on_relay(&mut self, part: RelayPart, event: Event) {
        if let Some(relay) = &mut self.relay {
            relay.on_event(part, event, &mut self.shared);
        }
    }
}
