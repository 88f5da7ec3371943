//! The file with a network's names, and how it is searched.
//!
//! It is text in lines, each ended by a line feed:
//!
//! ```text
//! berth-names 1 mynet
//! n 0123456789ab 172.18.0.2
//! n web 172.18.0.2
//! n web fd12::2
//! p 172.18.0.2 Web
//! p fd12::2 Web
//! ```
//!
//! - The first line: the word `berth-names`, the format's number, the network's name (see [`dns_text`]; `-`
//!   for a name that no domain name can be).
//! - `n NAME ADDRESS`: a name, with its letters in lower case, and one of its addresses. A name that has
//!   several addresses has a line for each.
//! - `p ADDRESS NAME`: the name of the container that has this address.
//! - The lines behind the first are sorted by their bytes, so that a name is found by halving.
//!
//! Addresses are written as [`IpAddr`] does. A file never changes: a new one takes its place by rename(2). It
//! may so be mapped into memory, which all shims of the network then share. Lines of other kinds are for
//! later releases and are passed over.
//!
//! [`dns_text`]: crate::names::dns_text

use std::net::IpAddr;
use std::str;

/// The file's first word and the format's number.
pub(super) const MAGIC: &str = "berth-names 1 ";

/// In place of a network's name that no domain name can be.
pub(super) const NO_NAME: &str = "-";

/// A longer file is not read, in bytes: all containers of a /16 with ten names each.
pub const LONGEST_NAMES_FILE: usize = 64 * 1024 * 1024;

/// At most so many addresses of one name are found; more do not fit into an answer over TCP.
pub const MOST_ADDRESSES: usize = 4096;

/// Why a file is not a valid file of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NamesFileError {
    /// The first line is not that of this format.
    #[error("the first line is not that of a file of names in format 1")]
    FirstLine,
    /// The last line is not ended.
    #[error("the last line has no end")]
    Cut,
    /// It is longer than [`LONGEST_NAMES_FILE`].
    #[error("it is longer than {LONGEST_NAMES_FILE} bytes")]
    TooLong,
}

/// The content of a network's file. Whatever the content is, reading it ends and finds only what is there.
#[derive(Debug, Clone, Copy)]
pub struct NamesFile<'a> {
    network: Option<&'a str>,
    lines: &'a [u8],
}

impl<'a> NamesFile<'a> {
    /// Takes a file's content; the lines are read when they are searched.
    ///
    /// # Errors
    /// [`NamesFileError`] when it is of another format.
    pub fn read(content: &'a [u8]) -> Result<Self, NamesFileError> {
        if content.len() > LONGEST_NAMES_FILE {
            return Err(NamesFileError::TooLong);
        }
        let end = memchr::memchr(b'\n', content).ok_or(NamesFileError::FirstLine)?;
        let network =
            content[..end].strip_prefix(MAGIC.as_bytes()).and_then(|name| str::from_utf8(name).ok());
        let network = network.filter(|name| !name.is_empty()).ok_or(NamesFileError::FirstLine)?;
        if content.last() != Some(&b'\n') {
            return Err(NamesFileError::Cut);
        }
        let network = (network != NO_NAME).then_some(network);
        Ok(Self { network, lines: &content[end + 1..] })
    }

    /// The network's name as text of a domain name; `None` when no domain name can be it.
    #[must_use]
    pub const fn network(&self) -> Option<&'a str> {
        self.network
    }

    /// The addresses of a name in lower case, at most [`MOST_ADDRESSES`]; `None` for an unknown name.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let mut found = self.found("n ", name).take(MOST_ADDRESSES).peekable();
        found.peek()?;
        Some(found.filter_map(|address| str::from_utf8(address).ok()?.parse().ok()).collect())
    }

    /// The name of the container that has an address.
    #[must_use]
    pub fn container(&self, address: IpAddr) -> Option<&'a str> {
        let name = self.found("p ", &address.to_string()).next()?;
        str::from_utf8(name).ok()
    }

    /// The values of all lines that begin with this kind and key.
    fn found(&self, kind: &str, key: &str) -> impl Iterator<Item = &'a [u8]> {
        let prefix = format!("{kind}{key} ");
        let mut rest = &self.lines[self.first_from(prefix.as_bytes())..];
        std::iter::from_fn(move || {
            let line = rest.strip_prefix(prefix.as_bytes())?;
            let end = memchr::memchr(b'\n', line)?;
            rest = &line[end + 1..];
            Some(&line[..end])
        })
    }

    /// Where the first line begins that is not before `wanted`.
    fn first_from(&self, wanted: &[u8]) -> usize {
        // Both are always beginnings of lines, or the end.
        let (mut low, mut high) = (0, self.lines.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let begin = memchr::memrchr(b'\n', &self.lines[low..middle]).map_or(low, |at| low + at + 1);
            let line = &self.lines[begin..high];
            let end = memchr::memchr(b'\n', line).unwrap_or(line.len());
            if &line[..end] < wanted {
                low = (begin + end + 1).min(high);
            } else {
                high = begin;
            }
        }
        low
    }
}
