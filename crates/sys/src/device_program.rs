//! Restricts devices in a cgroup v2 by a program of its own, bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// The two kinds of device nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the kernel's own terms")]
pub enum DeviceKind {
    Block,
    Character,
}

/// The allowed access to a device, or to many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Block or character.
    pub kind: DeviceKind,
    /// Major number; `None` is any.
    pub major: Option<u32>,
    /// Minor number; `None` is any.
    pub minor: Option<u32>,
    /// Reading is allowed.
    pub read: bool,
    /// Writing is allowed.
    pub write: bool,
    /// Making the node is allowed.
    pub make: bool,
}

/// One instruction, `struct bpf_insn` of linux/bpf.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Instruction {
    code: u8,
    /// Destination in the low four bits, source in the high four.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// Codes of linux/bpf.h and linux/bpf_common.h put together.
mod code {
    /// Loads 32 bits from memory.
    pub(super) const LOAD: u8 = 0x61;
    pub(super) const MOVE: u8 = 0xb7;
    pub(super) const MOVE_REGISTER: u8 = 0xbf;
    pub(super) const AND: u8 = 0x57;
    pub(super) const SHIFT_RIGHT: u8 = 0x77;
    pub(super) const JUMP_IF_NOT_EQUAL: u8 = 0x55;
    pub(super) const JUMP_IF_SOME_BITS: u8 = 0x45;
    pub(super) const EXIT: u8 = 0x95;
}

/// Registers: the result, the context, then what the program keeps.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// Loads the program that allows exactly what the rules allow and attaches it to a cgroup, in addition to
/// programs of groups above. It exists as long as the group.
///
/// # Errors
/// Those of bpf(2).
pub fn attach(cgroup: impl AsFd, rules: &[Rule]) -> io::Result<()> {
    let program = load(&compile(rules))?;
    // attach_flags, target, program, type: the first members of the union for BPF_PROG_ATTACH.
    const CGROUP_DEVICE: u32 = 6;
    const ALLOW_MULTIPLE: u32 = 2;
    let target = cgroup.as_fd().as_raw_fd().cast_unsigned();
    let mut attributes = [0_u32; 32];
    attributes[..4].copy_from_slice(&[
        target,
        program.as_raw_fd().cast_unsigned(),
        CGROUP_DEVICE,
        ALLOW_MULTIPLE,
    ]);
    const PROGRAM_ATTACH: libc::c_int = 8;
    // SAFETY: the attributes outlive the call and the size is theirs.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, PROGRAM_ATTACH, attributes.as_mut_ptr(), size_of_val(&attributes))
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn load(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    const PROGRAM_LOAD: libc::c_int = 5;
    const TYPE_CGROUP_DEVICE: u64 = 15;
    let count = u64::try_from(instructions.len()).map_err(io::Error::other)?;
    let licence = c"Apache-2.0";
    // prog_type and insn_cnt share the first eight bytes, then insns and license.
    let mut attributes = [0_u64; 16];
    attributes[0] = TYPE_CGROUP_DEVICE | (count << 32);
    attributes[1] = instructions.as_ptr() as u64;
    attributes[2] = licence.as_ptr() as u64;
    // SAFETY: the attributes, instructions and licence outlive the call and the sizes are theirs.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, PROGRAM_LOAD, attributes.as_mut_ptr(), size_of_val(&attributes))
    };
    let descriptor = i32::try_from(result).map_err(io::Error::other)?;
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// `struct bpf_cgroup_dev_ctx`: kind in the low and access in the high half of the first word, major,
/// minor. A program returns 1 to allow.
fn compile(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        instruction(code::LOAD, KIND | (CONTEXT << 4), 0, 0),
        instruction(code::MOVE_REGISTER, ACCESS | (KIND << 4), 0, 0),
        instruction(code::AND, KIND, 0, 0xffff),
        instruction(code::SHIFT_RIGHT, ACCESS, 0, 16),
        instruction(code::LOAD, MAJOR | (CONTEXT << 4), 4, 0),
        instruction(code::LOAD, MINOR | (CONTEXT << 4), 8, 0),
    ];
    for rule in rules {
        program.extend(rule_instructions(rule));
    }
    program.extend(answer(0));
    program
}

/// Tests one rule: each test that fails jumps behind it.
fn rule_instructions(rule: &Rule) -> Vec<Instruction> {
    let kind = match rule.kind {
        DeviceKind::Block => 1,
        DeviceKind::Character => 2,
    };
    // BPF_DEVCG_ACC_MKNOD, _READ, _WRITE.
    let allowed = i32::from(rule.make) | (i32::from(rule.read) << 1) | (i32::from(rule.write) << 2);
    let mut tests = vec![
        instruction(code::JUMP_IF_NOT_EQUAL, KIND, 0, kind),
        instruction(code::MOVE_REGISTER, SCRATCH | (ACCESS << 4), 0, 0),
        instruction(code::JUMP_IF_SOME_BITS, SCRATCH, 0, 0x7 & !allowed),
    ];
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = number {
            tests.push(instruction(code::JUMP_IF_NOT_EQUAL, register, 0, number.cast_signed()));
        }
    }
    let end = tests.len() + 2;
    for (position, test) in tests.iter_mut().enumerate() {
        if test.code != code::MOVE_REGISTER {
            // A rule has at most seven instructions.
            test.offset = i16::try_from(end - position - 1).unwrap_or(i16::MAX);
        }
    }
    tests.extend(answer(1));
    tests
}

fn answer(value: i32) -> [Instruction; 2] {
    [instruction(code::MOVE, RESULT, 0, value), instruction(code::EXIT, 0, 0, 0)]
}

const fn instruction(code: u8, registers: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers, offset, immediate }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_test_jumps_to_the_next_rule() {
        let rule = Rule {
            kind: DeviceKind::Character,
            major: Some(1),
            minor: Some(3),
            read: true,
            write: true,
            make: false,
        };
        let program = rule_instructions(&rule);
        assert_eq!(program.len(), 7);
        for (position, test) in program.iter().enumerate().filter(|(_, test)| test.offset != 0) {
            assert_eq!(position + 1 + test.offset.unsigned_abs() as usize, program.len());
        }
        assert_eq!(program[2].immediate, 1, "making the node is what is not allowed");
    }
}
