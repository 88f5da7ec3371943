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

/// The most instructions that the kernel takes, `BPF_MAXINSNS` of linux/bpf_common.h.
const MOST_INSTRUCTIONS: usize = 4096;

/// An instruction of a program before all its parts have their places.
#[derive(Debug, Clone)]
enum Step {
    Do(FilterInstruction),
    /// Jumps to the tests of a call whose arguments decide.
    Test(Decision),
}

type Program = Vec<Step>;

/// A filter that is longer than the kernel takes.
#[derive(Debug, thiserror::Error)]
#[error("the seccomp profile needs {0} instructions, the kernel takes {MOST_INSTRUCTIONS}")]
pub(super) struct TooLong(usize);

/// The decisions of each architecture; one that is `None` has no calls at all.
#[derive(Debug)]
pub(super) struct Plan {
    /// The action for calls without a rule.
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
/// leaves: an action, or a jump to the tests of the arguments, which lie behind all trees
/// ```
///
/// The length grows by at most six instructions for each condition: a test that fails goes on with the next
/// case, and calls that are decided alike share their tests.
///
/// # Errors
/// When the kernel would not take the program for its length.
pub(super) fn compile(plan: &Plan) -> Result<Vec<FilterInstruction>, TooLong> {
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
    place_tests(program)
}

/// Puts the tests behind the trees, each once, and lets the leaves jump to them.
fn place_tests(program: Program) -> Result<Vec<FilterInstruction>, TooLong> {
    let trees = program.len();
    let mut placed: Vec<(Decision, usize)> = Vec::new();
    let mut tests: Vec<FilterInstruction> = Vec::new();
    let mut whole = Vec::with_capacity(trees);
    for (at, step) in program.into_iter().enumerate() {
        let decision = match step {
            Step::Do(instruction) => {
                whole.push(instruction);
                continue;
            }
            Step::Test(decision) => decision,
        };
        let known = placed.iter().find(|(known, _)| *known == decision).map(|(_, start)| *start);
        let start = known.unwrap_or_else(|| {
            let start = trees + tests.len();
            tests.extend(test_cases(&decision));
            placed.push((decision, start));
            start
        });
        whole.push(jump(start - at - 1));
    }
    whole.append(&mut tests);
    if whole.len() > MOST_INSTRUCTIONS { Err(TooLong(whole.len())) } else { Ok(whole) }
}

/// Cuts the bit off, decides about the numbers that only x32 has, and leaves the others.
fn x32(plan: &Plan) -> Program {
    let own = own_of_x32(&plan.native).ranges(X32_OWN_FIRST, &plan.beyond());
    let mut program = vec![Step::Do(statement(code::AND, !X32_BIT))];
    program.extend(skip_unless(code::JUMP_IF_GREATER_OR_EQUAL, X32_OWN_FIRST, tree(&own)));
    program
}

/// Goes through a program only if the comparison holds, else over it.
fn skip_unless(code: u16, value: u32, program: Program) -> Program {
    let first = FilterInstruction { code, jump_true: 1, jump_false: 0, operand: value };
    let mut whole = vec![Step::Do(first), Step::Do(jump(program.len()))];
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
        [(_, decision)] if decision.cases.is_empty() => vec![give(decision.otherwise)],
        [(_, decision)] => vec![Step::Test(decision.clone())],
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            choose(code::JUMP_IF_GREATER_OR_EQUAL, high[0].0, tree(high), tree(low))
        }
    }
}

/// Tests the cases in turn; the first whose conditions all hold decides.
fn test_cases(decision: &Decision) -> Vec<FilterInstruction> {
    let mut program = Vec::new();
    for (conditions, action) in &decision.cases {
        let mut case = vec![statement(code::RETURN, action.0)];
        for condition in conditions.iter().rev() {
            case = test(condition, case);
        }
        program.extend(case);
    }
    program.push(statement(code::RETURN, decision.otherwise.0));
    program
}

