//! ARG: declares arguments, and selects those that a RUN step sees.

use super::state::Build;
use crate::dockerfile::{Argument, Variables};
use crate::error::BuildError;
use crate::order::Order;

impl Build<'_> {
    /// Declares arguments: for the stage, or for the FROMs when it comes before them.
    ///
    /// # Errors
    /// [`BuildError`] when a default cannot be expanded, or the step cannot be committed.
    pub(super) fn declare(&mut self, arguments: &[Argument]) -> Result<(), BuildError> {
        if self.stage.is_none() {
            return Ok(self.arguments.declare_global(arguments, self.work.escape)?);
        }
        let order = self.work.parameters.order;
        let mut written = Vec::new();
        for argument in arguments {
            let default = argument.default.as_deref().map(|word| self.expand(word)).transpose()?;
            let value = self.arguments.value(&argument.name, default.clone());
            let shown = if order == Order::Graph { &value } else { &default };
            written.push(match shown {
                Some(shown) => format!("{}={shown}", argument.name),
                None => argument.name.clone(),
            });
            self.stage()?.declare(&argument.name, value);
        }
        let name = self.metadata_name(&format!("ARG {}", written.join(" ")))?;
        self.commit_metadata(name)
    }

    /// The arguments that a RUN step sees as variables.
    ///
    /// # Errors
    /// [`BuildError`] outside of a stage.
    pub(super) fn run_arguments(&self) -> Result<RunArguments, BuildError> {
        let stage = self.stage_ref()?;
        let pair = |(name, value): (&str, &str)| format!("{name}={value}");
        let visible: Vec<String> = stage.visible_arguments().map(pair).collect();
        let order = self.work.parameters.order;
        let is_free = |name: &str| stage.environment(name).is_none() && !stage.arguments.contains_key(name);
        let predefined = self.arguments.predefined(order);
        let predefined = predefined.filter(|(name, _)| is_free(name)).map(pair).collect();
        let shown = match order {
            Order::Written => visible.clone(),
            Order::Graph => {
                let variables = stage.variables();
                let value = |name: &String| variables.value(name).unwrap_or_default().to_owned();
                stage.declared.iter().map(|name| format!("{name}={}", value(name))).collect()
            }
        };
        Ok(RunArguments { visible, predefined, shown })
    }
}

/// The arguments of a RUN step: `name=value`.
pub(super) struct RunArguments {
    /// Those of ARG, which the cache key has.
    pub(super) visible: Vec<String>,
    /// Those that need no ARG, which it has not.
    pub(super) predefined: Vec<String>,
    /// The history's words.
    pub(super) shown: Vec<String>,
}
