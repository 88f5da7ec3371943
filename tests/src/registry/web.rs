//! A web server in the network of an engine: responds as a test configures it, also wrongly, and counts.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::network::within_network;
use crate::Engine;

/// How often a held response checks its gate and its peer.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its method.
    pub method: String,
    /// Its target without the query.
    pub path: String,
    /// What stands behind the question mark.
    pub query: String,
    /// Its headers, names in small letters.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Opens once and stays open.
pub type Gate = Arc<AtomicBool>;

/// How an answer ends.
#[derive(Debug, Clone, Default)]
pub enum Ending {
    /// As it should.
    #[default]
    Whole,
    /// The connection breaks after so many bytes of the body.
    CutAfter(usize),
    /// After so many bytes of the body nothing comes until the gate opens.
    HeldAfter(usize, Gate),
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Headers beside `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How it ends.
    pub ending: Ending,
}

impl Reply {
    /// An answer without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with a body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same with another end.
    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// A running server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    left: Arc<AtomicUsize>,
    stopped: Gate,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens at an address of the engine's network; port 0 takes a free one.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    pub fn start(
        engine: &Engine,
        address: &str,
        handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener =
            within_network(engine, || TcpListener::bind(address)).expect("an address to listen at");
        let address = listener.local_addr().expect("the address");
        let (asked, left, stopped) = (Arc::default(), Arc::default(), Gate::default());
        let mut server = Self { address, asked, left, stopped, accepting: None };
        let connection = Shared {
            asked: Arc::clone(&server.asked),
            left: Arc::clone(&server.left),
            stopped: Arc::clone(&server.stopped),
            handler: Arc::new(handler),
        };
        listener.set_nonblocking(true).expect("a socket");
        server.accepting = Some(thread::spawn(move || accept(&listener, &connection)));
        server
    }

    /// Every request until now.
    ///
    /// # Panics
    /// When a handler panicked.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("the requests").clone()
    }

    /// The requests whose path ends so.
    #[must_use]
    pub fn asked_for(&self, end: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.path.ends_with(end)).collect()
    }

    /// How many peers left while their answer was held, or before it was.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Its address is free for the next server once the socket that listens is closed.
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

#[derive(Clone)]
struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    left: Arc<AtomicUsize>,
    stopped: Gate,
    handler: Arc<Handler>,
}

fn accept(listener: &TcpListener, shared: &Shared) {
    while !shared.stopped.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                let shared = shared.clone();
                let _ = stream.set_nonblocking(false);
                thread::spawn(move || serve(&stream, &shared));
            }
            Err(_) => thread::sleep(POLL_INTERVAL / 5),
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) {
    let Ok(copy) = stream.try_clone() else { return };
    let mut reader = BufReader::new(copy);
    while let Some(asked) = read_request(&mut reader) {
        shared.asked.lock().expect("the requests").push(asked.clone());
        let reply = (shared.handler)(&asked);
        if !write_reply(stream, &asked, &reply, shared) {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// Reads a request; nothing when the peer has gone or speaks TLS.
fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Asked> {
    let line = read_line(reader)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut asked = Asked { method, path, query, headers, body: Vec::new() };
    if let Some(length) = asked.header("content-length").and_then(|length| length.parse().ok()) {
        asked.body = vec![0; length];
        reader.read_exact(&mut asked.body).ok()?;
    }
    Some(asked)
}

fn read_line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let count = reader.read_line(&mut line).ok()?;
    (count > 0).then(|| line.trim_end().to_owned())
}

/// Writes an answer; false when the connection ends with it.
fn write_reply(mut stream: &TcpStream, asked: &Asked, reply: &Reply, shared: &Shared) -> bool {
    let mut head = format!("HTTP/1.1 {} PublishedEvent\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    head.push_str("\r\n");
    let body = if asked.method == "HEAD" { &[][..] } else { &reply.body[..] };
    let first = match &reply.ending {
        Ending::Whole => body.len(),
        Ending::CutAfter(count) | Ending::HeldAfter(count, _) => (*count).min(body.len()),
    };
    if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..first])).is_err() {
        if matches!(reply.ending, Ending::HeldAfter(..)) {
            shared.left.fetch_add(1, Ordering::SeqCst);
        }
        return false;
    }
    match &reply.ending {
        Ending::Whole => true,
        Ending::CutAfter(_) => false,
        Ending::HeldAfter(_, gate) => hold(stream, gate, shared) && stream.write_all(&body[first..]).is_ok(),
    }
}

/// Waits for the gate; false when the peer leaves first.
fn hold(stream: &TcpStream, gate: &Gate, shared: &Shared) -> bool {
    let _ = stream.set_read_timeout(Some(POLL_INTERVAL));
    while !gate.load(Ordering::SeqCst) {
        let gone = match stream.peek(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        };
        if gone {
            shared.left.fetch_add(1, Ordering::SeqCst);
            return false;
        }
        if shared.stopped.load(Ordering::SeqCst) {
            return false;
        }
    }
    let _ = stream.set_read_timeout(None);
    true
}
