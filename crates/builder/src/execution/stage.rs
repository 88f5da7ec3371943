//! The state of a stage: the effects of the instructions since the last FROM.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use images::document::{Config, History, Step};
use images::registry::Platform;
use images::{HeldImage, Image, Layer, Naming, NewImage, Origin, Store};
use model::{Digest, ImageReference};

use crate::dockerfile::{DockerfileError, Substituted, Variables};
use crate::error::BuildError;
use crate::order::Order;
use crate::wording::Wording;

/// The default PATH of an image that sets none.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// More variables than this occur in no image; each word searches them.
const VARIABLE_LIMIT: usize = 4096;

/// The configuration and history of an image, without its layers.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) document: Vec<u8>,
    pub(super) parent: Option<Digest>,
}

/// One stage under way.
#[derive(Debug, Default)]
pub(super) struct Stage {
    pub(super) name: Option<String>,
    /// The image so far; `None` after `FROM scratch`.
    pub(super) image: Option<Digest>,
    /// Keeps removals from taking it: the next step continues from it.
    pub(super) held: Option<HeldImage>,
    /// How to make the image again, should it be removed before it has its name.
    pub(super) recipe: Option<Recipe>,
    /// Its layers, held, lowest first.
    pub(super) layers: Vec<Layer>,
    pub(super) history: Vec<History>,
    /// The steps that made it, where histories do not have them.
    pub(super) steps: Vec<Step>,
    pub(super) config: Config,
    pub(super) author: String,
    /// The platform of the image.
    pub(super) platform: Option<Platform>,
    /// Whether CMD came since FROM: ENTRYPOINT clears an inherited one.
    pub(super) cmd_set: bool,
    pub(super) order: Order,
    /// The texts of its history.
    pub(super) wording: Wording,
    /// The arguments declared, and in a graph those of the stage that it begins with, with their values.
    pub(super) arguments: BTreeMap<String, Option<String>>,
    /// The names that ARG declares in this stage, in a graph: as often as it does, and in that order.
    pub(super) declared: Vec<String>,
    /// The arguments that hide the variables of their names, in a graph: the last of ENV and ARG counts.
    pub(super) overriding: BTreeSet<String>,
    pub(super) substituted: Substituted,
}

impl Stage {
    /// Begins a stage from scratch.
    pub(super) fn scratch(name: Option<String>, platform: Option<Platform>, order: Order) -> Self {
        let mut config = Config { on_build: Some(Vec::new()), ..Config::default() };
        if order == Order::Graph {
            config.env = Some(vec![PATH.to_owned()]);
            config.working_dir = "/".to_owned();
        }
        Self { name, config, platform, order, ..Self::default() }
    }

    /// Begins a stage from an image.
    ///
    /// # Errors
    /// [`BuildError::Images`] when the image was removed meanwhile.
    pub(super) fn from_image(
        name: Option<String>,
        image: &Image,
        store: &Store,
        order: Order,
    ) -> Result<Self, BuildError> {
        let mut config = image.config.config.clone().unwrap_or_default();
        config.hostname = String::new();
        config.domainname = String::new();
        config.on_build = Some(Vec::new());
        config.args_escaped &= order == Order::Graph;
        let variables = config.env.get_or_insert_default();
        if !variables.iter().any(|variable| variable.starts_with("PATH=")) {
            variables.push(PATH.to_owned());
        }
        let platform = Platform::of(&image.config);
        let platform = (!platform.architecture.is_empty()).then_some(platform);
        let mut stage = Self { name, config, platform, order, ..Self::default() };
        stage.advance(image, store)?;
        Ok(stage)
    }

    /// The stage with the files of its image alone.
    pub(super) fn without_config(self) -> Self {
        let on_build = Some(Vec::new());
        let config = Config { image: self.config.image.clone(), on_build, ..Config::default() };
        Self { config, ..self }
    }

    /// Makes an image the stage's present one.
    ///
    /// # Errors
    /// [`BuildError::Images`] when the image was removed meanwhile.
    pub(super) fn advance(&mut self, image: &Image, store: &Store) -> Result<(), BuildError> {
        let held = store.hold_image(&image.id)?;
        let layers = store.layers(image)?;
        self.held = Some(held);
        // An image of the old format cannot be made of its config alone.
        let digest = Some(&image.config_digest).filter(|digest| **digest == image.id);
        let document = digest.map(|digest| store.document_of(&image.id, digest)).transpose()?;
        self.layers = layers;
        self.recipe = document.map(|document| Recipe { document, parent: image.parent });
        self.history.clone_from(&image.config.history);
        self.steps.clone_from(&image.config.steps);
        self.image = Some(image.id);
        self.config.image = image.id.hexadecimal();
        Ok(())
    }

