//! Writes into an upper directory as if the overlay of it and the layers below were mounted.
//!
//! A directory that only the layers below have is first made in the upper one with the metadata
//! it shows there, as overlay's copy-up does.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use images::Space;
use model::Digest;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::create::{Content, create, dress, remove, set_time};
use super::ledger::{Copied, Ledger};
use super::view::Found;
use super::writers::{FileSource, NewFile, Writers};
use super::{Directory, Inode, Metadata, Missing, Modified, Node, Position, TreeError, View, attributes};

/// An upper directory being written.
pub(crate) struct Upper {
    root: PathBuf,
    view: View,
    /// The times that directories get when nothing more is written into them.
    times: Vec<(PathBuf, Modified)>,
    /// The directories that a walk has made.
    made: HashSet<PathBuf>,
    /// Where nodes with several names were put, and the inodes that they are here.
    put: HashMap<Inode, (PathBuf, u64)>,
    has_replaced: bool,
    writers: Writers,
    /// What is put into it, if that is to be recorded.
    ledger: Option<Ledger>,
}

impl Upper {
    /// Makes the directory `root` and writes into it; it is on top of `lower`, the topmost first.
    ///
    /// # Errors
    /// [`TreeError::File`] when the kernel refuses something.
    pub(crate) fn create(root: PathBuf, lower: &[PathBuf]) -> Result<Self, TreeError> {
        let failed = |error| TreeError::file("create", &root)(error);
        fs::create_dir(&root).map_err(failed)?;
        // Overlay shows the topmost layer's root directory with its own metadata.
        let shown = match lower.first() {
            Some(top) => Node::read(top).map_err(failed)?,
            None => Node::plain_directory(),
        };
        dress(&root, &shown.metadata).map_err(failed)?;
        let layers = std::iter::once(root.clone()).chain(lower.iter().cloned()).collect();
        Ok(Self {
            root,
            view: View::new(layers),
            times: Vec::new(),
            made: HashSet::new(),
            put: HashMap::new(),
            has_replaced: false,
            writers: Writers::default(),
            ledger: None,
        })
    }

    /// The merged view of the layers and the upper directory.
    pub(crate) const fn view(&self) -> &View {
        &self.view
    }

    /// The space on the file system that is written to.
    ///
    /// # Errors
    /// What open(2) or fstatvfs(3) fails with.
    pub(crate) fn space(&self) -> io::Result<Space> {
        Space::of(File::open(&self.root)?.as_fd())
    }

    /// Has nodes that are put from now on share nothing with those before.
    pub(crate) fn forget_names(&mut self) {
        self.put.clear();
    }

    /// Has a ledger kept of what is put into it.
    pub(crate) fn record(&mut self, ledger: Ledger) {
        self.ledger = Some(ledger);
    }

    /// Whether a ledger is kept.
    pub(crate) const fn is_recorded(&self) -> bool {
        self.ledger.is_some()
    }

    /// Ends the ledger.
    pub(crate) fn take_ledger(&mut self) -> Option<Ledger> {
        self.ledger.take()
    }

    /// Notes what is put under a name, in the ledger; whether it is left where an earlier layer has it. `content` is a
    /// file's, which lies at a path of its source.
    ///
    /// # Errors
    /// [`TreeError::File`] when its directory cannot be made.
    pub(crate) fn leave(
        &mut self,
        position: &mut Position,
        name: &OsStr,
        node: &Node,
        (content, source): (Option<&Digest>, &Path),
    ) -> Result<bool, TreeError> {
        let Some(ledger) = &mut self.ledger else { return Ok(false) };
        if !ledger.note(position.path().join(name), node, content, source) {
            return Ok(false);
        }
        self.materialise(position)?;
        Ok(true)
    }

    /// The files that were left where an earlier layer has them and are to be made after all.
    pub(crate) fn take_back(&mut self) -> Vec<Copied> {
        self.ledger.as_mut().map(Ledger::take_back).unwrap_or_default()
    }

    /// Makes such a file, now or a little later.
    pub(crate) fn make(&mut self, copied: Copied, source: FileSource) {
        let path = self.root.join(&copied.path);
        self.writers.add(NewFile { path, shown: copied.path.clone(), node: copied.node.clone(), source });
        if let Some(ledger) = &mut self.ledger {
            ledger.note_made(copied);
        }
    }

    /// Notes that a file takes the place of a directory, or the other way round.
    pub(crate) const fn note_replaced(&mut self) {
        self.has_replaced = true;
    }

    /// Whether a file took the place of a directory, or the other way round.
    pub(crate) const fn has_replaced(&self) -> bool {
        self.has_replaced
    }

