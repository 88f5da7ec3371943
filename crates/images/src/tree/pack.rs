//! Packs trees into tars: a layer's difference, a container's merged view, or a part of either.
//!
//! Walks with a stack of its own, so that no depth of directories overflows the thread's or takes the process's
//! descriptors; opens nothing but regular files and directories, and nothing through a symlink.

mod leaf;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use model::IdMapping;
use rustix::fs::{self, Stat};

use super::accounts::Accounts;
use super::descent::{Descent, Place as Directory};
use super::kernel_file;
use super::known::{KnownFiles, KnownNames};
use super::member::{member, named};
use super::mount_points::serves_a_mount;
use super::output::Output;
use super::read_ahead::{ReadAhead, Ready};
use super::stack::{self, Form, Found, Stack, is_directory, is_whiteout};
use crate::assembly::AssemblyWriter;
use crate::tar::{Member, Writer};
use crate::whiteout::{OPAQUE_NAME, PREFIX as WHITEOUT_PREFIX};

/// Contents are copied in chunks of this size.
const PIECE: usize = 256 * 1024;

/// Where a tar goes, and what is noted of it.
pub(crate) struct Packer<'a> {
    pub(super) out: &'a mut dyn Output,
    /// Notes how to make the same tar again.
    pub(super) assembly: Option<&'a mut AssemblyWriter>,
    form: Form,
    accounts: Accounts,
    /// The user namespace in which the owners of files are shown; `None` for the host's.
    user_namespace: Option<&'a IdMapping>,
    /// The first name of each file that has several.
    links: HashMap<(u64, u64), Vec<u8>>,
    pub(super) buffer: Vec<u8>,
    pub(super) size: u64,
    pub(super) written: u64,
    /// Paths where the engine mounts: what serves for it is left out of a difference.
    mount_points: &'a [PathBuf],
    /// Reads small files before their turn.
    read_ahead: Option<ReadAhead>,
    /// Files whose contents are cached.
    pub(super) known: Option<KnownFiles<'a>>,
}

/// A file whose name would remove another one where the layer is used.
#[derive(Debug, thiserror::Error)]
#[error("cannot store {0:?} in a layer: names that begin with .wh. mark what a layer deletes")]
pub struct ReservedName(String);

/// A directory whose names are being packed.
struct Level {
    /// Whether it hides what layers below have in its place.
    opaque: bool,
    /// The names left to be packed, last first; `None` means a name to be hidden.
    names: Vec<(Vec<u8>, Option<Found>)>,
    /// The next of them, as far as they were read already.
    ready: Ready,
    /// Those whose contents are cached.
    known: KnownNames,
    /// How long the name in the tar and the real path are without this directory's children.
    lengths: (usize, usize),
}

/// The relation of the directory above to one that is being packed.
struct Above {
    opaque: bool,
    /// Whether layers below have nothing in its place.
    hides_nothing: bool,
}

/// Where one entry is: its directory, its name there, and its names in the tar and the layer.
pub(super) struct Place<'p> {
    pub(super) parent: &'p OwnedFd,
    pub(super) child: &'p [u8],
    pub(super) name: &'p [u8],
    pub(super) real: &'p [u8],
}

/// The files of a directory that lie elsewhere.
fn lent(
    known: &KnownNames,
    directory: &OwnedFd,
    own: &BTreeMap<Vec<u8>, Found>,
) -> io::Result<Vec<(Vec<u8>, Option<Found>)>> {
    let mut found = Vec::new();
    if known.values().all(|file| file.lent.is_none()) {
        return Ok(found);
    }
    let directory = fs::fstat(directory)?;
    for (name, lent) in known.iter().filter_map(|(name, file)| Some((name, file.lent?))) {
        if own.contains_key(name) {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a lent file is there already"));
        }
        found.push((name.clone(), Some(Found { layer: 0, stat: lent.stat(&directory)? })));
    }
    Ok(found)
}

impl<'a> Packer<'a> {
    /// Packs to `out`.
    pub(crate) fn new(out: &'a mut dyn Output, form: Form, assembly: Option<&'a mut AssemblyWriter>) -> Self {
        Self {
            out,
            assembly,
            form,
            accounts: Accounts::of_host(),
            user_namespace: None,
            links: HashMap::new(),
            buffer: vec![0; PIECE],
            size: 0,
            written: 0,
            mount_points: &[],
            read_ahead: None,
            known: None,
        }
    }

