//! Steps that tests can make fail: `BERTH_FAULT` names one, and every start fails there. A step of
//! the network (`network::Step`) fails once; for those of the database see `store::Faults`.

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

/// The database's faults.
pub(crate) fn of_database() -> crate::store::Faults {
    STEP.as_deref().map(crate::store::Faults::parse).unwrap_or_default()
}

/// The network's faults: the step that is to fail, if it is one of the network's.
pub(crate) fn of_network() -> network::Faults {
    let faults = network::Faults::default();
    let is_wanted = |step: &network::Step| STEP.as_deref() == Some(&format!("{step:?}"));
    if let Some(step) = network::Step::ALL.into_iter().find(is_wanted) {
        faults.fail_once(step);
    }
    faults
}
