//! The filter of a container's further processes: all of them have its profile, and mostly the same capabilities, so that it
//! is compiled before the first of them and no more.

use std::cell::OnceCell;

use model::{ContainerSpec, ProcessSpec, SeccompPolicy};

use crate::StartError;
use crate::capabilities::{self, Mask};
use crate::seccomp::{self, Filter};

/// The compiled profile for one set of capabilities; empty before the first process.
#[derive(Debug, Default)]
pub(super) struct KnownFilter(OnceCell<(Mask, Option<Filter>)>);

impl KnownFilter {
    /// Compiles it for processes like this one, unless it is. What fails is reported by the process that needs it.
    pub(super) fn prepare(&self, spec: &ContainerSpec, process: &ProcessSpec) {
        // A process that enters a user namespace may pass on other capabilities than the caller.
        if self.0.get().is_some() || spec.user_namespace.is_some() {
            return;
        }
        let Ok(capabilities) = capabilities::mask(&process.capabilities) else { return };
        let capabilities = capabilities & capabilities::bounding_set();
        if let Ok(filter) = seccomp::filter(&spec.seccomp, capabilities) {
            let _ = self.0.set((capabilities, filter));
        }
    }

    /// The filter of a process with these capabilities.
    ///
    /// # Errors
    /// A profile that cannot be compiled.
    pub(super) fn of(
        &self,
        policy: &SeccompPolicy,
        capabilities: Mask,
    ) -> Result<Option<Filter>, StartError> {
        match self.0.get() {
            Some((known, filter)) if *known == capabilities => Ok(filter.clone()),
            _ => seccomp::filter(policy, capabilities),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_what_is_compiled_and_of_its_capabilities_alone() {
        let known = KnownFilter::default();
        let compiled = |mask| seccomp::filter(&SeccompPolicy::Default, mask).expect("a filter");
        let (few, all) = (0, capabilities::SYS_ADMIN);
        known.0.set((few, compiled(few))).expect("the first");
        assert_eq!(known.of(&SeccompPolicy::Default, few).expect("a filter"), compiled(few));
        assert_eq!(known.of(&SeccompPolicy::Default, all).expect("a filter"), compiled(all));
        assert_ne!(compiled(few), compiled(all));
    }
}
