//! Steps that tests can make fail: `BERTH_FAULT` names one, and every start fails there. A step of
//! the network (`network::Step`) fails once. `BERTH_FAULT=named-in:PATH` lets the step fail that the file names, of
//! either kind, each time that it is written; `die-at:` before its name ends the daemon there. For those of the database see `store::Faults`.

use std::path::Path;
use std::sync::LazyLock;

use crate::error::Error;

/// The variable of the daemon's environment that names a step.
const VARIABLE: &str = "BERTH_FAULT";

static STEP: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(VARIABLE).ok());

/// The steps that a file names while the daemon runs.
static FILE: LazyLock<Option<network::Faults>> = LazyLock::new(|| {
    let file = STEP.as_deref()?.strip_prefix("named-in:")?;
    Some(network::Faults::named_in(Path::new(file)))
});

/// Fails if this is the step that is to fail.
pub(crate) fn check(step: &str) -> Result<(), Error> {
    let is_wanted =
        STEP.as_deref() == Some(step) || FILE.as_ref().is_some_and(|faults| faults.is_named(step));
    match is_wanted {
        true => Err(Error::refused(format!("fault injected at {step}"))),
        false => Ok(()),
    }
}

/// The database's faults.
pub(crate) fn of_database() -> crate::store::Faults {
    STEP.as_deref().map(crate::store::Faults::parse).unwrap_or_default()
}

/// The network's faults: the step that is to fail, if it is one of the network's.
pub(crate) fn of_network() -> network::Faults {
    if let Some(faults) = &*FILE {
        return faults.clone();
    }
    let faults = network::Faults::default();
    let is_wanted = |step: &network::Step| STEP.as_deref() == Some(&format!("{step:?}"));
    if let Some(step) = network::Step::ALL.into_iter().find(is_wanted) {
        faults.fail_once(step);
    }
    faults
}
