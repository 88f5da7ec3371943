//! `POST /containers/(id)/attach`: the connection stops being HTTP and is given to the container's shim.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use engine::AttachRequest;

use berth_http::StreamKind;

use crate::version::ApiVersion;
use crate::{ApiError, Call, Handled, MAXIMUM_JSON, Reply, detach_keys};

pub(super) async fn attach(call: Call<'_>) -> Handled {
    let merged = !call.version.streams_are_framed();
    let request = read_query(&call, merged)?;
    let session = call.engine.streams.prepare_attach(&call.name, request)?;
    let framed = !call.engine.containers.find(&call.name)?.record().settings.terminal && !merged;
    // Some clients repeat the query as a body: it belongs to the request, what follows it to the stream.
    let _ = call.exchange.body.gather(MAXIMUM_JSON).await?;
    let (hijacked, head) = call.exchange.hijack_unsent(stream_kind(framed, call.version));
    let (client, early) = hijacked.into_descriptor()?;
    let ours = client.try_clone()?;
    if let Err(error) = session.greet_and_join(client, early, head.as_bytes()).await {
        tell_on_stream(ours, framed, &format!("Error attaching: {}\n", model::with_causes(&error)));
    }
    Ok(Reply::Sent)
}

/// The content type of a stream of output.
pub(crate) const fn stream_kind(framed: bool, version: ApiVersion) -> StreamKind {
    if framed && version.stream_types_tell_of_frames() { StreamKind::Multiplexed } else { StreamKind::Raw }
}

/// Parses the query; `raw` for clients without stream frame headers.
///
/// # Errors
/// Invalid detach keys, an unknown container, and in later versions a paused one.
pub(super) fn read_query(call: &Call<'_>, raw: bool) -> Result<AttachRequest, ApiError> {
    let record = call.engine.containers.find(&call.name)?.record();
    if record.is_paused() && call.version.attach_refuses_what_is_paused() {
        return Err(engine::Error::PausedForAttach(call.name.clone()).into());
    }
    let query = &call.query;
    let keys = if call.version.attach_names_its_keys() { query.text("detachKeys") } else { "" };
    let stream = query.is_true("stream");
    Ok(AttachRequest {
        stdin: stream && query.is_true("stdin"),
        stdout: query.is_true("stdout"),
        stderr: query.is_true("stderr"),
        logs: query.is_true("logs"),
        stream,
        raw,
        quiet: !call.version.attach_tells_why_a_start_failed(),
        detach_keys: detach_keys::parse(keys)?,
    })
}

/// Writes a text to a client whose connection is no longer HTTP: as error output if the stream has frames.
///
/// The connection is fresh, so that a short text always fits; what does not is dropped with the client.
pub(crate) fn tell_on_stream(client: OwnedFd, framed: bool, text: &str) {
    let mut message = Vec::with_capacity(text.len() + 8);
    if framed {
        message.extend_from_slice(&[2, 0, 0, 0]);
        message.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    message.extend_from_slice(text.as_bytes());
    let client = UnixStream::from(client);
    let _: io::Result<()> = io::Write::write_all(&mut &client, &message);
    let _ = client.shutdown(std::net::Shutdown::Both);
}
