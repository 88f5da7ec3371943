//! A container that makes system calls which the default profile denies, by programs of a few instructions.

use berth_tests::Engine;
use serde_json::json;

use super::Target;

/// Error numbers, errno(3).
const EPERM: i64 = 1;
const ENOSYS: i64 = 38;

/// One page that is read and executed at once: what the programs need.
const READ_AND_EXECUTE: u32 = 5;

/// A static program for x86-64 that makes one call and exits with its error number.
fn long_program(number: u32, arguments: [u64; 3]) -> Vec<u8> {
    const START: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let mut code = Vec::new();
    // mov rax, rdi, rsi and rdx
    for (register, value) in
        [0xb8, 0xbf, 0xbe, 0xba].into_iter().zip([&[u64::from(number)][..], &arguments].concat())
    {
        code.extend([0x48, register]);
        code.extend(value.to_le_bytes());
    }
    // syscall; neg eax; mov edi, eax; mov eax, exit_group; syscall
    code.extend([0x0f, 0x05, 0xf7, 0xd8, 0x89, 0xc7, 0xb8, 231, 0, 0, 0, 0x0f, 0x05]);
    let size = HEADERS + code.len() as u64;
    // struct elf64_hdr and elf64_phdr, elf(5): 64 bits, an executable for x86-64, one segment.
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    file.extend([START + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    file.extend([1, READ_AND_EXECUTE].map(u32::to_le_bytes).concat());
    file.extend([0, START, START, size, size, 0x1000].map(u64::to_le_bytes).concat());
    [file, code].concat()
}

/// The same for i386; the arguments are also in memory, and `IN_MEMORY` stands for the place.
fn short_program(number: u32, arguments: [u32; 3], memory: [u32; 3]) -> Vec<u8> {
    const START: u32 = 0x0804_8000;
    const HEADERS: u32 = 52 + 32;
    const CODE: u32 = 20 + 2 + 2 + 2 + 5 + 2;
    let place = START + HEADERS + CODE;
    let arguments = arguments.map(|argument| if argument == IN_MEMORY { place } else { argument });
    let mut code = Vec::new();
    // mov eax, ebx, ecx and edx
    for (register, value) in [0xb8, 0xbb, 0xb9, 0xba].into_iter().zip([&[number][..], &arguments].concat()) {
        code.push(register);
        code.extend(value.to_le_bytes());
    }
    // int 0x80; neg eax; mov ebx, eax; mov eax, exit_group; int 0x80
    code.extend([0xcd, 0x80, 0xf7, 0xd8, 0x89, 0xc3, 0xb8, 252, 0, 0, 0, 0xcd, 0x80]);
    assert_eq!(code.len(), CODE as usize);
    code.extend(memory.map(u32::to_le_bytes).concat());
    let size = HEADERS + u32::try_from(code.len()).expect("small");
    // struct elf32_hdr and elf32_phdr, elf(5): 32 bits, an executable for i386, one segment.
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0".to_vec();
    file.extend([START + HEADERS, 52, 0, 0].map(u32::to_le_bytes).concat());
    file.extend([52, 0, 32, 0, 1, 0, 40, 0, 0, 0, 0, 0]);
    file.extend([1, 0, START, START, size, size, READ_AND_EXECUTE, 0x1000].map(u32::to_le_bytes).concat());
    [file, code].concat()
}

/// Stands for the address of the arguments in memory.
const IN_MEMORY: u32 = 0xffff_fff0;

/// Runs a program in a container; gives its exit code, which is the call's error number.
fn error_of(engine: &Engine, program: &[u8], host: &serde_json::Value) -> i64 {
    let id = engine.create(&json!({ "Image": "busybox", "Cmd": ["/call"], "HostConfig": host }));
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o755);
    header.set_size(program.len() as u64);
    archive.append_data(&mut header, "call", program).expect("the program");
    let archive = archive.into_inner().expect("the archive");
    let path = format!("/containers/{id}/archive?path=/");
    let _ = engine.call("PUT", &path, &[("Content-Type", "application/x-tar")], &archive).expect(200);
    engine.start(&id);
    let code = engine.wait(&id);
    engine.remove(&id);
    code
}

#[test]
fn the_default_profile_denies_what_reaches_past_the_container() {
    let engine = Target::start();
    let error = |number, arguments| error_of(&engine, &long_program(number, arguments), &json!({}));
    for (what, number, arguments, expected) in [
        ("name_to_handle_at", 303, [0, 0, 0], EPERM),
        ("open_by_handle_at", 304, [0, 0, 0], EPERM),
        ("process_vm_readv", 310, [1, 0, 0], EPERM),
        ("process_vm_writev", 311, [1, 0, 0], EPERM),
        ("bpf", 321, [0, 0, 0], EPERM),
        ("userfaultfd", 323, [0, 0, 0], EPERM),
        ("io_uring_setup", 425, [1, 0, 0], EPERM),
        ("keyctl", 250, [0, 0, 0], EPERM),
        ("unshare of the user namespace", 272, [0x1000_0000, 0, 0], EPERM),
        ("clone3", 435, [0, 0, 0], ENOSYS),
        ("a call newer than all lists", 999, [0, 0, 0], ENOSYS),
        ("socket of AF_VSOCK", 41, [40, 1, 0], EPERM),
        ("socket of AF_VSOCK with a high bit set", 41, [1 << 32 | 40, 1, 0], EPERM),
        ("socket of AF_ALG", 41, [38, 5, 0], EPERM),
        // The descriptor 3, negated.
        ("socket of AF_INET", 41, [2, 1, 0], 253),
    ] {
        assert_eq!(error(number, arguments), expected, "{what}");
    }
    let host = json!({ "SecurityOpt": ["seccomp=unconfined"] });
    let open = error_of(&engine, &long_program(303, [0, 0, 0]), &host);
    assert_eq!(open, 14, "EFAULT: the kernel itself looks at the arguments");
}

#[test]
fn calls_of_32_bits_are_no_way_around_the_profile() {
    let engine = Target::start();
    let error =
        |number, arguments, memory| error_of(&engine, &short_program(number, arguments, memory), &json!({}));
    for (what, number, arguments, memory, expected) in [
        ("socketcall for AF_VSOCK", 102, [1, IN_MEMORY, 0], [40, 1, 0], ENOSYS),
        ("socketcall for AF_ALG", 102, [1, IN_MEMORY, 0], [38, 5, 0], ENOSYS),
        ("socket of AF_VSOCK", 359, [40, 1, 0], [0; 3], EPERM),
        ("socket of AF_INET", 359, [2, 1, 0], [0; 3], 253),
        ("mount", 21, [0, 0, 0], [0; 3], EPERM),
        ("name_to_handle_at", 341, [0, 0, 0], [0; 3], EPERM),
    ] {
        assert_eq!(error(number, arguments, memory), expected, "{what}");
    }
}
