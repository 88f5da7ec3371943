//! Reports what build checks find before the first step runs.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use images::Store;

use super::state::Work;
use crate::dockerfile::{CheckInputs, check_dockerfile};
use crate::error::BuildError;
use crate::event::BuildEvent;
use crate::ignore::IgnorePatterns;
use crate::request::CheckRequest;

/// The environment of an image in the store, by its name.
#[must_use]
pub fn environment_of(store: &Store, image: &str) -> Option<Vec<String>> {
    let image = store.resolve(image).ok()?;
    Some(image.config.config.as_ref().and_then(|config| config.env.clone()).unwrap_or_default())
}

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
        let environment = |image: &str| environment_of(&self.builder.store, image);
        // Malformed patterns are refused where they are used.
        let ignored = IgnorePatterns::of(request.ignored.iter().map(String::as_str)).unwrap_or_default();
        let inputs = CheckInputs {
            arguments: request.arguments.clone(),
            ignored: Some(&ignored),
            environment: Some(&environment),
            stages: Some(stages),
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
