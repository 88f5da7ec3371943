//! Runs compiled filters in a small machine of the kernel's rules.

use super::*;
use proptest::prelude::*;

use crate::seccomp::numbers::Architecture;
use crate::seccomp::{Rule, Rules, plan_of, plan_of_default, profile};

/// One call as the filter sees it.
#[derive(Clone, Copy)]
struct Call {
    number: u32,
    architecture: u32,
    arguments: [u64; 6],
}

fn run(program: &[FilterInstruction], call: &Call) -> Action {
    let word = |offset: u32| match offset {
        NUMBER => call.number,
        ARCHITECTURE => call.architecture,
        _ => {
            let (high, low) = halves(call.arguments[((offset - ARGUMENTS) / 8) as usize]);
            if (offset - ARGUMENTS).is_multiple_of(8) { low } else { high }
        }
    };
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let instruction = program[at];
        let jump =
            |holds: bool| usize::from(if holds { instruction.jump_true } else { instruction.jump_false });
        at += 1;
        match instruction.code {
            code::LOAD => accumulator = word(instruction.operand),
            code::AND => accumulator &= instruction.operand,
            code::JUMP => at += instruction.operand as usize,
            code::JUMP_IF_EQUAL => at += jump(accumulator == instruction.operand),
            code::JUMP_IF_GREATER => at += jump(accumulator > instruction.operand),
            code::JUMP_IF_GREATER_OR_EQUAL => at += jump(accumulator >= instruction.operand),
            code::RETURN => return Action(instruction.operand),
            other => panic!("code {other:#x}"),
        }
    }
}

fn compiled(plan: &Plan) -> Vec<FilterInstruction> {
    compile(plan).expect("a program of a length that the kernel takes")
}

fn call(name: &str, first: u64) -> Call {
    let number = Architecture::X86_64.number(name).expect(name);
    let number = u32::try_from(number).expect("small");
    Call { number, architecture: AUDIT_X86_64, arguments: [first, 0, 0, 0, 0, 0] }
}

#[test]
fn the_default_profile_decides_as_documented() {
    let program = compiled(&plan_of_default(0));
    assert!(program.len() < 900, "{} instructions", program.len());
    let denied = Action::error(1);
    for (name, first, action) in [
        ("read", 0, Action::ALLOW),
        ("openat2", 0, Action::ALLOW),
        ("mount", 0, denied),
        ("unshare", 0, denied),
        ("bpf", 0, denied),
        ("keyctl", 0, denied),
        ("io_uring_setup", 0, denied),
        ("clone", 0x0001_0f00, Action::ALLOW),
        ("clone", 0x1000_0000, denied),
        ("clone", 0x4000_0011, denied),
        ("clone3", 0, Action::NO_SUCH_CALL),
        ("socket", 2, Action::ALLOW),
        ("socket", 40, denied),
        ("socket", 1 << 32 | 40, denied),
        ("socket", 16, Action::ALLOW),
        ("socket", 38, denied),
        ("socket", 12, denied),
        ("socket", 46, denied),
        ("name_to_handle_at", 0, denied),
        ("process_vm_readv", 0, denied),
        ("process_vm_writev", 0, denied),
        ("ptrace", 0, Action::ALLOW),
        ("personality", 8, Action::ALLOW),
        ("personality", 0xffff_ffff, Action::ALLOW),
        ("personality", 0x0040_0000, denied),
    ] {
        assert_eq!(run(&program, &call(name, first)), action, "{name} {first:#x}");
    }
    let unknown = Call { number: 4000, architecture: AUDIT_X86_64, arguments: [0; 6] };
    assert_eq!(run(&program, &unknown), Action::NO_SUCH_CALL);
}

