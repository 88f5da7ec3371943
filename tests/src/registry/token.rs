//! A token service as registries name it: checks users and signs what they may do.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::certificates::Certificates;
use super::web::{Asked, Reply, Server};
use crate::Engine;

/// Where it listens in the engine's network.
pub(super) const ADDRESS: &str = "127.0.0.1:5055";

/// A running token service: the user `joe` with the password `secret` has all permissions, others none.
#[derive(Debug)]
pub struct TokenService {
    /// Its server, which remembers the requests.
    pub server: Server,
}

impl TokenService {
    /// Starts it; its tokens last so long.
    #[must_use]
    pub fn start(engine: &Engine, certificates: Arc<Certificates>, life: Duration) -> Self {
        let server = Server::start(engine, ADDRESS, move |asked| answer(&certificates, asked, life));
        Self { server }
    }
}

fn answer(certificates: &Certificates, asked: &Asked, life: Duration) -> Reply {
    let basic = format!("Basic {}", BASE64_STANDARD.encode("joe:secret"));
    let by_password = asked.header("authorization") == Some(&basic);
    let by_refresh_token = asked.method == "POST"
        && String::from_utf8_lossy(&asked.body).contains("refresh_token=opaque-refresh-token");
    if !by_password && !by_refresh_token {
        let text = json!({ "errors": [{ "code": "UNAUTHORIZED", "message": "who are you?" }] });
        return Reply::new(401).with("Content-Type", "application/json").body(text.to_string());
    }
    let asked_for = if by_refresh_token {
        String::from_utf8_lossy(&asked.body).into_owned()
    } else {
        asked.query.clone()
    };
    let scopes = asked_for.split('&').filter_map(|pair| pair.strip_prefix("scope="));
    let access: Vec<Value> = scopes
        .flat_map(|scopes| unescaped(scopes).split(' ').map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|scope| access(&scope))
        .collect();
    let token = signed(certificates, &access, life);
    // A short life makes the engine request another one before it ends.
    let mut answer = json!({ "token": token, "expires_in": life.as_secs() });
    if asked.query.contains("offline_token=true") {
        answer["refresh_token"] = json!("opaque-refresh-token");
    }
    Reply::new(200).body(answer.to_string())
}

/// `repository:a/b:pull,push` in the form of the token.
fn access(scope: &str) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    Some(json!({ "type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>() }))
}

fn unescaped(text: &str) -> String {
    text.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",").replace('+', " ")
}

/// A JSON web token (RFC 7519) whose header carries the certificate that vouches for it.
fn signed(certificates: &Certificates, access: &[Value], life: Duration) -> String {
    let pem = fs::read_to_string(certificates.path("authority.pem")).expect("the certificate");
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [der] });
    let claims = json!({
        "iss": "issuer", "sub": "joe", "aud": "service", "jti": now.to_string(),
        "iat": now, "nbf": now - 10, "exp": now + life.as_secs(), "access": access,
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let payload = format!("{}.{}", part(&header), part(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(certificates.sign(payload.as_bytes()));
    format!("{payload}.{signature}")
}
