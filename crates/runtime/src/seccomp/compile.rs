//! Rules to classic BPF: first the architecture, then a balanced tree over ranges of call numbers.

use sys::execute::FilterInstruction;

use super::calls::{Calls, Decision, own_of_x32};
use super::numbers::{X32_BIT, X32_OWN_FIRST};
use super::{Action, Comparison, Condition};

/// Codes of linux/bpf_common.h put together.
mod code {
    pub(super) const LOAD: u16 = 0x20;
    pub(super) const AND: u16 = 0x54;
    pub(super) const JUMP: u16 = 0x05;
    pub(super) const JUMP_IF_EQUAL: u16 = 0x15;
    pub(super) const JUMP_IF_GREATER: u16 = 0x25;
    pub(super) const JUMP_IF_GREATER_OR_EQUAL: u16 = 0x35;
    pub(super) const RETURN: u16 = 0x06;
}

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// Values of linux/audit.h.
const AUDIT_X86_64: u32 = 0xc000_003e;
const AUDIT_X86: u32 = 0x4000_0003;

type Program = Vec<FilterInstruction>;

/// The decisions of each architecture; one that is `None` has no calls at all.
#[derive(Debug)]
pub(super) struct Plan {
    /// What happens to calls that nothing is said about.
    pub(super) default: Action,
    pub(super) native: Calls,
    pub(super) x86: Option<Calls>,
    pub(super) has_x32: bool,
}

/// Compiles a plan.
///
/// ```text
/// x86-64: bit 30 (x32)? ── no ──────────────────────→ tree
///             └─ yes ── 512 and above? ── no, cut ──→ tree, x32 has the same numbers
///                            └─ yes ── tree of its own
/// i386:   tree
/// ```
pub(super) fn compile(plan: &Plan) -> Program {
    let native = tree(&plan.native.ranges(0, &plan.beyond()));
    let x32 = if plan.has_x32 { x32(plan) } else { vec![give(Action::KILL_PROCESS)] };
    let mut long = vec![load(NUMBER)];
    // x32 lies in front of the native tree, because what it does not decide goes on there.
    long.extend(skip_unless(code::JUMP_IF_GREATER_OR_EQUAL, X32_BIT, x32));
    long.extend(native);
    let short = match &plan.x86 {
        Some(calls) => {
            let mut short = vec![load(NUMBER)];
            short.extend(tree(&calls.ranges(0, &plan.beyond())));
            short
        }
        None => vec![give(Action::KILL_PROCESS)],
    };
    let other = vec![give(Action::KILL_PROCESS)];
    let mut program = vec![load(ARCHITECTURE)];
    let not_long = choose(code::JUMP_IF_EQUAL, AUDIT_X86, short, other);
    program.extend(choose(code::JUMP_IF_EQUAL, AUDIT_X86_64, long, not_long));
    program
}

/// Cuts the bit off, decides about the numbers that only x32 has, and leaves the others.
fn x32(plan: &Plan) -> Program {
    let own = own_of_x32(&plan.native).ranges(X32_OWN_FIRST, &plan.beyond());
    let mut program = vec![statement(code::AND, !X32_BIT)];
    program.extend(skip_unless(code::JUMP_IF_GREATER_OR_EQUAL, X32_OWN_FIRST, tree(&own)));
    program
}

/// Goes through a program only if the comparison holds, else over it.
fn skip_unless(code: u16, value: u32, program: Program) -> Program {
    let length = u32::try_from(program.len()).unwrap_or(u32::MAX);
    let mut whole = vec![FilterInstruction { code, jump_true: 1, jump_false: 0, operand: value }];
    whole.push(statement(code::JUMP, length));
    whole.extend(program);
    whole
}

impl Plan {
    /// A call that is newer than the lists is answered as a kernel does that is older than the call.
    fn beyond(&self) -> Decision {
        let denies = self.default.0 & 0xffff_0000 == Action::error(0).0;
        Decision::always(if denies { Action::NO_SUCH_CALL } else { self.default })
    }
}

/// Halves the ranges until one is left.
fn tree(ranges: &[(u32, Decision)]) -> Program {
    match ranges {
        [] => vec![give(Action::KILL_PROCESS)],
        [(_, decision)] => leaf(decision),
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            choose(code::JUMP_IF_GREATER_OR_EQUAL, high[0].0, tree(high), tree(low))
        }
    }
}

