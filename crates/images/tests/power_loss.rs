//! What a loss of power leaves of a store is whole: a disk is copied while nothing of the process runs that works on it, and
//! the copy is what the power would have left. Needs root, util-linux and e2fsprogs.

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use berth_images::{ImportOptions, ListFilter, Naming, NewImage, Origin, RemoveOptions, Store, digest_of};
use model::ImageReference;
use rustix::process::{Pid, Signal};
use support::{Archive, Scratch};

/// Where the re-executed test program works.
const WORK: &str = "BERTH_IMAGES_WORK_UNTIL_THE_POWER_GOES";
/// As many images are there at once.
const KEPT: u32 = 12;
/// As many losses of power are played at least, and at most where none has yet met a layer that was not written out.
const LOSSES: std::ops::Range<u64> = 10..200;

fn run(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output().expect("a program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A mounted file system in a file.
struct Disk(PathBuf);

impl Disk {
    fn mount(image: &Path, at: &Path) -> Self {
        std::fs::create_dir_all(at).expect("a directory");
        // Nothing is written but on request: no commit of the journal by itself.
        run(&["mount", "-o", "loop,commit=900", &image.display().to_string(), &at.display().to_string()]);
        Self(at.to_owned())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(std::thread::panicking() || unmounted.is_ok_and(|status| status.success()), "it is in use");
    }
}

/// A process that ends with the test, however that ends.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let ended = self.0.kill().and_then(|()| self.0.wait());
        assert!(std::thread::panicking() || ended.is_ok(), "it cannot be ended");
    }
}

/// Makes images in every way, and notes outside of the disk what has to be there from now on.
fn work(root: &Path, log: &Path) {
    let store = Store::open(root).expect("a store");
    let mut log = File::options().append(true).create(true).open(log).expect("a log");
    for round in 0_u32.. {
        let name = format!("n{round}");
        let reference = ImageReference::parse(&name).expect("a name");
        let content = support::noise(1 << (8 + round % 9));
        if round % 2 == 0 {
            let archive = (0..25).fold(Archive::new().directory("d", 0o750), |archive, file| {
                archive.file(&format!("d/{round}-{file}"), &content).symlink(&format!("d/l{file}"), &name)
            });
            let options = ImportOptions { reference: Some(reference), ..ImportOptions::default() };
            store.import(&archive.finish()[..], &options).expect("imported");
        } else {
            committed(&store, &reference, &content, round);
        }
        if round % 3 == 0 {
            store.settle();
            note(&mut log, "settled", &name);
        }
        if let Some(old) = round.checked_sub(KEPT) {
            note(&mut log, "removed", &format!("n{old}"));
            store.remove(&format!("n{old}"), RemoveOptions::default()).expect("removed");
        }
    }
}

/// Notes a line whole: the process may be stopped between any two writes.
fn note(log: &mut File, what: &str, name: &str) {
    log.write_all(format!("{what} {name}\n").as_bytes()).expect("a line");
}

/// Makes an image of a directory, as steps of builds do.
fn committed(store: &Store, reference: &ImageReference, content: &[u8], round: u32) {
    let upper = store.root().join(format!("upper{round}"));
    std::fs::create_dir_all(upper.join("deep/er")).expect("directories");
    for file in 0..25 {
        std::fs::write(upper.join(format!("deep/er/{file}")), content).expect("a file");
    }
    std::fs::write(upper.join("empty"), b"").expect("a file");
    std::os::unix::fs::symlink("deep", upper.join("link")).expect("a symlink");
    let layer = store.adopt_layer(&upper, &[]).expect("adopted").finish().expect("a layer");
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        layer.diff_id()
    );
    let (config, layers) = (config.as_bytes(), [layer]);
    let image =
        NewImage { config, layers: &layers, parent: None, legacy: None, origin: Origin::Here, target: None };
    store.publish(&image, &[Naming::Tag(reference)]).expect("published");
}

#[test]
fn a_loss_of_power_takes_images_whole_or_not_at_all() {
    if let Some(root) = std::env::var_os(WORK) {
        let root = PathBuf::from(root);
        return work(&root.join("store"), &root.with_extension("log"));
    }
    let scratch = Scratch::new();
    let (image, place) = (scratch.path().join("disk"), scratch.path().join("work"));
    run(&["truncate", "-s", "96M", &image.display().to_string()]);
    run(&["mkfs.ext4", "-q", "-m", "0", &image.display().to_string()]);
    let disk = Disk::mount(&image, &place);
    let worker = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "a_loss_of_power_takes_images_whole_or_not_at_all"])
        .env(WORK, &place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let worker = Worker(worker);
    let mut unsettled = 0;
    for round in 0..LOSSES.end {
        if round >= LOSSES.start && unsettled > 0 {
            break;
        }
        let copied = copy(scratch.path(), &image, &worker.0, round);
        unsettled += check(scratch.path(), &copied);
        std::fs::remove_file(&copied.image).expect("removed");
    }
    drop(worker);
    drop(disk);
    assert!(unsettled > 0, "no copy was made before something was written out");
}

