//! The end of every test: nothing may be left on the host.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use crate::before::rows;
use crate::{Engine, host, wait};

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log, its last lines:\n{}", last_lines(&self.log(), 60));
            remove_containers(self);
            self.dispose();
            return;
        }
        let ids = remove_containers(self);
        let end = Instant::now() + wait::TIMEOUT;
        // Much of this goes with the daemon, whether or not it has given it back.
        let mut held = self.network_leaks();
        while !held.is_empty() && Instant::now() < end {
            sleep(Duration::from_millis(20));
            held = self.network_leaks();
        }
        self.stop_daemon();
        let mut leaks = self.leaks(&ids);
        while !leaks.is_empty() && Instant::now() < end {
            sleep(Duration::from_millis(20));
            leaks = self.leaks(&ids);
        }
        leaks.extend(held);
        let log = self.log();
        self.dispose();
        assert!(
            leaks.is_empty(),
            "left behind:\n{}\nthe daemon's log:\n{}",
            leaks.join("\n"),
            last_lines(&log, 60)
        );
        assert!(!log.contains("panicked at"), "the daemon panicked:\n{}", last_lines(&log, 60));
    }
}

impl Engine {
    /// Everything on the host that was not there when the test began.
    #[must_use]
    pub fn leaks(&self, ids: &BTreeSet<String>) -> Vec<String> {
        let before = self.before();
        let mut leaks = Vec::new();
        let processes = host::processes_of(self.directory());
        leaks.extend(
            processes
                .iter()
                .filter(|(pid, _)| **pid != self.daemon_pid())
                .map(|(pid, command)| format!("process {pid} {command}")),
        );
        leaks.extend(host::mounts_of(self.directory()).into_iter().map(|line| format!("mount {line}")));
        leaks.extend(host::cgroups_of(ids).into_iter().map(|path| format!("cgroup {}", path.display())));
        let interfaces = host::interfaces_of(self.network_pid());
        leaks.extend(interfaces.difference(&before.interfaces).map(|name| format!("interface {name}")));
        let rules = host::rules_of(self.network_pid());
        leaks.extend(rules.difference(&before.rules).map(|rule| format!("firewall rule {rule}")));
        leaks.extend(self.network_leaks());
        let files = host::files_of(&self.data_root());
        // Notes of layers and downloads are a cache, of a bounded number, which outlives the images. The layer below all steps is
        // made once.
        let kept = ["builds/known-layers", "builds/linked", "builds/downloads", "base-layer"];
        let new = files.difference(&before.files);
        let new = new.filter(|path| kept.iter().all(|kept| !path.starts_with(kept)));
        leaks.extend(new.map(|path| format!("file {}", path.display())));
        let parts = host::files_of(&self.exec_root().join("containers"));
        leaks.extend(parts.iter().map(|path| format!("file exec/containers/{}", path.display())));
        let names = host::files_of(&self.exec_root().join("networks"));
        leaks.extend(names.iter().map(|path| format!("file exec/networks/{}", path.display())));
        for (table, count) in rows(&self.data_root()) {
            let had = before.rows.get(&table).copied().unwrap_or_default();
            if count > had {
                leaks.push(format!("{} rows of table {table}", count - had));
            }
        }
        leaks
    }
}

impl Engine {
    /// Addresses, routes, neighbours, settings and held ports that were not there when the test began.
    fn network_leaks(&self) -> Vec<String> {
        let (before, pid) = (self.before(), self.network_pid());
        let parts = [
            ("address, route or neighbour", host::addresses_of(pid), &before.addresses),
            ("setting", host::network_settings_of(pid), &before.settings),
            ("held port", host::held_ports_of(pid), &before.ports),
        ];
        let mut leaks = Vec::new();
        for (what, now, before) in parts {
            leaks.extend(now.difference(before).map(|line| format!("{what} {line}")));
        }
        leaks
    }
}

/// Removes every container; gives the ids of all that the engine can remember.
fn remove_containers(engine: &Engine) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let Ok(listed) = engine.attempt("GET", "/containers/json?all=1", &[], b"") else {
        return ids;
    };
    let listed: serde_json::Value = serde_json::from_slice(&listed.body).unwrap_or_default();
    for container in listed.as_array().into_iter().flatten() {
        if let Some(id) = container["Id"].as_str() {
            let _ = engine.attempt("DELETE", &format!("/containers/{id}?force=1&v=1"), &[], b"");
            ids.insert(id.to_owned());
        }
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let past = engine.attempt("GET", &format!("/events?since=1&until={now}"), &[], b"");
    let past = past.map(|answer| answer.text()).unwrap_or_default();
    for line in past.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(id) = event["id"].as_str().filter(|id| id.len() == 64) {
            ids.insert(id.to_owned());
        }
    }
    ids
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
