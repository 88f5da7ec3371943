//! The patterns of an ignore file, for the client to match: it sends only what is wanted.

use crate::grpc::Status;

/// Patterns of one file.
const PATTERN_LIMIT: usize = 10_000;

/// The patterns of an ignore file, in their order.
///
/// # Errors
/// `InvalidArgument` when there are too many.
pub(super) fn patterns(text: &[u8]) -> Result<Vec<String>, Status> {
    let text = String::from_utf8_lossy(text);
    let text = text.trim_start_matches('\u{feff}');
    let patterns: Vec<String> = text.lines().filter_map(pattern).take(PATTERN_LIMIT + 1).collect();
    if patterns.len() > PATTERN_LIMIT {
        return Err(Status::invalid(format!(".dockerignore has more than {PATTERN_LIMIT} patterns")));
    }
    Ok(patterns)
}

/// One line's pattern: trimmed, relative, without what a path does not need; none for a comment.
fn pattern(line: &str) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let line = line.trim();
    let (mark, rest) = match line.strip_prefix('!') {
        Some(rest) => ("!", rest.trim()),
        None => ("", line),
    };
    if rest.is_empty() {
        return None;
    }
    let mut names: Vec<&str> = Vec::new();
    for name in rest.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => drop(names.pop()),
            name => names.push(name),
        }
    }
    let clean = if names.is_empty() { ".".to_owned() } else { names.join("/") };
    Some(format!("{mark}{clean}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_cleaned() {
        let text = "\u{feff}# comment\n\n /a/./b/ \n!c//d\n  ! e\nf/../g\n.\n**/*.o\r\n";
        let read = patterns(text.as_bytes()).expect("patterns");
        assert_eq!(read, ["a/b", "!c/d", "!e", "g", ".", "**/*.o"]);
    }
}
