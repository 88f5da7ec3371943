//! Addresses without the credentials in them.

/// What separates the scheme of an address from its authority (RFC 3986, section 3).
const SEPARATOR: &str = "://";

/// A text in which addresses have crosses instead of users and passwords: `https://xxxxx:xxxxx@host/path`, and
/// `https://xxxxx@host/path` where there is a user alone, which may be a token. The user alone of an address of ssh is an
/// account, and stays.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find(SEPARATOR) {
        let (before, after) = rest.split_at(position + SEPARATOR.len());
        let authority = authority_with_password(after);
        let (crosses, host) = match authority.rsplit_once('@') {
            Some((user, host)) if user.contains(':') => ("xxxxx:xxxxx@", host),
            Some((_, host)) if !before.ends_with("ssh://") => ("xxxxx@", host),
            _ => ("", authority),
        };
        shown.extend([before, crosses, host]);
        rest = &after[authority.len()..];
    }
    shown + rest
}

/// The authority that a text begins with, also where its password has what should have been written otherwise there: `/`, `?`
/// or `#`.
fn authority_with_password(text: &str) -> &str {
    let authority = authority(text);
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let may_go_on = !authority.contains('@') && !authority.starts_with('[');
    let Some((_, begin)) = authority.split_once(':').filter(|_| may_go_on) else { return authority };
    if is_port(begin) {
        return authority;
    }
    let ends = |next: char| next.is_whitespace() || matches!(next, '"' | '\\' | '<' | '>');
    let word = &text[..text.find(ends).unwrap_or(text.len())];
    // Not into the address behind it.
    let word = &word[..word.find(SEPARATOR).unwrap_or(word.len())];
    let Some(user_end) = word.find('@') else { return authority };
    let host_end = word[user_end..].find(['/', '?', '#']).map_or(word.len(), |length| user_end + length);
    &word[..host_end]
}

/// The authority that a text begins with. What cannot stand in one ends it; where another address follows, its scheme is
/// a part of it, but not the colon behind that.
fn authority(text: &str) -> &str {
    let ends = |next: char| next.is_whitespace() || matches!(next, '/' | '?' | '#' | '"' | '\\' | '<' | '>');
    let (authority, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    match authority.strip_suffix(':') {
        Some(shorter) if rest.starts_with("//") => shorter,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_passwords_are_crosses() {
        for (text, shown) in [
            ("http://user:sesam@host:1/a@b?c=d@e", "http://xxxxx:xxxxx@host:1/a@b?c=d@e"),
            ("https://us%40er:p@ss@host", "https://xxxxx:xxxxx@host"),
            ("https://:sesam@host/", "https://xxxxx:xxxxx@host/"),
            ("https://token@host/x.git#main", "https://xxxxx@host/x.git#main"),
            ("ssh://git@host/x", "ssh://git@host/x"),
            ("ssh://git:sesam@host/x", "ssh://xxxxx:xxxxx@host/x"),
            ("git@host:x.git", "git@host:x.git"),
            ("cannot get \"http://a:b@host\": no, c@d", "cannot get \"http://xxxxx:xxxxx@host\": no, c@d"),
            ("[http://a:b@c/d,http://e:f@g/]", "[http://xxxxx:xxxxx@c/d,http://xxxxx:xxxxx@g/]"),
            ("http://a,http://b:c@d", "http://a,http://xxxxx:xxxxx@d"),
            ("http://[::1]:80/x", "http://[::1]:80/x"),
            ("https://user:pa#ss@host/x", "https://xxxxx:xxxxx@host/x"),
            ("https://user:p/a?s@s@host/x.git#a@b", "https://xxxxx:xxxxx@host/x.git#a@b"),
            ("http://host:80/a@b", "http://host:80/a@b"),
            ("http://host/a:b@c", "http://host/a:b@c"),
            ("[http://a:b/c,http://d:e@f]", "[http://a:b/c,http://xxxxx:xxxxx@f]"),
            ("a://://b", "a://://b"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(text), shown, "{text}");
        }
    }
}
