//! The default profile: the calls that Docker's documentation allows by default, less those that its table of
//! blocked calls names and its profile allows on current kernels (decision 0101).

use super::calls::{Bits, COUNT, Calls, Decision, bits};
use super::numbers::Architecture;
use super::{Action, Comparison, Condition};
use crate::capabilities::{self, Mask};

/// Allowed to everyone.
const ALWAYS: &str = "
_llseek _newselect accept accept4 access adjtimex alarm arch_prctl bind brk cachestat capget capset
chdir chmod chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64
clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect
copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait
epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat
faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown
fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr
fstat fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue
futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu
getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid
gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup
io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset
landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat
llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier
memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2
modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock
munlockall munmap nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe
pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2
prlimit64 process_mrelease pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead
readlink readlinkat readv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr
removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl
semget semop semtimedop semtimedop_time64 sendfile sendfile64 sendmmsg sendmsg sendto
set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid
setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid
setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32
setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask
sigreturn socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync
sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun
timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit
umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4
waitid waitpid write writev
";

/// Allowed with a capability, given by its number.
const WITH_CAPABILITY: [(usize, &str); 14] = [
    (capability::BPF, "bpf"),
    (capability::DAC_READ_SEARCH, "name_to_handle_at open_by_handle_at"),
    (capability::PERFMON, "perf_event_open"),
    (
        capability::SYS_ADMIN,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie
        lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree
        perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2
        unshare",
    ),
    (capability::SYS_BOOT, "reboot"),
    (capability::SYS_CHROOT, "chroot"),
    (capability::SYS_MODULE, "delete_module finit_module init_module"),
    (capability::SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (capability::SYS_PACCT, "acct"),
    (capability::SYS_PTRACE, "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev"),
    (capability::SYS_RAWIO, "ioperm iopl"),
    (capability::SYS_TIME, "clock_settime clock_settime64 settimeofday stime"),
    (capability::SYS_TTY_CONFIG, "vhangup"),
    (capability::SYSLOG, "syslog"),
];

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;

/// The address families of socket(2) that Docker's profile allows, AF_* of linux/socket.h. AF_VSOCK (40), which
/// reaches the hypervisor past every network namespace, AF_ALG (38) and unused families are not among them.
const SOCKET_FAMILIES: [u64; 37] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33,
    35, 36, 39, 41, 42, 43, 44, 45,
];

/// The family is an `int`: the kernel ignores the upper half of the register, so the filter must, too.
const INT: Comparison = Comparison::MaskedEqual(0xffff_ffff);

/// The function of socketcall(2) that makes a socket, SYS_SOCKET of linux/net.h.
const SYS_SOCKET: u64 = 1;

/// personality(2): Linux, 32 bits of Linux, both with UNAME26, and the question what it is.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Numbers of capabilities, linux/capability.h.
mod capability {
    pub(super) const DAC_READ_SEARCH: usize = 2;
    pub(super) const SYS_MODULE: usize = 16;
    pub(super) const SYS_RAWIO: usize = 17;
    pub(super) const SYS_CHROOT: usize = 18;
    pub(super) const SYS_PTRACE: usize = 19;
    pub(super) const SYS_PACCT: usize = 20;
    pub(super) const SYS_ADMIN: usize = 21;
    pub(super) const SYS_BOOT: usize = 22;
    pub(super) const SYS_NICE: usize = 23;
    pub(super) const SYS_TIME: usize = 25;
    pub(super) const SYS_TTY_CONFIG: usize = 26;
    pub(super) const SYSLOG: usize = 34;
    pub(super) const PERFMON: usize = 38;
    pub(super) const BPF: usize = 39;
}

/// The calls of one architecture, as bits by number.
struct Lists {
    always: Bits,
    with_capability: [Bits; WITH_CAPABILITY.len()],
}

impl Lists {
    const fn of(architecture: Architecture) -> Self {
        let always = bits(ALWAYS, architecture);
        let mut with_capability = [always; WITH_CAPABILITY.len()];
        let mut at = 0;
        while at < WITH_CAPABILITY.len() {
            with_capability[at] = bits(WITH_CAPABILITY[at].1, architecture);
            at += 1;
        }
        Self { always, with_capability }
    }
}

static LONG: Lists = Lists::of(Architecture::X86_64);
static SHORT: Lists = Lists::of(Architecture::X86);

/// The action for a call that is not allowed.
pub(super) const DENIED: Action = Action::error(1);

/// The profile for a process with these capabilities.
pub(super) fn calls(held: Mask, architecture: Architecture) -> Calls {
    let lists = if architecture == Architecture::X86 { &SHORT } else { &LONG };
    let allowed = Decision::always(Action::ALLOW);
    let mut calls = Calls::all(COUNT, Decision::always(DENIED));
    calls.set_all(&lists.always, &allowed);
    for ((capability, _), list) in WITH_CAPABILITY.iter().zip(&lists.with_capability) {
        if held & 1 << capability != 0 {
            calls.set_all(list, &allowed);
        }
    }
    let mut set = |name: &str, decision: &Decision| {
        if let Some(number) = architecture.number(name) {
            calls.set(number, decision);
        }
    };
    set("socket", &cases(SOCKET_FAMILIES.map(|family| (INT, family)).into()));
    // The family is in memory, where a filter cannot read. socket(2) itself exists since Linux 4.3.
    set("socketcall", &case(INT, SYS_SOCKET, Action::NO_SUCH_CALL, Action::ALLOW));
    set("personality", &cases(PERSONALITIES.map(|value| (Comparison::Equal, value)).into()));
    if held & capabilities::SYS_ADMIN == 0 {
        set("clone", &cases(vec![(Comparison::MaskedEqual(NEW_NAMESPACES), 0)]));
        // Its flags are in memory, where a filter cannot read; C libraries fall back to clone.
        set("clone3", &Decision::always(Action::NO_SUCH_CALL));
    }
    calls
}

/// Allowed when the first argument passes any of the comparisons.
fn cases(comparisons: Vec<(Comparison, u64)>) -> Decision {
    let case = |(comparison, value)| (vec![Condition { argument: 0, comparison, value }], Action::ALLOW);
    Decision { cases: comparisons.into_iter().map(case).collect(), otherwise: DENIED }
}

/// One action where the first argument passes a comparison, another where it does not.
fn case(comparison: Comparison, value: u64, holds: Action, otherwise: Action) -> Decision {
    Decision { cases: vec![(vec![Condition { argument: 0, comparison, value }], holds)], otherwise }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_to_some_architecture() {
        let with_capability = WITH_CAPABILITY.iter().flat_map(|(_, names)| names.split_whitespace());
        for name in ALWAYS.split_whitespace().chain(with_capability) {
            let mut known = [Architecture::X86_64, Architecture::X86].into_iter();
            assert!(known.any(|architecture| architecture.number(name).is_some()), "{name}");
        }
    }

    #[test]
    fn numbers_of_capabilities_are_those_of_their_names() {
        for (number, name) in [
            (capability::SYS_ADMIN, "CAP_SYS_ADMIN"),
            (capability::SYS_CHROOT, "CAP_SYS_CHROOT"),
            (capability::SYSLOG, "CAP_SYSLOG"),
            (capability::BPF, "CAP_BPF"),
        ] {
            assert_eq!(capabilities::NAMES[number], name);
        }
    }
}