    /// Gives the image its names at once; a name that another image has moves.
    ///
    /// # Errors
    /// [`BuildError::Images`] when the names cannot be recorded.
    pub(super) fn name(&self, store: &Store, names: &[ImageReference]) -> Result<(), BuildError> {
        if let (Some(Recipe { document, parent }), false) = (&self.recipe, names.is_empty()) {
            let new = NewImage {
                config: document,
                layers: &self.layers,
                parent: *parent,
                legacy: None,
                origin: Origin::Here,
                target: None,
            };
            let names: Vec<_> = names.iter().map(Naming::Tag).collect();
            drop(store.publish(&new, &names)?);
        } else if let Some(image) = self.image {
            let names: Vec<_> = names.iter().map(|name| (name.clone(), image)).collect();
            drop(store.tag_all(&names)?);
        }
        Ok(())
    }

    /// The layers' directories, topmost first.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        self.layers.iter().rev().flat_map(Layer::directories).collect()
    }

    /// The variables that words may name: ENV before ARG; in a graph the last of both.
    pub(super) fn variables(&self) -> impl Variables + '_ {
        StageVariables(self)
    }

    /// Takes over the arguments of the stage that this one begins with; its variables count more than they.
    pub(super) fn inherit_arguments(&mut self, from: &Self) {
        self.arguments.clone_from(&from.arguments);
        self.declared.clone_from(&from.declared);
    }

    /// Declares an argument.
    pub(super) fn declare(&mut self, name: &str, value: Option<String>) {
        if self.order == Order::Graph {
            if !self.arguments.contains_key(name) {
                self.declared.push(name.to_owned());
            }
            if value.is_none() && self.arguments.get(name).is_some_and(Option::is_some) {
                return;
            }
            if value.is_some() {
                self.overriding.insert(name.to_owned());
            }
        }
        self.arguments.insert(name.to_owned(), value);
    }

    /// The arguments with values that commands see as variables.
    pub(super) fn visible_arguments(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_visible = |name: &str| self.overriding.contains(name) || self.environment(name).is_none();
        let with_value =
            self.arguments.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_deref()?)));
        with_value.filter(move |(name, _)| is_visible(name))
    }

    /// Sets a variable of the image's environment.
    ///
    /// # Errors
    /// [`DockerfileError::TooManyVariables`].
    pub(super) fn set_variable(&mut self, name: &str, value: &str) -> Result<(), DockerfileError> {
        self.overriding.remove(name);
        let variable = format!("{name}={value}");
        let variables = self.config.env.get_or_insert_default();
        let same = |known: &&mut String| known.split('=').next() == Some(name);
        let count = variables.len();
        match variables.iter_mut().find(same) {
            Some(known) => *known = variable,
            None if count >= VARIABLE_LIMIT => {
                return Err(DockerfileError::TooManyVariables(VARIABLE_LIMIT));
            }
            None => variables.push(variable),
        }
        Ok(())
    }

    /// A variable of the image's environment.
    pub(super) fn environment(&self, name: &str) -> Option<&str> {
        let variables = self.config.env.as_deref().unwrap_or_default();
        variables.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
    }

    /// What its images are for: the host where nothing else was requested.
    pub(super) fn platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host)
    }

    /// The configuration without the defaults of containers: a stage that begins with nothing has them in a graph, and
    /// not otherwise.
    pub(super) fn seen_config(&self) -> Config {
        let mut config = self.config.clone();
        config.env = config.env.map(|env| env.into_iter().filter(|variable| variable != PATH).collect());
        if config.working_dir == "/" {
            config.working_dir.clear();
        }
        config
    }

    /// The words to which shell forms are passed.
    pub(super) fn shell(&self) -> Vec<String> {
        let standard = || vec!["/bin/sh".to_owned(), "-c".to_owned()];
        self.config.shell.clone().unwrap_or_else(standard)
    }
}

struct StageVariables<'a>(&'a Stage);

impl Variables for StageVariables<'_> {
    fn value(&self, name: &str) -> Option<&str> {
        let argument = || self.0.arguments.get(name).and_then(Option::as_deref);
        let hidden = self.0.overriding.contains(name).then(argument).flatten();
        hidden.or_else(|| self.0.environment(name)).or_else(argument)
    }

    fn count(&self, value: &str) -> Result<(), DockerfileError> {
        self.0.substituted.count(value)
    }

    fn has_special(&self) -> bool {
        self.0.order == Order::Graph
    }
}
