//! A process's stdio and everyone attached to it. Init has one, and every exec.
//!
//! Output is read as soon as it is there, logged, and given to each client. How slow a client may be
//! is decided in [`pressure`]; input is in [`typing`].

mod client;
mod closing;
mod detach;
mod input;
mod output;
mod pressure;
mod queue;
pub(crate) mod stdio;
mod typing;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use shim_protocol::log::Stream;
use shim_protocol::{Attach, DetachReason, Notice};
use sys::seqpacket::set_nonblocking;
use sys::stream;

use self::client::{Client, Outcome, Place};
use self::closing::Closing;
use self::input::{Input, Sink};
use self::output::{Output, Read};
use self::stdio::Ends;
use crate::event_loop::{EventLoop, READ_SIZE};
use crate::log::Log;
use crate::token::{Owner, Part, Token};

/// How many reads one process gets before others have their turn.
const TURN: usize = 32;

/// How much a client's socket takes at once, in bytes.
const SEND_BUFFER: usize = 512 * 1024;

/// How often a terminal that no process has open is checked.
const REOPENED: Duration = Duration::from_millis(100);

/// The constant properties of a process's stdio.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionOptions {
    /// The owner of the session.
    pub(crate) owner: Owner,
    /// One terminal for all streams.
    pub(crate) terminal: bool,
    /// Its input ends with the first client that gives input.
    pub(crate) input_once: bool,
}

/// A process's stdio and its clients.
pub(crate) struct Session {
    options: SessionOptions,
    outputs: Vec<Output>,
    input: Input,
    clients: BTreeMap<u32, Client>,
    next_client: u32,
    closing: Closing,
    /// Set while output is not read because a client is slow.
    paused_at: Option<Instant>,
    /// When output came last.
    output_at: Instant,
    log: Log,
    /// No output comes any more.
    ended: bool,
}

impl Session {
    /// Takes our ends of a process's pipes; a terminal comes with [`Session::open_terminal`].
    pub(crate) fn new(
        options: SessionOptions,
        ends: Ends,
        has_input: bool,
        log: Log,
        shared: &mut EventLoop,
    ) -> Self {
        let owner = options.owner;
        let sink = match ends.stdin {
            Some(pipe) => Sink::Open(pipe),
            None if options.terminal && has_input => Sink::Awaited,
            None => Sink::Nothing,
        };
        let outputs = ends.outputs.into_iter().map(|(stream, descriptor)| {
            let part = if stream == Stream::Stdout { Part::Output } else { Part::Errors };
            let mut output = Output::new(stream, descriptor, Token::Session(owner, part).pack(), false);
            output.register(&shared.poller, true);
            output
        });
        Self {
            options,
            outputs: outputs.collect(),
            input: Input::new(sink, Token::Session(owner, Part::Input).pack()),
            clients: BTreeMap::new(),
            next_client: 0,
            closing: Closing::default(),
            paused_at: None,
            output_at: shared.now,
            log,
            ended: false,
        }
    }

    /// Takes the master of the process's terminal.
    pub(crate) fn open_terminal(&mut self, master: OwnedFd, shared: &mut EventLoop) -> io::Result<()> {
        set_nonblocking(&master)?;
        if self.input.is_open() {
            self.input.open(master.as_fd().try_clone_to_owned()?);
        }
        let token = Token::Session(self.options.owner, Part::Output).pack();
        let mut output = Output::new(Stream::Stdout, master, token, true);
        output.register(&shared.poller, true);
        self.outputs.push(output);
        self.input_accepted(shared);
        Ok(())
    }

    /// Sets the terminal's size; false without a terminal.
    pub(crate) fn resize(&self, rows: u16, columns: u16) -> io::Result<bool> {
        match self.outputs.iter().find(|output| output.is_terminal()) {
            Some(output) => stream::set_terminal_size(&output.descriptor, rows, columns).map(|()| true),
            None => Ok(false),
        }
    }

