//! A client of SPDY/3.1 as kubelets are one: several streams over one upgraded connection.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use flate2::{Compress, Compression, FlushCompress};

use crate::flood::flood;
use crate::registry::within_network;
use crate::{Engine, wait};

/// The frame's flag of a side's last one.
const FIN: u8 = 1;

/// An upgraded connection.
#[derive(Debug)]
pub struct Spdy {
    connection: TcpStream,
    names: Compress,
    next: u32,
    /// The data of each stream, and whether it is over.
    received: BTreeMap<u32, (Vec<u8>, bool)>,
}

/// Requests an upgrade of a URL of an engine; returns the status, and the connection if there is one.
///
/// # Panics
/// When the server cannot be reached or does not use HTTP.
#[must_use]
pub fn upgrade(engine: &Engine, url: &str, protocol: &str) -> (u16, Option<Spdy>) {
    let rest = url.strip_prefix("http://").expect("a URL");
    let (address, path) = rest.split_once('/').expect("a path");
    let mut connection = within_network(engine, || TcpStream::connect(address).expect("the server"));
    connection.set_read_timeout(Some(wait::TIMEOUT)).expect("a socket");
    let request = format!(
        "POST /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\
         X-Stream-Protocol-Version: {protocol}\r\nContent-Length: 0\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).expect("sent");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).expect("a head");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    if status != 101 {
        return (status, None);
    }
    assert!(head.contains("upgrade: spdy/3.1\r\n"), "{head}");
    assert!(head.contains(&format!("x-stream-protocol-version: {protocol}\r\n")), "{head}");
    let names = Compress::new(Compression::default(), true);
    (status, Some(Spdy { connection, names, next: 1, received: BTreeMap::new() }))
}

impl Spdy {
    /// Opens a stream with these headers; gives its number.
    pub fn open(&mut self, headers: &[(&str, &str)]) -> u32 {
        let stream = self.next;
        self.next += 2;
        let mut plain = length(headers.len()).to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&length(text.len()));
            plain.extend_from_slice(text.as_bytes());
        }
        let mut block = Vec::with_capacity(plain.len() + 64);
        self.names.compress_vec(&plain, &mut block, FlushCompress::Sync).expect("compressed");
        let content = [&stream.to_be_bytes()[..], &[0; 6], &block].concat();
        self.write(&[0x80, 3, 0, 1], 0, &content);
        self.received.insert(stream, (Vec::new(), false));
        stream
    }

    /// Sends bytes on a stream.
    pub fn send(&mut self, stream: u32, bytes: &[u8]) {
        self.write(&stream.to_be_bytes(), 0, bytes);
    }

    /// Sends a frame of bytes over and over until nothing is taken any more; gives the bytes that were.
    #[must_use]
    pub fn flood(&mut self, stream: u32, bytes: &[u8], most: usize) -> usize {
        let frame = framed(&stream.to_be_bytes(), 0, bytes);
        flood(&mut self.connection, &frame, most)
    }

    /// Sends nothing more on a stream.
    pub fn finish(&mut self, stream: u32) {
        self.write(&stream.to_be_bytes(), FIN, &[]);
    }

    /// All that comes on a stream until its end.
    ///
    /// # Panics
    /// When the connection ends before.
    pub fn all_of(&mut self, stream: u32) -> Vec<u8> {
        while !self.received[&stream].1 {
            self.read();
        }
        self.received[&stream].0.clone()
    }

    /// What comes on a stream until it holds a text.
    ///
    /// # Panics
    /// When the stream ends before.
    pub fn until(&mut self, stream: u32, text: &str) -> String {
        loop {
            let (bytes, is_over) = &self.received[&stream];
            let seen = String::from_utf8_lossy(bytes).into_owned();
            if seen.contains(text) {
                return seen;
            }
            assert!(!is_over, "{text:?} did not come: {seen:?}");
            self.read();
        }
    }

    fn write(&mut self, head: &[u8; 4], flags: u8, content: &[u8]) {
        self.connection.write_all(&framed(head, flags, content)).expect("sent");
    }

    fn read(&mut self) {
        let mut head = [0; 8];
        self.connection.read_exact(&mut head).expect("a frame");
        let [a, b, c, d, flags, x, y, z] = head;
        let mut content = vec![0; usize::try_from(u32::from_be_bytes([0, x, y, z])).expect("a length")];
        self.connection.read_exact(&mut content).expect("a frame");
        if a & 0x80 == 0 {
            let stream = u32::from_be_bytes([a, b, c, d]);
            let (bytes, is_over) = self.received.get_mut(&stream).expect("a stream of ours");
            bytes.extend_from_slice(&content);
            *is_over |= flags & FIN != 0;
        }
    }
}

fn framed(head: &[u8; 4], flags: u8, content: &[u8]) -> Vec<u8> {
    let [.., a, b, c] = content.len().to_be_bytes();
    [&head[..], &[flags, a, b, c], content].concat()
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("short").to_be_bytes()
}
