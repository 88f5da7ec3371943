//! Reads the cases.

use serde_json::Value;

/// A Dockerfile and its expected result.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) dockerfile: String,
    pub(crate) files: Vec<File>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) tree: Option<Vec<String>>,
    pub(crate) config: Option<Value>,
    pub(crate) fails: Option<String>,
    pub(crate) says: Vec<String>,
}

/// A file or a symbolic link of the context.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) mode: u32,
    pub(crate) content: String,
    pub(crate) target: Option<String>,
}

/// Parses a file of cases.
pub(crate) fn parse(text: &str) -> Vec<Case> {
    let cases = text.split("\n=== ").map(|case| case.trim_start_matches("=== "));
    cases.filter(|case| !case.trim().is_empty()).map(parse_case).collect()
}

fn parse_case(text: &str) -> Case {
    let mut sections = text.split("\n--- ");
    let (name, dockerfile) = sections.next().and_then(|head| head.split_once('\n')).expect("a Dockerfile");
    let mut case = Case { name: name.to_owned(), dockerfile: format!("{dockerfile}\n"), ..Case::default() };
    for section in sections {
        let (head, body) = section.split_once('\n').unwrap_or((section, ""));
        let words: Vec<&str> = head.split(' ').collect();
        let lines = || body.lines().filter(|line| !line.is_empty()).map(str::to_owned);
        match words.as_slice() {
            ["file", name, mode @ ..] => case.files.push(File {
                name: (*name).to_owned(),
                mode: mode.first().map_or(0o644, |mode| u32::from_str_radix(mode, 8).expect("a mode")),
                content: if body.is_empty() { String::new() } else { format!("{}\n", body.trim_end()) },
                target: None,
            }),
            ["link", name, target] => case.files.push(File {
                name: (*name).to_owned(),
                mode: 0o777,
                content: String::new(),
                target: Some((*target).to_owned()),
            }),
            ["parameter", name, value @ ..] => case.parameters.push(((*name).to_owned(), value.join(" "))),
            ["tree"] => case.tree = Some(lines().collect()),
            ["config"] => case.config = Some(serde_json::from_str(body).expect("JSON")),
            ["fails"] => case.fails = Some(body.trim().to_owned()),
            ["says"] => case.says.extend(lines()),
            other => panic!("{name}: {other:?}"),
        }
    }
    case
}
