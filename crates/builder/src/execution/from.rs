//! FROM: the image that a stage begins with, and the triggers that it carries.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use images::Image;
use images::registry::{Message, Platform};
use model::{Digest, ErrorKind, ImageReference};

use super::contexts::ContextPaths;
use super::earlier::FinishedStage;
use super::judging::AdmittedImage;
use super::output::stderr_piece;
use super::plan::count_shown;
use super::reads::context_paths;
use super::stage::Stage;
use super::state::{Build, Work};
use crate::dockerfile::{
    self, CheckWarning, DockerfileError, INSTRUCTION_LIMIT, Instruction, Rule, may_be_stage, parse_trigger,
};
use crate::error::BuildError;
use crate::event::{BuildEvent, MaterialContent};
use crate::order::Order;
use crate::request::NamedContext;
use crate::wording::Wording;

/// How often an image is looked up that others remove meanwhile.
const ATTEMPTS: u32 = 10;

impl Build<'_> {
    /// Begins a stage and returns the triggers of its image, which are to be run next. `lines` are those of FROM.
    ///
    /// # Errors
    /// [`BuildError`] when the image does not exist.
    pub(super) fn from(
        &mut self,
        image: &str,
        platform: Option<&str>,
        name: Option<String>,
        lines: Option<(usize, usize)>,
    ) -> Result<Vec<String>, BuildError> {
        let written = image;
        let image = dockerfile::expand(image, self.work.escape, &self.arguments.global())?;
        if image.is_empty() && self.work.parameters.order == Order::Graph {
            return Err(DockerfileError::BlankBase(written.to_owned()).into());
        }
        let platform = self.platform(platform)?;
        let (order, wording) = (self.work.parameters.order, self.work.parameters.wording);
        if image == "scratch" {
            let stage = Stage { wording, ..Stage::scratch(name, platform, order) };
            self.stage = Some(if self.work.parameters.bare_stages { stage.without_config() } else { stage });
            return Ok(Vec::new());
        }
        let pull = self.work.parameters.pull;
        let mut below = None;
        let store = &self.work.builder.store;
        let (image, mut stage) = match self.work.contexts.source(&image, platform.as_ref()) {
            Some(NamedContext::Image(other)) => self.stage_from(other, name, platform.as_ref(), pull)?,
            Some(NamedContext::Held(id)) => {
                let image = checked(&image, store.image(id)?, platform.as_ref())?;
                let stage = Stage::from_image(name, &image, store, order)?;
                (image, stage)
            }
            Some(NamedContext::Remote(_) | NamedContext::Provided) => {
                return Err(BuildError::ContextIsNoImage(image));
            }
            None => match self.stage_of(&image)? {
                Some(found) => {
                    let image = store.image(&found.stage.image.ok_or(BuildError::NoImage)?)?;
                    below = Some(found);
                    let stage = Stage::from_image(name, &image, store, order)?;
                    (image, stage)
                }
                None => self.stage_from(&image, name, platform.as_ref(), pull)?,
            },
        };
        stage.wording = wording;
        if let (Some(below), Order::Graph) = (below, order) {
            stage.inherit_arguments(&below.stage);
        }
        if self.work.parameters.bare_stages {
            self.stage = Some(stage.without_config());
            return Ok(Vec::new());
        }
        if let (Some(wanted), Order::Graph) = (unmet(&image, platform.as_ref()), order) {
            self.warn_of_platform(written, &image, wanted, lines);
            // The result is for what is wanted, whatever its base is for.
            stage.platform = Some(wanted.clone());
        }
        self.stage = Some(stage);
        let config = image.config.config.as_ref();
        Ok(config.and_then(|config| config.on_build.clone()).unwrap_or_default())
    }

    /// Reports that an image is not for the platform that is wanted.
    fn warn_of_platform(&self, image: &str, found: &Image, wanted: &Platform, lines: Option<(usize, usize)>) {
        if let (true, Some(lines)) = (self.work.reports_platforms.load(Ordering::Relaxed), lines) {
            let actual = Platform::of(&found.config);
            let message = format!(
                "Base image {image} was pulled with platform \"{actual}\", expected \"{wanted}\" for current build"
            );
            let warning = CheckWarning { rule: Rule::InvalidBaseImagePlatform, message, lines };
            self.work.session.events.send(BuildEvent::Warning(warning));
        }
    }

    /// Begins a stage with an image that is here or pulled.
    fn stage_from(
        &self,
        image: &str,
        name: Option<String>,
        platform: Option<&Platform>,
        pull: bool,
    ) -> Result<(Image, Stage), BuildError> {
        let (store, order) = (&self.work.builder.store, self.work.parameters.order);
        self.take_image(image, platform, pull, |image| Stage::from_image(name.clone(), image, store, order))
    }

    /// Finds an image, pulling it when it is not there, and holds what is needed of it; once more when it was removed
    /// in between.
    ///
    /// # Errors
    /// [`BuildError`] when it is not found.
    pub(super) fn take_image<T>(
        &self,
        name: &str,
        platform: Option<&Platform>,
        pull: bool,
        take: impl Fn(&Image) -> Result<T, BuildError>,
    ) -> Result<(Image, T), BuildError> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let found = self.find_image(name, platform, pull);
            let taken = found.and_then(|image| take(&image).map(|taken| (image, taken)));
            match taken {
                Err(BuildError::Images(images::Error::NoSuchImage(_))) if attempts < ATTEMPTS => {
                    self.check_cancelled()?;
                }
                taken => return taken,
            }
        }
    }

    /// The platform that FROM names, else that of the request; none where neither has one.
    fn platform(&self, written: Option<&str>) -> Result<Option<Platform>, BuildError> {
        let Some(written) = written else { return Ok(self.work.parameters.platform.clone()) };
        let text = dockerfile::expand(written, self.work.escape, &self.arguments.global())?;
        if text.is_empty() {
            return Ok(self.work.parameters.platform.clone());
        }
        Ok(Some(text.parse().map_err(DockerfileError::from)?))
    }

    /// The earlier stage of this name.
    fn stage_of(&self, name: &str) -> Result<Option<Arc<FinishedStage>>, BuildError> {
        if !may_be_stage(name, self.work.parameters.order) {
            return Ok(None);
        }
        self.earlier.named(name).map_or(Ok(None), |number| self.earlier.finished(number))
    }

    /// Finds an image by name or id, pulling it when it is not there.
    ///
    /// # Errors
    /// [`BuildError`] when it is not found.
    fn find_image(
        &self,
        name: &str,
        platform: Option<&Platform>,
        always_pull: bool,
    ) -> Result<Image, BuildError> {
        let look_up = |name: &str| self.look_up_image(name, platform, always_pull);
        let AdmittedImage { name, image } = self.admit_image(name, platform, &look_up)?;
        let image = image.map_or_else(|| look_up(&name), Ok)?;
        // An id is no address.
        let reference = ImageReference::parse(&name).ok().filter(|_| Digest::parse(&name).is_err());
        if let Some(reference) = reference {
            let reference = reference.with_default_tag();
            let target = self.work.builder.store.target_called(&reference.to_string(), &image.id);
            let digest = target.map_or(image.id, |target| target.digest);
            let address = images::package_address(&reference, Some(&Platform::of(&image.config)));
            self.report_material(&address, MaterialContent::Digest(digest));
        }
        Ok(image)
    }

    fn look_up_image(
        &self,
        name: &str,
        platform: Option<&Platform>,
        always_pull: bool,
    ) -> Result<Image, BuildError> {
        let checked = |image| checked(name, image, platform);
        let local = self.find_local(name, platform)?;
        let reference = ImageReference::parse(name).map(ImageReference::with_default_tag);
        let mut local_of_other = None;
        match (local, &reference) {
            // An id names what is here; there is nothing to pull.
            (Some(image), Err(_)) => return checked(image),
            (Some(image), Ok(reference)) => {
                let named =
                    reference.digest.is_some() || self.work.builder.store.is_tagged(&image.id, reference);
                if !(always_pull && named) && unmet(&image, platform).is_none() {
                    return Ok(image);
                }
                local_of_other = unmet(&image, platform).map(|_| image);
            }
            (None, _) => {}
        }
        let is_enough = self.work.parameters.order == Order::Graph && !always_pull;
        let other = local_of_other.filter(|_| is_enough);
        let reference = reference.map_err(dockerfile::DockerfileError::from)?;
        let progress = |message: Message| self.send_progress(message);
        let session = &self.work.session;
        match (session.puller.pull(&reference, platform, &progress, session.cancellation), other) {
            (Ok(pulled), _) => checked(self.work.builder.store.image(&pulled)?),
            // What is here for another platform is better than nothing, and is reported. A registry that does not answer may
            // well have what is wanted.
            (Err(error), Some(image)) if error.kind == ErrorKind::NotFound => Ok(image),
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Finds an image that is here by an id of it, whole or short: no registry has it under that.
    ///
    /// # Errors
    /// [`BuildError`] when several ids begin so, or it is for another platform.
    pub(super) fn find_by_id(
        &self,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<Option<Image>, BuildError> {
        let digits = name.strip_prefix("sha256:").unwrap_or(name);
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let Some(image) = self.find_local(name, platform)? else { return Ok(None) };
        let is_name = ImageReference::parse(name).is_ok_and(|reference| {
            reference.digest.is_none() && self.work.builder.store.is_tagged(&image.id, &reference)
        });
        if is_name { Ok(None) } else { checked(name, image, platform).map(Some) }
    }

    fn find_local(&self, name: &str, platform: Option<&Platform>) -> Result<Option<Image>, BuildError> {
        match self.work.builder.store.resolve(name) {
            Ok(image) => self.for_platform(name, image, platform).map(Some),
            Err(images::Error::NoSuchImage(_)) => Ok(None),
            Err(error) => Err(error.as_lookup().into()),
        }
    }

    /// Of the images that came under the same index the one for a platform, where there is one.
    fn for_platform(
        &self,
        name: &str,
        image: Image,
        platform: Option<&Platform>,
    ) -> Result<Image, BuildError> {
        match self.work.builder.store.resolve_for(name, platform) {
            Err(images::Error::NoPlatform { .. }) => Ok(image),
            found => Ok(found.map_err(images::Error::as_lookup)?),
        }
    }

    /// Runs the triggers of the stage's image, each as a step of its own.
    ///
    /// # Errors
    /// [`BuildError`] when one is no instruction, or fails.
    pub(super) fn run_triggers(&mut self, triggers: &[String]) -> Result<(), BuildError> {
        if triggers.is_empty() {
            return Ok(());
        }
        let parsed = parse_triggers(triggers)?;
        let wording = self.work.parameters.wording;
        let announced = wording.triggers(triggers.len());
        self.remark(if wording == Wording::Today { announced } else { stderr_piece(&announced) });
        let own = self.with_paths_of(&parsed);
        for (number, (text, trigger)) in triggers.iter().zip(&parsed).enumerate() {
            self.check_cancelled()?;
            if wording == Wording::Reference {
                self.stream(format!("Trigger {number}, {text}\n"));
                self.stream(wording.step(0, 1, trigger));
            }
            self.dispatch(&trigger.command)?;
        }
        self.context_paths = own;
        Ok(())
    }

    /// Adds what triggers read of the main context, which no instruction of the file has named; returns what there was.
    pub(super) fn with_paths_of(&mut self, triggers: &[Instruction]) -> ContextPaths {
        let commands = triggers.iter().map(|trigger| &trigger.command);
        let paths = self.context_paths.with(&context_paths(commands, self.work.escape));
        std::mem::replace(&mut self.context_paths, paths)
    }
}

/// Parses the triggers of an image.
///
/// # Errors
/// [`DockerfileError`] when there are too many, or one is no instruction.
pub(super) fn parse_triggers(triggers: &[String]) -> Result<Vec<Instruction>, DockerfileError> {
    if triggers.len() > INSTRUCTION_LIMIT {
        return Err(DockerfileError::TooManyInstructions);
    }
    triggers.iter().map(|trigger| parse_trigger(trigger)).collect()
}

impl Work<'_> {
    /// How many triggers of an image that is here clients will see as steps.
    pub(super) fn triggers_of(&self, name: &str) -> usize {
        let image = self.builder.store.resolve_for(name, self.parameters.platform.as_ref());
        let config = image.ok().and_then(|image| image.config.config);
        count_shown(config.and_then(|config| config.on_build).unwrap_or_default().iter().map(String::as_str))
    }
}

/// The platform that an image should be for and is not.
fn unmet<'a>(image: &Image, platform: Option<&'a Platform>) -> Option<&'a Platform> {
    platform.filter(|wanted| !Platform::of(&image.config).is(wanted))
}

/// Refuses an image that is for another platform.
fn checked(name: &str, image: Image, platform: Option<&Platform>) -> Result<Image, BuildError> {
    let Some(wanted) = unmet(&image, platform) else { return Ok(image) };
    let (wanted, actual) = (wanted.clone().into(), Platform::of(&image.config).into());
    Err(BuildError::Platform { image: name.to_owned(), wanted, actual })
}
