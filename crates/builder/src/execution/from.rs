//! FROM: the image that a stage begins with, and the triggers that it carries.

use images::Image;
use images::registry::Message;
use model::ImageReference;

use super::output::stderr_piece;
use super::stage::Stage;
use super::state::Build;
use crate::dockerfile::{self, DockerfileError, INSTRUCTION_LIMIT, parse_trigger};
use crate::error::BuildError;
use crate::event::BuildEvent;

impl Build<'_> {
    /// Begins a stage.
    ///
    /// # Errors
    /// [`BuildError`] when there is no such image, or a trigger of it fails.
    pub(super) fn from(&mut self, image: &str, name: Option<String>) -> Result<(), BuildError> {
        let image = dockerfile::expand(image, self.escape, &self.arguments.global())?;
        if image == "scratch" {
            self.stage = Some(Stage::scratch(name));
            return Ok(());
        }
        let image = match self.stage_image(&image)? {
            Some(image) => image,
            None => self.find_image(&image, self.parameters.pull)?,
        };
        let stage = Stage::from_image(name, &image, &self.builder.store)?;
        self.stage = Some(stage);
        let config = image.config.config.as_ref();
        let triggers = config.and_then(|config| config.on_build.clone()).unwrap_or_default();
        self.run_triggers(&triggers)
    }

    /// The image of an earlier stage of this name.
    fn stage_image(&self, name: &str) -> Result<Option<Image>, BuildError> {
        let named =
            |known: &Option<String>| known.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name));
        let Some(found) = self.stages.iter().rev().find(|stage| named(&stage.name)) else { return Ok(None) };
        let image = found.stage.image.ok_or(BuildError::NoImage)?;
        Ok(Some(self.builder.store.image(&image)?))
    }

    /// Finds an image by name or id, pulling it when it is not there.
    ///
    /// # Errors
    /// [`BuildError`] when it is nowhere.
    pub(super) fn find_image(&self, name: &str, always_pull: bool) -> Result<Image, BuildError> {
        let local = match self.builder.store.resolve(name) {
            Ok(image) => Some(image),
            Err(images::Error::NoSuchImage(_)) => None,
            Err(error) => return Err(error.as_lookup().into()),
        };
        let reference = ImageReference::parse(name).map(ImageReference::with_default_tag);
        match (local, &reference) {
            // An id names what is here; there is nothing to pull.
            (Some(image), Err(_)) => return Ok(image),
            (Some(image), Ok(reference)) => {
                let named = reference.digest.is_some()
                    || self.builder.store.tags_of(&image.id).contains(&reference.to_string());
                if !always_pull || !named {
                    return Ok(image);
                }
            }
            (None, _) => {}
        }
        let reference = reference.map_err(dockerfile::DockerfileError::from)?;
        let events = self.session.events;
        let progress = move |message: Message| events.send(BuildEvent::Progress(message));
        let pulled = self.session.puller.pull(&reference, &progress, self.session.cancellation)?;
        Ok(self.builder.store.image(&pulled)?)
    }

    /// Runs the triggers of the stage's image, each as a step of its own.
    fn run_triggers(&mut self, triggers: &[String]) -> Result<(), BuildError> {
        if triggers.is_empty() {
            return Ok(());
        }
        if triggers.len() > INSTRUCTION_LIMIT {
            return Err(DockerfileError::TooManyInstructions.into());
        }
        let parsed = triggers.iter().map(|trigger| parse_trigger(trigger)).collect::<Result<Vec<_>, _>>()?;
        self.say(stderr_piece(&format!("# Executing {} build triggers\n", triggers.len())));
        for (number, (text, trigger)) in triggers.iter().zip(&parsed).enumerate() {
            self.check_cancelled()?;
            self.say(format!("Trigger {number}, {text}\n"));
            self.say(format!("Step 0 : {}\n", trigger.shown));
            self.dispatch(&trigger.command)?;
        }
        Ok(())
    }
}
