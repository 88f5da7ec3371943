//! The endpoints of execs: create, start, resize, inspect.

use engine::images::document::StringOrList;
use engine::{ExecClient, ExecConfig, ExecStartOptions};
use http::StatusCode;
use serde::Deserialize;

use super::containers::{stream_kind, tell_on_stream, terminal_size};
use super::wire::{ExecAnswer, ExecInspection};
use super::{ApiError, Call, Handled, Reply, detach_keys, json};
use crate::route::{Route, get, handler, post};
use crate::version::Since;
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
    // Current clients send these two at any version.
    env: Vec<String>,
    working_dir: String,
    detach_keys: Since<22, String>,
    console_size: Since<42, Option<[u32; 2]>>,
}

async fn create(mut call: Call<'_>) -> Handled {
    let body = call.json_body().await?;
    let version = call.version;
    let object = json::object(&body)?;
    let command = object.as_object().and_then(|fields| json::field(fields, "Cmd"));
    if version.exec_commands_are_lists() && command.is_some_and(serde_json::Value::is_string) {
        return Err(ApiError::bad_request("Cmd must be a list of words, not one text"));
    }
    let body: CreateBody = json::from_object(object)?;
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
        detach_keys: detach_keys::parse(&body.detach_keys.known_to(version))?,
        console_size: body.console_size.known_to(version).map(terminal),
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
    console_size: Since<42, Option<[u32; 2]>>,
}

/// Rows and columns. What no terminal can have becomes what comes nearest.
fn terminal(size: [u32; 2]) -> (u16, u16) {
    let [rows, columns] = size.map(|length| u16::try_from(length).unwrap_or(u16::MAX));
    (rows, columns)
}

async fn start(mut call: Call<'_>) -> Handled {
    // Any content type will do here: clients of that time sent none.
    let body = call.untyped_json_body().await?;
    let body: StartBody = json::from_body(&body)?;
    let console_size = body.console_size.known_to(call.version).map(terminal);
    let options = ExecStartOptions { terminal: body.tty, console_size };
    let session = call.engine.execs.prepare(&call.name, options)?;
    if body.detach {
        session.run(None).await?;
        return Ok(Reply::Whole(Response::empty(StatusCode::OK)));
    }
    let framed = !body.tty;
    let kind = stream_kind(framed, call.version);
    let (socket, early_input) = call.exchange.hijack(kind).await?.into_descriptor()?;
    let ours = socket.try_clone()?;
    if let Err(error) = session.run(Some(ExecClient { socket, early_input })).await {
        tell_on_stream(ours, framed, &format!("{}\n", error.cause()));
    }
    Ok(Reply::Sent)
}

async fn resize(call: &Call<'_>) -> Handled {
    let (height, width) = terminal_size(call)?;
    call.engine.execs.resize(&call.name, height, width).await?;
    Ok(Reply::Whole(Response::text(StatusCode::CREATED, "")))
}

async fn inspect(call: &Call<'_>) -> Handled {
    let (exec, record) = call.engine.execs.inspect(&call.name).await?;
    Reply::json(StatusCode::OK, &ExecInspection::new(call.engine, &exec, &record, call.version))
}
