//! Changes of files that only graphs of clients have: removals, symbolic links, directories with modes and owners, and the
//! layers of other stages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use images::Layer;
use model::clean;

use super::commit::{Change, LayerInputs, Name};
use super::state::Build;
use crate::dockerfile::{GivenMetadata, TreeChange};
use crate::error::BuildError;
use crate::transfer::{ImageTree, matching};
use crate::tree::{
    Content, MakeDirectories, Metadata, Modified, Node, NodeKind, Owner, Position, Reached, Stop, TreeError,
    Upper, Walk,
};

/// Nanoseconds of a second.
const NANOSECONDS: i64 = 1_000_000_000;

impl Build<'_> {
    /// Makes a change and commits it as a layer, unless an image of it is there.
    ///
    /// # Errors
    /// [`BuildError`] when it cannot be made.
    pub(super) fn change_tree(&mut self, change: &TreeChange) -> Result<(), BuildError> {
        if let TreeChange::Layers { stage, without } = change {
            return self.take_layers(stage, without.as_deref());
        }
        let owner = self.owner_of(change)?;
        let step = serde_json::to_string(&("CHANGE", change.words(), owner.user, owner.group))?;
        let name = Name {
            command: vec![step.clone()],
            history: Some(format!("{change} # buildkit")),
            inputs: Some(LayerInputs { step, is_placed: true }),
        };
        let Some(_turn) = self.probe(&name)? else { return Ok(()) };
        let lower = self.stage_ref()?.directories();
        let root = self.scratch_path("upper");
        let mut upper = Upper::create(root.clone(), &lower)?;
        self.apply(&mut upper, change, owner)?;
        upper.finish()?;
        let layer = self.work.builder.store.adopt_layer(&root, &lower)?.finish()?;
        let container = self.step_container(&name.command)?;
        self.commit(Change { name, container: &container, layer: Some(layer) })
    }

    fn owner_of(&self, change: &TreeChange) -> Result<Owner, BuildError> {
        let given = match change {
            TreeChange::Link { given, .. } | TreeChange::Directory { given, .. } => given.owner.as_deref(),
            TreeChange::Remove { .. } | TreeChange::Layers { .. } => None,
        };
        given.map_or(Ok(Owner::default()), |owner| self.account(owner))
    }

    fn apply(&self, upper: &mut Upper, change: &TreeChange, owner: Owner) -> Result<(), BuildError> {
        match change {
            TreeChange::Remove { path, may_be_missing, is_pattern } => {
                let paths = if *is_pattern {
                    let stage = self.stage_ref()?;
                    let tree = ImageTree::new(stage.directories(), stage.layers.clone());
                    matching(&tree, path.trim_start_matches('/'))?
                } else {
                    vec![clean(path)]
                };
                let mut is_missing = paths.is_empty();
                for path in &paths {
                    is_missing |= !remove(upper, path)?;
                }
                if is_missing && !may_be_missing {
                    return Err(missing(path).into());
                }
                Ok(())
            }
            TreeChange::Link { path, target, given } => Ok(link(upper, (path, target), owner, given)?),
            TreeChange::Directory { path, mode, makes_parents, given } => {
                let metadata = Metadata { mode: *mode, ..metadata(owner, given) };
                Ok(make_directory(upper, path, metadata, *makes_parents)?)
            }
            TreeChange::Layers { .. } => Ok(()),
        }
    }

    /// Continues with the layers that another stage has beyond those of a third.
    fn take_layers(&mut self, stage: &str, without: Option<&str>) -> Result<(), BuildError> {
        let layers = self.layers_of(stage)?;
        let below = without.map_or(Ok(Vec::new()), |stage| self.layers_of(stage))?;
        let is_same = |(one, other): (&Layer, &Layer)| one.diff_id() == other.diff_id();
        if below.len() > layers.len() || !below.iter().zip(&layers).all(is_same) {
            return Err(BuildError::UnrelatedTrees);
        }
        for layer in layers.into_iter().skip(below.len()) {
            let command = format!("LAYER {}", layer.diff_id());
            let name = Name { command: vec![command.clone()], history: Some(command), inputs: None };
            let Some(_turn) = self.probe(&name)? else { continue };
            let container = self.step_container(&name.command)?;
            self.commit(Change { name, container: &container, layer: Some(layer) })?;
        }
        Ok(())
    }

    fn layers_of(&self, stage: &str) -> Result<Vec<Layer>, BuildError> {
        let number = self.earlier.named(stage).ok_or_else(|| self.later_stage(stage.to_owned()))?;
        let found = self.earlier.finished(number)?;
        let found = found.ok_or_else(|| self.later_stage(stage.to_owned()))?;
        Ok(found.stage.layers.clone())
    }
}

