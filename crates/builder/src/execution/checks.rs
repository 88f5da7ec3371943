//! Reports what build checks find before the first step runs.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::state::Work;
use crate::dockerfile::{CheckInputs, check_dockerfile};
use crate::error::BuildError;
use crate::event::BuildEvent;
use crate::ignore::IgnorePatterns;
use crate::request::CheckRequest;

impl Work<'_> {
    /// Checks a Dockerfile, of which these stages are built, and sends the findings.
    ///
    /// # Errors
    /// [`BuildError::Checks`] when the Dockerfile makes findings fail the build.
    pub(super) fn report_checks(
        &self,
        text: &[u8],
        request: &CheckRequest,
        stages: &BTreeSet<usize>,
    ) -> Result<(), BuildError> {
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
            stages: Some(stages.clone()),
            target: None,
        };
        let checked = check_dockerfile(text, &inputs)?;
        self.reports_platforms.store(checked.reports_platforms, Ordering::Relaxed);
        let violated = checked.violated();
        for warning in checked.warnings {
            self.session.events.send(BuildEvent::Warning(warning));
        }
        violated.map_or(Ok(()), |rules| Err(BuildError::Checks(rules)))
    }
}
