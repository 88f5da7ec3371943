//! Walks a path through a view as the kernel would, root and `..` confined to the view.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::view::Found;
use super::{Directory, TreeError, View};

/// As many symbolic links are followed in one path: path_resolution(7).
const SYMLINK_LIMIT: usize = 40;

/// A directory reached, with those above it.
#[derive(Debug, Clone)]
pub(crate) struct Position {
    root: Directory,
    levels: Vec<(OsString, Directory)>,
    /// The levels' names: putting them together for every name of a deep directory takes long.
    path: PathBuf,
    /// How many levels no walk leaves: `..` and absolute links end there.
    floor: usize,
}

/// The action of a walk at a missing name.
pub(crate) trait Missing {
    /// Makes a directory under `name`, which may be the path's last, or gives `None` to end the walk.
    ///
    /// # Errors
    /// [`TreeError`] when it cannot be made.
    fn make(
        &mut self,
        position: &mut Position,
        name: &OsStr,
        last: bool,
    ) -> Result<Option<Directory>, TreeError>;
}

/// Ends a walk where something is missing.
pub(crate) struct Stop;

impl Missing for Stop {
    fn make(&mut self, _: &mut Position, _: &OsStr, _: bool) -> Result<Option<Directory>, TreeError> {
        Ok(None)
    }
}

/// Where a walk ended.
#[derive(Debug)]
pub(crate) enum Reached {
    /// At a directory.
    Directory(Position),
    /// At anything else, in the directory given.
    Node(Position, OsString, Found),
    /// At a name that is not there, in the directory given.
    Missing(Position, OsString),
}

impl Position {
    /// The root of a view.
    pub(crate) fn root(view: &View) -> Self {
        Self { root: view.root(), levels: Vec::new(), path: PathBuf::new(), floor: 0 }
    }

    /// The directory itself.
    pub(crate) fn directory(&self) -> &Directory {
        self.levels.last().map_or(&self.root, |(_, directory)| directory)
    }

    /// Its path from the root, without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Enters a directory that was looked up or made.
    pub(crate) fn push(&mut self, name: &OsStr, directory: Directory) {
        self.levels.push((name.to_owned(), directory));
        self.path.push(name);
    }

    /// The same directory as the root of walks: nothing above it can be reached.
    pub(crate) fn confined(mut self) -> Self {
        self.floor = self.levels.len();
        self
    }

    fn return_to_floor(&mut self) {
        while self.levels.len() > self.floor {
            self.ascend();
        }
    }

    /// Goes back to the directory above, but not above the floor.
    pub(crate) fn ascend(&mut self) {
        if self.levels.len() > self.floor {
            self.levels.pop();
            self.path.pop();
        }
    }

    /// The directories from the root down, each replaceable.
    pub(super) fn directories(&mut self) -> impl Iterator<Item = (&OsStr, &mut Directory)> {
        std::iter::once((OsStr::new(""), &mut self.root))
            .chain(self.levels.iter_mut().map(|(name, directory)| (name.as_os_str(), directory)))
    }
}

/// A walk through a view.
pub(crate) struct Walk<'a> {
    path: &'a Path,
    rest: VecDeque<OsString>,
    links: usize,
}

impl<'a> Walk<'a> {
    /// Prepares a walk along `path`; an absolute path begins at the root all the same.
    pub(crate) fn new(path: &'a Path) -> Self {
        let mut walk = Self { path, rest: VecDeque::new(), links: 0 };
        walk.prepend(path);
        walk
    }

    /// Walks from `start`, following every symbolic link, the last name's too.
    ///
    /// # Errors
    /// [`TreeError`] when a layer cannot be read, something on the way is no directory, or there
    /// are too many links.
    pub(crate) fn run(mut self, start: &Position, missing: &mut dyn Missing) -> Result<Reached, TreeError> {
        let mut position = start.clone();
        while let Some(name) = self.rest.pop_front() {
            match name.to_str() {
                Some("/") => position.return_to_floor(),
                Some("..") => position.ascend(),
                _ => {
                    if let Some(end) = self.step(&mut position, &name, missing)? {
                        return Ok(end);
                    }
                }
            }
        }
        Ok(Reached::Directory(position))
    }

    fn step(
        &mut self,
        position: &mut Position,
        name: &OsStr,
        missing: &mut dyn Missing,
    ) -> Result<Option<Reached>, TreeError> {
        let Some(found) = position.directory().child(name)? else {
            return match missing.make(position, name, self.rest.is_empty())? {
                Some(directory) => {
                    position.push(name, directory);
                    Ok(None)
                }
                None => Ok(Some(Reached::Missing(position.clone(), name.to_owned()))),
            };
        };
        if let Some(target) = found.symlink_target() {
            self.links += 1;
            if self.links > SYMLINK_LIMIT {
                return Err(TreeError::SymlinkLoop(self.path.to_owned()));
            }
            self.prepend(Path::new(target));
            return Ok(None);
        }
        if let Some(directory) =
            found.node.is_directory().then(|| position.directory().enter(name)).transpose()?
        {
            let directory = directory.ok_or_else(|| TreeError::NotDirectory(self.path.to_owned()))?;
            position.push(name, directory);
            return Ok(None);
        }
        if !self.rest.is_empty() {
            return Err(TreeError::NotDirectory(Path::new("/").join(position.path()).join(name)));
        }
        Ok(Some(Reached::Node(position.clone(), name.to_owned(), found)))
    }

    fn prepend(&mut self, path: &Path) {
        let names = path.components().filter_map(|component| match component {
            Component::RootDir => Some(OsString::from("/")),
            Component::ParentDir => Some(OsString::from("..")),
            Component::Normal(name) => Some(name.to_owned()),
            Component::CurDir | Component::Prefix(_) => None,
        });
        for name in names.collect::<Vec<_>>().into_iter().rev() {
            self.rest.push_front(name);
        }
    }
}
