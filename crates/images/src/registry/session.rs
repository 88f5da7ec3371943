//! Requests to one repository of one registry: authenticates them, and retries temporary failures.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ureq::http::{Method, StatusCode, header};
use url::Url;

use super::api_root::ApiRoot;
use super::auth::Credentials;
use super::challenge::Challenge;
use super::error::RegistryError;
use super::proof::{Scope, basic, explanation};
use super::retry::{Attempts, asked_pause, is_transient};
use super::settings::Retry;
use super::token::{self, Token};
use super::transport::{Answer, Request, Transport, shown};

/// Talks to one repository.
pub(super) struct Session<'a> {
    transport: &'a Transport,
    api_root: ApiRoot,
    path: String,
    credentials: Option<&'a Credentials>,
    state: Mutex<State>,
}

struct State {
    challenges: Vec<Challenge>,
    tokens: HashMap<Scope, Token>,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        transport: &'a Transport,
        api_root: ApiRoot,
        path: impl Into<String>,
        credentials: Option<&'a Credentials>,
    ) -> Self {
        let state = State { challenges: api_root.challenges.clone(), tokens: HashMap::new() };
        let credentials = credentials.filter(|credentials| !credentials.is_anonymous());
        Self { transport, api_root, path: path.into(), credentials, state: Mutex::new(state) }
    }

    pub(super) const fn transport(&self) -> &Transport {
        self.transport
    }

    /// The repository's path in the registry.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The registry's host.
    pub(super) fn registry(&self) -> &str {
        &self.api_root.registry
    }

    /// A URL beneath `/v2/<repository>/`.
    pub(super) fn url(&self, rest: &str) -> Url {
        self.api_root.url(&format!("{}/{rest}", self.path))
    }

    /// Sends a request that can be sent again; any answer but "not you" and "not now" is returned.
    ///
    /// # Errors
    /// [`RegistryError::Unauthorized`] when the registry refuses the credentials, or the failure
    /// that lasted through all attempts.
    pub(super) fn call<'r>(
        &self,
        scope: &Scope,
        make: &dyn Fn() -> Request<'r>,
    ) -> Result<Answer, RegistryError> {
        self.call_within(self.transport.settings().retry, scope, make)
    }

    /// The same, with as many attempts as the caller sets.
    pub(super) fn call_within<'r>(
        &self,
        retry: Retry,
        scope: &Scope,
        make: &dyn Fn() -> Request<'r>,
    ) -> Result<Answer, RegistryError> {
        let mut attempts = Attempts::new(retry, self.transport.cancellation());
        let mut proved = false;
        loop {
            let mut request = make();
            let (method, url) = (request.method.clone(), request.url.clone());
            let shown_proof = self.prove(scope, &mut request)?;
            let answer = match self.transport.send(request).map_err(RegistryError::from) {
                Ok(answer) => answer,
                Err(RegistryError::Transport(error)) if error.is_transient() => {
                    if attempts.pause(None) {
                        continue;
                    }
                    return Err(self.cancelled_or(error.into()));
                }
                Err(error) => return Err(error),
            };
            if answer.status == StatusCode::UNAUTHORIZED {
                if !self.learn(scope, &answer, shown_proof.as_deref()) || proved {
                    return Err(self.unauthorized(answer));
                }
                proved = true;
            } else if is_transient(answer.status) {
                let asked = asked_pause(&answer);
                tracing::debug!(
                    status = answer.status.as_u16(),
                    url = shown(&url),
                    "the registry limits the rate of requests"
                );
                if !attempts.pause(asked) {
                    return Err(self.cancelled_or(unexpected(&method, answer)));
                }
            } else {
                return Ok(answer);
            }
        }
    }

    /// Sends a request once, with its authentication.
    pub(super) fn send(&self, scope: &Scope, mut request: Request<'_>) -> Result<Answer, RegistryError> {
        let _ = self.prove(scope, &mut request)?;
        Ok(self.transport.send(request)?)
    }

    /// Adds the authentication to a request; returns it too.
    fn prove(&self, scope: &Scope, request: &mut Request<'_>) -> Result<Option<String>, RegistryError> {
        if self.api_root.is_at(&request.url) {
            request.authorization = self.authorization(scope)?;
        }
        Ok(request.authorization.clone())
    }

    fn cancelled_or(&self, error: RegistryError) -> RegistryError {
        if self.transport.cancellation().is_cancelled() { RegistryError::Cancelled } else { error }
    }

    fn authorization(&self, scope: &Scope) -> Result<Option<String>, RegistryError> {
        if let Some(token) =
            self.credentials.map(|known| &known.registry_token).filter(|token| !token.is_empty())
        {
            return Ok(Some(format!("Bearer {token}")));
        }
        // The lock is held while a token is fetched: parallel downloads wait for the one token.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for challenge in &state.challenges {
            match challenge {
                Challenge::Bearer { realm, service, .. } => {
                    if let Some(token) =
                        state.tokens.get(scope).filter(|token| token.expires > Instant::now())
                    {
                        return Ok(Some(format!("Bearer {}", token.value)));
                    }
                    let wanted = token::Wanted {
                        realm,
                        service: service.as_deref(),
                        scope,
                        identity: token::IdentityToken::Unwanted,
                    };
                    let token = token::fetch(self.transport, &self.api_root, &wanted, self.credentials)?;
                    let header = format!("Bearer {}", token.value);
                    state.tokens.insert(scope.clone(), token);
                    return Ok(Some(header));
                }
                Challenge::Basic { .. } => {
                    if let Some(header) = self.credentials.and_then(basic) {
                        return Ok(Some(header));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Takes the challenges of a refusal; `false` when there is nothing new to try.
    ///
    /// A token is given up only if it is the one that was refused: another thread may have got a
    /// new one meanwhile.
    fn learn(&self, scope: &Scope, answer: &Answer, refused: Option<&str>) -> bool {
        let values = answer.headers.get_all(header::WWW_AUTHENTICATE).iter();
        let challenges = Challenge::parse_all(values.filter_map(|value| value.to_str().ok()));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let given = self.credentials.is_some_and(|known| !known.registry_token.is_empty());
        let renewable = !given && refused.is_some_and(|proof| proof.starts_with("Bearer "));
        state.tokens.retain(|of, token| of != scope || refused != Some(&format!("Bearer {}", token.value)));
        let same = state.challenges == challenges;
        let provable = challenges.iter().any(|challenge| match challenge {
            Challenge::Bearer { .. } => true,
            Challenge::Basic { .. } => self.credentials.and_then(basic).is_some(),
        });
        state.challenges = challenges;
        // Sent before another thread learnt the challenge, it proved nothing yet.
        provable && (refused.is_none() || renewable || !same)
    }

    fn unauthorized(&self, answer: Answer) -> RegistryError {
        let who = match self.credentials {
            None => "no credentials were given (no basic auth credentials)".to_owned(),
            Some(known) if known.username.is_empty() => "the token is refused".to_owned(),
            Some(known) => format!("the user name {:?} or its password is refused", known.username),
        };
        let message = explanation(answer);
        let message = if message.is_empty() { "unauthorized".to_owned() } else { message };
        RegistryError::Unauthorized { reason: format!("{message}: {who} at {}", self.api_root.registry) }
    }
}

/// Makes the error of a refusal that no credentials would change, or of another status.
pub(super) fn refused(method: &Method, answer: Answer) -> RegistryError {
    if answer.status != StatusCode::FORBIDDEN {
        return unexpected(method, answer);
    }
    let url = shown(&answer.url);
    let message = explanation(answer);
    let message = if message.is_empty() { "denied".to_owned() } else { message };
    RegistryError::Denied { reason: format!("{message}: {method} {url}") }
}

/// Makes the error of an answer that is not expected.
pub(super) fn unexpected(method: &Method, answer: Answer) -> RegistryError {
    let (status, url, pause) = (answer.status.as_u16(), shown(&answer.url), asked_pause(&answer));
    let message = explanation(answer);
    RegistryError::Status { method: method.to_string(), url, status, message, pause }
}
