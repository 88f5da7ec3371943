//! Holds the code to ARCHITECTURE.md: the table of crates, no circles between modules, files of a size to read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

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
        .filter(|path| !path.starts_with(&sys) && !path.ends_with("architecture.rs"))
        .filter(|path| allows(&fs::read_to_string(path).expect("a source file")))
        .map(|path| shown(&path))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The top modules of a crate and which of the others each one names in its `crate::` paths.
fn imports(crate_directory: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let source = crate_directory.join("src");
    let module_of = |path: &Path| {
        let relative = path.strip_prefix(&source).ok()?;
        let first = relative.components().next()?.as_os_str().to_string_lossy().into_owned();
        Some(first.trim_end_matches(".rs").to_owned())
    };
    let files: Vec<PathBuf> = sources().into_iter().filter(|path| path.starts_with(&source)).collect();
    let modules: BTreeSet<String> = files
        .iter()
        .filter_map(|path| module_of(path))
        .filter(|name| !["lib", "main"].contains(&name.as_str()))
        .collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in &files {
        let Some(module) = module_of(path).filter(|name| modules.contains(name)) else { continue };
        let text = fs::read_to_string(path).expect("a source file");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for part in code.split("crate::").skip(1) {
            for name in named(part) {
                if name != module && modules.contains(&name) {
                    imports.entry(module.clone()).or_default().insert(name);
                }
            }
        }
    }
    imports
}

/// The modules that stand right behind `crate::`: one, or several in braces.
fn named(path: &str) -> Vec<String> {
    let word = |text: &str| {
        text.trim()
            .chars()
            .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect::<String>()
    };
    match path.strip_prefix('{') {
        Some(list) => {
            let mut depth = 0;
            let mut names = vec![String::new()];
            for letter in list.chars() {
                match letter {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => names.push(String::new()),
                    _ => names.last_mut().expect("a name").push(letter),
                }
            }
            names.iter().map(|name| word(name)).collect()
        }
        None => vec![word(path)],
    }
}

/// Pairs of modules that import each other today and are to be untied. Most of the engine's are of
/// one kind: a module that adds verbs to `Engine`, which holds what the module defines. No pair may
/// be added here, and one that is untied must go.
const TO_BE_UNTIED: [&str; 6] = [
    "builder: context and transfer",
    "engine: container and engine",
    "engine: container and logs",
    "engine: engine and exec",
    "engine: engine and reconcile",
    "engine: engine and volumes",
];

#[test]
fn modules_do_not_import_each_other_mutually() {
    let mut wrong = Vec::new();
    for entry in fs::read_dir(root().join("crates")).expect("crates").flatten() {
        let imports = imports(&entry.path());
        for (module, others) in &imports {
            for other in others.iter().filter(|other| *other > module) {
                if imports.get(other).is_some_and(|back| back.contains(module)) {
                    wrong.push(format!("{}: {module} and {other}", entry.file_name().to_string_lossy()));
                }
            }
        }
    }
    let new: Vec<_> = wrong.iter().filter(|pair| !TO_BE_UNTIED.contains(&pair.as_str())).collect();
    assert!(new.is_empty(), "modules that import each other: {new:?}");
    let untied: Vec<_> =
        TO_BE_UNTIED.iter().filter(|pair| !wrong.iter().any(|found| found == *pair)).collect();
    assert!(untied.is_empty(), "no longer import each other, take them out of the list: {untied:?}");
}
