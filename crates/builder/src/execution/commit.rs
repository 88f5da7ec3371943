//! Makes an image of what a step has done, and names the last one.

use std::sync::atomic::Ordering;

use images::document::{Config, History, ImageConfig, RootFs, Step, StringOrList};
use images::{Layer, NewImage};
use model::{ContainerId, Timestamp};

use super::stage::Recipe;
use super::state::Build;
use crate::error::BuildError;
use crate::order::Order;
use crate::wording::Wording;

/// Most bytes of the configurations that one build makes: each step's repeats those before it.
const CONFIGURATIONS_LIMIT: usize = 64 << 20;

/// The history's command before the comment of a step that runs none.
const NO_OPERATION: [&str; 2] = ["/bin/sh", "-c"];

/// The author's comment in histories and images of graphs.
const GRAPH_COMMENT: &str = "buildkit.dockerfile.v0";

/// A step in the cache and the history.
#[derive(Debug, Clone)]
pub(super) struct Name {
    /// The command as `ContainerConfig.Cmd` shows it, by which the cache finds it.
    pub(super) command: Vec<String>,
    /// The history's entry; none for steps that leave no trace there.
    pub(super) history: Option<String>,
    /// The dependencies of its layer; `None` for a step that makes none.
    pub(super) inputs: Option<LayerInputs>,
}

/// The dependencies of a step's layer, except the platform, in whichever order it is built.
#[derive(Debug, Clone)]
pub(super) struct LayerInputs {
    /// The step's operation and inputs, in a form that is equal where the layers are.
    pub(super) step: String,
    /// Whether the layers below matter.
    pub(super) is_placed: bool,
}

impl Name {
    /// A step whose command is its history.
    pub(super) fn of(command: Vec<String>) -> Self {
        let history = Some(command.join(" "));
        Self { command, history, inputs: None }
    }
}

/// The addition of a step to the image.
pub(super) struct Change<'a> {
    pub(super) name: Name,
    /// The container that the step ran in, or that the stream named.
    pub(super) container: &'a ContainerId,
    /// The layer that it made.
    pub(super) layer: Option<Layer>,
}

