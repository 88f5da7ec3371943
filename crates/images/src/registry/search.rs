//! Searches an index by the protocol of version 1.

use model::{ReferenceError, RepositoryName};
use serde::Deserialize;
use ureq::http::{Method, StatusCode, header};
use url::Url;

use super::auth::Credentials;
use super::error::RegistryError;
use super::proof::basic;
use super::transport::{Request, TIMEOUT, Transport, TransportError, shown};

/// The longest answer that is read.
const ANSWER_LIMIT: u64 = 4 << 20;

/// One repository that an index found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchResult {
    /// The repository's name, as the index has it.
    pub name: String,
    /// Its description by its makers.
    pub description: String,
    /// How many users starred it.
    pub stars: u64,
    /// Whether Docker Hub made it.
    pub is_official: bool,
    /// Whether it is built from sources by the index.
    pub is_automated: bool,
}

/// The answer of an index; any field may be missing.
#[derive(Deserialize)]
struct Answer {
    results: Option<Vec<Found>>,
}

/// A repository in the answer of an index.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Found {
    star_count: u64,
    is_official: bool,
    name: String,
    /// The old name of `is_automated`.
    is_trusted: bool,
    is_automated: bool,
    description: Option<String>,
}

impl From<Found> for SearchResult {
    fn from(found: Found) -> Self {
        Self {
            name: found.name,
            description: found.description.unwrap_or_default(),
            stars: found.star_count,
            is_official: found.is_official,
            is_automated: found.is_automated || found.is_trusted,
        }
    }
}

/// The search.
#[derive(Debug, Clone, Copy)]
pub struct SearchRequest<'a> {
    /// A name, with the host of the index in front where it is not Docker Hub's.
    pub term: &'a str,
    /// How many results are wanted at most; else as many as the index likes to give.
    pub limit: Option<usize>,
    /// The user's credentials.
    pub credentials: Option<&'a Credentials>,
}

pub(super) fn search(
    transport: &Transport,
    wanted: &SearchRequest<'_>,
) -> Result<Vec<SearchResult>, RegistryError> {
    let name = RepositoryName::parse(wanted.term).map_err(|error| match error {
        ReferenceError::Empty => ReferenceError::NoComponent,
        other => other,
    })?;
    let (registry, bases) = index(transport, name.host())?;
    let mut attempts = Vec::new();
    for mut url in bases {
        url.set_path(&format!("{}v1/search", url.path()));
        url.query_pairs_mut().append_pair("q", name.familiar_path());
        if let Some(limit) = wanted.limit {
            url.query_pairs_mut().append_pair("n", &limit.to_string());
        }
        let mut request = Request::new(Method::GET, url);
        request.timeout = Some(TIMEOUT);
        request.headers.push((header::ACCEPT, "application/json".to_owned()));
        request.authorization = wanted.credentials.and_then(basic);
        match transport.send(request) {
            Ok(answer) => {
                let mut results = read(answer)?;
                results.truncate(wanted.limit.unwrap_or(usize::MAX));
                return Ok(results);
            }
            Err(TransportError::Cancelled) => return Err(RegistryError::Cancelled),
            Err(error) => attempts.push(error.to_string()),
        }
    }
    Err(RegistryError::Unreachable { registry, attempts, certificate_directories: Vec::new() })
}

/// The addresses of the index at a host; `None` means Docker Hub's.
fn index(transport: &Transport, host: Option<&str>) -> Result<(String, Vec<Url>), RegistryError> {
    let Some(host) = host else {
        let url = transport.settings().hub_index.clone();
        return Ok((super::transport::host_and_port(&url), vec![url]));
    };
    let schemes: &[&str] = if transport.may_be_plain(host)? { &["https", "http"] } else { &["https"] };
    let urls = schemes.iter().filter_map(|scheme| Url::parse(&format!("{scheme}://{host}/")).ok()).collect();
    Ok((host.to_owned(), urls))
}

fn read(answer: super::transport::Answer) -> Result<Vec<SearchResult>, RegistryError> {
    let url = shown(&answer.url);
    if answer.status != StatusCode::OK {
        return Err(RegistryError::SearchStatus { status: answer.status.as_u16(), url });
    }
    let malformed = |reason: String| RegistryError::Malformed {
        url: url.clone(),
        what: "list of search results",
        reason,
    };
    let bytes = answer.read_up_to(ANSWER_LIMIT).map_err(|error| malformed(error.to_string()))?;
    let found: Answer =
        serde_json::from_slice(&bytes).map_err(|error| malformed(model::json_words(&error)))?;
    Ok(found.results.unwrap_or_default().into_iter().map(SearchResult::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_may_lack_fields() {
        let text = r#"{"results":[{"name":"joe/x","is_trusted":true,"description":null,"new":1},{}]}"#;
        let answer: Answer = serde_json::from_str(text).unwrap();
        let results: Vec<SearchResult> = answer.results.unwrap().into_iter().map(Into::into).collect();
        assert_eq!((results[0].name.as_str(), results[0].description.as_str()), ("joe/x", ""));
        assert!(results[0].is_automated, "by its old name");
        assert_eq!(results[1], SearchResult::default());
    }
}