/// Goes through a program if a condition holds, else over it. An argument is compared in halves of 32 bits.
fn test(condition: &Condition, holds: Vec<FilterInstruction>) -> Vec<FilterInstruction> {
    // At most six conditions of six instructions each and an action: always within a conditional jump's reach.
    let over = |more: usize| u8::try_from(holds.len() + more).unwrap_or(u8::MAX);
    let low = ARGUMENTS + u32::from(condition.argument) * 8;
    let (value_high, value_low) = halves(condition.value);
    let branch =
        |code, operand, jump_true, jump_false| FilterInstruction { code, jump_true, jump_false, operand };
    let (equal, above, not_below) =
        (code::JUMP_IF_EQUAL, code::JUMP_IF_GREATER, code::JUMP_IF_GREATER_OR_EQUAL);
    let mut program = vec![load_word(low + 4)];
    match condition.comparison {
        Comparison::Equal => program.extend([
            branch(equal, value_high, 0, over(2)),
            load_word(low),
            branch(equal, value_low, 0, over(0)),
        ]),
        Comparison::NotEqual => program.extend([
            branch(equal, value_high, 0, 2),
            load_word(low),
            branch(equal, value_low, over(0), 0),
        ]),
        Comparison::MaskedEqual(mask) if halves(mask).0 == 0 && value_high == 0 => {
            program = vec![
                load_word(low),
                statement(code::AND, halves(mask).1),
                branch(equal, value_low, 0, over(0)),
            ];
        }
        Comparison::MaskedEqual(mask) => {
            let (mask_high, mask_low) = halves(mask);
            program.extend([
                statement(code::AND, mask_high),
                branch(equal, value_high, 0, over(3)),
                load_word(low),
                statement(code::AND, mask_low),
                branch(equal, value_low, 0, over(0)),
            ]);
        }
        Comparison::Greater | Comparison::GreaterOrEqual => {
            let of_low = if condition.comparison == Comparison::Greater { above } else { not_below };
            program.extend([
                branch(above, value_high, 3, 0),
                branch(equal, value_high, 0, over(2)),
                load_word(low),
                branch(of_low, value_low, 0, over(0)),
            ]);
        }
        Comparison::Less | Comparison::LessOrEqual => {
            let of_low = if condition.comparison == Comparison::Less { not_below } else { above };
            program.extend([
                branch(above, value_high, over(3), 0),
                branch(equal, value_high, 0, 2),
                load_word(low),
                branch(of_low, value_low, over(0), 0),
            ]);
        }
    }
    program.extend(holds);
    program
}

/// Continues with `holds` if the comparison holds, else with `fails`. A conditional jump reaches 255
/// instructions; an unconditional one carries it further.
fn choose(code: u16, value: u32, holds: Program, fails: Program) -> Program {
    let mut program = Vec::with_capacity(holds.len() + fails.len() + 2);
    let (jump_true, jump_false, far) = match u8::try_from(fails.len()) {
        Ok(distance) => (distance, 0, None),
        Err(_) => (0, 1, Some(jump(fails.len()))),
    };
    program.push(Step::Do(FilterInstruction { code, jump_true, jump_false, operand: value }));
    program.extend(far.map(Step::Do));
    program.extend(fails);
    program.extend(holds);
    program
}

/// Goes over as many instructions. Programs that are too long for the operand are refused for their length.
fn jump(over: usize) -> FilterInstruction {
    statement(code::JUMP, u32::try_from(over).unwrap_or(u32::MAX))
}

const fn halves(value: u64) -> (u32, u32) {
    let bytes = value.to_be_bytes();
    (
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    )
}

const fn load(offset: u32) -> Step {
    Step::Do(load_word(offset))
}

const fn load_word(offset: u32) -> FilterInstruction {
    statement(code::LOAD, offset)
}

const fn give(action: Action) -> Step {
    Step::Do(statement(code::RETURN, action.0))
}

const fn statement(code: u16, operand: u32) -> FilterInstruction {
    FilterInstruction { code, jump_true: 0, jump_false: 0, operand }
}

#[cfg(test)]
mod tests;
