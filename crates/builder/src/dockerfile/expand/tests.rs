//! The substitution of words with variables.

use super::*;

fn variables(name: &str) -> Option<&'static str> {
    match name {
        "x" => Some("1"),
        "list" => Some("80 443"),
        "empty" => Some(""),
        "path" => Some("/usr/lib/x.so.1"),
        _ => None,
    }
}

fn expanded(word: &str) -> Result<String, String> {
    expand(word, '\\', &variables).map_err(|error| error.to_string())
}

#[test]
fn substitutes_unquotes_and_unescapes() {
    for (word, want) in [
        ("$x", "1"),
        ("${x}", "1"),
        ("${y}", ""),
        ("${y:-def}", "def"),
        ("${empty:-def}", "def"),
        ("${x:-def}", "1"),
        ("${x:+alt}", "alt"),
        ("${y:+alt}", ""),
        ("${y:-$x}", "1"),
        ("${y:-${z:-deep}}", "deep"),
        ("${y:-\"}\"}", "}"),
        ("${y-def}", "def"),
        ("${empty-def}", ""),
        ("${empty+alt}", "alt"),
        ("${y+alt}", ""),
        ("${x:?err}", "1"),
        ("${x?err}", "1"),
        ("${path#*/}", "usr/lib/x.so.1"),
        ("${path##*/}", "x.so.1"),
        ("${path%.*}", "/usr/lib/x.so"),
        ("${path%%.*}", "/usr/lib/x"),
        ("${path/usr/opt}", "/opt/lib/x.so.1"),
        ("${path//.*}", "/usr/lib/x"),
        ("${path//\\//-}", "-usr-lib-x.so.1"),
        ("${path%${empty:-.1}}", "/usr/lib/x.so"),
        ("${nope#a}", ""),
        (r"\$x", "$x"),
        (r"\${x}", "${x}"),
        ("'$x'", "$x"),
        ("\"$x\"", "1"),
        ("${x}y", "1y"),
        ("$xy", ""),
        ("$", "$"),
        ("$$", "$$"),
        ("a$.b", "a$.b"),
        ("\"d e\"", "d e"),
        (r"g\ h", "g h"),
        (r#""a\"b\$x\\c\n""#, r#"a"b$x\c\n"#),
        ("\"open", "open"),
        ("'open", "open"),
        ("end\\", "end"),
        ("/a$nope/b", "/a/b"),
        ("ü$x", "ü1"),
    ] {
        assert_eq!(expanded(word), Ok(want.to_owned()), "{word}");
    }
}

#[test]
fn parameters_of_the_shell_are_empty_where_there_are_any() {
    struct OfGraph;
    impl Variables for OfGraph {
        fn value(&self, name: &str) -> Option<&str> {
            variables(name)
        }
        fn count(&self, _: &str) -> Result<(), DockerfileError> {
            Ok(())
        }
        fn has_special(&self) -> bool {
            true
        }
    }
    for (word, of_graph, otherwise) in [
        ("$$x", "x", "$1"),
        ("$1x", "x", ""),
        ("$@y", "y", "$@y"),
        ("a$-", "a", "a$-"),
        ("\"$?\"z", "z", "$?z"),
        ("'$$'", "$$", "$$"),
        ("$.", "$.", "$."),
        ("$", "$", "$"),
        ("$x", "1", "1"),
    ] {
        assert_eq!(expand(word, '\\', &OfGraph).expect(word), of_graph, "{word}");
        assert_eq!(expanded(word), Ok(otherwise.to_owned()), "{word}");
    }
}

#[test]
fn malformed_substitutions_are_shown() {
    for (word, want) in [
        ("${y:?must be set}", "y: must be set"),
        ("${empty:?}", "empty: is not allowed to be unset"),
        ("${y?}", "y: is not allowed to be unset"),
        ("${x:}", "Unsupported modifier (}) in substitution: ${x:}"),
        ("${x^y}", "Missing ':' in substitution: ${x^y}"),
        ("${x:#y}", "Unsupported modifier (#) in substitution: ${x:#y}"),
        ("${x%y", "Missing ':' in substitution: ${x%y"),
        ("${x", "Missing ':' in substitution: ${x"),
        ("${x:-y", "Missing ':' in substitution: ${x:-y"),
        (&"${x:-".repeat(65), "substitutions are nested more than 64 deep"),
        ("\"${x!y}\"", "Missing ':' in substitution: \"${x!y}\""),
    ] {
        assert_eq!(expanded(word), Err(want.to_owned()), "{word}");
    }
}

#[test]
fn documents_keep_their_quotes() {
    let text = "a '$x' \"${y:-d}\" \\$x \\\\ \\n\n";
    assert_eq!(expand_document(text, '\\', &variables).unwrap(), "a '1' \"d\" $x \\ \\n\n");
}

#[test]
fn unquoted_values_become_several_words() {
    let words = |word| expand_words(word, '\\', &variables).unwrap();
    assert_eq!(words("$list"), ["80", "443"]);
    assert_eq!(words("\"$list\""), ["80 443"]);
    assert!(words("$y").is_empty());
}
