//! Parses `WWW-Authenticate` (RFC 9110, section 11.6.1): a registry's challenge.

/// A method of authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with every request.
    Basic {
        /// The realm of the password, in the registry's words.
        realm: String,
    },
    /// A token from the token service `realm`.
    Bearer {
        /// The token service's URL.
        realm: String,
        /// The registry's name there.
        service: Option<String>,
        /// The required scope of the token.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Reads all challenges of the headers' values; those of unknown schemes are left out.
    pub(super) fn parse_all<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Self> {
        values.flat_map(parse_value).collect()
    }
}

fn parse_value(value: &str) -> Vec<Challenge> {
    let mut challenges = Vec::new();
    let mut rest = value.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let (scheme, after) = take_token(rest);
        if scheme.is_empty() {
            break;
        }
        let (parameters, after) = take_parameters(after);
        let find = |name: &str| {
            parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
        };
        if scheme.eq_ignore_ascii_case("basic") {
            challenges.push(Challenge::Basic { realm: find("realm").unwrap_or_default() });
        } else if scheme.eq_ignore_ascii_case("bearer")
            && let Some(realm) = find("realm")
        {
            challenges.push(Challenge::Bearer { realm, service: find("service"), scope: find("scope") });
        }
        let shortened = after.trim_start_matches([' ', ',', '\t']);
        if shortened.len() == rest.len() {
            break;
        }
        rest = shortened;
    }
    challenges
}

fn take_token(text: &str) -> (&str, &str) {
    let is_token =
        |character: char| character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character);
    let end = text.find(|character| !is_token(character)).unwrap_or(text.len());
    text.split_at(end)
}

/// Takes `name=value` pairs as long as there are any; a token without `=` is the next scheme.
fn take_parameters(mut text: &str) -> (Vec<(String, String)>, &str) {
    let mut parameters = Vec::new();
    loop {
        let start = text.trim_start_matches([' ', ',', '\t']);
        let (name, after) = take_token(start);
        let Some(after) =
            after.trim_start_matches([' ', '\t']).strip_prefix('=').filter(|_| !name.is_empty())
        else {
            return (parameters, start);
        };
        let after = after.trim_start_matches([' ', '\t']);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => take_quoted(quoted),
            None => {
                let (value, after) = take_token(after);
                (value.to_owned(), after)
            }
        };
        parameters.push((name.to_owned(), value));
        text = after;
    }
}

fn take_quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((position, character)) = characters.next() {
        match character {
            '"' => return (value, &text[position + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Vec<Challenge> {
        Challenge::parse_all(std::iter::once(value))
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn bearer_has_a_realm_a_service_and_a_scope() {
        let value = r#"Bearer realm="https://auth.x/token",service="reg.x",scope="repository:a/b:pull,push""#;
        assert_eq!(
            parse(value),
            [bearer("https://auth.x/token", Some("reg.x"), Some("repository:a/b:pull,push"))]
        );
        assert_eq!(parse("bearer realm=plain"), [bearer("plain", None, None)]);
    }

    #[test]
    fn several_challenges_stand_in_one_value() {
        let value = r#"Negotiate, Basic realm="a, \"b\" c" , Bearer realm="r", error=x"#;
        let basic = Challenge::Basic { realm: "a, \"b\" c".to_owned() };
        assert_eq!(parse(value), [basic, bearer("r", None, None)]);
        assert_eq!(Challenge::parse_all(["Basic", "Bearer realm=\"r\""].into_iter()).len(), 2);
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for value in ["", ",,", "=", "Bearer", "Bearer service=\"x\"", "\"", "Bearer realm", "@@@", "a=b=c"] {
            assert_eq!(parse(value), [], "{value}");
        }
        assert_eq!(parse("Bearer realm=\"unended"), [bearer("unended", None, None)]);
    }
}
