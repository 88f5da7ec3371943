//! The columns of `ps -ef`, read from the host's /proc as ps(1) describes them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use images::HostAccounts;
use model::Timestamp;

use super::list::ProcessList;

const TITLES: [&str; 8] = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];

/// Clock ticks of /proc a second, on x86-64 (proc(5), "sysconf(_SC_CLK_TCK)").
const TICKS: u64 = 100;
/// As wide as the column of users is; what is longer ends in `+`.
const USER_WIDTH: usize = 8;

/// Bytes of a process's arguments that are shown: as many as the kernel gave of them before Linux 4.2
/// (proc_pid_cmdline(5)). They may be megabytes in each of thousands of processes.
const ARGUMENTS_LIMIT: u64 = 4096;

/// The host's values for all rows.
struct Host {
    accounts: HostAccounts,
    now: i64,
    booted_at: i64,
    /// Clock ticks since then.
    uptime: u64,
}

/// Lists these processes, those left out that have ended meanwhile.
pub(super) fn list(pids: &[u32]) -> ProcessList {
    let host = Host::read();
    let rows = pids.iter().filter_map(|pid| row(&host, &PathBuf::from(format!("/proc/{pid}"))));
    ProcessList { titles: TITLES.map(str::to_owned).to_vec(), processes: rows.collect() }
}

impl Host {
    fn read() -> Self {
        let now = Timestamp::now().unix_seconds();
        let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
        let hundredths = uptime.split_whitespace().next().unwrap_or_default().replace('.', "");
        let uptime = hundredths.parse().unwrap_or(0);
        let booted_at = now - i64::try_from(uptime / TICKS).unwrap_or(0);
        Self { accounts: HostAccounts::of_host(), now, booted_at, uptime }
    }
}

/// The fields of /proc/(pid)/stat that are shown (proc_pid_stat(5)).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    pid: u32,
    name: String,
    state: u8,
    parent: u32,
    terminal: u64,
    /// User and kernel mode, in ticks.
    time: u64,
    /// Ticks after the host's start.
    start: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        let (pid, rest) = text.split_once(" (")?;
        // The name may hold anything, `) ` too.
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            name: name.to_owned(),
            state: *fields.first()?.as_bytes().first()?,
            parent: u32::try_from(number(4)?).ok()?,
            terminal: fields.get(7 - 3)?.parse::<i64>().ok()?.unsigned_abs(),
            time: number(14)? + number(15)?,
            start: number(22)?,
        })
    }
}

fn row(host: &Host, directory: &Path) -> Option<Vec<String>> {
    let stat = fs::read(directory.join("stat")).ok()?;
    let stat = Stat::parse(&String::from_utf8_lossy(&stat))?;
    let status = fs::read(directory.join("status")).ok()?;
    let user = effective_user(&String::from_utf8_lossy(&status))?;
    let command = arguments(&directory.join("cmdline"));
    let started_at = host.booted_at + i64::try_from(stat.start / TICKS).ok()?;
    Some(vec![
        user_name(&host.accounts, user),
        stat.pid.to_string(),
        stat.parent.to_string(),
        share(stat.time, host.uptime.saturating_sub(stat.start)).to_string(),
        sys::local_time::beginning(started_at, host.now),
        terminal_name(stat.terminal),
        duration(stat.time / TICKS),
        command_line(&command, &stat),
    ])
}

fn arguments(path: &Path) -> Vec<u8> {
    let mut arguments = Vec::new();
    if let Ok(file) = File::open(path) {
        // A process that ends meanwhile has no arguments.
        let _ = file.take(ARGUMENTS_LIMIT).read_to_end(&mut arguments);
    }
    arguments
}

/// `Uid:  real  effective  saved  file system` (proc_pid_status(5)).
fn effective_user(status: &str) -> Option<u32> {
    let numbers = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    numbers.split_whitespace().nth(1)?.parse().ok()
}

fn user_name(accounts: &HostAccounts, id: u32) -> String {
    let name = accounts.user(id);
    if name.is_empty() {
        id.to_string()
    } else if name.chars().count() > USER_WIDTH {
        name.chars().take(USER_WIDTH - 1).chain(['+']).collect()
    } else {
        name.to_owned()
    }
}

/// Whole percents of one processor over a life, at most 99.
fn share(time: u64, life: u64) -> u64 {
    match life / TICKS {
        0 => 0,
        seconds => (time * 100 / TICKS / seconds).min(99),
    }
}

/// `[days-]hours:minutes:seconds`
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60 % 60, seconds / 3600 % 24, seconds / 86_400);
    let days = if days > 0 { format!("{days}-") } else { String::new() };
    format!("{days}{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// The terminal's name below /dev; `?` for none (Linux allocated devices, majors 4, 5 and 136).
fn terminal_name(device: u64) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    match (major, minor) {
        (0, _) => "?".to_owned(),
        (136..=143, _) => format!("pts/{}", (major - 136) * 256 + minor),
        (4, 0..=63) => format!("tty{minor}"),
        (4, _) => format!("ttyS{}", minor - 64),
        _ => {
            let path = format!("/sys/dev/char/{major}:{minor}/uevent");
            let described = fs::read_to_string(path).unwrap_or_default();
            let name = described.lines().find_map(|line| line.strip_prefix("DEVNAME="));
            name.unwrap_or("?").to_owned()
        }
    }
}

/// The arguments with spaces between; the name in brackets for a process that has none.
fn command_line(arguments: &[u8], stat: &Stat) -> String {
    let shown = |text: &str| -> String {
        let plain = |character: char| match character {
            '\0' | '\n' => ' ',
            char::REPLACEMENT_CHARACTER => '?',
            other if other.is_control() => '?',
            other => other,
        };
        text.chars().map(plain).collect()
    };
    let line = shown(&String::from_utf8_lossy(arguments));
    if stat.state == b'Z' {
        return format!("[{}] <defunct>", shown(&stat.name));
    }
    match line.trim() {
        "" => format!("[{}]", shown(&stat.name)),
        line => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "28745 (a) b) R 28691 28691 31362 34816 -1 4194304 101 0 0 0 150 250 0 0 20 0 1 0 192819 3133440";

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let stat = Stat::parse(STAT).expect("fields");
        assert_eq!((stat.name.as_str(), stat.state, stat.parent), ("a) b", b'R', 28691));
        assert_eq!((stat.terminal, stat.time, stat.start), (34816, 400, 192_819));
        assert_eq!(command_line(b"", &stat), "[a) b]");
        assert_eq!(command_line(b"sh\0-c\0a\n\tb \xff\xc3\xa9\0", &stat), "sh -c a ?b ?é");
        assert_eq!(command_line(b"", &Stat { state: b'Z', ..stat }), "[a) b] <defunct>");
        assert_eq!(Stat::parse("1 (x"), None);
    }

    #[test]
    fn columns_look_as_those_of_ps() {
        assert_eq!(terminal_name(0), "?");
        assert_eq!(terminal_name(34816 + 3), "pts/3");
        assert_eq!(terminal_name((4 << 8) | 1), "tty1");
        assert_eq!(terminal_name((4 << 8) | 64), "ttyS0");
        assert_eq!((duration(59), duration(93_784)), ("00:00:59".to_owned(), "1-02:03:04".to_owned()));
        assert_eq!((share(50, 99), share(150, 300), share(900, 200)), (0, 50, 99));
        assert_eq!(effective_user("Name:\tx\nUid:\t1\t2\t3\t4\n"), Some(2));
    }
}
