//! The functions of a crate that wait, themselves or by those that they call, and the calls of them in async code.
//!
//! A call is followed by its name: `self.f` and `Self::f` to the file's own, `module::f` and `Type::f` to the file of that
//! name, and anything else where the crate has one function of the name. A method that several types have is not followed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::blocking::{self, behind_bracket};

/// Methods of the standard library's types: such a call says nothing of the crate's function of this name.
const METHODS: [&str; 24] = [
    "add", "all", "clear", "clone", "close", "contains", "drain", "end", "find", "get", "insert", "is_empty",
    "iter", "join", "len", "lock", "next", "open", "push", "read", "remove", "send", "take", "write",
];

/// A function with a body.
struct Function<'code> {
    file: &'code str,
    name: &'code str,
    body: Range<usize>,
    is_async: bool,
}

/// A file's code with what is known of it.
struct File<'code> {
    code: &'code str,
    asynchronous: Vec<Range<usize>>,
    elsewhere: Vec<Range<usize>>,
}

/// The files of a crate, by their paths, as far as calls are followed.
pub(crate) struct Calls<'code> {
    files: BTreeMap<&'code str, File<'code>>,
    functions: Vec<Function<'code>>,
    named: BTreeMap<&'code str, Vec<usize>>,
}

/// Async code that calls a function which waits.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaitingCall {
    /// The file.
    pub(crate) file: String,
    /// The function that is called.
    pub(crate) function: String,
    /// What it calls, up to what waits.
    pub(crate) path: String,
}

impl<'code> Calls<'code> {
    /// Reads the code of a crate's files, without comments, texts and tests.
    pub(crate) fn of(files: &'code BTreeMap<String, String>) -> Self {
        let mut calls = Self { files: BTreeMap::new(), functions: Vec::new(), named: BTreeMap::new() };
        for (file, code) in files {
            let (asynchronous, elsewhere) = (blocking::asynchronous(code), blocking::elsewhere(code));
            calls.files.insert(file, File { code, asynchronous, elsewhere });
            for function in functions(file, code) {
                calls.named.entry(function.name).or_default().push(calls.functions.len());
                calls.functions.push(function);
            }
        }
        calls
    }

    /// The calls in async code of functions that wait and are not run by another thread.
    pub(crate) fn waiting(&self) -> BTreeSet<WaitingCall> {
        let waits = self.waiting_functions();
        let mut found = BTreeSet::new();
        for (name, file) in &self.files {
            for body in &file.asynchronous {
                for (at, called) in names_called(&file.code[body.clone()], body.start) {
                    let targets =
                        if is_in(&file.elsewhere, at) { Vec::new() } else { self.targets(name, at, called) };
                    let path = targets.iter().find_map(|target| waits.get(target));
                    found.extend(path.map(|path| WaitingCall {
                        file: (*name).to_owned(),
                        function: called.to_owned(),
                        path: path.clone(),
                    }));
                }
            }
        }
        found
    }

    /// The functions that are not async and wait, each with what it calls up to what waits.
    fn waiting_functions(&self) -> BTreeMap<usize, String> {
        let mut waits: BTreeMap<usize, String> = BTreeMap::new();
        let sync = || self.functions.iter().enumerate().filter(|(_, function)| !function.is_async);
        for (number, function) in sync() {
            let file = &self.files[function.file];
            let own = blocking::calls(file.code, &function.body);
            let mut own =
                own.filter(|(at, _)| !is_in(&file.elsewhere, *at) && !is_in(&file.asynchronous, *at));
            if let Some((_, call)) = own.next() {
                waits.insert(number, call.to_owned());
            }
        }
        loop {
            let mut more = Vec::new();
            for (number, function) in sync().filter(|(number, _)| !waits.contains_key(number)) {
                let file = &self.files[function.file];
                let path = names_called(&file.code[function.body.clone()], function.body.start)
                    .filter(|(at, _)| !is_in(&file.elsewhere, *at) && !is_in(&file.asynchronous, *at))
                    .find_map(|(at, called)| {
                        let targets = self.targets(function.file, at, called);
                        let path = targets.iter().find_map(|target| waits.get(target))?;
                        Some(format!("{called} → {path}"))
                    });
                more.extend(path.map(|path| (number, path)));
            }
            if more.is_empty() {
                return waits;
            }
            waits.extend(more);
        }
    }