    /// Joins a client. Its output begins with what the process writes from now on, or with the log.
    pub(crate) fn attach(
        &mut self,
        attach: Attach,
        socket: OwnedFd,
        shared: &mut EventLoop,
    ) -> io::Result<()> {
        let id = self.next_client;
        self.next_client += 1;
        let token = Token::Session(self.options.owner, Part::Client(id)).pack();
        let place = Place { token, terminal: self.options.terminal, log: &self.log, now: shared.now };
        stream::enlarge_send_buffer(&socket, SEND_BUFFER);
        let mut client = Client::new(place, attach, socket)?;
        if self.ended {
            client.end_of_output()?;
        }
        self.clients.insert(id, client);
        self.give_early_input(id, shared);
        self.advance_client(id, shared);
        self.apply_backpressure(shared);
        Ok(())
    }

    /// Whether a client of this number is joined.
    pub(crate) fn has_client(&self, number: u64) -> bool {
        self.clients.values().any(|client| client.number == number)
    }

    /// The log, for what the loop does with it.
    pub(crate) const fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Something happened on one of its descriptors.
    pub(crate) fn on_event(&mut self, part: Part, event: sys::epoll::Event, shared: &mut EventLoop) {
        match part {
            Part::Output => self.read_output(Stream::Stdout, shared),
            Part::Errors => self.read_output(Stream::Stderr, shared),
            Part::Input => {
                self.input.advance(&shared.poller);
                self.input_accepted(shared);
            }
            Part::Client(id) => self.on_client_event(id, event, shared),
            Part::Process => {}
        }
    }

    fn on_client_event(&mut self, id: u32, event: sys::epoll::Event, shared: &mut EventLoop) {
        if self.closing.on_event(id, shared) {
            return;
        }
        if event.hung_up
            && let Some(client) = self.clients.get_mut(&id)
        {
            client.hung_up = true;
        }
        if event.readable || event.hung_up {
            self.read_client(id, shared);
        }
        if event.writable {
            self.advance_client(id, shared);
        }
    }

