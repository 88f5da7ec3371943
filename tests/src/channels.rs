//! A client of channels in the messages of a websocket (RFC 6455), as Kubernetes' clients are one.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::flood::flood;
use crate::registry::within_network;
use crate::{Engine, wait};

/// The opcodes of frames with bytes and of the goodbye.
const BINARY: u8 = 2;
const CLOSE: u8 = 8;

/// An upgraded connection.
#[derive(Debug)]
pub struct Websocket(TcpStream);

impl Websocket {
    /// Connects to a URL that an engine gave.
    ///
    /// # Panics
    /// When the server does not upgrade the connection to this protocol.
    #[must_use]
    pub fn connect(engine: &Engine, url: &str, protocol: &str) -> Self {
        let (address, path) =
            url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("a URL");
        let mut connection = within_network(engine, || TcpStream::connect(address).expect("the server"));
        connection.set_read_timeout(Some(wait::TIMEOUT)).expect("a socket");
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: {protocol}\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).expect("sent");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains(&format!("sec-websocket-protocol: {protocol}\r\n")), "{head}");
        Self(connection)
    }

    /// Sends a message: the channel and the bytes.
    ///
    /// # Panics
    /// When the connection has ended.
    pub fn send(&mut self, message: &[u8]) {
        self.0.write_all(&framed(BINARY, message)).expect("sent");
    }

    /// Sends a message over and over until nothing is taken any more; gives the bytes that were.
    #[must_use]
    pub fn flood(&mut self, message: &[u8], most: usize) -> usize {
        flood(&mut self.0, &framed(BINARY, message), most)
    }

    /// All data of each channel until the server closes the connection, which is confirmed.
    ///
    /// # Panics
    /// When the connection ends before.
    #[must_use]
    pub fn until_the_end(mut self) -> BTreeMap<u8, Vec<u8>> {
        let mut channels: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        loop {
            let [head, length] = self.read();
            assert_eq!((head & 0x80, length & 0x80), (0x80, 0), "whole frames without a mask");
            let length = match length {
                126 => usize::from(u16::from_be_bytes(self.read())),
                127 => usize::try_from(u64::from_be_bytes(self.read())).expect("a length"),
                short => usize::from(short),
            };
            let mut content = vec![0; length];
            self.0.read_exact(&mut content).expect("a frame");
            if head & 0x0f == CLOSE {
                // RFC 6455, 7.4.1: all is well.
                assert_eq!(content, 1000_u16.to_be_bytes());
                self.0.write_all(&framed(CLOSE, &content)).expect("sent");
                return channels;
            }
            let (channel, bytes) = content.split_first().expect("a channel");
            channels.entry(*channel).or_default().extend_from_slice(bytes);
        }
    }

    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).expect("a frame");
        bytes
    }
}

/// A frame with a mask, as clients send them.
fn framed(opcode: u8, content: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x80 | opcode];
    match u8::try_from(content.len()).ok().filter(|length| *length < 126) {
        Some(short) => frame.push(0x80 | short),
        None => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(content.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