fn missing(path: &str) -> TreeError {
    TreeError::Missing(PathBuf::from(path))
}

/// The directory that a path is in, and its name there; `None` if that does not exist.
fn parent_of(upper: &Upper, path: &Path) -> Result<Option<(Position, OsString)>, TreeError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    match Walk::new(parent).run(&Position::root(upper.view()), &mut Stop)? {
        Reached::Directory(position) => Ok(Some((position, name.to_owned()))),
        Reached::Node(..) | Reached::Missing(..) => Ok(None),
    }
}

/// Removes what is at a path, the last name not followed; whether there was something.
fn remove(upper: &mut Upper, path: &Path) -> Result<bool, TreeError> {
    let path = Path::new("/").join(path);
    let found = match parent_of(upper, &path) {
        // What is no directory holds nothing.
        Err(TreeError::NotDirectory(_)) => None,
        found => found?,
    };
    let Some((mut position, name)) = found else { return Ok(false) };
    if position.directory().child(&name)?.is_none() {
        return Ok(false);
    }
    upper.remove(&mut position, &name)?;
    Ok(true)
}

fn link(
    upper: &mut Upper,
    (path, target): (&str, &str),
    owner: Owner,
    given: &GivenMetadata,
) -> Result<(), TreeError> {
    let (mut position, name) = parent_of(upper, &clean(path))?.ok_or_else(|| missing(path))?;
    if position.directory().child(&name)?.is_some() {
        return Err(TreeError::Exists(PathBuf::from(path)));
    }
    let kind = NodeKind::Symlink { target: OsString::from(target) };
    let node = Node { kind, shared: None, metadata: Metadata { mode: 0o777, ..metadata(owner, given) } };
    upper.place(&mut position, &name, &node, Content::None)
}

fn make_directory(
    upper: &mut Upper,
    path: &str,
    metadata: Metadata,
    makes_parents: bool,
) -> Result<(), TreeError> {
    let cleaned = clean(path);
    if !makes_parents && cleaned != Path::new("/") && parent_of(upper, &cleaned)?.is_none() {
        return Err(missing(path));
    }
    let start = Position::root(upper.view());
    // The time is that of the last one alone.
    let above = Metadata { modified: None, ..metadata.clone() };
    let mut make = MakeDirectories { upper, metadata: above, last: false };
    Walk::new(&cleaned).run(&start, &mut make)?;
    let start = Position::root(upper.view());
    let mut make = MakeDirectories { upper, metadata, last: true };
    match Walk::new(&cleaned).run(&start, &mut make)? {
        Reached::Directory(_) => Ok(()),
        Reached::Node(..) | Reached::Missing(..) => Err(TreeError::NotDirectory(PathBuf::from(path))),
    }
}

fn metadata(owner: Owner, given: &GivenMetadata) -> Metadata {
    let modified = given.modified.map(|nanoseconds| Modified {
        seconds: nanoseconds.div_euclid(NANOSECONDS),
        nanoseconds: u32::try_from(nanoseconds.rem_euclid(NANOSECONDS)).unwrap_or_default(),
    });
    Metadata { modified, ..Metadata::new_directory(owner.user, owner.group) }
}
