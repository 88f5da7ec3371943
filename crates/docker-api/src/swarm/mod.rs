//! Swarms and their objects: nodes, services, tasks, secrets, configs. This engine is never part of a swarm, and
//! reports that. Malformed requests are refused first, as by an engine that could be in a swarm.

use http::StatusCode;
use model::ErrorKind;
use serde_json::Value;

use crate::route::{Route, delete, get, handler, post};
use crate::{ApiError, Call, Handled, json};

const NO_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to \
                          connect this node to swarm and try again.";

/// The endpoints. Fixed paths come before those with a name.
pub(crate) const ROUTES: &[Route] = &[
    get("/swarm", handler!(_call => no_manager())).since(24),
    get("/swarm/unlockkey", handler!(_call => no_manager())).since(25),
    post("/swarm/init", handler!(call => init(call).await)).since(24),
    post("/swarm/join", handler!(call => join(call).await)).since(24),
    post("/swarm/leave", handler!(_call => leave())).since(24),
    post("/swarm/update", handler!(call => update(call).await)).since(24),
    post("/swarm/unlock", handler!(call => with_body(call).await)).since(25),
    get("/nodes", handler!(_call => no_manager())).since(24),
    get("/nodes/{name}", handler!(_call => no_manager())).since(24),
    delete("/nodes/{name}", handler!(_call => no_manager())).since(24),
    post("/nodes/{name}/update", handler!(call => update(call).await)).since(24),
    get("/services", handler!(_call => no_manager())).since(24),
    post("/services/create", handler!(call => with_body(call).await)).since(24),
    get("/services/{name}/logs", handler!(call => logs(&call))).since(25),
    get("/services/{name}", handler!(_call => no_manager())).since(24),
    delete("/services/{name}", handler!(_call => no_manager())).since(24),
    post("/services/{name}/update", handler!(call => update(call).await)).since(24),
    get("/tasks", handler!(_call => no_manager())).since(24),
    get("/tasks/{name}/logs", handler!(call => logs(&call))).since(29),
    get("/tasks/{name}", handler!(_call => no_manager())).since(24),
    get("/secrets", handler!(_call => no_manager())).since(25),
    post("/secrets/create", handler!(call => with_body(call).await)).since(25),
    get("/secrets/{name}", handler!(_call => no_manager())).since(25),
    delete("/secrets/{name}", handler!(_call => no_manager())).since(25),
    post("/secrets/{name}/update", handler!(call => update(call).await)).since(25),
    get("/configs", handler!(_call => no_manager())).since(30),
    post("/configs/create", handler!(call => with_body(call).await)).since(30),
    get("/configs/{name}", handler!(_call => no_manager())).since(30),
    delete("/configs/{name}", handler!(_call => no_manager())).since(30),
    post("/configs/{name}/update", handler!(call => update(call).await)).since(30),
];

/// The answer to what needs a cluster.
pub(crate) const fn unavailable(message: String) -> ApiError {
    ApiError::Request { status: StatusCode::SERVICE_UNAVAILABLE, message }
}

fn no_manager() -> Handled {
    Err(unavailable(NO_MANAGER.to_owned()))
}

/// The body, which must be an object.
async fn object(call: &mut Call<'_>) -> Result<serde_json::Map<String, Value>, ApiError> {
    let body = call.json_body().await?;
    let object: Option<serde_json::Map<String, Value>> = json::from_body(&body)?;
    object.ok_or_else(|| ApiError::bad_request("the body must be an object, not null"))
}

async fn with_body(mut call: Call<'_>) -> Handled {
    object(&mut call).await?;
    no_manager()
}

/// Updates name the version of the object that they change.
async fn update(mut call: Call<'_>) -> Handled {
    object(&mut call).await?;
    call.query.number::<u64>("version").map_err(ApiError::bad_parameter)?;
    no_manager()
}

/// `GET /services/(name)/logs` and `GET /tasks/(name)/logs`
fn logs(call: &Call<'_>) -> Handled {
    if !call.query.is_true("stdout") && !call.query.is_true("stderr") {
        return Err(ApiError::bad_parameter("you must choose at least one stream"));
    }
    no_manager()
}

/// `POST /swarm/init`
async fn init(mut call: Call<'_>) -> Handled {
    object(&mut call).await?;
    Err(stands_alone("make a swarm"))
}

/// `POST /swarm/join`
async fn join(mut call: Call<'_>) -> Handled {
    let body = object(&mut call).await?;
    let is_given = |name| {
        json::field(&body, name).is_some_and(|value| match value {
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => false,
        })
    };
    for name in ["ListenAddr", "RemoteAddrs", "JoinToken"] {
        if !is_given(name) {
            return Err(ApiError::bad_request(format!("{name} must be given to join a swarm")));
        }
    }
    Err(stands_alone("join a swarm"))
}

/// `POST /swarm/leave`
fn leave() -> Handled {
    Err(unavailable("This node is not part of a swarm".to_owned()))
}

fn stands_alone(act: &str) -> ApiError {
    let message = format!("cannot {act}: this engine stands alone, swarms are not supported");
    ApiError::of_kind(ErrorKind::Unsupported, message)
}
