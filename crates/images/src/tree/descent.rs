//! Descends into nested directories and ascends again with few descriptors, however deep they lie.
//!
//! The author of a tree decides how deep it is: a descriptor for each level would take those that the whole
//! process has. Only the lowest levels are held open; a return to one above opens it again by the names that
//! lead there.

use std::io;

use super::stack::{Form, Stack, is_directory};

/// No honest tree is deeper, and a deeper one's paths could not be unpacked again.
pub(crate) const DEPTH_LIMIT: usize = 2048;
/// How many of the lowest levels are held open.
const OPEN_LEVELS: usize = 32;

/// A directory with what the layers below have in its place.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) stack: Stack,
    pub(crate) below: Stack,
}

impl Place {
    /// Goes into a directory that was found in a layer of the stack; nothing when it is gone.
    fn child(&self, name: &[u8], layer: usize, form: Form) -> io::Result<Option<Self>> {
        let stack = self.stack.child(name, layer, form)?;
        if stack.is_empty() {
            return Ok(None);
        }
        let below = match self.below.find(name)? {
            Some(below) if is_directory(&below.stat) => self.below.child(name, below.layer, Form::Merged)?,
            _ => Stack(Vec::new()),
        };
        Ok(Some(Self { stack, below }))
    }

    fn parts(&self) -> (usize, usize) {
        (self.stack.0.len(), self.below.0.len())
    }
}

/// A walk's way from the directory in which it began to the one where it is.
#[derive(Debug)]
pub(crate) struct Descent {
    form: Form,
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    name: Vec<u8>,
    /// The layer of the directory above that has the name.
    layer: usize,
    /// How many directories make it up.
    parts: (usize, usize),
    /// Nothing where it is not held open, or was replaced since.
    place: Option<Place>,
}

impl Descent {
    /// Begins in a directory.
    pub(crate) fn new(form: Form, place: Place) -> Self {
        let top = Level { name: Vec::new(), layer: 0, parts: place.parts(), place: Some(place) };
        Self { form, levels: vec![top] }
    }

    /// Where the walk is; nothing when it has ended or someone took the directory away meanwhile.
    pub(crate) fn place(&self) -> Option<&Place> {
        self.levels.last()?.place.as_ref()
    }

    /// Whether the limit of depth is reached.
    pub(crate) fn is_at_limit(&self) -> bool {
        self.levels.len() >= DEPTH_LIMIT
    }

    /// Goes into a directory that was found in a layer; false when it is gone.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn enter(&mut self, name: &[u8], layer: usize) -> io::Result<bool> {
        let Some(here) = self.place() else { return Ok(false) };
        let Some(place) = here.child(name, layer, self.form)? else { return Ok(false) };
        self.levels.push(Level { name: name.to_vec(), layer, parts: place.parts(), place: Some(place) });
        // The first stays open: all others are found from it.
        if let Some(above) = self.levels.len().checked_sub(OPEN_LEVELS + 1).filter(|above| *above > 0) {
            self.levels[above].place = None;
        }
        Ok(true)
    }

    /// Goes back to the directory above.
    ///
    /// # Errors
    /// When it cannot be opened again.
    pub(crate) fn leave(&mut self) -> io::Result<()> {
        self.levels.pop();
        match self.levels.last() {
            Some(level) if level.place.is_none() => self.open_again(),
            _ => Ok(()),
        }
    }

    /// Opens the lowest levels from the lowest one that is open. A directory that is not what it was, because
    /// a running container replaced it, is left closed.
    fn open_again(&mut self) -> io::Result<()> {
        let Some(open) = self.levels.iter().rposition(|level| level.place.is_some()) else { return Ok(()) };
        let Some(mut place) = self.levels[open].place.clone() else { return Ok(()) };
        let kept = self.levels.len().saturating_sub(OPEN_LEVELS);
        for index in open + 1..self.levels.len() {
            let level = &mut self.levels[index];
            match place.child(&level.name, level.layer, self.form)? {
                Some(found) if found.parts() == level.parts => place = found,
                _ => return Ok(()),
            }
            if index >= kept {
                level.place = Some(place.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Directories within each other, each with a file, and a way down that needs no long path.
    fn deep(root: &Path, depth: usize) {
        std::fs::create_dir(root).expect("a directory");
        let mut directory =
            crate::tree::open_directory(rustix::fs::CWD, root.as_os_str().as_encoded_bytes()).expect("it");
        for _ in 0..depth {
            rustix::fs::mkdirat(&directory, "d", rustix::fs::Mode::RWXU).expect("a directory");
            directory = crate::tree::open_directory(&directory, b"d").expect("it");
            let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
            rustix::fs::openat(&directory, "f", flags, rustix::fs::Mode::RUSR).expect("a file");
        }
    }

    #[test]
    fn few_levels_are_open_and_those_above_are_opened_again() {
        let root = std::env::temp_dir().join(format!("berth-descent-{}", std::process::id()));
        deep(&root, 200);
        let stack = Stack::open(&[&root]).expect("the top");
        let mut descent = Descent::new(Form::Plain, Place { stack, below: Stack(Vec::new()) });
        for _ in 0..200 {
            assert!(descent.enter(b"d", 0).expect("the next"));
        }
        let open = |descent: &Descent| descent.levels.iter().filter(|level| level.place.is_some()).count();
        assert_eq!(open(&descent), OPEN_LEVELS + 1);
        assert!(!descent.enter(b"d", 0).expect("the end"), "nothing is deeper");
        for _ in 0..200 {
            let place = descent.place().expect("a directory that is there");
            assert!(place.stack.find(b"f").expect("a look").is_some());
            descent.leave().expect("the one above");
            assert!(open(&descent) <= OPEN_LEVELS + 1);
        }
        assert!(descent.place().expect("the top").stack.find(b"d").expect("a look").is_some());
        descent.leave().expect("the end");
        assert!(descent.place().is_none());
        crate::tree::remove(&root).expect("removed");
    }

    #[test]
    fn a_directory_that_was_replaced_meanwhile_is_left_out() {
        let root = std::env::temp_dir().join(format!("berth-descent-gone-{}", std::process::id()));
        deep(&root, 100);
        let stack = Stack::open(&[&root]).expect("the top");
        let mut descent = Descent::new(Form::Plain, Place { stack, below: Stack(Vec::new()) });
        for _ in 0..100 {
            assert!(descent.enter(b"d", 0).expect("the next"));
        }
        std::fs::rename(root.join("d/d"), root.join("elsewhere")).expect("moved");
        std::os::unix::fs::symlink("/", root.join("d/d")).expect("a symlink in its place");
        for _ in 0..98 {
            descent.leave().expect("the one above");
        }
        assert!(descent.place().is_none(), "it is not there any more");
        descent.leave().expect("the one above");
        assert!(descent.place().is_some());
        crate::tree::remove(&root).expect("removed");
    }
}
