//! The tree of an image as the source of `COPY --from`.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use images::Layer;
use model::Digest;
use sha2::{Digest as _, Sha256};
use sys::bounded_read;

use super::{Given, Source};
use crate::tree::{Directory, Found, Node, TreeError, View, pieces, read_attributes};

/// An image's layers as one tree.
#[derive(Debug)]
pub(crate) struct ImageTree {
    view: View,
    /// The directories on the path looked up last: a walk looks up its neighbours next.
    chain: RefCell<Vec<(OsString, Option<Directory>)>>,
    /// Its layers, kept in the store.
    held: Vec<Layer>,
}

impl ImageTree {
    /// Reads from `directories`, the topmost first; `held` are their layers, the lowest first.
    pub(crate) fn new(directories: Vec<PathBuf>, held: Vec<Layer>) -> Self {
        Self { view: View::new(directories), chain: RefCell::default(), held }
    }

    /// Identifies its files.
    pub(crate) fn worth(&self) -> Digest {
        let layers = self.held.iter().filter(|layer| !layer.is_empty());
        let mut state = Sha256::new();
        layers.for_each(|layer| state.update(layer.diff_id().as_bytes()));
        Digest::from_bytes(state.finalize().into())
    }

    fn directory(&self, path: &Path) -> Result<Option<Directory>, TreeError> {
        let mut chain = self.chain.borrow_mut();
        let known = chain.iter().zip(path).take_while(|((known, _), name)| known == name).count();
        chain.truncate(known);
        for name in path.iter().skip(known) {
            let directory = match chain.last() {
                Some((_, Some(parent))) => parent.enter(name)?,
                Some((_, None)) => None,
                None => self.view.root().enter(name)?,
            };
            chain.push((name.to_owned(), directory));
        }
        Ok(chain.last().map_or_else(|| Some(self.view.root()), |(_, directory)| directory.clone()))
    }

    fn found(&self, path: &Path) -> Result<Option<Found>, TreeError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        match self.directory(parent)? {
            Some(directory) => directory.child(name),
            None => Ok(None),
        }
    }
}

impl Source for ImageTree {
    fn node(&self, path: &Path) -> Result<Option<Node>, TreeError> {
        if path.as_os_str().is_empty() {
            return Ok(Some(Node::plain_directory()));
        }
        let Some(found) = self.found(path)? else { return Ok(None) };
        let mut node = found.node;
        node.metadata.attributes = read_attributes(&found.location).map_err(TreeError::file("read", path))?;
        Ok(Some(node))
    }

    fn names(&self, path: &Path) -> Result<Vec<OsString>, TreeError> {
        self.directory(path)?.map_or_else(|| Ok(Vec::new()), |directory| directory.names())
    }

    fn digest(&self, path: &Path) -> Result<Option<Digest>, TreeError> {
        let Some(found) = self.found(path)? else { return Ok(None) };
        if found.is_socket() {
            return Ok(Some(images::digest_of(b"")));
        }
        hash_file(&found.location).map(Some).map_err(TreeError::file("read", path))
    }

    fn give(&self, path: &Path) -> Result<Given, TreeError> {
        let missing = || TreeError::file("read", path)(io::ErrorKind::NotFound.into());
        let found = self.found(path)?.ok_or_else(missing)?;
        if found.is_socket() {
            return Ok(Given::Bytes(Vec::new()));
        }
        Ok(Given::Copy(found.location))
    }
}

/// Hashes a file of the host; of one with holes where its data are, and those.
///
/// # Errors
/// What reading fails with.
pub(crate) fn hash_file(path: &Path) -> io::Result<Digest> {
    let mut file = bounded_read::open(path)?;
    let size = file.metadata()?.len();
    let pieces = pieces(&file, size)?;
    let mut state = Sha256::new();
    if pieces.iter().map(|piece| piece.end - piece.start).sum::<u64>() < size {
        let numbers = pieces.iter().flat_map(|piece| [piece.start, piece.end]);
        [size].into_iter().chain(numbers).for_each(|number| state.update(number.to_le_bytes()));
    }
    let mut buffer = vec![0_u8; 256 * 1024];
    for piece in pieces {
        file.seek(io::SeekFrom::Start(piece.start))?;
        let mut data = file.by_ref().take(piece.end - piece.start);
        loop {
            match data.read(&mut buffer)? {
                0 => break,
                count => state.update(&buffer[..count]),
            }
        }
    }
    Ok(Digest::from_bytes(state.finalize().into()))
}
