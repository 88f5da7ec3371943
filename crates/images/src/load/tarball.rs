//! Reads a tarball once: documents into memory, layers into the store.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use model::Digest;

use super::incoming_blob::{IncomingBlob, KeptBlobs};
use crate::archive_memory::Share;
use crate::budget::Budget;
use crate::compression::{Compression, decoder_within, peek};
use crate::store::{Layer, Store, digest_of};
use crate::tar::{ArchiveError, Entry, EntryKind, Reader, ReaderChunks, input_error, is_header};
use crate::{Error, Inconsistency};

/// No config or manifest is larger: those of the largest known images have 200 KiB.
const DOCUMENT_LIMIT: u64 = 8 << 20;
/// All documents of a tarball together: those of ten thousand images.
const DOCUMENTS_LIMIT: u64 = 48 << 20;
/// Members of a tarball: three for each of ten thousand layers, and more.
const MEMBER_LIMIT: usize = 100_000;

/// Where layers go.
struct Destination<'a> {
    store: &'a Store,
    /// One for the tarball and all that is packed in it.
    budget: &'a Budget,
}

impl Destination<'_> {
    fn unpack(&self, layer: impl Read + Send) -> Result<Layer, Error> {
        self.store.unpack_layer_within(layer, self.budget)
    }
}

/// The content of a tarball, by member name.
pub(super) struct Tarball {
    documents: BTreeMap<String, Vec<u8>>,
    layers: BTreeMap<String, Layer>,
    /// Archives with unknown names: layers, if `manifest.json` lists them.
    archives: BTreeMap<String, Layer>,
    /// Archives that are malformed.
    damaged: BTreeMap<String, ArchiveError>,
    links: BTreeMap<String, String>,
    directories: BTreeSet<String>,
    documents_size: u64,
    members: usize,
    /// The memory of the documents and all names.
    share: Share,
    /// The compressed layers. The last to go.
    pub(super) kept: KeptBlobs,
}

/// The memory of an entry in one of the lists without its name, about.
const NAME: usize = 96;

impl Tarball {
    pub(super) fn read(store: &Store, archive: impl Read + Send) -> Result<Self, Error> {
        let budget = store.budget();
        let (compression, archive) = peek(budget.source(archive)).map_err(input_error)?;
        let plain = decoder_within(compression, archive, &budget)?;
        let mut reader = Reader::new(ReaderChunks::new(plain));
        let mut tarball = Self {
            documents: BTreeMap::new(),
            layers: BTreeMap::new(),
            archives: BTreeMap::new(),
            damaged: BTreeMap::new(),
            links: BTreeMap::new(),
            directories: BTreeSet::new(),
            documents_size: 0,
            members: 0,
            share: Share::default(),
            kept: KeptBlobs::default(),
        };
        while let Some(entry) = reader.next_entry()? {
            drop(reader.take_raw());
            tarball.member(&Destination { store, budget: &budget }, &entry, &mut reader)?;
            reader.content(|_| Ok(()))?;
        }
        reader.trailer(u64::MAX, |_| Ok(()))?;
        Ok(tarball)
    }

    fn member(
        &mut self,
        destination: &Destination<'_>,
        entry: &Entry,
        reader: &mut Reader<'_>,
    ) -> Result<(), Error> {
        self.members += 1;
        if self.members > MEMBER_LIMIT {
            return Err(ArchiveError::Limit { what: "members", limit: MEMBER_LIMIT as u64 }.into());
        }
        self.share.take(NAME + entry.path.len() + entry.link.len())?;
        let name = clean(&String::from_utf8_lossy(&entry.path));
        match entry.kind {
            EntryKind::Directory => {
                self.directories.insert(name);
            }
            EntryKind::Symlink => {
                let base = name.rsplit_once('/').map_or("", |(base, _)| base);
                let target = clean(&format!("{base}/{}", String::from_utf8_lossy(&entry.link)));
                self.links.insert(name, target);
            }
            EntryKind::HardLink => {
                self.links.insert(name, clean(&String::from_utf8_lossy(&entry.link)));
            }
            EntryKind::File => self.file(destination, name, entry.stored, reader)?,
            _ => {}
        }
        Ok(())
    }

    fn file(
        &mut self,
        destination: &Destination<'_>,
        name: String,
        size: u64,
        reader: &mut Reader<'_>,
    ) -> Result<(), Error> {
        let expected = blob_digest(&name);
        let content = reader.content_reader();
        if is_layer_name(&name) {
            self.layers.insert(name, destination.unpack(content)?);
            return Ok(());
        }
        let named_document = is_document_name(&name);
        let mut content = content;
        let mut start = vec![0; 512];
        let count = fill(&mut content, &mut start)?;
        start.truncate(count);
        if expected.is_some() && !named_document && looks_like_layer(&start) {
            let content = (&start[..]).chain(content);
            let layer = blob_layer(destination, (&name, expected), content, &mut self.kept)?;
            self.layers.insert(name, layer);
            return Ok(());
        }
        let is_known = named_document || expected.is_some();
        if !is_known && looks_like_archive(&start) {
            match destination.unpack((&start[..]).chain(content)) {
                Ok(layer) => drop(self.archives.insert(name, layer)),
                // It may be anything unless it is listed as a layer.
                Err(Error::Archive(error)) if error.is_of_the_content() => {
                    self.damaged.insert(name, error);
                }
                Err(error) => return Err(error),
            }
            return Ok(());
        }
        // Some tools give a config any name.
        if !is_known && (size > DOCUMENT_LIMIT || !start.trim_ascii_start().starts_with(b"{")) {
            return Ok(());
        }
        self.documents_size += size;
        if size > DOCUMENT_LIMIT || self.documents_size > DOCUMENTS_LIMIT {
            return Err(Inconsistency::TooMuch { what: name, limit: DOCUMENT_LIMIT, unit: "bytes" }.into());
        }
        self.share.take(usize::try_from(size).unwrap_or(usize::MAX))?;
        let rest = sys::bounded_read::read_stream(content, DOCUMENT_LIMIT).map_err(input_error)?;
        start.extend_from_slice(&rest);
        if let Some(expected) = expected {
            let actual = digest_of(&start);
            if actual != expected {
                return Err(Inconsistency::WrongDigest { name, expected, actual }.into());
            }
        }
        self.documents.insert(name, start);
        Ok(())
    }