#[test]
fn other_architectures_have_their_own_numbers() {
    let program = compiled(&plan_of_default(0));
    let at = |number, architecture| run(&program, &Call { number, architecture, arguments: [0; 6] });
    assert_eq!(at(3, AUDIT_X86), Action::ALLOW, "read");
    assert_eq!(at(21, AUDIT_X86), Action::error(1), "mount");
    let with = |number, first| {
        run(&program, &Call { number, architecture: AUDIT_X86, arguments: [first, 0, 0, 0, 0, 0] })
    };
    assert_eq!(with(359, 40), Action::error(1), "socket of AF_VSOCK");
    assert_eq!(with(102, 1), Action::NO_SUCH_CALL, "socketcall for a socket, whose family is out of sight");
    assert_eq!(with(102, 3), Action::ALLOW, "socketcall to connect");
    assert_eq!(at(X32_BIT | 514, AUDIT_X86_64), Action::ALLOW, "ioctl");
    assert_eq!(at(X32_BIT | 165, AUDIT_X86_64), Action::error(1), "mount");
    assert_eq!(at(X32_BIT | 520, AUDIT_X86_64), Action::ALLOW, "execve");
    assert_eq!(at(X32_BIT | 528, AUDIT_X86_64), Action::error(1), "kexec_load");
    assert_eq!(at(X32_BIT | 600, AUDIT_X86_64), Action::NO_SUCH_CALL);
    assert_eq!(at(0, 0xc000_00b7), Action::KILL_PROCESS, "another machine");
}

#[test]
fn capabilities_allow_more() {
    let program = compiled(&plan_of_default(u64::MAX));
    for name in ["mount", "unshare", "clone3", "bpf", "reboot", "chroot", "ptrace"] {
        assert_eq!(run(&program, &call(name, u64::MAX)), Action::ALLOW, "{name}");
    }
}

#[test]
fn comparisons_use_all_64_bits() {
    let border = 5_u64 << 32 | 7;
    let probes = [0, 7, 8, border - 1, border, border + 1, 6 << 32, 4 << 32 | 9, u64::MAX];
    let mask = 0xff_0000_00ff;
    type Expected = fn(u64, u64) -> bool;
    let comparisons: [(Comparison, Expected); 7] = [
        (Comparison::Equal, |probe, border| probe == border),
        (Comparison::NotEqual, |probe, border| probe != border),
        (Comparison::Less, |probe, border| probe < border),
        (Comparison::LessOrEqual, |probe, border| probe <= border),
        (Comparison::Greater, |probe, border| probe > border),
        (Comparison::GreaterOrEqual, |probe, border| probe >= border),
        (Comparison::MaskedEqual(mask), |probe, border| probe & 0xff_0000_00ff == border),
    ];
    for (comparison, expected) in comparisons {
        let conditions = vec![Condition { argument: 3, comparison, value: border }];
        let rule = Rule { names: vec!["read".into()], action: Action::ALLOW, conditions };
        let rules = Rules {
            default: Action::error(1),
            architectures: vec![Architecture::X86_64],
            rules: vec![rule],
            flags: sys::execute::FilterFlags::default(),
        };
        let program = compiled(&plan_of(&rules));
        for probe in probes {
            let call = Call { number: 0, architecture: AUDIT_X86_64, arguments: [0, 0, 0, probe, 0, 0] };
            let allowed = run(&program, &call) == Action::ALLOW;
            assert_eq!(allowed, expected(probe, border), "{comparison:?} {probe:#x}");
        }
    }
}

#[test]
fn the_first_case_that_holds_decides_and_no_condition_decides_alone() {
    let json = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"name": "kill", "action": "SCMP_ACT_ERRNO", "errnoRet": 11, "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_GE"}]},
        {"name": "kill", "action": "SCMP_ACT_ERRNO", "errnoRet": 12, "args": [{"index": 0, "value": 3, "op": "SCMP_CMP_GE"},
            {"index": 1, "value": 0, "op": "SCMP_CMP_EQ"}]},
        {"name": "read", "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 5, "op": "SCMP_CMP_GE"}]},
        {"name": "read", "action": "SCMP_ACT_TRAP"}
    ]}"#;
    let program = compiled(&plan_of(&profile::parse(json, 0).expect("a profile")));
    for (name, first, action) in [
        ("kill", 9, Action::error(11)),
        ("kill", 4, Action::error(12)),
        ("kill", 2, Action::ALLOW),
        ("read", 9, Action::TRAP),
        ("write", 0, Action::ALLOW),
    ] {
        assert_eq!(run(&program, &call(name, first)), action, "{name} {first}");
    }
    let short = Call { number: 3, architecture: AUDIT_X86, arguments: [0; 6] };
    assert_eq!(run(&program, &short), Action::KILL_PROCESS, "i386 is not named");
}