/// A copy of the disk, and what was noted when it was made.
struct Copied {
    image: PathBuf,
    noted: String,
}

fn copy(scratch: &Path, image: &Path, child: &Child, round: u64) -> Copied {
    let process = Pid::from_child(child);
    // Any moment is a good one.
    std::thread::sleep(Duration::from_millis(150 + round * 61 % 200));
    rustix::process::kill_process(process, Signal::STOP).expect("stopped");
    // Writes that a thread had begun come to their end.
    while !is_stopped(child.id()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let noted = std::fs::read_to_string(scratch.join("work.log")).unwrap_or_default();
    let copied = scratch.join(format!("copy{round}"));
    copy_of_one_moment(image, &copied);
    rustix::process::kill_process(process, Signal::CONT).expect("continued");
    Copied { image: copied, noted }
}

/// Whether every thread of a process stands still (proc_pid_stat(5): T, after the name in parentheses).
fn is_stopped(process: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("its threads");
    threads.flatten().all(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("T", |(_, state)| state);
        assert!(!state.starts_with('Z'), "it has ended by itself");
        state.starts_with('T')
    })
}

/// Copies a disk that the kernel may still write to, for itself or because another program has everything written out: a copy
/// that equals the disk afterwards is what the disk was between the two.
fn copy_of_one_moment(image: &Path, copied: &Path) {
    let (image, copied) = (image.display().to_string(), copied.display().to_string());
    loop {
        run(&["cp", "--sparse=always", &image, &copied]);
        let compared = Command::new("cmp").args(["--silent", &image, &copied]).status().expect("cmp");
        if compared.success() {
            return;
        }
    }
}

/// Checks what the power left; returns how many layers were not yet written out.
fn check(scratch: &Path, copied: &Copied) -> usize {
    let disk = Disk::mount(&copied.image, &scratch.join("left"));
    let root = disk.0.join("store");
    let unsettled = boot_again(&root.join("images.db"));
    let store = Store::open(&root).expect("the store opens");
    let listed = store.list(&ListFilter { all: true, ..ListFilter::default() }).expect("the list");
    let names: BTreeSet<String> = listed.iter().flat_map(|image| image.tags.iter().cloned()).collect();
    for line in copied.noted.lines().filter_map(|line| line.strip_prefix("settled ")) {
        let is_removed = copied.noted.lines().any(|other| other == format!("removed {line}"));
        assert!(is_removed || names.contains(&format!("{line}:latest")), "{line} was settled and is gone");
    }
    for image in &listed {
        let image = store.image(&image.id).expect("its config is there");
        for layer in store.layers(&image).expect("its layers are there") {
            let mut tar = Vec::new();
            layer.write_tar(&mut tar).expect("its tar is there");
            assert_eq!(digest_of(&tar), layer.diff_id());
            compare(scratch, &tar, &layer.directory());
        }
    }
    // The thread that writes out holds the store no longer.
    store.settle();
    drop(store);
    unsettled
}

/// Lets the store believe that the machine was booted since; returns how many layers were not written out.
fn boot_again(database: &Path) -> usize {
    if !database.exists() {
        return 0;
    }
    let connection = rusqlite::Connection::open(database).expect("the database");
    connection.execute("UPDATE layers SET boot = 'another' WHERE boot IS NOT NULL", []).unwrap_or_default()
}

/// Compares a layer's directory with what its tar unpacks to.
fn compare(scratch: &Path, tar: &[u8], directory: &Path) {
    let expected = scratch.join("expected");
    std::fs::create_dir_all(&expected).expect("a directory");
    let mut archive = tar::Archive::new(tar);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_permissions(true);
    archive.unpack(&expected).expect("unpacked");
    let tree = |at: &Path| {
        let text =
            run(&["find", &at.display().to_string(), "-mindepth", "1", "-printf", "%P %y %m %U %G %l\\n"]);
        text.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(tree(directory), tree(&expected));
    let (directory, expected_at) = (directory.display().to_string(), expected.display().to_string());
    run(&["diff", "-r", "--no-dereference", &directory, &expected_at]);
    std::fs::remove_dir_all(&expected).expect("removed");
}
