//! Reads the cases.

use crate::registry::gzip;
use crate::tarball;

/// When every file of a context was modified, in seconds since 1970.
pub const TIME: u64 = 1_500_000_000;

/// A Dockerfile with what it is built from.
#[derive(Debug, Default)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// Its text.
    pub dockerfile: String,
    /// The context.
    pub files: Vec<File>,
    /// Flags of `docker buildx build`, without their dashes.
    pub flags: Vec<(String, String)>,
}

/// A file or a symbolic link of the context.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path in the context.
    pub name: String,
    /// Its permission bits.
    pub mode: u32,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Where a symbolic link leads.
    pub target: Option<String>,
}

/// Parses a file of cases.
///
/// # Panics
/// When it is malformed.
#[must_use]
pub fn cases(text: &str) -> Vec<Case> {
    let cases = text.split("\n=== ").map(|case| case.trim_start_matches("=== "));
    cases.filter(|case| !case.trim().is_empty()).map(parse).collect()
}

fn parse(text: &str) -> Case {
    let mut sections = text.split("\n--- ");
    let (name, dockerfile) = sections.next().and_then(|head| head.split_once('\n')).expect("a Dockerfile");
    let dockerfile = format!("{}\n", dockerfile.trim_end());
    let mut case = Case { name: name.to_owned(), dockerfile, ..Case::default() };
    for section in sections {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let words: Vec<&str> = head.split(' ').collect();
        let mut add = |name: &str, mode, content, target: Option<&str>| {
            let (name, target) = (name.to_owned(), target.map(str::to_owned));
            case.files.push(File { name, mode, content, target });
        };
        match words.as_slice() {
            ["file", name, mode @ ..] => {
                let mode = mode.first().map_or(0o644, |mode| u32::from_str_radix(mode, 8).expect("a mode"));
                let body = body.trim_end();
                let content = if body.is_empty() { String::new() } else { format!("{body}\n") };
                add(name, mode, content.into_bytes(), None);
            }
            ["link", name, target] => add(name, 0o777, Vec::new(), Some(target)),
            ["tar", name] => add(name, 0o644, archive(name, body), None),
            ["flag", name, value @ ..] => case.flags.push(((*name).to_owned(), value.join(" "))),
            other => panic!("{name}: {other:?}"),
        }
    }
    case
}

fn archive(name: &str, body: &str) -> Vec<u8> {
    let lines = body.lines().filter(|line| !line.is_empty());
    let files: Vec<_> = lines.map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
    let archive = tarball::of(&files);
    if name.ends_with(".gz") { gzip(&archive) } else { archive }
}