    /// Completes the files and sets the directories' times.
    ///
    /// # Errors
    /// [`TreeError::File`] when a file cannot be made, or a time not be set.
    pub(crate) fn finish(mut self) -> Result<(), TreeError> {
        self.set_times()
    }

    /// Completes the files and sets the times of the directories so far: what is put into them later changes them.
    ///
    /// # Errors
    /// [`TreeError::File`] when a file cannot be made, or a time not be set.
    pub(crate) fn set_times(&mut self) -> Result<(), TreeError> {
        self.complete()?;
        for (path, modified) in std::mem::take(&mut self.times).iter().rev() {
            set_time(path, *modified).map_err(TreeError::file("set the time of", path))?;
        }
        Ok(())
    }

    /// Puts a node under a name; what is there gives way, but a directory is kept for a directory.
    ///
    /// # Errors
    /// [`TreeError::File`] when the kernel refuses something.
    pub(crate) fn place(
        &mut self,
        position: &mut Position,
        name: &OsStr,
        node: &Node,
        mut content: Content<'_>,
    ) -> Result<(), TreeError> {
        self.materialise(position)?;
        let shown = position.path().join(name);
        if node.is_directory() {
            let existing = position.directory().child(name)?;
            let directory = match existing.filter(|found| found.node.is_directory()) {
                Some(_) => self.keep_directory(position, name)?,
                None => make_directory(position, name, &shown)?,
            };
            return self.dress_directory(&directory, &node.metadata, &shown);
        }
        let path = position.directory().top().join(name);
        let mut put = self.put(&path, node, &mut content);
        if put.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            remove(&path).map_err(TreeError::file("replace", &shown))?;
            put = self.put(&path, node, &mut content);
        }
        put.map_err(TreeError::file("create", &shown))
    }

    /// Puts a file with one name there now or a little later: nothing else may get its name before
    /// [`Self::complete`]. What is there gives way.
    ///
    /// # Errors
    /// [`TreeError::File`] when the kernel refuses something.
    pub(crate) fn place_file(
        &mut self,
        position: &mut Position,
        name: &OsStr,
        node: Node,
        source: FileSource,
    ) -> Result<(), TreeError> {
        self.materialise(position)?;
        let path = position.directory().top().join(name);
        self.writers.add(NewFile { path, shown: position.path().join(name), node, source });
        Ok(())
    }

    /// Waits until all files are there.
    ///
    /// # Errors
    /// [`TreeError::File`] of the first that could not be made.
    pub(crate) fn complete(&mut self) -> Result<(), TreeError> {
        self.writers.complete()
    }

    /// Makes what is no directory; what was put under another of its names becomes a link to that.
    fn put(&mut self, path: &Path, node: &Node, content: &mut Content<'_>) -> io::Result<()> {
        let Some(inode) = node.shared else { return create(path, node, content) };
        if let Some((first, own)) = self.put.get(&inode) {
            // Another file may stand in its place by now.
            if fs::symlink_metadata(first).is_ok_and(|first| first.ino() == *own) {
                return fs::hard_link(first, path);
            }
        }
        create(path, node, content)?;
        self.put.insert(inode, (path.to_owned(), fs::symlink_metadata(path)?.ino()));
        Ok(())
    }

    /// Removes a name; what layers below have of it shows no more.
    ///
    /// # Errors
    /// [`TreeError::File`] when the kernel refuses something.
    pub(crate) fn remove(&mut self, position: &mut Position, name: &OsStr) -> Result<(), TreeError> {
        self.materialise(position)?;
        let shown = position.path().join(name);
        let path = position.directory().top().join(name);
        remove(&path).map_err(TreeError::file("remove", &shown))?;
        if position.directory().child(name)?.is_none() {
            return Ok(());
        }
        let marked = mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0);
        marked.map_err(io::Error::from).map_err(TreeError::file("remove", &shown))
    }

    /// Gives a placed or existing file another name.
    ///
    /// # Errors
    /// [`TreeError::File`] when the kernel refuses something.
    pub(crate) fn link(
        &mut self,
        target: (&mut Position, &OsStr, &Found),
        position: &mut Position,
        name: &OsStr,
    ) -> Result<(), TreeError> {
        let (target_position, target_name, found) = target;
        let shown = position.path().join(name);
        if !found.location.starts_with(&self.root) {
            let mut node = found.node.clone();
            node.metadata.attributes =
                attributes::read_attributes(&found.location).map_err(TreeError::file("read", &shown))?;
            self.place(target_position, target_name, &node, Content::Copy(&found.location))?;
        }
        self.materialise(position)?;
        let source = self.upper_path(target_position).join(target_name);
        let path = position.directory().top().join(name);
        if source == path {
            return Ok(());
        }
        remove(&path).map_err(TreeError::file("replace", &shown))?;
        fs::hard_link(source, path).map_err(TreeError::file("link", &shown))
    }

    /// Makes the directory of a position, and those above it, in the upper directory.
    ///
    /// # Errors
    /// [`TreeError::File`] when the kernel refuses something.
    pub(crate) fn materialise(&mut self, position: &mut Position) -> Result<(), TreeError> {
        // A directory that is there has all those above it: deep trees are not walked for every name.
        if position.directory().top().as_os_str() == self.upper_path(position).as_os_str() {
            return Ok(());
        }
        let mut path = self.root.clone();
        let mut shown = PathBuf::new();
        for (name, directory) in position.directories() {
            if !name.is_empty() {
                path.push(name);
                shown.push(name);
            }
            if directory.top() != path {
                // The time of the directory that it is in is read and set back.
                self.complete()?;
                self.copy_up(directory, &path).map_err(TreeError::file("create", &shown))?;
                *directory = directory.with_top(path.clone());
            }
        }
        Ok(())
    }

    /// Makes a directory in the upper directory with what it shows in the layers below.
    ///
    /// The directory that it is in has not changed by that: its time is set back, as overlay does.
    fn copy_up(&self, directory: &Directory, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(&self.root);
        let before = Node::read(parent)?.metadata.modified;
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            other => other?,
        }
        before.map_or(Ok(()), |modified| set_time(parent, modified))?;
        let mut metadata = Node::read(directory.top())?.metadata;
        metadata.attributes = attributes::read_attributes(directory.top())?;
        dress(path, &metadata)?;
        metadata.modified.map_or(Ok(()), |modified| set_time(path, modified))
    }

    fn keep_directory(&mut self, position: &Position, name: &OsStr) -> Result<PathBuf, TreeError> {
        let lower = position.directory().enter(name)?;
        let path = position.directory().top().join(name);
        if let Some(lower) = lower.filter(|directory| directory.top() != path) {
            self.complete()?;
            self.copy_up(&lower, &path).map_err(TreeError::file("create", &position.path().join(name)))?;
        }
        Ok(path)
    }

    fn dress_directory(&mut self, path: &Path, metadata: &Metadata, shown: &Path) -> Result<(), TreeError> {
        dress(path, metadata).map_err(TreeError::file("set the owner and mode of", shown))?;
        self.times.extend(metadata.modified.map(|modified| (path.to_owned(), modified)));
        Ok(())
    }

    /// Gives a directory that a walk has made here a mode and a time; others stay as they are.
    ///
    /// # Errors
    /// [`TreeError::File`] when the mode cannot be set.
    pub(crate) fn dress_new(
        &mut self,
        position: &Position,
        mode: Option<u32>,
        modified: Option<Modified>,
    ) -> Result<(), TreeError> {
        let path = self.upper_path(position);
        if !self.made.contains(&path) {
            return Ok(());
        }
        if let Some(mode) = mode {
            let changed = rustix::fs::chmod(&path, Mode::from_bits_truncate(mode)).map_err(io::Error::from);
            changed.map_err(TreeError::file("set the mode of", position.path()))?;
        }
        self.times.extend(modified.map(|modified| (path, modified)));
        Ok(())
    }

    fn upper_path(&self, position: &Position) -> PathBuf {
        self.root.join(position.path())
    }
}

