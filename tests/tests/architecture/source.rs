//! Takes Rust source apart as far as the architecture tests need: without comments, texts and tests, and with
//! `use` trees as plain paths.

use std::collections::BTreeSet;

/// The code of a file: no comments, no texts, nothing that is compiled for tests alone.
pub(crate) fn code(text: &str) -> String {
    let plain = without_texts(text);
    let plain = without_tests(&plain);
    without_restrictions(&relative_to_file(&plain))
}

/// `pub(in a::b)` limits the users of something, and is not a dependency.
fn without_restrictions(text: &str) -> String {
    let mut parts = text.split("pub(in ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("pub");
        out.push_str(part.split_once(')').map_or("", |(_, behind)| behind));
    }
    out
}

/// Whether this is where a character literal begins, and how long it is; lifetimes have none.
fn character_length(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'\'', b'\\', _, tail @ ..] => Some(4 + tail.iter().position(|byte| *byte == b'\'')?),
        [b'\'', first, tail @ ..] => {
            let more = tail.iter().take_while(|byte| (0x80..0xc0).contains(*byte)).count();
            (*first != b'\'' && tail.get(more) == Some(&b'\'')).then_some(3 + more)
        }
        _ => None,
    }
}

/// The length of a string literal at the start of `rest`, raw ones and those of bytes too.
fn string_length(rest: &[u8]) -> Option<usize> {
    let prefix = rest.iter().take_while(|byte| **byte == b'b' || **byte == b'r' || **byte == b'c').count();
    let raw = rest[..prefix].contains(&b'r');
    let hashes = rest[prefix..].iter().take_while(|byte| **byte == b'#').count();
    if prefix > 2 || rest.get(prefix + hashes) != Some(&b'"') || (hashes > 0 && !raw) {
        return None;
    }
    let mut at = prefix + hashes + 1;
    loop {
        match rest.get(at)? {
            b'\\' if !raw => at += 2,
            b'"' if rest[at + 1..].iter().take(hashes).filter(|byte| **byte == b'#').count() == hashes => {
                return Some(at + 1 + hashes);
            }
            _ => at += 1,
        }
    }
}

fn without_texts(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let in_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        if rest.starts_with(b"//") {
            at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        } else if let Some(length) = (!in_word).then(|| string_length(rest)).flatten() {
            out.extend_from_slice(b"\"\"");
            at += length;
        } else if let Some(length) = character_length(rest) {
            out.extend_from_slice(b"' '");
            at += length;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).expect("UTF-8 stays so")
}

/// Leaves out what stands behind `#[cfg(test)]`: an item to its closing brace or its semicolon.
fn without_tests(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(place) = ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|mark| rest.find(mark)).min()
    {
        out.push_str(&rest[..place]);
        rest = &rest[place..];
        rest = &rest[item_length(rest)..];
    }
    out + rest
}

/// The length of an item, its attributes included.
fn item_length(text: &str) -> usize {
    let mut depth = 0_i32;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' | '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Within a module of the file itself, `super` is the file.
fn relative_to_file(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((head, opening)) = inline_module(rest) {
        let length = item_length(&rest[head..]);
        out.push_str(&rest[..opening]);
        out.push_str(&rest[opening..head + length].replace("super::", "self::"));
        rest = &rest[head + length..];
    }
    out + rest
}

/// Where the next module with a body begins, and where its brace is.
fn inline_module(text: &str) -> Option<(usize, usize)> {
    for (at, _) in text.match_indices("mod ") {
        let before = text[..at].chars().next_back().unwrap_or('\n');
        let name = text[at + 4..].find(|letter: char| !(letter.is_alphanumeric() || letter == '_'))?;
        let behind = at + 4 + name;
        if before.is_whitespace() && text[behind..].trim_start().starts_with('{') {
            return Some((at, behind + text[behind..].find('{')?));
        }
    }
    None
}

/// One name that a `use` brings, and the path that it stands for; `*` for all.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) name: String,
    pub(crate) path: Vec<String>,
}

