//! The endpoints of execs: create, start, resize, inspect.

use engine::images::document::StringOrList;
use engine::{ExecClient, ExecConfig};
use http::StatusCode;
use serde::Deserialize;

use super::containers::{tell_on_stream, terminal_size};
use super::wire::{ExecAnswer, ExecInspection};
use super::{Call, Handled, Reply, json};
use crate::route::{Route, get, handler, post};
use berth_http::Response;

/// The endpoints.
pub(crate) const ROUTES: &[Route] = &[
    post("/containers/{name}/exec", handler!(call => create(call).await)),
    post("/exec/{name}/start", handler!(call => start(call).await)),
    post("/exec/{name}/resize", handler!(call => resize(&call).await)),
    get("/exec/{name}/json", handler!(call => inspect(&call).await)),
];

/// The body of `POST /containers/(id)/exec`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct CreateBody {
    user: String,
    privileged: bool,
    tty: bool,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    cmd: Option<StringOrList>,
    env: Vec<String>,
    working_dir: String,
}

async fn create(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let body: CreateBody = json::from_body(&body)?;
    let config = ExecConfig {
        user: body.user,
        privileged: body.privileged,
        tty: body.tty,
        attach_stdin: body.attach_stdin,
        attach_stdout: body.attach_stdout,
        attach_stderr: body.attach_stderr,
        cmd: body.cmd.map(|StringOrList(words)| words).unwrap_or_default(),
        env: body.env,
        working_dir: body.working_dir,
    };
    let id = call.engine.execs.create(&call.name, config).await?;
    Reply::json(StatusCode::CREATED, &ExecAnswer { id: id.to_string(), warnings: Vec::new() })
}

/// The body of `POST /exec/(id)/start`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct StartBody {
    detach: bool,
    tty: bool,
}

async fn start(call: Call<'_>) -> Handled {
    // Any content type will do here: clients of that time sent none.
    let body = call.exchange.body.gather(super::MAXIMUM_JSON).await?;
    let body: StartBody = json::from_body(&body)?;
    let session = call.engine.execs.prepare(&call.name, body.tty)?;
    if body.detach {
        session.run(None).await?;
        return Ok(Reply::Whole(Response::empty(StatusCode::OK)));
    }
    let framed = !body.tty;
    let (socket, early_input) = call.exchange.hijack().await?.into_descriptor()?;
    let ours = socket.try_clone()?;
    if let Err(error) = session.run(Some(ExecClient { socket, early_input })).await {
        tell_on_stream(ours, framed, &format!("{}\n", error.cause()));
    }
    Ok(Reply::Sent)
}

async fn resize(call: &Call<'_>) -> Handled {
    let (height, width) = terminal_size(&call.query)?;
    call.engine.execs.resize(&call.name, height, width).await?;
    Ok(Reply::Whole(Response::text(StatusCode::CREATED, "")))
}

async fn inspect(call: &Call<'_>) -> Handled {
    let (exec, record) = call.engine.execs.inspect(&call.name).await?;
    Reply::json(StatusCode::OK, &ExecInspection::new(call.engine, &exec, &record, call.version))
}
