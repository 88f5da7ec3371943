//! The endpoints that move a container from one state to another and answer with little.

use std::time::Duration;

use engine::{Error, Outcome, Removal, StopOptions};
use http::StatusCode;
use model::{ContainerId, HostSettings, Signal};
use tokio::time::Instant;

use crate::container_settings::host_from_wire;
use crate::version::{START_SETTINGS_DEPRECATED, START_SETTINGS_REMOVED};
use crate::{ApiError, Call, Handled, Reply};
use berth_http::Response;

const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;
/// How long a listener may take to act on a failed start.
const REACTION_TIME: Duration = Duration::from_millis(150);
/// How often this is checked.
const REACTION_CHECK: Duration = Duration::from_millis(3);

/// `POST /containers/(id)/start`, with a `HostConfig` as body from old clients.
pub(super) async fn start(mut call: Call<'_>) -> Handled {
    if call.version.start_knows_checkpoints() && call.query.filled("checkpoint").is_some() {
        return Err(super::checkpoints::unsupported());
    }
    let host = start_body(&mut call).await?;
    let container = call.engine.containers.find(&call.name)?;
    match call.engine.containers.start(&call.name, host).await {
        Ok(outcome) => Ok(done(outcome)),
        Err(error) => {
            let_listeners_act(&call, container.id()).await;
            Err(error.into())
        }
    }
}

/// Delays the response to a failed start for a moment while there are event listeners.
///
/// `docker run --rm` removes its container itself when it receives the `die` event, but gives that up when
/// the start's failure arrives first; the container would stay for ever.
async fn let_listeners_act(call: &Call<'_>, container: &ContainerId) {
    let deadline = Instant::now() + REACTION_TIME;
    while call.engine.events.listeners() > 0
        && Instant::now() < deadline
        && call.engine.containers.find(container.as_str()).is_ok()
    {
        tokio::time::sleep(REACTION_CHECK).await;
    }
}

async fn start_body(call: &mut Call<'_>) -> Result<Option<HostSettings>, ApiError> {
    if !call.exchange.body.is_announced() {
        return Ok(None);
    }
    let body = call.json_body().await?;
    if matches!(body.trim_ascii(), b"" | b"null" | b"{}") {
        return Ok(None);
    }
    if !call.version.start_takes_settings() {
        return Err(ApiError::bad_request(format!(
            "starting container with non-empty request body was deprecated since API \
             v{START_SETTINGS_DEPRECATED} and removed in v{START_SETTINGS_REMOVED}"
        )));
    }
    host_from_wire(&body)
}

fn done(outcome: Outcome) -> Reply {
    Reply::Whole(Response::empty(match outcome {
        Outcome::Done => NO_CONTENT,
        Outcome::AlreadyDone => StatusCode::NOT_MODIFIED,
    }))
}

/// The seconds of grace that `t` gives, and the signal; the container's own when they are missing.
fn stop_options(call: &Call<'_>) -> Result<StopOptions, ApiError> {
    let grace = call.query.number_if_filled("t").map_err(|error| ApiError::invalid(error.to_string()))?;
    let signal = call.query.filled("signal").filter(|_| call.version.stop_has_a_signal());
    Ok(StopOptions { grace, signal: signal.map(parse_signal).transpose()? })
}

fn parse_signal(text: &str) -> Result<Signal, ApiError> {
    Signal::parse(text).map_err(|error| ApiError::invalid(error.to_string()))
}

/// `POST /containers/(id)/stop`
pub(super) async fn stop(call: &Call<'_>) -> Handled {
    Ok(done(call.engine.containers.stop(&call.name, stop_options(call)?).await?))
}

/// `POST /containers/(id)/restart`
pub(super) async fn restart(call: &Call<'_>) -> Handled {
    call.engine.containers.restart(&call.name, stop_options(call)?).await?;
    Reply::empty(NO_CONTENT)
}

/// `POST /containers/(id)/kill`
pub(super) async fn kill(call: &Call<'_>) -> Handled {
    let signal = match call.query.filled("signal") {
        None => Signal::KILL,
        Some(text) => parse_signal(text)?,
    };
    match call.engine.containers.kill(&call.name, signal).await {
        Err(error) if !call.version.kill_needs_a_running_container() && was_not_running(&error) => {
            Reply::empty(NO_CONTENT)
        }
        result => {
            result?;
            Reply::empty(NO_CONTENT)
        }
    }
}

fn was_not_running(error: &Error) -> bool {
    match error {
        Error::NotRunning(_) => true,
        Error::Container { source, .. } => was_not_running(source),
        _ => false,
    }
}

/// `POST /containers/(id)/rename`
pub(super) async fn rename(call: &Call<'_>) -> Handled {
    match call.engine.containers.rename(&call.name, call.query.text("name")).await {
        Err(error) if call.version.refusals_have_words_of_today() && is_its_own_name(call, &error) => {
            Err(ApiError::bad_request("Renaming a container with the same name as its current name"))
        }
        result => {
            result?;
            Reply::empty(NO_CONTENT)
        }
    }
}

/// Whether a name is taken by the very container that was to get it.
fn is_its_own_name(call: &Call<'_>, error: &Error) -> bool {
    let Error::NameTaken { holder, .. } = error.root() else { return false };
    call.engine.containers.find(&call.name).is_ok_and(|container| container.id() == holder)
}

/// `POST /containers/(id)/pause`
pub(super) async fn pause(call: &Call<'_>) -> Handled {
    call.engine.containers.pause(&call.name).await?;
    Reply::empty(NO_CONTENT)
}

/// `POST /containers/(id)/unpause`
pub(super) async fn unpause(call: &Call<'_>) -> Handled {
    call.engine.containers.unpause(&call.name).await?;
    Reply::empty(NO_CONTENT)
}

/// `POST /containers/(id)/resize`
pub(super) async fn resize(call: &Call<'_>) -> Handled {
    let (height, width) = terminal_size(call)?;
    call.engine.streams.resize(&call.name, height, width).await?;
    Ok(Reply::Whole(Response::text(StatusCode::OK, "")))
}

/// Rows and columns, limited to what a `struct winsize` of ioctl_tty(2) holds. Larger values of old clients become the
/// nearest possible ones.
pub(crate) fn terminal_size(call: &Call<'_>) -> Result<(u16, u16), ApiError> {
    let query = &call.query;
    let size = |name| {
        if !call.version.refusals_have_words_of_today() {
            let number = query.number::<i64>(name).map_err(|error| ApiError::invalid(error.to_string()))?;
            return Ok::<u16, ApiError>(
                u16::try_from(number.clamp(0, i64::from(u16::MAX))).unwrap_or(u16::MAX),
            );
        }
        query.number(name).map_err(|_| {
            let (value, most) = (query.text(name), u16::MAX);
            ApiError::invalid(format!("{name} must be a whole number from 0 to {most}, not {value:?}"))
        })
    };
    Ok((size("h")?, size("w")?))
}

/// `DELETE /containers/(id)`
pub(super) async fn remove(call: &Call<'_>) -> Handled {
    let removal = Removal {
        volumes: call.query.is_true("v"),
        force: call.query.is_true("force"),
        link: call.query.is_true("link"),
    };
    call.engine.containers.remove(&call.name, removal).await?;
    Reply::empty(NO_CONTENT)
}
