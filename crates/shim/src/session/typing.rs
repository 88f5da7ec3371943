//! The input of clients: text for the process, detach keys, the end.
//!
//! With `StdinOnce` the end of a client's input is the end of the process's. Without it (and on a terminal,
//! which has no end of its own) a client that closes its direction leaves: the process's output for its last
//! input still reaches it, then its connection ends.

use std::io::ErrorKind;
use std::time::Duration;

use shim_protocol::DetachReason;
use sys::stream;

use super::Session;
use crate::event_loop::EventLoop;

/// How many reads one client gets before others have their turn.
const TURN: usize = 16;

/// How long the process must be silent before a client leaves that closed its direction.
const SILENCE: Duration = Duration::from_millis(150);

/// When it leaves at the latest.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Session {
    /// Reads a client as far as its input is accepted.
    pub(super) fn read_client(&mut self, id: u32, shared: &mut EventLoop) {
        for _ in 0..TURN {
            self.give_early_input(id, shared);
            let Some(client) = self.clients.get_mut(&id) else {
                return;
            };
            if !client.input_open || (client.gives_input && !self.input.accepts()) {
                if client.hung_up && !client.input_open {
                    return self.drop_client(id, shared);
                }
                return client.register(&shared.poller, self.input.accepts());
            }
            match stream::receive(&client.socket, &mut shared.scratch) {
                Ok(0) => self.input_ended(id, shared),
                Ok(_) if !client.gives_input => {}
                Ok(count) if client.keys.is_empty() => {
                    self.input.write(&shared.scratch[..count], &shared.poller);
                    self.hold_back_when_full(shared);
                }
                Ok(count) => {
                    let input = shared.scratch[..count].to_vec();
                    self.pass_input(id, &input, shared);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && !client.hung_up => {
                    return client.register(&shared.poller, self.input.accepts());
                }
                Err(_) => return self.drop_client(id, shared),
            }
        }
    }

    /// Gives the process what a client sent, but for the detach keys.
    fn pass_input(&mut self, id: u32, input: &[u8], shared: &mut EventLoop) {
        let Some(client) = self.clients.get_mut(&id).filter(|client| client.gives_input) else {
            return;
        };
        let mut passed = Vec::with_capacity(input.len());
        let leaves = client.keys.filter(input, &mut passed);
        self.input.write(&passed, &shared.poller);
        if leaves {
            self.finish(id, DetachReason::Keys, shared);
        }
        self.hold_back_when_full(shared);
    }

    fn hold_back_when_full(&mut self, shared: &mut EventLoop) {
        if !self.input.accepts() {
            self.input_accepted(shared);
        }
    }

    /// Gives the process what came before a client's descriptor.
    pub(super) fn give_early_input(&mut self, id: u32, shared: &mut EventLoop) {
        if let Some(client) = self.clients.get_mut(&id)
            && self.input.accepts()
            && !client.early_input.is_empty()
        {
            let early = std::mem::take(&mut client.early_input);
            self.pass_input(id, &early, shared);
        }
    }

    /// Lets clients send, or not, as the process takes input.
    pub(super) fn input_accepted(&mut self, shared: &mut EventLoop) {
        let accepted = self.input.accepts();
        let mut waiting = Vec::new();
        for (id, client) in &mut self.clients {
            if client.gives_input {
                client.register(&shared.poller, accepted);
                if accepted && (client.hung_up || !client.early_input.is_empty()) {
                    waiting.push(*id);
                }
            }
        }
        for id in waiting {
            self.read_client(id, shared);
        }
    }

    /// A client closed its direction.
    fn input_ended(&mut self, id: u32, shared: &mut EventLoop) {
        let ends_with_clients = self.ends_with_clients();
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.input_open = false;
        if client.gives_input && self.input.is_open() {
            if ends_with_clients {
                self.input.end(&shared.poller);
            } else {
                client.leaves_at = Some(shared.now + SILENCE);
                shared.alarm.set(shared.now + SILENCE);
            }
        }
    }

    /// Whether the end of a client's input is the end of the process's.
    pub(super) const fn ends_with_clients(&self) -> bool {
        self.options.input_once && !self.options.terminal
    }

    /// Ends the connections of clients that closed their direction and have received everything.
    pub(super) fn let_quiet_clients_leave(&mut self, shared: &mut EventLoop) {
        let silent = self.input.is_drained() && shared.now >= self.output_at + SILENCE;
        let mut leave = Vec::new();
        for (id, client) in &self.clients {
            let Some(leaves_at) = client.leaves_at else {
                continue;
            };
            let heard_all = silent && client.queue.is_empty() && client.is_live();
            if (heard_all && shared.now >= leaves_at) || shared.now >= leaves_at + LAST_WORDS {
                leave.push(*id);
            } else {
                shared.alarm.set(shared.now + SILENCE / 3);
            }
        }
        for id in leave {
            self.drop_client(id, shared);
        }
    }
}
