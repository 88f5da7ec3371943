//! What the host shows of one engine: processes, mounts, cgroups, links, firewall rules, files, rows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io, thread};

use rusqlite::{Connection, OpenFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Address, http, wait};

/// The pids of the processes that have to do with a directory: it stands in their command line, or
/// something beneath it is mounted in their mount namespace (which a container's processes show).
#[must_use]
pub fn processes_of(root: &Path) -> BTreeMap<u32, String> {
    let wanted = root.to_string_lossy().into_owned();
    // A bind mount shows its place in its file system, which may not be the root's.
    let shown = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own = fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let directory = entry.path();
        let command = fs::read(directory.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let apart = fs::read_link(directory.join("ns/mnt")).is_ok_and(|namespace| namespace != own);
        let mounted =
            apart && fs::read_to_string(directory.join("mountinfo")).is_ok_and(|text| text.contains(&shown));
        if pid != std::process::id() && (mounted || command.contains(&wanted)) {
            found.insert(pid, command);
        }
    }
    found
}

/// The pids of all processes whose command line begins so.
#[must_use]
pub fn processes_called(beginning: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let command = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pids.filter(|pid| String::from_utf8_lossy(&command(*pid)).replace('\0', " ").starts_with(beginning))
        .collect()
}

/// The parent of a process.
#[must_use]
pub fn parent_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok())
}

/// The host's mounts beneath a directory, as lines of `mountinfo`.
#[must_use]
pub fn mounts_of(root: &Path) -> Vec<String> {
    let wanted = root.to_string_lossy().into_owned();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    mounts.lines().filter(|line| line.contains(&wanted)).map(str::to_owned).collect()
}

/// The cgroups, of any hierarchy, whose name holds one of the ids.
#[must_use]
pub fn cgroups_of(ids: &BTreeSet<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if ids.iter().any(|id| name.contains(id.as_str())) {
                found.push(entry.path());
            }
            waiting.push(entry.path());
        }
    }
    found
}

/// The names of the links in the network namespace of a process.
#[must_use]
pub fn interfaces_of(pid: u32) -> BTreeSet<String> {
    let listed = in_network_of(pid, &["ip", "-o", "link", "show"]);
    let names = listed.lines().filter_map(|line| line.split(": ").nth(1));
    names.map(|name| name.split('@').next().unwrap_or(name).to_owned()).collect()
}