/// Makes the directories that a walk does not find, all with the same owner.
pub(crate) struct MakeDirectories<'a> {
    pub(crate) upper: &'a mut Upper,
    pub(crate) metadata: Metadata,
    /// Whether the path's last name is a directory to be made too.
    pub(crate) last: bool,
}

impl Missing for MakeDirectories<'_> {
    fn make(
        &mut self,
        position: &mut Position,
        name: &OsStr,
        last: bool,
    ) -> Result<Option<Directory>, TreeError> {
        if last && !self.last {
            return Ok(None);
        }
        self.upper.materialise(position)?;
        let shown = position.path().join(name);
        let path = make_directory(position, name, &shown)?;
        self.upper.dress_directory(&path, &self.metadata, &shown)?;
        self.upper.made.insert(path.clone());
        Ok(Some(Directory::only(path)))
    }
}

/// Makes a directory where none is; below a name that was something else nothing may show through.
fn make_directory(position: &Position, name: &OsStr, shown: &Path) -> Result<PathBuf, TreeError> {
    let path = position.directory().top().join(name);
    let replaced = remove(&path).map_err(TreeError::file("replace", shown))?;
    fs::create_dir(&path).map_err(TreeError::file("create", shown))?;
    if replaced {
        attributes::make_opaque(&path).map_err(TreeError::file("create", shown))?;
    }
    Ok(path)
}
