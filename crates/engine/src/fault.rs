//! Steps that tests can make fail: `BERTH_FAULT` names one, and every start fails there.

use std::sync::LazyLock;

use crate::error::Error;

/// The variable of the daemon's environment that names a step.
const VARIABLE: &str = "BERTH_FAULT";

static STEP: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());

/// Fails if this is the step that is to fail.
pub(crate) fn check(step: &str) -> Result<(), Error> {
    match STEP.as_deref() {
        Some(wanted) if wanted == step => Err(Error::refused(format!("fault injected at {step}"))),
        _ => Ok(()),
    }
}
