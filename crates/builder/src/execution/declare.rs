//! ARG: declares arguments, and selects those that a RUN step sees.

use super::state::Build;
use crate::dockerfile::Argument;
use crate::error::BuildError;

impl Build<'_> {
    /// Declares arguments: for the stage, or for the FROMs when it comes before them.
    ///
    /// # Errors
    /// [`BuildError`] when a default cannot be expanded, or the step cannot be committed.
    pub(super) fn declare(&mut self, arguments: &[Argument]) -> Result<(), BuildError> {
        if self.stage.is_none() {
            return Ok(self.arguments.declare_global(arguments, self.work.escape)?);
        }
        let mut written = Vec::new();
        for argument in arguments {
            let default = argument.default.as_deref().map(|word| self.expand(word)).transpose()?;
            written.push(match &default {
                Some(default) => format!("{}={default}", argument.name),
                None => argument.name.clone(),
            });
            let value = self.arguments.value(&argument.name, default);
            self.stage()?.arguments.insert(argument.name.clone(), value);
        }
        self.commit_metadata(&format!("ARG {}", written.join(" ")))
    }

    /// The arguments that a RUN step sees as variables: `name=value`, those that the cache key has
    /// and those that it has not.
    ///
    /// # Errors
    /// [`BuildError`] outside of a stage.
    pub(super) fn run_arguments(&self) -> Result<(Vec<String>, Vec<String>), BuildError> {
        let stage = self.stage_ref()?;
        let unset = |name: &str| stage.environment(name).is_none();
        let declared = stage.arguments.iter().filter(|(name, _)| unset(name));
        let declared: Vec<String> =
            declared.filter_map(|(name, value)| Some(format!("{name}={}", value.as_deref()?))).collect();
        let predefined = self.arguments.predefined();
        let predefined = predefined
            .filter(|(name, _)| unset(name) && !stage.arguments.contains_key(*name))
            .map(|(name, value)| format!("{name}={value}"));
        Ok((declared, predefined.collect()))
    }
}
