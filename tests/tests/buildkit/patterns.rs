//! Patterns of ignore files, which a client matches before it offers a directory.

use crate::offers::Offer;

impl Offer {
    /// Only the entries that no pattern excludes; the last one that matches an entry, or something above it, decides.
    pub(crate) fn without(&self, patterns: &[String]) -> Self {
        let mut kept = Self { endless: self.endless, stalls: self.stalls, ..Self::default() };
        for (number, stat) in (0_u32..).zip(&self.stats) {
            let path = String::from_utf8_lossy(&stat.path).into_owned();
            if is_excluded(&path, patterns) && !is_above_exception(&path, patterns) {
                continue;
            }
            let next = u32::try_from(kept.stats.len()).expect("a number");
            kept.stats.push(stat.clone());
            if let Some(content) = self.contents.get(&number) {
                kept.contents.insert(next, content.clone());
            }
        }
        kept
    }
}

fn is_excluded(path: &str, patterns: &[String]) -> bool {
    let names: Vec<&str> = path.split('/').collect();
    let matching = patterns.iter().rev().find(|pattern| {
        let pattern: Vec<&str> = pattern.trim_start_matches('!').split('/').collect();
        (1..=names.len()).any(|count| matches(&pattern, &names[..count]))
    });
    matching.is_some_and(|pattern| !pattern.starts_with('!'))
}

/// Whether an exception names something beneath a directory, which is then offered as well.
fn is_above_exception(path: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| {
        pattern.strip_prefix('!').is_some_and(|pattern| pattern.starts_with(&format!("{path}/")))
    })
}

fn matches(pattern: &[&str], names: &[&str]) -> bool {
    match (pattern, names) {
        ([], []) => true,
        (["**", rest @ ..], _) => (0..=names.len()).any(|count| matches(rest, &names[count..])),
        ([first, pattern @ ..], [name, names @ ..]) => {
            name_matches(first.as_bytes(), name.as_bytes()) && matches(pattern, names)
        }
        _ => false,
    }
}

fn name_matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', pattern @ ..], _) => (0..=name.len()).any(|count| name_matches(pattern, &name[count..])),
        ([b'?', pattern @ ..], [_, name @ ..]) => name_matches(pattern, name),
        ([one, pattern @ ..], [other, name @ ..]) => one == other && name_matches(pattern, name),
        _ => false,
    }
}
