//! Finds and kills the descendants of one process of the container.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use model::ProcessReference;

use super::Running;
use crate::{CgroupError, Process};

impl Running {
    /// Kills the processes of the container that descend from this one, which may be making new ones meanwhile;
    /// returns whether there were any.
    ///
    /// # Errors
    /// When the container's processes cannot be listed.
    pub fn kill_descendants(&self, process: &Process) -> Result<bool, CgroupError> {
        let processes = self.cgroup.processes()?;
        let relations = processes.into_iter().filter_map(|pid| relation(&self.host.proc, pid));
        let found = descendants(process.reference.pid, &relations.collect());
        for descendant in &found {
            sys::process::kill(descendant.pid, descendant.start_time);
        }
        Ok(!found.is_empty())
    }
}

/// Processes by their numbers: each one's parent, and when it started.
type Relations = BTreeMap<u32, (u32, u64)>;

/// Fields 4 and 22 of /proc/pid/stat, proc_pid_stat(5).
fn relation(proc: &Path, pid: u32) -> Option<(u32, (u32, u64))> {
    let fields = sys::process::fields_after_name(proc, pid).ok()?;
    let mut fields = fields.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    Some((pid, (parent, fields.nth(17)?.parse().ok()?)))
}

fn descendants(root: u32, relations: &Relations) -> Vec<ProcessReference> {
    let mut known = BTreeSet::from([root]);
    let mut found = Vec::new();
    loop {
        let new: Vec<ProcessReference> = relations
            .iter()
            .filter(|(pid, (parent, _))| known.contains(parent) && !known.contains(*pid))
            .map(|(pid, (_, start_time))| ProcessReference { pid: *pid, start_time: *start_time })
            .collect();
        if new.is_empty() {
            return found;
        }
        known.extend(new.iter().map(|process| process.pid));
        found.extend(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_and_their_children_are_found_and_nobody_else() {
        let relations = [(9, (5, 90)), (5, (3, 50)), (4, (1, 40)), (8, (9, 80)), (3, (1, 30))].into();
        let found: Vec<(u32, u64)> =
            descendants(3, &relations).iter().map(|process| (process.pid, process.start_time)).collect();
        assert_eq!(found, [(5, 50), (9, 90), (8, 80)]);
        assert!(descendants(4, &relations).is_empty());
    }

    #[test]
    fn a_process_says_who_its_parent_is() {
        let own = std::process::id();
        let (pid, (parent, start_time)) = relation(Path::new("/proc"), own).expect("it runs");
        assert_eq!((pid, parent), (own, std::os::unix::process::parent_id()));
        assert_eq!(Some(start_time), sys::process::start_time(own));
        assert_eq!(relation(Path::new("/nowhere"), own), None);
    }
}
