//! The filter of system calls: Docker's default profile, or one in Docker's JSON form, compiled to
//! a balanced tree of comparisons.

mod calls;
mod compile;
mod default_profile;
mod numbers;
mod profile;

use std::io;

use model::SeccompPolicy;
use sys::execute::{FilterFlags, FilterInstruction};

use crate::capabilities::Mask;
use crate::{FailureKind, StartError};
use compile::Plan;
use numbers::Architecture;

/// A compiled filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    instructions: Vec<FilterInstruction>,
    flags: FilterFlags,
}

/// What happens to a call: the value that a filter returns, `SECCOMP_RET_*` of linux/seccomp.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action(u32);

impl Action {
    const KILL_PROCESS: Self = Self(0x8000_0000);
    const KILL_THREAD: Self = Self(0);
    const TRAP: Self = Self(0x0003_0000);
    const LOG: Self = Self(0x7ffc_0000);
    const ALLOW: Self = Self(0x7fff_0000);
    const NO_SUCH_CALL: Self = Self::error(38);

    const fn error(number: u16) -> Self {
        Self(0x0005_0000 | number as u32)
    }

    const fn trace(number: u16) -> Self {
        Self(0x7ff0_0000 | number as u32)
    }
}

/// Calls by name and what happens to them under conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    names: Vec<String>,
    action: Action,
    /// All must hold.
    conditions: Vec<Condition>,
}

/// A comparison of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Condition {
    /// 0 to 5.
    argument: u8,
    comparison: Comparison,
    value: u64,
}

/// How an argument is compared with the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// Equal in the bits of the mask.
    MaskedEqual(u64),
}

/// Everything a filter is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules {
    default: Action,
    architectures: Vec<Architecture>,
    rules: Vec<Rule>,
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