impl Build<'_> {
    /// The command of a step that runs none: a comment to the shell, which is the stage's in the current texts.
    ///
    /// # Errors
    /// [`BuildError`] outside of a stage.
    pub(super) fn no_operation(&self, comment: &str) -> Result<Vec<String>, BuildError> {
        let shell = match self.work.parameters.wording {
            Wording::Reference => NO_OPERATION.map(str::to_owned).to_vec(),
            Wording::Today => self.stage_ref()?.shell(),
        };
        Ok([shell, vec![format!("#(nop) {comment}")]].concat())
    }

    /// The configuration of the container that a step runs in, by which its image is found again.
    ///
    /// # Errors
    /// [`BuildError`] outside of a stage.
    pub(super) fn container_config(&self, command: Vec<String>) -> Result<Config, BuildError> {
        let config = self.stage_ref()?.config.clone();
        // What was made at another time is another image.
        let epoch = self.epoch()?.map(|epoch| format!("SOURCE_DATE_EPOCH={}", epoch.unix_seconds()));
        let command = command.into_iter().chain(epoch).collect();
        Ok(Config { cmd: Some(StringOrList(command)), ..config })
    }

    /// The time that the request sets for its results, in a graph.
    ///
    /// # Errors
    /// [`BuildError::Dockerfile`] where it is invalid.
    pub(super) fn epoch(&self) -> Result<Option<Timestamp>, BuildError> {
        match self.work.parameters.order {
            Order::Written => Ok(None),
            Order::Graph => Ok(self.arguments.epoch()?),
        }
    }

    /// The name of a step that only changes the configuration; the current texts have one blank more.
    ///
    /// # Errors
    /// [`BuildError`] outside of a stage.
    pub(super) fn metadata_name(&self, comment: &str) -> Result<Name, BuildError> {
        Ok(Name::of(match (self.work.parameters.order, self.work.parameters.wording) {
            (Order::Written, Wording::Reference) => self.no_operation(comment)?,
            (Order::Written, Wording::Today) => self.no_operation(&format!(" {comment}"))?,
            (Order::Graph, _) => vec![comment.to_owned()],
        }))
    }

    /// Commits a change of the configuration alone, unless an image of it is there.
    ///
    /// # Errors
    /// [`BuildError`] when the image cannot be made.
    pub(super) fn commit_metadata(&mut self, name: Name) -> Result<(), BuildError> {
        let Some(_turn) = self.probe(&name)? else { return Ok(()) };
        let container = self.step_container(&name.command)?;
        self.name_container(&container);
        self.commit(Change { name, container: &container, layer: None })
    }

    /// Makes an image and has the stage go on from it.
    ///
    /// # Errors
    /// [`BuildError`] when the image cannot be made.
    pub(super) fn commit(&mut self, change: Change<'_>) -> Result<(), BuildError> {
        let keys = self.layer_keys(&change.name)?;
        let diff_id = change.layer.as_ref().map(Layer::diff_id);
        let Name { command, history, .. } = change.name;
        let step = command.join(" ");
        let container_config = self.container_config(command)?;
        let epoch = self.epoch()?;
        let now = epoch.unwrap_or_else(Timestamp::now);
        let order = self.work.parameters.order;
        let (comment, container, engine_version) = match order {
            Order::Written => ("", change.container.to_string(), self.work.builder.engine_version.clone()),
            Order::Graph => (GRAPH_COMMENT, String::new(), String::new()),
        };
        let store = self.work.builder.store.clone();
        let stage = self.stage()?;
        let (empty_layer, platform) = (change.layer.is_none(), stage.platform());
        stage.layers.extend(change.layer);
        // The history of a graph does not repeat the image's author.
        let author = if order == Order::Written { stage.author.clone() } else { String::new() };
        stage.history.extend(history.map(|created_by| History {
            created: Some(now),
            author,
            created_by,
            comment: comment.to_owned(),
            empty_layer,
        }));
        if order == Order::Graph {
            stage.steps.push(Step { command: step, empty_layer });
        }
        let shown = match order {
            Order::Written => stage.config.clone(),
            Order::Graph => Config { image: String::new(), ..stage.config.clone() },
        };
        let hostname = match order {
            Order::Written => change.container.short().to_owned(),
            Order::Graph => String::new(),
        };
        let config = ImageConfig {
            architecture: platform.architecture,
            os: platform.os,
            variant: platform.variant,
            os_version: String::new(),
            author: stage.author.clone(),
            comment: String::new(),
            container,
            config: Some(shown),
            container_config: Some(Config { hostname, ..container_config }),
            created: Some(now),
            docker_version: engine_version,
            history: stage.history.clone(),
            steps: stage.steps.clone(),
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: stage.layers.iter().map(Layer::diff_id).collect(),
            },
        };
        let document = serde_json::to_vec(&config)?;
        let before = self.work.configurations.fetch_add(document.len(), Ordering::Relaxed);
        if before.saturating_add(document.len()) > CONFIGURATIONS_LIMIT {
            return Err(BuildError::TooMuchConfiguration(CONFIGURATIONS_LIMIT));
        }
        let origin = self.work.parameters.origin();
        let stage = self.stage()?;
        let new = NewImage {
            config: &document,
            layers: &stage.layers,
            parent: stage.image,
            legacy: None,
            origin,
            target: None,
        };
        let (image, held) = store.add_held(&new)?;
        if let Some(diff_id) = diff_id {
            self.work.builder.note_layer(&keys, diff_id, &self.scratch_path("note"));
        }
        let stage = self.stage()?;
        stage.recipe = Some(Recipe { document, parent: stage.image });
        stage.image = Some(image.id);
        stage.held = Some(held);
        stage.config.image = image.id.hexadecimal();
        Ok(())
    }
}