    /// Reads small files on several threads before their turn: the directory must not change meanwhile.
    #[must_use]
    pub(crate) fn reading_ahead(mut self) -> Self {
        self.read_ahead = Some(ReadAhead::default());
        self
    }

    /// Takes the contents of some files from elsewhere, and packs those that are lent with the others.
    #[must_use]
    pub(crate) fn knowing(mut self, files: KnownFiles<'a>) -> Self {
        self.known = Some(files);
        self
    }

    /// Shows the owners of files as processes of a user namespace see them.
    #[must_use]
    pub(crate) const fn with_owners_of(mut self, user_namespace: Option<&'a IdMapping>) -> Self {
        self.user_namespace = user_namespace;
        self
    }

    /// Leaves out the empty files and directories at these paths and above them, where the layers
    /// below have nothing: they only serve for mounts.
    #[must_use]
    pub(crate) const fn without_mount_points(mut self, mount_points: &'a [PathBuf]) -> Self {
        self.mount_points = mount_points;
        self
    }

    /// Packs all below a directory; `prefix` precedes all names. `below` are the layers below, topmost first,
    /// if known: what an opaque directory hides is then named entry by entry, which old engines understand.
    ///
    /// # Errors
    /// When something cannot be read, or the receiver fails.
    pub(crate) fn directory(&mut self, stack: Stack, below: Stack, prefix: &[u8]) -> io::Result<()> {
        let mut name = prefix.to_vec();
        let mut real = Vec::new();
        let top = Directory { stack, below };
        let mut levels = vec![self.level(&top, false, (name.len(), &[]))?];
        let mut descent = Descent::new(self.form, top);
        while let Some(level) = levels.last_mut() {
            name.truncate(level.lengths.0);
            real.truncate(level.lengths.1);
            // A directory that a running container removed meanwhile has nothing more.
            let (Some(place), Some((child, found))) = (descent.place(), level.names.pop()) else {
                levels.pop();
                descent.leave()?;
                continue;
            };
            let Some(found) = found else {
                self.whiteout(&name, &child)?;
                continue;
            };
            if serves_a_mount(self.mount_points, self.form, place, (&child, &found), &real)? {
                continue;
            }
            name.extend_from_slice(&child);
            real.extend_from_slice(&child);
            if self.form == Form::Difference && child.starts_with(WHITEOUT_PREFIX) {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidFilename,
                    ReservedName(crate::tar::shown(&name)),
                ));
            }
            if !is_directory(&found.stat) {
                if let Some(file) = level.known.remove(&child)
                    && file.serves(&found.stat)
                {
                    self.known_file((&name, &real), &found.stat, &file)?;
                    continue;
                }
                let parent = &place.stack.0[found.layer];
                let ahead = self.read_ahead.as_mut();
                let read = ahead
                    .and_then(|ahead| ahead.take(&mut level.ready, parent, (&child, &found), &level.names));
                let place = Place { parent, child: &child, name: &name, real: &real };
                self.leaf(&place, &found.stat, read)?;
                continue;
            }
            name.push(b'/');
            real.push(b'/');
            if descent.is_at_limit() {
                return Err(io::Error::other("directories are nested too deeply for an archive"));
            }
            let above = Above { opaque: level.opaque, hides_nothing: place.below.is_empty() };
            if self.form == Form::Plain && kernel_file::is_left_empty(&place.stack.0[0], &child, &found.stat)
            {
                self.header(&Member { flag: b'5', ..member(&name, &found.stat, &[]) })?;
                continue;
            }
            // A running container may have replaced it meanwhile.
            if descent.enter(&child, found.layer)?
                && let Some(place) = descent.place()
            {
                levels.push(self.begin(place, &above, &found, (&name, &real))?);
            }
        }
        Ok(())
    }

    /// Packs a directory's own entry and begins with its content.
    fn begin(
        &mut self,
        place: &Directory,
        above: &Above,
        found: &Found,
        (name, real): (&[u8], &[u8]),
    ) -> io::Result<Level> {
        let top = &place.stack.0[0];
        let attributes = stack::attributes(top)?;
        self.header(&Member { flag: b'5', ..member(name, &found.stat, &attributes) })?;
        let difference = self.form == Form::Difference;
        let opaque = difference && (above.opaque || stack::is_opaque(top)?);
        if opaque && !above.opaque && above.hides_nothing {
            self.hidden_name(&[name, OPAQUE_NAME].concat())?;
        }
        self.level(place, opaque, (name.len(), real))
    }

    fn level(
        &mut self,
        place: &Directory,
        opaque: bool,
        (length, real): (usize, &[u8]),
    ) -> io::Result<Level> {
        let mut names: Vec<(Vec<u8>, Option<Found>)> = Vec::new();
        let own = match place.stack.names(self.form) {
            Err(_) if self.form == Form::Plain && kernel_file::is_within(&place.stack.0[0]) => {
                BTreeMap::new()
            }
            names => names?,
        };
        if opaque {
            let hidden = place.below.names(Form::Merged)?.into_keys().filter(|name| !own.contains_key(name));
            names.extend(hidden.map(|name| (name, None)));
        }
        let known = self.known.as_mut().map(|known| known.take(real)).unwrap_or_default();
        names.extend(lent(&known, &place.stack.0[0], &own)?);
        names.extend(own.into_iter().map(|(name, found)| {
            let hides = self.form == Form::Difference && is_whiteout(&found.stat);
            (name, (!hides).then_some(found))
        }));
        names.sort_by(|one, other| other.0.cmp(&one.0));
        Ok(Level { opaque, names, ready: Ready::new(), known, lengths: (length, real.len()) })
    }

    fn whiteout(&mut self, prefix: &[u8], child: &[u8]) -> io::Result<()> {
        self.hidden_name(&[prefix, WHITEOUT_PREFIX, child].concat())
    }

    fn hidden_name(&mut self, name: &[u8]) -> io::Result<()> {
        self.header(&Member { path: name, flag: b'0', ..Member::default() })
    }

    /// Packs one thing that is no directory, under a name of its own.
    ///
    /// # Errors
    /// When it cannot be read, or the receiver fails.
    pub(crate) fn single(&mut self, parent: &OwnedFd, child: &[u8], name: &[u8]) -> io::Result<()> {
        let stat = fs::statat(parent, OsStr::from_bytes(child), fs::AtFlags::SYMLINK_NOFOLLOW)?;
        self.leaf(&Place { parent, child, name, real: child }, &stat, None)
    }

    /// Packs a directory's own entry under a name of its own, which ends in `/`.
    ///
    /// # Errors
    /// When it cannot be read, or the receiver fails.
    pub(crate) fn directory_entry(&mut self, directory: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let stat = fs::fstat(directory)?;
        let attributes = stack::attributes(directory)?;
        self.header(&Member { flag: b'5', ..member(name, &stat, &attributes) })
    }

    /// Packs a directory of root that is nowhere; `name` ends in `/`. No file that follows is a link to one before it.
    ///
    /// # Errors
    /// When the receiver fails.
    pub(crate) fn new_directory(&mut self, name: &[u8]) -> io::Result<()> {
        self.links.clear();
        self.header(&Member { flag: b'5', path: name, mode: 0o755, ..Member::default() })
    }

    /// Writes a header whose content follows: further names of the file are links to this one.
    pub(super) fn first(&mut self, stat: &Stat, member: &Member<'_>) -> io::Result<()> {
        self.header(member)?;
        if stat.st_nlink > 1 {
            self.links.insert((stat.st_dev, stat.st_ino), member.path.to_vec());
        }
        Ok(())
    }

    fn header(&mut self, member: &Member<'_>) -> io::Result<()> {
        self.out.begin_entry()?;
        let named = named(member, &self.accounts, self.user_namespace);
        let mut writer = Writer::new(Vec::with_capacity(1024));
        writer.header(&named)?;
        let header = writer.into_inner();
        self.raw(&header)
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.written += bytes.len() as u64;
        if let Some(assembly) = &mut self.assembly {
            assembly.raw(bytes)?;
        }
        self.out.write_all(bytes)
    }

    /// Writes the archive's end; returns the bytes of all files and of the whole tar.
    ///
    /// # Errors
    /// When the receiver fails.
    pub(crate) fn finish(mut self) -> io::Result<(u64, u64)> {
        self.known.as_ref().map_or(Ok(()), KnownFiles::finish)?;
        self.raw(&[0; 2 * crate::tar::BLOCK])?;
        self.out.flush()?;
        Ok((self.size, self.written))
    }
}