    /// Sends a client what it can take and handles the outcome.
    fn advance_client(&mut self, id: u32, shared: &mut EventLoop) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        match client.advance(&self.log, shared.now) {
            Outcome::Stays => client.register(&shared.poller, self.input.accepts()),
            Outcome::Finished => self.finish(id, DetachReason::Finished, shared),
            Outcome::Gone => self.drop_client(id, shared),
        }
        self.resume_reading(shared);
    }

    fn read_output(&mut self, stream: Stream, shared: &mut EventLoop) {
        for _ in 0..TURN {
            let Some(index) = self.outputs.iter().position(|output| output.stream == stream) else {
                return;
            };
            match self.outputs[index].read(&mut shared.scratch) {
                Read::Bytes(count) => self.take_output(stream, count, shared),
                Read::Nothing => return,
                Read::Closed => return self.output_closed(index, shared),
            }
            if self.paused_at.is_some() {
                return;
            }
        }
    }

    /// Logs what is in the scratch buffer and gives it to the clients.
    fn take_output(&mut self, stream: Stream, count: usize, shared: &mut EventLoop) {
        self.output_at = shared.now;
        shared.note_activity(count);
        let scratch = std::mem::take(&mut shared.scratch);
        let output = &scratch[..count];
        self.log.write(stream, output, shared);
        let mut gone = Vec::new();
        for (id, client) in &mut self.clients {
            match client.deliver(stream, output, shared.now) {
                Outcome::Gone => gone.push(*id),
                Outcome::Stays | Outcome::Finished => {
                    client.register(&shared.poller, self.input.accepts());
                }
            }
        }
        shared.scratch = scratch;
        for id in gone {
            self.drop_client(id, shared);
        }
        self.apply_backpressure(shared);
    }

    /// A pipe is over; a terminal is checked again later, as long as its process lives.
    fn output_closed(&mut self, index: usize, shared: &mut EventLoop) {
        self.outputs[index].register(&shared.poller, false);
        if self.outputs[index].is_terminal() {
            shared.wake_in(REOPENED);
        } else {
            self.outputs.remove(index);
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, shared: &mut EventLoop) {
        for index in 0..self.outputs.len() {
            if self.outputs[index].is_terminal() && self.paused_at.is_none() {
                self.outputs[index].register(&shared.poller, true);
            }
        }
        self.apply_backpressure(shared);
        self.let_quiet_clients_leave(shared);
        self.closing.tick(shared);
    }

    /// Reads what a process that has ended left behind, whether clients take it or not (what they have
    /// not taken is kept for them). That is a full pipe at most: what comes beyond it is of others. True
    /// when no process holds the other ends any more.
    pub(crate) fn drain(&mut self, shared: &mut EventLoop) -> bool {
        let mut over = true;
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut left = stdio::PIPE_SIZE + READ_SIZE;
            while let Some(output) = self.outputs.iter().find(|output| output.stream == stream) {
                match output.read(&mut shared.scratch) {
                    Read::Bytes(count) if left > 0 => {
                        left = left.saturating_sub(count);
                        self.take_output(stream, count, shared);
                        continue;
                    }
                    Read::Bytes(count) => {
                        self.take_output(stream, count, shared);
                        over = false;
                    }
                    Read::Nothing => over = false,
                    Read::Closed => {}
                }
                break;
            }
        }
        over
    }

    /// When output came last.
    pub(crate) const fn output_at(&self) -> Instant {
        self.output_at
    }

    /// The process has ended and its output is read: the log is completed, clients are disconnected when they
    /// have read what waits for them.
    pub(crate) fn end(&mut self, shared: &mut EventLoop) {
        self.ended = true;
        self.paused_at = None;
        self.input.close(&shared.poller);
        self.log.finish(shared);
        let clients: Vec<u32> = self.clients.keys().copied().collect();
        for id in clients {
            match self.clients.get_mut(&id).map(Client::end_of_output) {
                Some(Err(_)) => self.drop_client(id, shared),
                Some(Ok(())) | None => self.advance_client(id, shared),
            }
        }
    }

    /// Closes the shim's ends of the process's stdio. Later writers get SIGPIPE.
    pub(crate) fn close_outputs(&mut self) {
        self.outputs.clear();
    }

    /// Reads what is there; whether any process can still write more.
    pub(crate) fn has_open_outputs(&mut self, shared: &mut EventLoop) -> bool {
        !self.drain(shared)
    }

    /// Writes to clients why there is no process, as its error output (the terminal has only one).
    pub(crate) fn write_to_clients(&mut self, message: &str, shared: &mut EventLoop) {
        let (stream, end) =
            if self.options.terminal { (Stream::Stdout, "\r\n") } else { (Stream::Stderr, "\n") };
        let text = format!("{message}{end}");
        for client in self.clients.values_mut().filter(|client| !client.quiet) {
            // A client whose connection is broken is noticed when it is disconnected.
            client.deliver(stream, text.as_bytes(), shared.now);
        }
    }

    /// Whether anyone is still to be sent anything.
    pub(crate) fn has_clients(&self) -> bool {
        !self.clients.is_empty() || !self.closing.is_empty()
    }

    /// Disconnects clients that read nothing for this long.
    pub(crate) fn drop_stuck_clients(&mut self, timeout: Duration, shared: &mut EventLoop) {
        let stuck = |client: &Client| shared.now.saturating_duration_since(client.progressed_at) >= timeout;
        let stuck: Vec<u32> =
            self.clients.iter().filter(|(_, client)| stuck(client)).map(|(id, _)| *id).collect();
        for id in stuck {
            self.drop_client(id, shared);
        }
    }

    /// Disconnects a client whose connection broke or that requested to leave.
    fn drop_client(&mut self, id: u32, shared: &mut EventLoop) {
        self.finish(id, DetachReason::Closed, shared);
    }

    /// Ends a client's connection and notifies the daemon.
    fn finish(&mut self, id: u32, reason: DetachReason, shared: &mut EventLoop) {
        let Some(mut client) = self.clients.remove(&id) else {
            return;
        };
        client.unregister(&shared.poller);
        let leaves_input = client.gives_input && client.input_open && reason == DetachReason::Closed;
        let notice = Notice::Detached { client: client.number, reason };
        let token = Token::Session(self.options.owner, Part::Client(id)).pack();
        self.closing.take(id, client.socket, token, shared);
        if leaves_input && self.ends_with_clients() {
            self.input.end(&shared.poller);
        }
        shared.daemon.notify(&notice, None, &shared.poller);
        shared.settle_down();
    }
}
