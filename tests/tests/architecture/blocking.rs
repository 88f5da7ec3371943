//! Holds async functions to one rule: what may wait for a disk, for processes or for a log of any size is done by
//! another thread. A worker of the runtime that waits holds up every request.

use std::ops::Range;

/// Calls that may wait, as they stand in the code.
const WAITING: [&str; 38] = [
    ".sync_all(",
    ".sync_data(",
    "DirBuilder::new(",
    "File::create(",
    "File::open(",
    "File::options(",
    "OpenOptions::new(",
    "Reader::open(",
    "Reader::open_as_it_is(",
    "fs::canonicalize(",
    "fs::copy(",
    "fs::create_dir(",
    "fs::create_dir_all(",
    "fs::hard_link(",
    "fs::metadata(",
    "fs::read(",
    "fs::read_dir(",
    "fs::read_link(",
    "fs::read_to_string(",
    "fs::remove_dir(",
    "fs::remove_dir_all(",
    "fs::remove_file(",
    "fs::rename(",
    "fs::set_permissions(",
    "fs::symlink_metadata(",
    "fs::write(",
    "bounded_read::read(",
    "bounded_read::read_beneath(",
    "delete_tree(",
    "kill_and_wait(",
    "private::create(",
    "private::directory(",
    "remove_all(",
    "remove_tree(",
    "take_down_shim(",
    "thread::sleep(",
    "wait_blocking(",
    "write_in_place(",
];

/// What has its closure run by a thread that may wait.
const ELSEWHERE: [&str; 4] = ["spawn_blocking(", "thread::spawn(", "blocking(", "apart("];

/// The calls in a code without comments that make a worker of the runtime wait.
pub(crate) fn waiting(code: &str) -> Vec<&str> {
    let asynchronous = asynchronous(code);
    let elsewhere = elsewhere(code);
    let is_in = |ranges: &[Range<usize>], at: usize| ranges.iter().any(|range| range.contains(&at));
    let waits =
        calls(code, &(0..code.len())).filter(|(at, _)| is_in(&asynchronous, *at) && !is_in(&elsewhere, *at));
    waits.map(|(at, _)| line_at(code, at)).collect()
}

/// The calls that may wait in a part of a code, wherever they are run.
pub(crate) fn calls<'code>(
    code: &'code str,
    part: &Range<usize>,
) -> impl Iterator<Item = (usize, &'code str)> + use<'code> {
    let (from, part) = (part.start, &code[part.clone()]);
    let found = WAITING.iter().flat_map(move |call| part.match_indices(call));
    found.map(move |(at, call)| (from + at, call)).filter(move |(at, call)| {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let before = &code[..*at];
        call.starts_with('.') || !(before.ends_with(is_part) || before.ends_with("tokio::"))
    })
}

fn line_at(code: &str, at: usize) -> &str {
    let start = code[..at].rfind('\n').map_or(0, |newline| newline + 1);
    code[start..].lines().next().unwrap_or_default().trim()
}

/// Where async functions, blocks and closures have their bodies.
pub(crate) fn asynchronous(code: &str) -> Vec<Range<usize>> {
    let bodies = code.match_indices("async ").filter_map(|(at, _)| {
        let body = at + code[at..].find('{')?;
        // A function of a trait may have none.
        let has_body = !code[at..body].contains(';');
        has_body.then(|| body..behind_bracket(code, body, ('{', '}')))
    });
    bodies.collect()
}

/// What threads do that may wait: the closures given to them, be it by name.
pub(crate) fn elsewhere(code: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, call) in ELSEWHERE.iter().flat_map(|call| code.match_indices(call)) {
        let arguments = at + call.len() - 1;
        let given = arguments..behind_bracket(code, arguments, ('(', ')'));
        let name = code[given.start + 1..given.end - 1].trim();
        let closure = format!("let {name} = ");
        if let Some(made) = code[..at].rfind(&closure) {
            let closure = made + closure.len();
            let length = code[closure..].find(['{', '|']).unwrap_or(0);
            let body = closure + code[closure + length..].find('{').map_or(0, |brace| length + brace);
            found.push(closure..behind_bracket(code, body, ('{', '}')));
        }
        found.push(given);
    }
    found
}

/// Behind the bracket that closes the one at `from`.
pub(crate) fn behind_bracket(code: &str, from: usize, (opening, closing): (char, char)) -> usize {
    let mut depth = 0_i32;
    for (at, letter) in code[from..].char_indices() {
        if letter == opening {
            depth += 1;
        } else if letter == closing {
            depth -= 1;
            if depth == 0 {
                return from + at + letter.len_utf8();
            }
        }
    }
    code.len()
}

#[test]
fn what_waits_in_async_code_is_found() {
    let code = "fn plain() { std::fs::read(path) }\n\
                async fn bad(&self) -> T { let x = { fs::read(path) }; cgroup::remove_all(groups); }\n\
                trait Later { async fn none(&self); }\n\
                fn spawns() { tokio::spawn(async move { written.wait_blocking() }); }\n\
                async fn good() { spawn_blocking(move || { fs::read(path) }).await; tokio::fs::copy_all(); }\n\
                async fn named() { let work = move || { thread::sleep(long) }; spawn_blocking(work).await }\n";
    let found = waiting(code);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().filter(|line| line.contains("async fn bad")).count() == 2, "{found:?}");
    assert!(found.iter().any(|line| line.contains("fn spawns")), "{found:?}");
}
