//! Rules to classic BPF: first the architecture, then a balanced tree over ranges of call numbers.

use std::collections::BTreeMap;

use sys::execute::FilterInstruction;

use super::numbers::{Architecture, LAST, X32_BIT};
use super::{Action, Comparison, Condition, Rules};

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

/// What becomes of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decision {
    /// The first whose conditions all hold decides.
    cases: Vec<(Vec<Condition>, Action)>,
    otherwise: Action,
}

/// Compiles rules.
pub(super) fn compile(rules: &Rules) -> Program {
    let native = tree_of(rules, Architecture::X86_64);
    let x32 = tree_of(rules, Architecture::X32);
    let x86 = tree_of(rules, Architecture::X86);
    // x32 shares the architecture's value and differs by a bit of the number.
    let mut long = vec![load(NUMBER)];
    long.extend(choose(code::JUMP_IF_GREATER_OR_EQUAL, X32_BIT, x32, native));
    let mut short = vec![load(NUMBER)];
    short.extend(x86);
    let other = vec![give(Action::KILL_PROCESS)];
    let mut program = vec![load(ARCHITECTURE)];
    let not_long = choose(code::JUMP_IF_EQUAL, AUDIT_X86, short, other);
    program.extend(choose(code::JUMP_IF_EQUAL, AUDIT_X86_64, long, not_long));
    program
}

/// An architecture that the profile does not name has no calls at all.
fn tree_of(rules: &Rules, architecture: Architecture) -> Program {
    if !rules.architectures.contains(&architecture) {
        return vec![give(Action::KILL_PROCESS)];
    }
    let first = if architecture == Architecture::X32 { X32_BIT } else { 0 };
    let default = Decision { cases: Vec::new(), otherwise: rules.default };
    let mut starts: BTreeMap<u32, Decision> = BTreeMap::from([(first, default.clone())]);
    let decisions = decisions(rules, architecture);
    for (number, decision) in &decisions {
        starts.insert(*number, decision.clone());
        starts.entry(number + 1).or_insert_with(|| default.clone());
    }
    // A call that is newer than this list is answered as a kernel does that is older than the call.
    // x32's numbers end elsewhere: above 512 there are its own.
    let last = first + if architecture == Architecture::X32 { 548 } else { LAST };
    if rules.default.0 & 0xffff_0000 == Action::error(0).0 {
        let answer = Decision { cases: Vec::new(), otherwise: Action::NO_SUCH_CALL };
        starts.insert(last + 1, answer);
    }
    let mut ranges: Vec<(u32, Decision)> = Vec::new();
    for (start, decision) in starts {
        if ranges.last().is_none_or(|(_, last)| *last != decision) {
            ranges.push((start, decision));
        }
    }
    tree(&ranges)
}

fn decisions(rules: &Rules, architecture: Architecture) -> BTreeMap<u32, Decision> {
    let mut decisions: BTreeMap<u32, Decision> = BTreeMap::new();
    let mut is_final: BTreeMap<u32, bool> = BTreeMap::new();
    for rule in &rules.rules {
        for number in rule.names.iter().filter_map(|name| architecture.number(name)) {
            // Without conditions a rule decides alone, whatever stands beside it.
            if *is_final.entry(number).or_insert(false) {
                continue;
            }
            let decision = decisions
                .entry(number)
                .or_insert_with(|| Decision { cases: Vec::new(), otherwise: rules.default });
            if rule.conditions.is_empty() {
                *decision = Decision { cases: Vec::new(), otherwise: rule.action };
                is_final.insert(number, true);
            } else {
                decision.cases.push((rule.conditions.clone(), rule.action));
            }
        }
    }
    decisions
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
