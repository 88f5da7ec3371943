//! Tells here-documents, which are refused, from shell text that only looks like one.

use std::collections::HashMap;

/// The lines of a Dockerfile that may end a here-document, and where the last of each is: so that no
/// line is looked at once for each `<<`.
pub(super) struct Ends<'a>(HashMap<&'a str, usize>);

impl<'a> Ends<'a> {
    pub(super) fn of(physical: &[&'a str]) -> Self {
        if !physical.iter().any(|line| line.contains("<<")) {
            return Self(HashMap::new());
        }
        let lines = physical.iter().enumerate();
        Self(
            lines
                .map(|(number, line)| (line.trim_start_matches('\t'), number))
                .filter(|(line, _)| is_word(line))
                .collect(),
        )
    }
}

/// The delimiter of a here-document in an instruction, when a line from the number `next` on ends it.
///
/// Without a line that consists of the delimiter alone `<<` is left to the shell: it may be a
/// shift in an arithmetic expansion, or stand in a quoted text.
pub(super) fn delimiter<'a>(text: &'a str, ends: &Ends<'_>, next: usize) -> Option<&'a str> {
    text.match_indices("<<").find_map(|(index, _)| {
        let word = word_at(text[..index].chars().next_back(), &text[index + 2..])?;
        ends.0.get(word).is_some_and(|last| *last >= next).then_some(word)
    })
}

fn word_at(before: Option<char>, behind: &str) -> Option<&str> {
    if before == Some('<') || behind.starts_with('<') {
        return None;
    }
    let word = behind.strip_prefix('-').unwrap_or(behind).trim_start_matches(['"', '\'']);
    let end = word.find(|end: char| !end.is_ascii_alphanumeric() && end != '_').unwrap_or(word.len());
    let word = &word[..end];
    is_word(word).then_some(word)
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|next| next.is_ascii_alphanumeric() || next == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ended_documents_count() {
        for (text, following, want) in [
            ("RUN cat <<EOF", vec!["hello", "EOF"], Some("EOF")),
            ("RUN <<-\"END\" sh", vec!["hello", "\tEND"], Some("END")),
            ("COPY <<x /f", vec!["x"], Some("x")),
            ("RUN cat <<EOF", vec!["hello"], None),
            ("RUN echo $((1<<N))", vec!["RUN N"], None),
            ("RUN cat <<<EOF", vec!["EOF"], None),
            ("RUN echo $((1<<2))", vec!["2"], None),
        ] {
            let lines = [[text].as_slice(), &following].concat();
            assert_eq!(delimiter(text, &Ends::of(&lines), 1), want, "{text}");
        }
    }
}
