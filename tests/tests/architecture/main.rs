//! Holds the code to ARCHITECTURE.md: the table of crates, no circles of files, no hubs, files of a size to read.

mod blocking;
mod calls;
mod documents;
mod imports;
mod source;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use imports::Crate;

/// No source file is longer.
const MAXIMUM_LINES: usize = 400;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// What `cargo metadata` says of the workspace.
fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The table of ARCHITECTURE.md: each crate and those it may import.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let rows = text.lines().skip_while(|line| !line.starts_with("| crate |")).skip(2);
    let quoted = |cell: &str| -> BTreeSet<String> {
        let outside = cell.split(" (").next().unwrap_or_default();
        outside.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut table = BTreeMap::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').collect();
        let name = quoted(cells[1]).into_iter().next().expect("a crate's name");
        table.insert(name, quoted(cells[3]));
    }
    table
}

/// A package's name in the table: `berth-engine` is `engine`, the package `berth` is in `crates/daemon`.
fn short(package: &Value) -> String {
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    let directory = manifest.parent().and_then(Path::file_name).expect("a directory");
    directory.to_string_lossy().into_owned()
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let table = table();
    assert!(table.len() >= 10, "the table was not read: {table:?}");
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let in_crates =
        |package: &&Value| package["manifest_path"].as_str().is_some_and(|path| path.contains("/crates/"));
    let names: BTreeMap<String, String> = packages
        .iter()
        .filter(in_crates)
        .map(|package| (package["name"].as_str().expect("a name").to_owned(), short(package)))
        .collect();
    assert_eq!(
        names.values().collect::<BTreeSet<_>>(),
        table.keys().collect::<BTreeSet<_>>(),
        "the crates and the table's rows"
    );
    for package in packages.iter().filter(in_crates) {
        let name = short(package);
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let Some(imported) = names.get(dependency["name"].as_str().expect("a name")) else { continue };
            let test_only = dependency["kind"] == "dev";
            assert!(
                test_only || table[&name].contains(imported),
                "{name} imports {imported}; the table does not allow it"
            );
        }
    }
}

