//! Holds docs/security.md to the tests: whatever file and function it names is there.

use std::fs;
use std::path::{Path, PathBuf};

/// What stands between backticks at the start of a text, and the text behind it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('`')?.split_once('`')
}

/// A file that a document names, with the functions that it names behind it.
#[derive(Debug, PartialEq, Eq)]
struct Named<'a> {
    file: &'a str,
    functions: Vec<&'a str>,
}

/// All files of Rust that a document names: `` `file.rs`: `function`, `function` ``.
fn named(document: &str) -> Vec<Named<'_>> {
    let mut found = Vec::new();
    let mut rest = document;
    while let Some(at) = rest.find('`') {
        let Some((word, behind)) = quoted(&rest[at..]) else { break };
        rest = behind;
        if !word.ends_with(".rs") {
            continue;
        }
        let mut functions = Vec::new();
        let mut list = rest.strip_prefix(':').map(str::trim_start);
        while let Some((function, behind)) = list.and_then(quoted).filter(|(word, _)| !word.ends_with(".rs"))
        {
            functions.push(function);
            rest = behind;
            list = behind.strip_prefix(',').map(str::trim_start);
        }
        found.push(Named { file: word, functions });
    }
    found
}

/// The file that is meant: beneath `tests/tests/`, from the workspace's root, or the only one that ends so.
fn file<'a>(root: &Path, sources: &'a [PathBuf], name: &str) -> Option<&'a PathBuf> {
    let exact = [root.join("tests/tests").join(name), root.join(name)];
    let mut ending = sources.iter().filter(|path| path.ends_with(name));
    sources
        .iter()
        .find(|path| exact.contains(path))
        .or_else(|| ending.next().filter(|_| ending.next().is_none()))
}

#[test]
fn every_test_that_the_page_on_security_names_is_there() {
    let root = crate::root();
    let sources = crate::sources();
    let document = fs::read_to_string(root.join("docs/security.md")).expect("the page");
    let named = named(&document);
    let functions: usize = named.iter().map(|named| named.functions.len()).sum();
    assert!(functions > 30, "the page was not read: {named:?}");
    let mut wrong = Vec::new();
    for Named { file: name, functions } in named {
        let Some(path) = file(&root, &sources, name) else {
            wrong.push(format!("{name} is no file"));
            continue;
        };
        let text = fs::read_to_string(path).expect("a source file");
        for function in functions {
            // Tests that need a process with one thread are listed by hand.
            let listed = text.contains(&format!("(\"{function}\", {function})"));
            let test = listed
                || text.find(&format!("fn {function}(")).is_some_and(|at| {
                    let before = text[..at].rsplit("\n\n").next().unwrap_or_default();
                    before.contains("test]") || before.contains("test(")
                });
            if !test {
                wrong.push(format!("{name} has no test {function}"));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/security.md:\n{}", wrong.join("\n"));
}

#[test]
fn names_in_a_document_are_found() {
    let text = "`a.rs`: `b`,\n`c`; `d` and `e/f.rs`, `g.rs`: `h` |";
    let found = named(text);
    assert_eq!(
        found,
        [
            Named { file: "a.rs", functions: vec!["b", "c"] },
            Named { file: "e/f.rs", functions: vec![] },
            Named { file: "g.rs", functions: vec!["h"] },
        ]
    );
}
