//! Tells here-documents, which are refused, from shell text that only looks like one.

/// The delimiter of a here-document in an instruction, when a later line ends it.
///
/// Without a line that consists of the delimiter alone `<<` is left to the shell: it may be a
/// shift in an arithmetic expansion, or stand in a quoted text.
pub(super) fn delimiter<'a>(text: &'a str, following: &[&str]) -> Option<&'a str> {
    text.match_indices("<<").find_map(|(index, _)| {
        let word = word_at(text[..index].chars().next_back(), &text[index + 2..])?;
        let ends = |line: &&str| line.trim_start_matches('\t') == word;
        following.iter().any(ends).then_some(word)
    })
}

fn word_at(before: Option<char>, behind: &str) -> Option<&str> {
    if before == Some('<') || behind.starts_with('<') {
        return None;
    }
    let word = behind.strip_prefix('-').unwrap_or(behind).trim_start_matches(['"', '\'']);
    let end = word.find(|end: char| !end.is_ascii_alphanumeric() && end != '_').unwrap_or(word.len());
    let word = &word[..end];
    word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_').then_some(word)
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
            assert_eq!(delimiter(text, &following), want, "{text}");
        }
    }
}