/// Every Rust file of the workspace.
fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = ["crates", "tests", "bench"].map(|name| root().join(name)).into();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                waiting.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[test]
fn files_open_by_saying_why_they_exist_and_are_short() {
    let mut wrong = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).expect("a source file");
        let lines = text.lines().count();
        if lines > MAXIMUM_LINES {
            wrong.push(format!("{}: {lines} lines", shown(&path)));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{}: no //! line at its top", shown(&path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_say_what_things_are() {
    let banned = ["utils", "util", "common", "helper", "helpers", "manager", "inner", "misc"];
    let mut wrong = Vec::new();
    for path in sources() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if banned.contains(&stem.as_str()) {
            wrong.push(shown(&path));
        }
        let text = fs::read_to_string(&path).expect("a source file");
        // `get_mut` is the standard library's own name for it.
        let getter =
            |line: &&str| line.contains("fn get_") && !line.contains('"') && !line.contains("fn get_mut(");
        wrong.extend(text.lines().filter(getter).map(|line| format!("{}: {}", shown(&path), line.trim())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_in_sys_alone() {
    let sys = root().join("crates/sys");
    let allows = |text: &str| text.contains("allow(unsafe_code") || text.contains("expect(unsafe_code");
    let wrong: Vec<String> = sources()
        .into_iter()
        .filter(|path| !path.starts_with(&sys) && !path.ends_with("architecture/main.rs"))
        .filter(|path| allows(&fs::read_to_string(path).expect("a source file")))
        .map(|path| shown(&path))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files that may be read whole without `sys::bounded_read`, and why. Everything else may be what a stranger
/// made of it: a FIFO, a device, a link, a terabyte.
const READ_WHOLE: [(&str, &str); 26] = [
    ("crates/daemon/src/config/file.rs", "the administrator's configuration"),
    ("crates/daemon/src/config/user_mapping.rs", "the host's users and groups"),
    ("crates/daemon/src/first_image/mod.rs", "the kernel's table of mounts"),
    ("crates/daemon/src/first_image/send.rs", "what the daemon answers its own client program"),
    ("crates/daemon/src/listener/tls.rs", "the administrator's certificates"),
    ("crates/daemon/src/listener/unix.rs", "the host's groups"),
    ("crates/daemon/src/pidfile.rs", "own state"),
    ("crates/docker-api/src/system/host.rs", "the host's os-release"),
    ("crates/engine/src/cgroup.rs", "cgroups"),
    ("crates/engine/src/container/processors.rs", "the kernel's list of processors"),
    ("crates/engine/src/container/top/command.rs", "the output of ps, cut at a limit"),
    ("crates/engine/src/container/top/full.rs", "/proc, arguments cut at a limit"),
    ("crates/engine/src/warnings.rs", "cgroups"),
    ("crates/images/src/tree/kernel_file.rs", "what the kernel makes up, cut at a limit"),
    ("crates/network/src/network/switches.rs", "the kernel's settings"),
    ("crates/runtime/src/cgroup/enter.rs", "/proc"),
    ("crates/runtime/src/cgroup/file.rs", "cgroups"),
    ("crates/runtime/src/cgroup/hierarchy.rs", "/proc"),
    ("crates/runtime/src/cgroup/memory_notice.rs", "cgroups"),
    ("crates/runtime/src/cgroup/remove.rs", "cgroups"),
    ("crates/runtime/src/cgroup/statistics.rs", "/proc"),
    ("crates/runtime/src/counters.rs", "the kernel's counters"),
    ("crates/runtime/src/label.rs", "the kernel's security modules"),
    ("crates/shim/src/birth.rs", "own state in the exec root"),
    ("crates/shim/src/protection.rs", "the kernel's settings"),
    ("crates/sys/src/bounded_read.rs", "the one place"),
];

/// The lines of a file that read a file or a stream to its end.
fn reads_whole(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let reads = |line: &&str| {
        let whole = ["fs::read(", "read_to_string(", "read_to_end("];
        whole.iter().any(|call| line.contains(call))
            && !line.contains("\"/proc/")
            && !line.contains("\"/sys/")
    };
    code.lines().filter(reads).map(str::trim).collect()
}

#[test]
fn files_of_strangers_are_read_in_one_place() {
    let mut wrong = Vec::new();
    let mut allowed: BTreeSet<&str> = READ_WHOLE.iter().map(|(name, _)| *name).collect();
    for path in sources() {
        let name = shown(&path);
        let is_test = name.contains("/tests/") || name.ends_with("tests.rs") || name.ends_with("fixture.rs");
        if !name.starts_with("crates/") || !name.contains("/src/") || is_test {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source file");
        let reads = reads_whole(&text);
        if !reads.is_empty() && !allowed.remove(name.as_str()) {
            wrong.extend(reads.iter().map(|line| format!("{name}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "use sys::bounded_read:\n{}", wrong.join("\n"));
    assert!(allowed.is_empty(), "these need not be allowed any more: {allowed:?}");
}

#[test]
fn files_do_not_import_each_other_in_circles() {
    let mut wrong = Vec::new();
    let packages = metadata()["packages"].as_array().cloned().unwrap_or_default();
    assert!(packages.len() > 20, "the crates of the product, and bench, tests and fuzz");
    for package in &packages {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        for circle in Crate::read(&manifest.with_file_name("src")).circles() {
            wrong.push(format!("{}: {circle}", short(package)));
        }
    }
    assert!(wrong.is_empty(), "files that import each other in circles:\n{}", wrong.join("\n"));
}

/// The most methods that a type has, private ones too.
const MAXIMUM_METHODS: usize = 30;

#[test]
fn no_type_of_the_engine_is_a_hub() {
    let methods = Crate::read(&root().join("crates/engine/src")).methods();
    assert!(methods.len() > 30, "the types were not found: {methods:?}");
    let hubs: Vec<_> = methods.iter().filter(|(_, count)| **count > MAXIMUM_METHODS).collect();
    assert!(hubs.is_empty(), "types with more than {MAXIMUM_METHODS} methods: {hubs:?}");
}

#[test]
fn nothing_below_imports_the_whole_engine() {
    let source = root().join("crates/engine/src");
    let above = |module: &str| module.is_empty() || module == "engine" || module.starts_with("startup");
    let wrong: Vec<String> =
        Crate::read(&source).importers_of("engine").into_iter().filter(|module| !above(module)).collect();
    assert!(wrong.is_empty(), "these files import Engine: {wrong:?}");
}
