//! Quotes that nothing closes: classic builds close them at the word's end, graphs refuse them.

use super::{Command, DockerfileError};

/// Checks the words of an instruction in which quotes mean something.
///
/// # Errors
/// [`DockerfileError::UnclosedQuote`]
pub(super) fn check_quotes(command: &Command, escape: char) -> Result<(), DockerfileError> {
    let check = |word: &String| match unclosed(word, escape) {
        None => Ok(()),
        Some(quote) => Err(DockerfileError::UnclosedQuote { word: word.clone(), quote }),
    };
    match command {
        Command::Env(pairs) | Command::Label(pairs) => {
            pairs.iter().try_for_each(|(name, value)| check(name).and_then(|()| check(value)))
        }
        Command::Expose(words) | Command::Volume(words) => words.iter().try_for_each(check),
        Command::User(word) | Command::Workdir(word) | Command::StopSignal(word) => check(word),
        Command::From { image, .. } => check(image),
        Command::Arg(arguments) => arguments.iter().try_for_each(|argument| {
            check(&argument.name).and_then(|()| argument.default.as_ref().map_or(Ok(()), check))
        }),
        Command::Transfer(transfer) => {
            transfer.sources.iter().chain([&transfer.destination]).try_for_each(check)
        }
        Command::Run(_)
        | Command::Maintainer(_)
        | Command::Cmd(_)
        | Command::Entrypoint(_)
        | Command::OnBuild(_)
        | Command::HealthCheck { .. }
        | Command::Shell(_)
        | Command::ChangeTree(_) => Ok(()),
    }
}

/// The name of a quote that is open at the end of a word.
pub(super) fn unclosed(word: &str, escape: char) -> Option<&'static str> {
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        if character == escape {
            characters.next();
        } else if character == '\'' {
            if characters.all(|next| next != '\'') {
                return Some("single-quote");
            }
        } else if character == '"' && !closes(&mut characters, escape) {
            return Some("double-quote");
        }
    }
    None
}

/// Continues behind the closing double quote; returns whether there is one.
fn closes(characters: &mut std::str::Chars<'_>, escape: char) -> bool {
    while let Some(character) = characters.next() {
        if character == '"' {
            return true;
        }
        if character == escape {
            characters.next();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::unclosed;

    #[test]
    fn quotes_are_closed_or_named() {
        for (word, want) in [
            ("a", None),
            ("'a b'", None),
            ("\"a 'b\"", None),
            ("'a \"b'", None),
            ("a\\\"b", None),
            ("\"a\\\"\"", None),
            ("'a\\'", None),
            ("\"x", Some("double-quote")),
            ("a'x", Some("single-quote")),
            ("\"a\\\"", Some("double-quote")),
        ] {
            assert_eq!(unclosed(word, '\\'), want, "{word}");
        }
    }
}