/// A rule for each value that an argument may have.
fn rules_of_equal_arguments(count: u64) -> Rules {
    let rule = |value| Rule {
        names: vec!["read".into(), "ioctl".into(), "write".into()],
        action: Action::error(u16::try_from(value).expect("small")),
        conditions: vec![Condition { argument: 1, comparison: Comparison::Equal, value }],
    };
    Rules {
        default: Action::ALLOW,
        architectures: vec![Architecture::X86_64, Architecture::X86, Architecture::X32],
        rules: (0..count).map(rule).collect(),
        flags: sys::execute::FilterFlags::default(),
    }
}

#[test]
fn the_length_grows_evenly_with_the_conditions() {
    let length = |count| compiled(&plan_of(&rules_of_equal_arguments(count))).len();
    assert_eq!(length(600) - length(500), length(200) - length(100));
    let program = compiled(&plan_of(&rules_of_equal_arguments(600)));
    let call = |value| Call { number: 1, architecture: AUDIT_X86_64, arguments: [0, value, 0, 0, 0, 0] };
    assert_eq!(run(&program, &call(599)), Action::error(599));
    assert_eq!(run(&program, &call(600)), Action::ALLOW);
    let refusal =
        compile(&plan_of(&rules_of_equal_arguments(1000))).expect_err("longer than the kernel takes");
    assert!(refusal.to_string().ends_with("instructions, the kernel takes 4096"), "{refusal}");
}

/// The same decision without any program: the first rule that holds, but one without conditions comes first.
fn decide(rules: &Rules, name: &str, arguments: &[u64; 6]) -> Action {
    let holds = |condition: &Condition| {
        let argument = arguments[usize::from(condition.argument)];
        match condition.comparison {
            Comparison::Equal => argument == condition.value,
            Comparison::NotEqual => argument != condition.value,
            Comparison::Less => argument < condition.value,
            Comparison::LessOrEqual => argument <= condition.value,
            Comparison::Greater => argument > condition.value,
            Comparison::GreaterOrEqual => argument >= condition.value,
            Comparison::MaskedEqual(mask) => argument & mask == condition.value,
        }
    };
    let mine = || rules.rules.iter().filter(|rule| rule.names.iter().any(|known| known == name));
    mine()
        .find(|rule| rule.conditions.is_empty())
        .or_else(|| mine().find(|rule| rule.conditions.iter().all(holds)))
        .map_or(rules.default, |rule| rule.action)
}

const SOME_CALLS: [&str; 5] = ["read", "write", "socket", "socketcall", "openat2"];

/// Values close to each other in both halves, so that conditions hold now and then.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![(0..4_u64, 0..4_u64).prop_map(|(high, low)| high << 32 | low), any::<u64>()]
}

fn condition() -> impl Strategy<Value = Condition> {
    let comparison = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::LessOrEqual),
        Just(Comparison::Greater),
        Just(Comparison::GreaterOrEqual),
        value().prop_map(Comparison::MaskedEqual),
    ];
    (0..6_u8, comparison, value()).prop_map(|(argument, comparison, value)| Condition {
        argument,
        comparison,
        value,
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let names = proptest::sample::subsequence(SOME_CALLS.map(str::to_owned).to_vec(), 1..3);
    let conditions = proptest::collection::vec(condition(), 0..6);
    (names, 0..9_u16, conditions).prop_map(|(names, number, conditions)| Rule {
        names,
        action: Action::error(number),
        conditions,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the rules, the program that the kernel runs decides by them.
    #[test]
    fn programs_decide_as_their_rules(
        rules in proptest::collection::vec(rule(), 0..24),
        arguments in proptest::collection::vec(proptest::array::uniform6(value()), 16),
    ) {
        let rules = Rules {
            default: Action::TRAP,
            architectures: vec![Architecture::X86_64, Architecture::X86],
            rules,
            flags: sys::execute::FilterFlags::default(),
        };
        let program = compiled(&plan_of(&rules));
        for arguments in arguments {
            for (architecture, audit) in
                [(Architecture::X86_64, AUDIT_X86_64), (Architecture::X86, AUDIT_X86)]
            {
                for name in SOME_CALLS {
                    let Some(number) = architecture.number(name) else { continue };
                    let number = u32::try_from(number).expect("small");
                    let call = Call { number, architecture: audit, arguments };
                    prop_assert_eq!(run(&program, &call), decide(&rules, name, &arguments));
                }
            }
        }
    }
}