/// The firewall's rules in the network namespace of a process, without counters.
#[must_use]
pub fn rules_of(pid: u32) -> BTreeSet<String> {
    let listed = in_network_of(pid, &["nft", "--stateless", "list", "ruleset"]);
    listed.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// The addresses, routes and neighbours in the network namespace of a process that were added to it: the kernel's
/// own ones come and go.
#[must_use]
pub fn addresses_of(pid: u32) -> BTreeSet<String> {
    let script = "ip -4 -o addr show; ip -4 -o route show; ip -6 -o addr show scope global; \
                  ip -6 -o route show table all | grep -v -e 'proto kernel' -e '^local fe80:' -e '^anycast fe80:'; \
                  ip -6 neigh show proxy; \
                  ip -o neigh show nud all | grep extern_learn | sed 's/ [A-Z]* *$//' || true";
    // The carrier of an interface, its number, and the age of a neighbour do not matter.
    let plain = |line: &str| {
        line.replace("linkdown ", "").trim_start_matches(|c: char| c.is_ascii_digit()).trim().to_owned()
    };
    in_network_of(pid, &["sh", "-c", script]).lines().map(plain).collect()
}

/// The settings that are not as in a new network namespace, which the engine changes. Forwarding of IPv4 is no matter: what the
/// engine turned on stays so.
#[must_use]
pub fn network_settings_of(pid: u32) -> BTreeSet<String> {
    let script = "cd /proc/sys/net/ipv4; grep -H 1 conf/*/route_localnet conf/*/proxy_arp \
                  ../ipv6/conf/*/proxy_ndp || true";
    in_network_of(pid, &["sh", "-c", script]).lines().map(str::to_owned).collect()
}

/// The ports of TCP and UDP that sockets hold in the network namespace of a process, those of the
/// test's own servers left out (proc_pid_net(5): number, local and remote address in hexadecimal, state,
/// …, inode in the tenth column).
#[must_use]
pub fn held_ports_of(pid: u32) -> BTreeSet<String> {
    let own: BTreeSet<String> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
        .collect();
    let mut ports = BTreeSet::new();
    for protocol in ["tcp", "tcp6", "udp", "udp6"] {
        let sockets = fs::read_to_string(format!("/proc/{pid}/net/{protocol}")).unwrap_or_default();
        for line in sockets.lines().skip(1) {
            let columns: Vec<&str> = line.split_whitespace().collect();
            // A tracked connection, or one whose last bytes are on their way, has no owner any more.
            if columns[9] != "0" && !own.contains(&format!("socket:[{}]", columns[9])) {
                ports.insert(format!("{protocol} {}", columns[1]));
            }
        }
    }
    ports
}

/// Runs a program in the network namespace of a process; gives what it wrote.
///
/// # Panics
/// When it fails.
#[must_use]
pub fn in_network_of(pid: u32, command: &[&str]) -> String {
    let output = Command::new("nsenter")
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .args(command)
        .output()
        .expect("nsenter (util-linux)");
    assert!(
        output.status.success(),
        "{command:?} in the engine's network: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Does something on a thread that has moved into the network namespace of a process.
///
/// # Panics
/// When it cannot move there.
pub fn within_network_of<T: Send>(pid: u32, act: impl FnOnce() -> T + Send) -> T {
    let act = move || {
        let namespace = fs::File::open(format!("/proc/{pid}/ns/net")).expect("a network namespace");
        // Only this thread moves; it ends with what it does.
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("to move into the network namespace");
        act()
    };
    thread::scope(|scope| scope.spawn(act).join().expect("the thread in the network"))
}

/// Listens in the network namespace of a process.
///
/// # Panics
/// When the address is taken.
#[must_use]
pub fn listen(pid: u32, address: SocketAddr) -> TcpListener {
    within_network_of(pid, || TcpListener::bind(address)).expect("an address to listen at")
}

/// Connects in the network namespace of a process.
///
/// # Panics
/// When nothing listens there.
#[must_use]
pub fn connect(pid: u32, address: SocketAddr) -> http::Connection {
    within_network_of(pid, || http::Connection::open(&Address::Tcp(address))).expect("a connection")
}

/// The response of a web server, requested from the network namespace of a process once it listens.
///
/// # Panics
/// When it does not respond in time.
#[must_use]
pub fn fetch(pid: u32, address: SocketAddr, path: &str) -> String {
    let ask = || -> io::Result<String> {
        let mut connection = http::Connection::open(&Address::Tcp(address))?;
        connection.set_timeout(Duration::from_secs(5))?;
        connection.request("GET", path, &[("Connection", "close")], b"")?;
        let head = connection.read_head()?;
        Ok(String::from_utf8_lossy(&connection.read_body("GET", &head)?).into_owned())
    };
    wait::until(&format!("an answer from {address}"), || within_network_of(pid, ask).ok())
}

/// Whether a process runs; one that has ended and waits for its parent to notice does not.
#[must_use]
pub fn runs(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = status.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// How many descriptors a process holds beside those of databases, which a daemon opens once more when it first needs that.
#[must_use]
pub fn descriptors_of(pid: u32) -> usize {
    open_of(pid).filter(|target| !target.contains(".db")).count()
}

/// How many sockets a process holds. Files that it makes durable in the background come and go.
#[must_use]
pub fn sockets_of(pid: u32) -> usize {
    open_of(pid).filter(|target| target.starts_with("socket:")).count()
}

/// What the descriptors of a process stand for.
fn open_of(pid: u32) -> impl Iterator<Item = String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = descriptors.filter_map(|descriptor| fs::read_link(descriptor.path()).ok());
    targets.map(|target| target.to_string_lossy().into_owned())
}

/// Every path beneath a directory, relative to it; databases and what belongs to them left out.
#[must_use]
pub fn files_of(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(path.clone());
            }
            let database = path.file_name().is_some_and(|name| name.to_string_lossy().contains(".db"));
            if let (false, Ok(relative)) = (database, path.strip_prefix(root)) {
                found.insert(relative.to_owned());
            }
        }
    }
    found
}

/// The number of rows of each table of a database; empty when it does not exist.
///
/// # Panics
/// When the file is not a database.
#[must_use]
pub fn rows_of(database: &Path) -> BTreeMap<String, i64> {
    if !database.exists() {
        return BTreeMap::new();
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(database, flags).expect("the engine's database");
    let mut names = connection
        .prepare("select name from sqlite_master where type = 'table'")
        .expect("the list of tables");
    let names: Vec<String> = names
        .query_map([], |row| row.get(0))
        .expect("the list of tables")
        .map(|name| name.expect("a table's name"))
        .collect();
    let count = |name: &String| {
        // The predefined networks are the engine's own; their rows may be written later than all is there.
        let made = if name == "networks" { " where name not in ('bridge', 'host', 'none')" } else { "" };
        let rows = connection
            .query_row(&format!("select count(*) from \"{name}\"{made}"), [], |row| row.get(0))
            .expect("a table's rows");
        (name.clone(), rows)
    };
    names.iter().map(count).collect()
}