    /// Follows hard links and symlinks between members.
    fn resolve<'n>(&'n self, name: &'n str) -> &'n str {
        let mut name = name;
        for _ in 0..8 {
            match self.links.get(name) {
                Some(target) => name = target,
                None => break,
            }
        }
        name
    }

    pub(super) fn document(&self, name: &str) -> Option<&[u8]> {
        self.documents.get(self.resolve(name)).map(Vec::as_slice)
    }

    pub(super) fn require(&self, name: &str) -> Result<&[u8], Inconsistency> {
        self.document(name).ok_or_else(|| Inconsistency::MissingMember(name.to_owned()))
    }

    pub(super) fn layer(&self, name: &str) -> Option<&Layer> {
        let name = self.resolve(name);
        self.layers.get(name).or_else(|| self.archives.get(name))
    }

    /// Why a member that seems to be a layer is not.
    pub(super) fn take_damage(&mut self, name: &str) -> Option<ArchiveError> {
        let name = self.resolve(name).to_owned();
        self.damaged.remove(&name)
    }

    /// A layer of the tarball by the digest of its plain tar.
    pub(super) fn layer_of(&self, diff_id: &Digest) -> Option<&Layer> {
        self.layers.values().find(|layer| layer.diff_id() == *diff_id)
    }

    /// The directories of the v1.20 layout: all at the top but `blobs`.
    pub(super) fn v1_directories(&self) -> BTreeSet<String> {
        let members = self.documents.keys().chain(self.layers.keys()).chain(self.links.keys());
        let of_members =
            members.filter_map(|name| name.split_once('/').map(|(directory, _)| directory.to_owned()));
        let alone = self.directories.iter().filter(|name| !name.contains('/')).cloned();
        of_members.chain(alone).filter(|name| !name.is_empty() && name != "blobs").collect()
    }

    pub(super) fn has_v1(&self) -> bool {
        self.documents.contains_key("repositories") || !self.v1_directories().is_empty()
    }

    /// Whether it holds nothing at all, not even what is of no use here.
    pub(super) const fn is_empty(&self) -> bool {
        self.members == 0
    }
}

/// Unpacks a layer whose name is its digest, if it has one. That of a plain tar is hashed once, for it
/// is the layer's own.
fn blob_layer(
    destination: &Destination<'_>,
    (name, expected): (&str, Option<Digest>),
    content: impl Read + Send,
    kept: &mut KeptBlobs,
) -> Result<Layer, Error> {
    let (compression, content) = peek(content).map_err(input_error)?;
    let wrong = |expected, actual| Inconsistency::WrongDigest { name: name.to_owned(), expected, actual };
    if compression == Compression::Identity {
        let layer = destination.unpack(content)?;
        let actual = layer.diff_id();
        return match expected {
            Some(expected) if expected != actual => Err(wrong(expected, actual).into()),
            _ => Ok(layer),
        };
    }
    let mut blob = IncomingBlob::new(destination.store, content)?;
    let layer = destination.unpack(&mut blob)?;
    let actual = blob.finish()?;
    match expected {
        Some(expected) if expected != actual => Err(wrong(expected, actual).into()),
        _ => {
            blob.keep(destination.store, &layer, (actual, compression), kept)?;
            Ok(layer)
        }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]).map_err(input_error)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// A member's name without `./`, leading `/` and `..`.
pub(super) fn clean(name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The digest that a blob of the OCI layout is named by.
fn blob_digest(name: &str) -> Option<Digest> {
    Digest::parse_hexadecimal(name.strip_prefix("blobs/sha256/")?).ok()
}

fn is_document_name(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    matches!(last, "json" | "repositories" | "oci-layout") || last.ends_with(".json")
}

fn is_layer_name(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or_default();
    [".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst"].iter().any(|end| last.ends_with(end))
}

/// Whether content begins as an archive does: a tar, also one of nothing, or a compressed one.
fn looks_like_archive(start: &[u8]) -> bool {
    let is_tar = |block: &[u8; 512]| is_header(block) || *block == [0; 512];
    Compression::detect(start) != Compression::Identity || start.try_into().is_ok_and(is_tar)
}

/// Whether content is an archive and no JSON.
fn looks_like_layer(start: &[u8]) -> bool {
    Compression::detect(start) != Compression::Identity
        || (start.len() == 512 && !start.trim_ascii_start().starts_with(b"{"))
}
