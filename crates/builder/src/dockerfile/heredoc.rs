//! Here-documents: lines behind RUN, COPY and ADD that are a script, or the content of a file.

use std::collections::HashMap;

use super::DockerfileError;
use super::words::quoted_words;
use crate::order::Order;

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HereDocument {
    /// Its delimiter without quotes.
    pub(crate) name: String,
    /// Its lines, each with its newline.
    pub(crate) content: String,
    /// Whether variables are put in: the delimiter has no quotes.
    pub(crate) expands: bool,
}

/// The lines of a Dockerfile that may end a here-document, and where the last of each is: so that no line is
/// compared once for each `<<`.
pub(super) struct Ends<'a>(HashMap<&'a str, usize>);

impl<'a> Ends<'a> {
    pub(super) fn of(physical: &[&'a str]) -> Self {
        if !physical.iter().any(|line| line.contains("<<")) {
            return Self(HashMap::new());
        }
        let lines = physical.iter().enumerate();
        Self(lines.map(|(number, line)| (line.trim_start_matches('\t'), number)).collect())
    }

    fn has(&self, name: &str, next: usize) -> bool {
        self.0.get(name).is_some_and(|last| *last >= next)
    }
}

/// A word that begins a here-document.
struct Opening {
    name: String,
    expands: bool,
    strips_tabs: bool,
}

/// Takes the here-documents of an instruction; `next` is the index of the physical line behind it.
///
/// A word counts as one only when a later line ends it: else `<<` is left to the shell.
///
/// # Errors
/// [`DockerfileError::UnterminatedDocument`] where no line ends it, in a graph.
pub(super) fn take(
    text: &str,
    escape: char,
    physical: &[&str],
    (ends, order): (&Ends<'_>, Order),
    mut next: usize,
) -> Result<(Vec<HereDocument>, usize), DockerfileError> {
    let verb = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    if ends.0.is_empty() || !matches!(verb.as_str(), "RUN" | "COPY" | "ADD") || !text.contains("<<") {
        return Ok((Vec::new(), next));
    }
    let mut documents = Vec::new();
    for word in quoted_words(text, escape) {
        let Some(opening) = opening(&word) else { continue };
        let lost = || match order {
            Order::Written => Ok(()),
            Order::Graph => Err(DockerfileError::UnterminatedDocument(opening.name.clone())),
        };
        if !ends.has(&opening.name, next) {
            lost()?;
            continue;
        }
        let line = |line: &&str| match opening.strips_tabs {
            true => line.trim_start_matches('\t').to_owned(),
            false => (*line).to_owned(),
        };
        let rest = physical[next..].iter().map(line);
        let lines: Vec<String> = rest.take_while(|line| *line != opening.name).collect();
        // The end of one without `-` must stand at the beginning of its line.
        if next + lines.len() >= physical.len() {
            lost()?;
            continue;
        }
        next += lines.len() + 1;
        let content = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        documents.push(HereDocument { name: opening.name, content, expands: opening.expands });
    }
    Ok((documents, next))
}

/// Whether a word stands for a here-document of this name.
pub(crate) fn names(word: &str, name: &str) -> bool {
    opening(word).is_some_and(|opening| opening.name == name)
}

fn opening(word: &str) -> Option<Opening> {
    let rest = word.trim_start_matches(|first: char| first.is_ascii_digit()).strip_prefix("<<")?;
    if rest.starts_with('<') {
        return None;
    }
    let (rest, strips_tabs) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
    let name = match quote {
        Some(quote) => rest[1..].split(quote).next().unwrap_or_default(),
        None => rest.split(['>', '<', '|', ';', '&', ')']).next().unwrap_or_default(),
    };
    let name = name.to_owned();
    (!name.is_empty()).then_some(Opening { name, expands: quote.is_none(), strips_tabs })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(lines: &[&str]) -> (Vec<(String, String, bool)>, usize) {
        let (documents, next) =
            take(lines[0], '\\', lines, (&Ends::of(lines), Order::Written), 1).expect("documents");
        (documents.into_iter().map(|found| (found.name, found.content, found.expands)).collect(), next)
    }

    #[test]
    fn documents_end_at_their_delimiter() {
        let one = |name: &str, content: &str, expands| vec![(name.to_owned(), content.to_owned(), expands)];
        for (lines, want, next) in [
            (vec!["RUN cat <<EOF", "hello", "EOF"], one("EOF", "hello\n", true), 3),
            (vec!["RUN cat <<EOF >/x", "hello", "EOF"], one("EOF", "hello\n", true), 3),
            (vec!["RUN cat <<EOF>/x", "hello", "EOF"], one("EOF", "hello\n", true), 3),
            (vec!["RUN 3<<EOF cat", "", "# no comment", "EOF", "x"], one("EOF", "\n# no comment\n", true), 4),
            (vec!["RUN <<-\"END\" sh", "\thello", "  x", "\tEND"], one("END", "hello\n  x\n", false), 4),
            (vec!["COPY <<'a b' /f", "$x", "a b"], one("a b", "$x\n", false), 3),
            (vec!["COPY <<x /f", "x"], one("x", "", true), 2),
            (vec!["RUN cat <<EOF", "\tEOF", "EOF"], one("EOF", "\tEOF\n", true), 3),
            (vec!["RUN cat <<EOF", "hello"], vec![], 1),
            (vec!["RUN cat <<EOF", "\tEOF"], vec![], 1),
            (vec!["RUN echo $((1<<N))", "N"], vec![], 1),
            (vec!["RUN cat <<<EOF", "EOF"], vec![], 1),
            (vec!["RUN echo \"<<EOF\"", "EOF"], vec![], 1),
            (vec!["ENV x=<<EOF", "EOF"], vec![], 1),
            (vec!["CMD <<EOF", "EOF"], vec![], 1),
        ] {
            assert_eq!(taken(&lines), (want, next), "{lines:?}");
        }
        let (several, next) = taken(&["COPY <<a <<b /d/", "1", "a", "2", "b", "RUN x"]);
        assert_eq!((several.len(), next), (2, 5));
        assert_eq!((several[0].1.as_str(), several[1].1.as_str()), ("1\n", "2\n"));
    }

    #[test]
    fn graphs_refuse_documents_that_nothing_ends() {
        let lines = ["RUN cat <<EOF", "\tEOF"];
        let taken = take(lines[0], '\\', &lines, (&Ends::of(&lines), Order::Graph), 1);
        assert_eq!(taken, Err(DockerfileError::UnterminatedDocument("EOF".to_owned())));
        let shift = ["RUN echo $((1<<N))", "x"];
        assert_eq!(take(shift[0], '\\', &shift, (&Ends::of(&shift), Order::Graph), 1), Ok((Vec::new(), 1)));
    }
}
