//! Which file of a crate needs which others, and the circles among them.
//!
//! A path leads to the file that defines its name, whatever re-exports it on the way: a module that only
//! re-exports is no knot. What a file needs are all its `use` declarations and all paths in its code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::source::{self, Use};

/// A module's path: its names from the crate's root, which is the empty one.
type Module = Vec<String>;

/// One file.
struct File {
    uses: Vec<Use>,
    /// All but the `use` declarations.
    code: String,
    /// The names that it defines.
    defined: BTreeSet<String>,
}

/// The files of a crate.
pub(crate) struct Crate(BTreeMap<Module, File>);

impl Crate {
    /// Reads a source directory; files of tests are left out.
    pub(crate) fn read(source: &Path) -> Self {
        let mut texts = BTreeMap::new();
        read_directory(source, &mut Vec::new(), &mut texts);
        let tests: Vec<Module> = texts.iter().flat_map(|(module, text)| test_modules(module, text)).collect();
        texts.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        let file = |(module, text): (Module, String)| {
            let (uses, code) = source::uses(&source::code(&text));
            let defined = source::definitions(&code);
            (module, File { uses, code, defined })
        };
        Self(texts.into_iter().map(file).collect())
    }

    /// The files that need each other in a circle, each group as `a, b, c`.
    pub(crate) fn circles(&self) -> Vec<String> {
        let needs: BTreeMap<&Module, BTreeSet<&Module>> =
            self.0.keys().map(|module| (module, self.needed_by(module))).collect();
        let reach: BTreeMap<&Module, BTreeSet<&Module>> =
            needs.keys().map(|module| (*module, reachable(module, &needs))).collect();
        let mut circles = BTreeSet::new();
        for (module, reached) in &reach {
            let circle: Vec<&Module> =
                reached.iter().copied().filter(|other| reach[other].contains(module)).collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        let shown = |circle: &Vec<&Module>| {
            let of_circle = |module: &&Module| {
                let others = needs[*module].iter().filter(|other| circle.contains(other));
                let others: Vec<String> = others.map(|other| shown(other)).collect();
                format!("{} needs {}", shown(module), others.join(" and "))
            };
            circle.iter().map(of_circle).collect::<Vec<_>>().join("; ")
        };
        circles.iter().map(shown).collect()
    }

    /// The modules that need a file.
    pub(crate) fn importers_of(&self, module: &str) -> Vec<String> {
        let wanted: Module = module.split("::").map(str::to_owned).collect();
        assert!(self.0.contains_key(&wanted), "there is no file {module}");
        let importers = self.0.keys().filter(|module| self.needed_by(module).contains(&wanted));
        importers.map(|module| module.join("::")).collect()
    }

    /// How many methods each type has, in all `impl` blocks without a trait.
    pub(crate) fn methods(&self) -> BTreeMap<String, usize> {
        let mut methods = BTreeMap::new();
        for file in self.0.values() {
            let mut current: Option<String> = None;
            for line in file.code.lines() {
                if let Some(head) = line.strip_prefix("impl").filter(|_| !line.contains(" for ")) {
                    current = type_name(head);
                } else if line.starts_with('}') {
                    current = None;
                } else if let Some(name) = &current
                    && is_method(line)
                {
                    *methods.entry(name.clone()).or_default() += 1;
                }
            }
        }
        methods
    }

    fn needed_by(&self, module: &Module) -> BTreeSet<&Module> {
        let file = &self.0[module];
        let imported = file.uses.iter().map(|one| one.path.clone());
        let needed =
            imported.chain(source::paths(&file.code)).filter_map(|path| self.resolve(module, &path, 0));
        needed.filter(|other| *other != module).collect()
    }

    /// The file that defines what a path in a module leads to; nothing for paths of other crates.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<&Module> {
        if depth > 16 {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let start: Module = match first.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            name if self.0.contains_key(&child(module, name)) => child(module, name),
            name => {
                let imported =
                    self.0[module].uses.iter().find(|one| one.name == name && one.path[0] != name)?;
                let whole: Vec<String> = imported.path.iter().chain(rest).cloned().collect();
                return self.resolve(module, &whole, depth + 1);
            }
        };
        self.resolve_in(start, rest, depth)
    }

    /// The same for what is left of a path behind a module.
    fn resolve_in(&self, mut module: Module, path: &[String], depth: usize) -> Option<&Module> {
        let mut rest = path;
        while let Some((first, tail)) = rest.split_first() {
            if first == "super" {
                module.pop()?;
            } else if self.0.contains_key(&child(&module, first)) {
                module.push(first.clone());
            } else {
                break;
            }
            rest = tail;
        }
        let (found, file) = self.0.get_key_value(&module)?;
        let Some((name, tail)) = rest.split_first() else { return Some(found) };
        if name == "*" || file.defined.contains(name) {
            return Some(found);
        }
        let named = file.uses.iter().filter(|one| one.name == *name);
        let globs = file.uses.iter().filter(|one| one.name == "*");
        for (imported, is_glob) in named.map(|one| (one, false)).chain(globs.map(|one| (one, true))) {
            let mut path = imported.path.clone();
            if is_glob {
                path.pop();
                path.push(name.clone());
            }
            path.extend_from_slice(tail);
            if let Some(target) = self.resolve(&module, &path, depth + 1) {
                return Some(target);
            }
        }
        None
    }
}

fn child(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

fn reachable<'m>(
    from: &'m Module,
    needs: &BTreeMap<&'m Module, BTreeSet<&'m Module>>,
) -> BTreeSet<&'m Module> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(module) = waiting.pop() {
        if reached.insert(module) {
            waiting.extend(&needs[module]);
        }
    }
    reached
}

fn read_directory(directory: &Path, prefix: &mut Module, texts: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(directory).expect("a source directory").flatten() {
        let path = entry.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            prefix.push(stem);
            read_directory(&path, prefix, texts);
            prefix.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_own = !["mod", "lib", "main"].contains(&stem.as_str());
            let module = if is_own { child(prefix, &stem) } else { prefix.clone() };
            texts.insert(module, fs::read_to_string(&path).expect("a source file"));
        }
    }
}

/// The modules that a file declares for tests alone.
fn test_modules(module: &Module, text: &str) -> Vec<Module> {
    let behind = text.split("#[cfg(test)]").skip(1).chain(text.split("#[cfg(all(test").skip(1));
    let declared = behind.filter_map(|rest| {
        let (_, rest) = rest.split_once("mod ")?;
        let (name, _) = rest.split_once(';')?;
        name.chars().all(|letter| letter.is_alphanumeric() || letter == '_').then(|| child(module, name))
    });
    declared.collect()
}

/// The type of an `impl` head, ` Engine {` or `<T> Held<T> {`.
fn type_name(head: &str) -> Option<String> {
    let head = match head.strip_prefix('<') {
        Some(generic) => generic.split_once("> ")?.1,
        None => head.strip_prefix(' ')?,
    };
    Some(head.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
}

/// Whether a line begins a method of an `impl` block at the file's top.
fn is_method(line: &str) -> bool {
    let Some(line) = line.strip_prefix("    ").filter(|line| !line.starts_with(' ')) else { return false };
    line.starts_with("fn ") || (line.contains(" fn ") && !line.starts_with("//"))
}
