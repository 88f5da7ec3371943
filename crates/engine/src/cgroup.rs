//! The daemon's own operations on a container's cgroups: taking down those that the shim could not, and reading
//! whether they are frozen.

use std::convert::Infallible;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::ProcessReference;
use shim_protocol::RunDirectory;

use crate::container::scope;

/// How long killed processes may take to leave.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Takes down what is left of a shim and its container: its processes and its cgroups. `cgroups` and `init`
/// are the engine's own records, used where the shim wrote none.
pub(crate) async fn take_down(
    directory: RunDirectory,
    cgroups: Vec<PathBuf>,
    init: Option<ProcessReference>,
) {
    let cgroups = blocking(move || take_down_shim(&directory, cgroups, init)).await;
    scope::stop(&cgroups.unwrap_or_default()).await;
}

/// Removes cgroups that exist still; those of a clean exit the shim has removed.
pub(crate) async fn remove(cgroups: Vec<PathBuf>) {
    scope::stop(&cgroups).await;
    if cgroups.iter().any(|directory| directory.exists()) {
        let _ = blocking(move || remove_all(&cgroups)).await;
    }
}

/// Processes may take seconds to die: no thread that serves others waits for that.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Some(done),
        Err(failure) => {
            tracing::error!("cannot take down what is left of a container: {failure}");
            None
        }
    }
}

/// Does what [`take_down`] does, for threads that may wait, and returns the cgroups that were taken down: a scope among them
/// is left to systemd, which ends what has no processes. Blocks.
pub(crate) fn take_down_shim(
    directory: &RunDirectory,
    cgroups: Vec<PathBuf>,
    init: Option<ProcessReference>,
) -> Vec<PathBuf> {
    if let Some(shim) = crate::shim::process_of(directory) {
        sys::process::kill_and_wait(shim.pid, shim.start_time, TIMEOUT);
    }
    // What it wrote down until it was dead.
    let left = crate::shim::left_by(directory);
    let init = left.as_ref().and_then(|left| left.init).or(init);
    let cgroups = left.map_or(cgroups, |left| left.cgroups);
    kill(&cgroups, init);
    remove_all(&cgroups);
    cgroups
}

/// Kills every process of the cgroups, and init.
fn kill(cgroups: &[PathBuf], init: Option<ProcessReference>) {
    if let Some(init) = init {
        sys::process::kill(init.pid, init.start_time);
    }
    let until = Instant::now() + TIMEOUT;
    loop {
        thaw(cgroups);
        let list = || Ok(cgroups.iter().flat_map(|directory| processes(directory)).collect());
        let killed: Result<bool, Infallible> = sys::process::kill_listed(list);
        if matches!(killed, Ok(false)) || Instant::now() > until {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a kernel file of one word and trims white space; it needs no stat(2) for the size.
fn word_in(path: &Path) -> Option<Vec<u8>> {
    let mut word = vec![0; 16];
    let length = fs::File::open(path).ok()?.read(&mut word).ok()?;
    word.truncate(length);
    Some(word)
}

/// Whether the kernel reports processes in a container's cgroups as frozen or freezing.
pub(crate) fn may_be_frozen(cgroups: &[PathBuf]) -> bool {
    // Of the hierarchies of version 1 one alone has the file, and that mostly has its name.
    let has_name = |directory: &&PathBuf| directory.iter().any(|part| part == "freezer");
    let (first, others): (Vec<_>, Vec<_>) = cgroups.iter().partition(has_name);
    let state = |file: &str| first.iter().chain(&others).find_map(|directory| word_in(&directory.join(file)));
    match state("freezer.state") {
        Some(state) => state.trim_ascii() != b"THAWED",
        None => state("cgroup.freeze").is_none_or(|state| state.trim_ascii() != b"0"),
    }
}

fn thaw(cgroups: &[PathBuf]) {
    for directory in cgroups {
        for (file, value) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0"), ("cgroup.kill", "1")] {
            let path = directory.join(file);
            if path.exists() {
                let _ = fs::write(path, value);
            }
        }
    }
}

fn processes(directory: &Path) -> Vec<u32> {
    let text = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn remove_all(cgroups: &[PathBuf]) {
    for directory in cgroups.iter().filter(|directory| directory.exists()) {
        let until = Instant::now() + TIMEOUT;
        while let Err(error) = remove_tree(directory) {
            if error.kind() == std::io::ErrorKind::NotFound {
                break;
            }
            if Instant::now() > until {
                tracing::error!("cannot remove the cgroup {}: {error}", directory.display());
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Removes a cgroup and those that the container made beneath it, deepest first.
fn remove_tree(directory: &Path) -> std::io::Result<()> {
    let mut found = vec![directory.to_owned()];
    let mut listed = 0;
    while let Some(directory) = found.get(listed) {
        listed += 1;
        let mut children = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                children.push(entry.path());
            }
        }
        found.extend(children);
    }
    // A group stands behind all that are above it.
    found.iter().rev().try_for_each(fs::remove_dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::busy_threads::elsewhere;

    #[test]
    fn what_is_frozen_or_not_known_may_be_frozen() {
        let parent = tempfile::tempdir().expect("a directory");
        let group = |name: &str, file: &str, state: &str| {
            let directory = parent.path().join(name);
            fs::create_dir(&directory).expect("a directory");
            fs::write(directory.join(file), state).expect("a file");
            directory
        };
        let thawed = group("thawed", "freezer.state", "THAWED\n");
        let freezing = group("freezing", "freezer.state", "FREEZING\n");
        let running = group("running", "cgroup.freeze", "0\n");
        let frozen = group("frozen", "cgroup.freeze", "1\n");
        let other = group("other", "cgroup.procs", "");
        for (groups, expected) in [
            (vec![&other, &thawed], false),
            (vec![&running], false),
            (vec![&freezing, &running], true),
            (vec![&thawed, &running], false),
            (vec![&other, &frozen], true),
            (vec![&other], true),
            (vec![], true),
        ] {
            let groups: Vec<PathBuf> = groups.into_iter().cloned().collect();
            assert_eq!(may_be_frozen(&groups), expected, "{groups:?}");
        }
    }

    #[test]
    fn groups_are_taken_down_by_threads_that_may_wait() {
        let parent = tempfile::tempdir().expect("a directory");
        let group = |name: &str| {
            let directory = parent.path().join(name);
            fs::create_dir(&directory).expect("a directory");
            directory
        };
        let (removed, killed) = (group("removed"), group("killed"));
        elsewhere(remove(vec![removed.clone()]));
        elsewhere(take_down(RunDirectory::at(parent.path().join("run")), vec![killed.clone()], None));
        assert!(!removed.exists() && !killed.exists());
    }
}