/// Tests the cases in turn.
fn leaf(decision: &Decision) -> Program {
    let mut program = vec![give(decision.otherwise)];
    for (conditions, action) in decision.cases.iter().rev() {
        let mut case = vec![give(*action)];
        for condition in conditions.iter().rev() {
            case = test(condition, case, program.clone());
        }
        program = case;
    }
    program
}

/// Goes on with one program or another after comparing an argument's high and low halves.
fn test(condition: &Condition, holds: Program, fails: Program) -> Program {
    let low = ARGUMENTS + u32::from(condition.argument) * 8;
    let high = low + 4;
    let (value_high, value_low) = halves(condition.value);
    match condition.comparison {
        Comparison::Equal => equal(high, low, u64::MAX, condition.value, holds, fails),
        Comparison::NotEqual => equal(high, low, u64::MAX, condition.value, fails, holds),
        Comparison::MaskedEqual(mask) => equal(high, low, mask, condition.value, holds, fails),
        Comparison::Greater => {
            let code = code::JUMP_IF_GREATER;
            above(high, low, code, (value_high, value_low), holds, fails)
        }
        Comparison::GreaterOrEqual => {
            let code = code::JUMP_IF_GREATER_OR_EQUAL;
            above(high, low, code, (value_high, value_low), holds, fails)
        }
        Comparison::LessOrEqual => {
            let code = code::JUMP_IF_GREATER;
            above(high, low, code, (value_high, value_low), fails, holds)
        }
        Comparison::Less => {
            let code = code::JUMP_IF_GREATER_OR_EQUAL;
            above(high, low, code, (value_high, value_low), fails, holds)
        }
    }
}

fn equal(high: u32, low: u32, mask: u64, value: u64, same: Program, other: Program) -> Program {
    let (mask_high, mask_low) = halves(mask);
    let (value_high, value_low) = halves(value);
    let half = |offset: u32, mask: u32, value: u32, same: Program, other: Program| {
        let mut program = vec![load(offset)];
        if mask != u32::MAX {
            program.push(statement(code::AND, mask));
        }
        program.extend(choose(code::JUMP_IF_EQUAL, value, same, other));
        program
    };
    let lower = half(low, mask_low, value_low, same, other.clone());
    half(high, mask_high, value_high, lower, other)
}

/// Above by the high half, or by the low half where the high halves are the same.
fn above(
    high: u32,
    low: u32,
    low_code: u16,
    (value_high, value_low): (u32, u32),
    above: Program,
    below: Program,
) -> Program {
    let mut lower = vec![load(low)];
    lower.extend(choose(low_code, value_low, above.clone(), below.clone()));
    let same_or_below = choose(code::JUMP_IF_EQUAL, value_high, lower, below);
    let mut program = vec![load(high)];
    program.extend(choose(code::JUMP_IF_GREATER, value_high, above, same_or_below));
    program
}

/// Goes on with `holds` if the comparison holds, else with `fails`. A conditional jump reaches 255
/// instructions; an unconditional one carries it further.
fn choose(code: u16, value: u32, holds: Program, fails: Program) -> Program {
    let mut program = Vec::with_capacity(holds.len() + fails.len() + 2);
    match u8::try_from(fails.len()) {
        Ok(distance) => {
            program.push(FilterInstruction { code, jump_true: distance, jump_false: 0, operand: value })
        }
        Err(_) => {
            program.push(FilterInstruction { code, jump_true: 0, jump_false: 1, operand: value });
            // A filter has at most 4096 instructions.
            program.push(statement(code::JUMP, u32::try_from(fails.len()).unwrap_or(u32::MAX)));
        }
    }
    program.extend(fails);
    program.extend(holds);
    program
}

const fn halves(value: u64) -> (u32, u32) {
    let bytes = value.to_be_bytes();
    (
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    )
}

const fn load(offset: u32) -> FilterInstruction {
    statement(code::LOAD, offset)
}

const fn give(action: Action) -> FilterInstruction {
    statement(code::RETURN, action.0)
}

const fn statement(code: u16, operand: u32) -> FilterInstruction {
    FilterInstruction { code, jump_true: 0, jump_false: 0, operand }
}

#[cfg(test)]
mod tests;
