//! Plugins are not supported: lists are empty, and no name is found.

use http::StatusCode;
use model::ErrorKind;

use crate::filters::Filters;
use crate::route::{Route, delete, get, handler, post};
use crate::{ApiError, Call, Handled, Reply};

/// The endpoints. Fixed paths come before those with a name.
pub(crate) const ROUTES: &[Route] = &[
    get("/plugins", handler!(call => list(&call))).since(24),
    get("/plugins/privileges", handler!(call => refuse(&call))).since(25),
    get("/plugins/{name}/json", handler!(call => unknown(&call))).since(25),
    get("/plugins/{name}", handler!(call => unknown(&call))).since(24).until(25),
    post("/plugins/pull", handler!(call => refuse(&call))).since(24),
    post("/plugins/create", handler!(call => refuse(&call))).since(25),
    post("/plugins/{name}/enable", handler!(call => enable(&call))).since(24),
    post("/plugins/{name}/disable", handler!(call => unknown(&call))).since(24),
    post("/plugins/{name}/upgrade", handler!(call => unknown(&call))).since(26),
    post("/plugins/{name}/push", handler!(call => unknown(&call))).since(25),
    post("/plugins/{name}/set", handler!(call => set(call).await)).since(25),
    delete("/plugins/{name}", handler!(call => unknown(&call))).since(24),
];

/// `GET /plugins`
fn list(call: &Call<'_>) -> Handled {
    let filters = Filters::parse(call.query.text("filters")).map_err(ApiError::bad_parameter)?;
    for (name, values) in filters.as_map() {
        match name.as_str() {
            "capability" => {}
            // The specification writes `enable`, clients send `enabled`.
            "enable" | "enabled" => {
                let is_truth = |value: &String| matches!(value.as_str(), "true" | "1" | "false" | "0");
                if let Some(value) = values.iter().find(|value| !is_truth(value)) {
                    return Err(ApiError::bad_request(format!("invalid filter '{name}=[{value}]'")));
                }
            }
            _ => return Err(ApiError::bad_request(format!("invalid filter '{name}'"))),
        }
    }
    Reply::json(StatusCode::OK, &[(); 0])
}

/// `POST /plugins/(name)/enable`
fn enable(call: &Call<'_>) -> Handled {
    call.query.number::<i64>("timeout").map_err(ApiError::bad_parameter)?;
    unknown(call)
}

/// `POST /plugins/(name)/set`
async fn set(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let _: Vec<String> = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("the settings must be a list of strings: {error}")))?;
    unknown(&call)
}

fn unknown(call: &Call<'_>) -> Handled {
    Err(ApiError::not_found(format!("plugin {:?} not found", call.name)))
}

/// Refuses to install a plugin or to fetch its privileges from a registry.
fn refuse(call: &Call<'_>) -> Handled {
    let given = call.query.filled("remote").or_else(|| call.query.filled("name"));
    let name =
        given.ok_or_else(|| ApiError::bad_request("the plugin's name must be given: remote or name"))?;
    Err(ApiError::of_kind(
        ErrorKind::Unsupported,
        format!("cannot install the plugin {name:?}: this engine has no plugins"),
    ))
}
