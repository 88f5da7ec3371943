//! Kills processes that are identified by number and start time, never another that got the number since.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

const PROC: &str = "/proc";

/// Descriptors of processes that are to be killed, at once.
const OPEN_AT_ONCE: usize = 64;

/// Bytes of /proc/pid/stat at most: 52 numbers of up to 20 digits and a name of up to 64 (proc_pid_stat(5)).
const STAT_LIMIT: usize = 2048;

/// Field 22 of /proc/pid/stat: when a process started, in clock ticks after boot.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    start_time_in(Path::new(PROC), pid).ok()
}

/// The same in the proc file system that is mounted there.
///
/// # Errors
/// Not found for a process that there is not; what the kernel refuses; invalid data in a line of another form.
pub fn start_time_in(proc: &Path, pid: u32) -> io::Result<u64> {
    let fields = fields_after_name(proc, pid)?;
    let started = fields.split_whitespace().nth(19).and_then(|field| field.parse().ok());
    started.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The fields of /proc/pid/stat behind the name, which may hold anything, brackets too: field 3 and those after it.
///
/// # Errors
/// As [`start_time_in`].
pub fn fields_after_name(proc: &Path, pid: u32) -> io::Result<String> {
    let mut bytes = [0; STAT_LIMIT];
    // The kernel makes the whole line for each read that it takes: one has to do.
    let length = fs::File::open(proc.join(format!("{pid}/stat")))?.read(&mut bytes)?;
    let mut parts = bytes.get(..length).unwrap_or_default().rsplitn(2, |byte| *byte == b')');
    let (fields, name) = (parts.next().unwrap_or_default(), parts.next());
    let fields = name.and_then(|_| std::str::from_utf8(fields).ok());
    fields.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Opens a process's descriptor; `None` when the process that started then is not there any more.
///
/// # Errors
/// Those of pidfd_open(2), for example when no descriptor is left.
pub fn open(pid: u32, started: u64) -> io::Result<Option<OwnedFd>> {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
    match pidfd_open(number, PidfdFlags::empty()) {
        // The number may be reused by now: only the open descriptor can be compared safely.
        Ok(descriptor) => Ok((start_time(pid) == Some(started)).then_some(descriptor)),
        Err(rustix::io::Errno::SRCH) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a process has ended, reaped or not.
pub fn has_ended(process: impl AsFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Whether a process of this number runs: one that has ended and is not reaped yet does not.
#[must_use]
pub fn runs(pid: u32) -> bool {
    // proc_pid_stat(5): Z is a zombie, X is dead.
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// Whether a process of this number is stopped, by a signal or by what traces it.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    // proc_pid_stat(5): T is stopped, t is stopped by a tracer.
    matches!(state(pid), Some('T' | 't'))
}

/// Field 3 of /proc/pid/stat.
fn state(pid: u32) -> Option<char> {
    fields_after_name(Path::new(PROC), pid).ok()?.trim_start().chars().next()
}

/// Kills a process if it is still the one that started then.
pub fn kill(pid: u32, started: u64) {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(descriptor) = pidfd_open(number, PidfdFlags::empty()) else { return };
    if start_time(pid) == Some(started) {
        let _ = pidfd_send_signal(&descriptor, Signal::KILL);
    }
}

/// Kills a process if it is still the one that started then, and waits until it does nothing more, at
/// most `timeout`.
pub fn kill_and_wait(pid: u32, started: u64, timeout: Duration) {
    let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(descriptor) = pidfd_open(number, PidfdFlags::empty()) else { return };
    if start_time(pid) == Some(started) {
        let _ = pidfd_send_signal(&descriptor, Signal::KILL);
        let limit = Timespec::try_from(timeout).ok();
        // Readable once the process has ended, reaped or not.
        let _ = poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], limit.as_ref());
    }
}

/// Kills the processes that a list names, such as that of a cgroup; returns whether it named any. A number that was
/// reused meanwhile is killed only if the list, read again, still has it.
///
/// # Errors
/// Those of `list`.
pub fn kill_listed<E>(mut list: impl FnMut() -> Result<Vec<u32>, E>) -> Result<bool, E> {
    let listed = list()?;
    for part in listed.chunks(OPEN_AT_ONCE) {
        let number = |pid: &u32| i32::try_from(*pid).ok().and_then(Pid::from_raw);
        let numbers: Vec<Pid> = part.iter().filter_map(number).collect();
        let opened: Vec<_> =
            numbers.into_iter().map(|pid| (pid, pidfd_open(pid, PidfdFlags::empty()))).collect();
        let still: HashSet<u32> = list()?.into_iter().collect();
        let is_listed =
            |pid: Pid| u32::try_from(pid.as_raw_nonzero().get()).is_ok_and(|pid| still.contains(&pid));
        for (pid, process) in opened.iter().filter(|(pid, _)| is_listed(*pid)) {
            let _ = match process {
                Ok(process) => pidfd_send_signal(process, Signal::KILL),
                Err(Errno::SRCH) => Ok(()),
                // Where descriptors are used up its number has to do.
                Err(_) => rustix::process::kill_process(*pid, Signal::KILL),
            };
        }
    }
    Ok(!listed.is_empty())
}

/// Ends this process as if it had been killed.
pub fn kill_self() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
}

/// Whether a process is still the one that started then.
#[must_use]
pub fn is_alive(pid: u32, started: u64) -> bool {
    start_time(pid) == Some(started)
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_is_killed_only_while_the_list_has_it() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("a process");
        let listed = |lists: &[&[u32]]| {
            let mut lists = lists.iter();
            kill_listed(|| lists.next().map(|list| list.to_vec()).ok_or("read too often"))
        };
        let pid = child.id();
        // Since the first read it has ended, or another process has its number.
        assert_eq!(listed(&[&[pid], &[]]), Ok(true));
        assert_eq!(listed(&[&[]]), Ok(false));
        assert!(runs(pid));
        assert_eq!(listed(&[&[pid], &[pid]]), Ok(true));
        let status = child.wait().expect("its end");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    }

    #[test]
    fn a_hostile_name_does_not_shift_the_fields() {
        let proc = std::env::temp_dir().join(format!("berth-stat-{}", std::process::id()));
        fs::create_dir_all(proc.join("7")).expect("a directory");
        let started = |line: &[u8]| {
            fs::write(proc.join("7/stat"), line).expect("a file");
            start_time_in(&proc, 7).map_err(|error| error.kind())
        };
        let rest = b" S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 1000 9\n";
        for name in [&b"7 (a) 1 (b)"[..], b"7 (\xff)"] {
            assert_eq!(started(&[name, rest].concat()), Ok(4242));
        }
        for line in [&b"7 (a"[..], b"", b"7 (a) S 1"] {
            assert_eq!(started(line), Err(io::ErrorKind::InvalidData));
        }
        fs::remove_dir_all(&proc).expect("removed");
        assert_eq!(start_time_in(&proc, 7).map_err(|error| error.kind()), Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_name_that_is_no_text_hides_no_process() {
        let script = r"printf '\377) T' > /proc/$$/comm; echo named; read line";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut line = String::new();
        io::BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let pid = child.id();
        let name = fs::read(format!("/proc/{pid}/comm")).expect("its name");
        assert_eq!(name, b"\xff) T\n");
        let started = start_time(pid).expect("a time");
        assert!(is_alive(pid, started) && runs(pid) && !is_stopped(pid));
        kill(pid, started);
        child.wait().expect("its end");
        assert!(!is_alive(pid, started));
    }
}
