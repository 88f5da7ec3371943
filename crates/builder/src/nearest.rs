//! The word that was probably meant where another one is written.

/// As many letters may differ.
const FURTHEST: usize = 2;
/// No known word is longer: a longer one has nothing in common with them.
const LONGEST: usize = 64;
/// Among more words than this none is looked for: documents of others declare as many as they like.
const MOST_KNOWN: usize = 256;

/// The word that is most like another one; the first of several, none where all differ much.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let mut known = known.into_iter();
    let compared: Vec<&str> = known.by_ref().take(MOST_KNOWN).collect();
    if known.next().is_some() {
        return None;
    }
    let distances = compared.into_iter().map(|known| (distance(&word, &known.to_ascii_lowercase()), known));
    let found = distances.min_by_key(|(distance, _)| *distance);
    found.filter(|(distance, _)| *distance <= FURTHEST).map(|(_, known)| known)
}

/// The end of an error's text that names the word that was probably meant.
pub(crate) fn hint(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!(" (did you mean {nearest}?)")).unwrap_or_default()
}

/// How many letters have to be changed, put in or taken out of one word to make another.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > LONGEST || other.len() > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.bytes().enumerate() {
        let mut before = std::mem::replace(&mut row[0], line + 1);
        for (column, expected) in other.bytes().enumerate() {
            let changed = before + usize::from(letter != expected);
            before = row[column + 1];
            row[column + 1] = changed.min(before + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_little_is_meant() {
        let known = ["FROM", "RUN", "from", "PATH"];
        assert_eq!(nearest("frbo", known), Some("FROM"));
        assert_eq!(nearest("PATHX", known), Some("PATH"));
        assert_eq!(nearest("nonsense", known), None);
        assert_eq!(nearest(&"x".repeat(100), ["x"]), None);
        assert_eq!(nearest("PATHX", std::iter::repeat_n("PATH", MOST_KNOWN)), Some("PATH"));
        assert_eq!(nearest("PATHX", std::iter::repeat_n("PATH", MOST_KNOWN + 1)), None);
        assert_eq!(hint(nearest("form", ["from"])), " (did you mean from?)");
        assert_eq!(hint(None), "");
    }
}