/// The `use` declarations of a code, and the code without them.
pub(crate) fn uses(code: &str) -> (Vec<Use>, String) {
    let mut found = Vec::new();
    let mut left = String::new();
    let mut rest = code;
    while let Some(at) = find_word(rest, "use") {
        let Some(end) = rest[at..].find(';') else { break };
        left.push_str(&rest[..at]);
        flatten(&[], rest[at + 3..at + end].trim(), &mut found);
        rest = &rest[at + end + 1..];
    }
    left.push_str(rest);
    (found, left)
}

fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '#';
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        !text[..*at].chars().next_back().is_some_and(is_part)
            && text[at + word.len()..].starts_with(char::is_whitespace)
    })
}

/// Writes out a `use` tree.
fn flatten(prefix: &[String], tree: &str, found: &mut Vec<Use>) {
    if let Some(list) = tree.strip_prefix('{') {
        let list = list.strip_suffix('}').unwrap_or(list);
        for part in split_list(list) {
            flatten(prefix, part.trim(), found);
        }
        return;
    }
    if let Some((first, rest)) = tree.split_once("::").filter(|(first, _)| !first.contains(' ')) {
        let prefix: Vec<String> = prefix.iter().cloned().chain([first.trim().to_owned()]).collect();
        return flatten(&prefix, rest.trim(), found);
    }
    if tree.is_empty() {
        return;
    }
    let (last, name) = tree.split_once(" as ").unwrap_or((tree, tree));
    let (last, name) = (last.trim(), name.trim());
    let mut path = prefix.to_vec();
    let name =
        if last == "self" && name == "self" { prefix.last().map_or("self", String::as_str) } else { name };
    if last != "self" {
        path.push(last.to_owned());
    }
    found.push(Use { name: name.to_owned(), path });
}

/// Splits at the commas that stand in no braces.
fn split_list(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&list[start..]);
    parts
}

/// The names of all items in a code, at whatever depth.
pub(crate) fn definitions(code: &str) -> BTreeSet<String> {
    const KINDS: [&str; 9] = ["fn", "struct", "enum", "trait", "const", "static", "type", "union", "mod"];
    let is_break = |letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == '!');
    let words: Vec<&str> = code.split(is_break).filter(|word| !word.is_empty()).collect();
    let pairs = words.windows(2).filter(|pair| KINDS.contains(&pair[0]) || pair[0] == "macro_rules!");
    pairs.map(|pair| pair[1].to_owned()).collect()
}

/// Paths of at least two names that stand in a code outside of `use`.
pub(crate) fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut rest = code;
    let mut continues = false;
    while let Some(first) = rest.chars().next() {
        if first.is_alphabetic() || first == '_' {
            let length = rest.find(|letter: char| !(letter.is_alphanumeric() || letter == '_'));
            let (word, left) = rest.split_at(length.unwrap_or(rest.len()));
            if !continues {
                end_path(&mut path, &mut found);
            }
            path.push(word.to_owned());
            rest = left.trim_start();
            continues = rest.starts_with("::");
            rest = rest.strip_prefix("::").map_or(rest, str::trim_start);
        } else {
            end_path(&mut path, &mut found);
            continues = false;
            rest = &rest[first.len_utf8()..];
            // A path from nowhere is one of another crate.
            rest = rest.strip_prefix("$crate::").unwrap_or(rest);
        }
    }
    end_path(&mut path, &mut found);
    found
}

fn end_path(path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let path = std::mem::take(path);
    if path.len() > 1 {
        found.push(path);
    }
}

#[test]
fn source_is_taken_apart() {
    let text = "//! x::y\nuse crate::{a::{self, B as C}, d::*};\nfn f<'a>(x: &'a str) { super::g('\"', \"use e::f;\"); }\n\
                #[cfg(test)]\nmod tests { use crate::h; }\nmod inline { use super::K; }\n";
    let (found, left) = uses(&code(text));
    let shown: Vec<String> =
        found.iter().map(|one| format!("{}={}", one.name, one.path.join("::"))).collect();
    assert_eq!(shown, ["a=crate::a", "C=crate::a::B", "*=crate::d::*", "K=self::K"]);
    assert_eq!(paths(&left), [["super", "g"]]);
}
