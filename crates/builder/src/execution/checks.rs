//! Reports what build checks find before the first step runs.

use std::collections::BTreeSet;

use super::state::Work;
use crate::dockerfile::{CheckInputs, check_dockerfile};
use crate::error::BuildError;
use crate::event::BuildEvent;
use crate::ignore::IgnorePatterns;
use crate::request::CheckRequest;

impl Work<'_> {
    /// Checks a Dockerfile and sends the findings.
    ///
    /// # Errors
    /// [`BuildError::Checks`] when the Dockerfile makes findings fail the build.
    pub(super) fn report_checks(&self, text: &[u8], request: &CheckRequest) -> Result<(), BuildError> {
        let environment = |image: &str| {
            let image = self.builder.store.resolve(image).ok()?;
            Some(image.config.config.as_ref().and_then(|config| config.env.clone()).unwrap_or_default())
        };
        // Malformed patterns are refused where they are used.
        let ignored = IgnorePatterns::of(request.ignored.iter().map(String::as_str)).unwrap_or_default();
        let directive = request.arguments.get("BUILDKIT_DOCKERFILE_CHECK").cloned().flatten();
        let inputs = CheckInputs {
            arguments: request.arguments.clone(),
            ignored: Some(&ignored),
            environment: Some(&environment),
            directive,
        };
        let checked = check_dockerfile(text, &inputs)?;
        let rules: BTreeSet<_> = checked.warnings.iter().map(|warning| warning.rule.name()).collect();
        for warning in checked.warnings {
            self.session.events.send(BuildEvent::Warning(warning));
        }
        if checked.is_error && !rules.is_empty() {
            let rules: Vec<_> = rules.into_iter().collect();
            return Err(BuildError::Checks(rules.join(", ")));
        }
        Ok(())
    }
}
