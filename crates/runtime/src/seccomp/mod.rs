//! The filter of system calls: Docker's default profile, or one in Docker's JSON form, compiled to
//! a balanced tree of comparisons.

mod calls;
mod compile;
mod default_profile;
mod numbers;
mod profile;
mod rules;

use std::io;

use model::SeccompPolicy;
use sys::execute::{FilterFlags, FilterInstruction};

use crate::capabilities::Mask;
use crate::{FailureKind, StartError};
use compile::Plan;
use numbers::Architecture;
use rules::{Action, Comparison, Condition, Rule, Rules};

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    instructions: Vec<FilterInstruction>,
    flags: FilterFlags,
}

impl Filter {
    /// Installs it for the caller.
    pub(crate) fn install(&self) -> io::Result<()> {
        sys::execute::install_filter(&self.instructions, self.flags)
    }
}

/// The filter that a policy means for a process with these capabilities.
pub(crate) fn filter(policy: &SeccompPolicy, capabilities: Mask) -> Result<Option<Filter>, StartError> {
    let (plan, flags) = match policy {
        SeccompPolicy::Unconfined => return Ok(None),
        SeccompPolicy::Default => (plan_of_default(capabilities), FilterFlags::default()),
        SeccompPolicy::Profile(json) => {
            let rules = profile::parse(json, capabilities)
                .map_err(|error| StartError::words(FailureKind::System, error.to_string()))?;
            (plan_of(&rules), rules.flags)
        }
    };
    let instructions =
        compile::compile(&plan).map_err(|error| StartError::words(FailureKind::System, error.to_string()))?;
    Ok(Some(Filter { instructions, flags }))
}

fn plan_of_default(capabilities: Mask) -> Plan {
    Plan {
        default: default_profile::DENIED,
        native: default_profile::calls(capabilities, Architecture::X86_64),
        x86: Some(default_profile::calls(capabilities, Architecture::X86)),
        has_x32: true,
    }
}

fn plan_of(rules: &Rules) -> Plan {
    let has = |architecture| rules.architectures.contains(&architecture);
    Plan {
        default: rules.default,
        native: calls::by_rules(rules, Architecture::X86_64),
        x86: has(Architecture::X86).then(|| calls::by_rules(rules, Architecture::X86)),
        has_x32: has(Architecture::X32),
    }
}
