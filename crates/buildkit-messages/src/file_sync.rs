//! The packets of a directory's transfer from peer to peer (`fsutil.types`), and chunks of bytes.

use std::collections::HashMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Enumeration)]
#[repr(i32)]
pub enum PacketKind {
    /// One entry of the tree, or without one the end of all entries.
    Stat = 0,
    /// The receiver requests the content of an entry.
    Request = 1,
    /// A chunk of a content; an empty one is its end.
    Data = 2,
    /// All is done.
    Finish = 3,
    /// The sender has failed; the data has the reason.
    Error = 4,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Packet {
    #[prost(enumeration = "PacketKind", tag = "1")]
    pub kind: i32,
    #[prost(message, optional, tag = "2")]
    pub stat: Option<Stat>,
    /// The number of an entry, counted from 0 in the order of the stats.
    #[prost(uint32, tag = "3")]
    pub id: u32,
    #[prost(bytes = "bytes", tag = "4")]
    pub data: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Stat {
    /// Strings by the protocol's definition, but Go's peers send the bytes of names as they are.
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// Go's file mode: permissions, and kinds in the upper bits.
    #[prost(uint32, tag = "2")]
    pub mode: u32,
    #[prost(uint32, tag = "3")]
    pub user: u32,
    #[prost(uint32, tag = "4")]
    pub group: u32,
    #[prost(int64, tag = "5")]
    pub size: i64,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "6")]
    pub modified: i64,
    /// The target of a symbolic link, or the first name of a file with several.
    #[prost(bytes = "vec", tag = "7")]
    pub link: Vec<u8>,
    #[prost(int64, tag = "8")]
    pub device_major: i64,
    #[prost(int64, tag = "9")]
    pub device_minor: i64,
    #[prost(map = "string, bytes", tag = "10")]
    pub attributes: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct BytesMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub data: bytes::Bytes,
}
