//! The parts of a filter: calls, the conditions on their arguments, and their actions.

use sys::execute::FilterFlags;

use super::numbers::Architecture;

/// The action for a call: the value that a filter returns, `SECCOMP_RET_*` of linux/seccomp.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Action(pub(super) u32);

impl Action {
    pub(super) const KILL_PROCESS: Self = Self(0x8000_0000);
    pub(super) const KILL_THREAD: Self = Self(0);
    pub(super) const TRAP: Self = Self(0x0003_0000);
    pub(super) const LOG: Self = Self(0x7ffc_0000);
    pub(super) const ALLOW: Self = Self(0x7fff_0000);
    pub(super) const NO_SUCH_CALL: Self = Self::error(38);

    pub(super) const fn error(number: u16) -> Self {
        Self(0x0005_0000 | number as u32)
    }

    pub(super) const fn trace(number: u16) -> Self {
        Self(0x7ff0_0000 | number as u32)
    }
}

/// Calls by name and what happens to them under conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) names: Vec<String>,
    pub(super) action: Action,
    /// All must hold.
    pub(super) conditions: Vec<Condition>,
}

/// A comparison of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Condition {
    /// 0 to 5.
    pub(super) argument: u8,
    pub(super) comparison: Comparison,
    pub(super) value: u64,
}

/// How an argument is compared with the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
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
pub(super) struct Rules {
    pub(super) default: Action,
    pub(super) architectures: Vec<Architecture>,
    pub(super) rules: Vec<Rule>,
    pub(super) flags: FilterFlags,
}