    /// The functions that a call at a place in a file leads to.
    fn targets(&self, file: &str, at: usize, name: &str) -> Vec<usize> {
        let Some(all) = self.named.get(name) else { return Vec::new() };
        let before = &self.files[file].code[..at];
        let sync = |number: &&usize| !self.functions[**number].is_async;
        let of_file = |number: &&usize| self.functions[**number].file == file;
        let only = || if let [only] = all[..] { vec![only] } else { Vec::new() };
        let own: Vec<usize> = all.iter().filter(of_file).copied().collect();
        let found = if before.ends_with("self.") || before.ends_with("Self::") {
            if own.is_empty() { only() } else { own }
        } else if before.ends_with('.') {
            if METHODS.contains(&name) { Vec::new() } else { only() }
        } else if let Some(path) = before.strip_suffix("::") {
            let start = path.rfind(|letter: char| !is_part(letter)).map_or(0, |place| place + 1);
            let place = &path[start..];
            all.iter().filter(|number| self.is_of(self.functions[**number].file, place)).copied().collect()
        } else if own.is_empty() {
            only()
        } else {
            own
        };
        found.iter().filter(sync).copied().collect()
    }

    /// Whether a file is a module of this name, or defines this type.
    fn is_of(&self, file: &str, place: &str) -> bool {
        let is_module =
            file.ends_with(&format!("/{place}.rs")) || file.ends_with(&format!("/{place}/mod.rs"));
        let code = self.files[file].code;
        let defines = |kind: &str| {
            code.match_indices(&format!("{kind} {place}"))
                .any(|(at, whole)| !code[at + whole.len()..].starts_with(is_part))
        };
        is_module || (place.starts_with(char::is_uppercase) && (defines("struct") || defines("enum")))
    }
}

fn is_part(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn is_in(ranges: &[Range<usize>], at: usize) -> bool {
    ranges.iter().any(|range| range.contains(&at))
}

/// The functions of a file that have a body.
fn functions<'code>(file: &'code str, code: &'code str) -> Vec<Function<'code>> {
    let found = code.match_indices("fn ").filter(|(at, _)| !code[..*at].ends_with(is_part));
    let function = |(at, word): (usize, &str)| {
        let start = at + word.len();
        let length = code[start..].find(|letter: char| !is_part(letter))?;
        let parameters = start + code[start..].find('(')?;
        let behind = behind_bracket(code, parameters, ('(', ')'));
        let body = behind + code[behind..].find('{')?;
        let has_body = !code[behind..body].contains(';');
        let is_async = code[..at].trim_end().ends_with("async");
        (length > 0 && has_body).then(|| Function {
            file,
            name: &code[start..start + length],
            body: body..behind_bracket(code, body, ('{', '}')),
            is_async,
        })
    };
    found.filter_map(function).collect()
}

/// The names before an opening bracket in a code that begins at `from` of its file, each with its place there.
fn names_called(code: &str, from: usize) -> impl Iterator<Item = (usize, &str)> {
    code.match_indices('(').filter_map(move |(bracket, _)| {
        let start = code[..bracket]
            .rfind(|letter: char| !is_part(letter))
            .map_or(0, |place| place + code[place..].chars().next().map_or(1, char::len_utf8));
        let name = &code[start..bracket];
        (!name.is_empty() && !code[..start].ends_with("fn ")).then_some((from + start, name))
    })
}

#[test]
fn functions_that_wait_are_found_behind_others() {
    let files = BTreeMap::from([
        (
            "a/src/reader.rs".to_owned(),
            "struct Reader; impl Reader { fn bytes(&self, room: [u8; 4]) { fs::read(path) } fn all_of(&self) { self.bytes(room) } }"
                .to_owned(),
        ),
        (
            "a/src/verbs.rs".to_owned(),
            "async fn bad(reader: Reader) { reader.all_of(); }\n\
             async fn good(reader: Reader) { spawn_blocking(move || reader.all_of()).await; reader.read(); }\n\
             async fn other() { Reader::bytes(&reader); nothing(); }\nfn nothing() {}\n"
                .to_owned(),
        ),
    ]);
    let found = Calls::of(&files).waiting();
    let shown: Vec<String> = found.iter().map(|call| format!("{} → {}", call.function, call.path)).collect();
    assert_eq!(shown, ["all_of → bytes → fs::read(", "bytes → fs::read("]);
}
