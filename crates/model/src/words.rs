//! Errors of the kernel and of JSON in words for clients, without what Rust's libraries add.

use std::io;

use serde_json::error::Category;

/// How the standard library ends the text of an error of the kernel.
const NUMBER: &str = " (os error ";

/// The kernel's words for an error in lower case, without its number, as programs quote them.
pub fn kernel_words(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(NUMBER).next().unwrap_or(&text);
    if error.raw_os_error().is_none() {
        return words.to_owned();
    }
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A text in which the errors of the kernel stand in [`kernel_words`].
pub fn in_kernel_words(text: &str) -> String {
    let mut words = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(NUMBER) {
        let number = after.split_once(')').and_then(|(digits, rest)| Some((digits.parse().ok()?, rest)));
        let known = number.and_then(|(number, after): (i32, &str)| {
            let error = io::Error::from_raw_os_error(number);
            let whole = error.to_string();
            let before = before.strip_suffix(whole.split(NUMBER).next()?)?;
            Some((before.to_owned() + &kernel_words(&error), after))
        });
        let (shown, after) = known.unwrap_or_else(|| (format!("{before}{NUMBER}"), after));
        words.push_str(&shown);
        rest = after;
    }
    words + rest
}

/// Why a text is not the JSON that is needed.
pub fn json_words(error: &serde_json::Error) -> String {
    let place = match error.line() {
        0 => String::new(),
        line => format!(" before line {line}, character {}", error.column() + 1),
    };
    match error.classify() {
        // It has no category of its own.
        Category::Syntax if error.to_string().starts_with("recursion limit exceeded") => {
            format!("values are nested too deeply{place}")
        }
        Category::Eof => "it ends too early".to_owned(),
        Category::Syntax => format!("something that is not JSON stands{place}"),
        Category::Data => format!("a value{place} is of another kind than needed, or one is missing"),
        Category::Io => "it cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_speaks_without_numbers() {
        let error = |number| io::Error::from_raw_os_error(number);
        assert_eq!(kernel_words(&error(20)), "not a directory");
        assert_eq!(kernel_words(&io::Error::other("No room")), "No room");
        for (text, wanted) in [
            ("mkdir /a: Not a directory (os error 20)", "mkdir /a: not a directory"),
            (
                "a: Permission denied (os error 13); b: File exists (os error 17)!",
                "a: permission denied; b: file exists!",
            ),
            ("Input/output error (os error 5)", "input/output error"),
            ("nothing", "nothing"),
            ("no number (os error x) and (os error 5)", "no number (os error x) and (os error 5)"),
        ] {
            assert_eq!(in_kernel_words(text), wanted);
        }
    }

    #[test]
    fn malformed_json_is_located() {
        let words = |text: &str| json_words(&serde_json::from_str::<Vec<u8>>(text).expect_err(text));
        assert_eq!(words("[1,"), "it ends too early");
        assert_eq!(words("[x]"), "something that is not JSON stands before line 1, character 3");
        let deep = serde_json::from_str::<serde_json::Value>(&"[".repeat(1000)).expect_err("too deep");
        assert_eq!(json_words(&deep), "values are nested too deeply before line 1, character 129");
        assert_eq!(
            words("[\"a\"]"),
            "a value before line 1, character 5 is of another kind than needed, or one is missing"
        );
    }
}
