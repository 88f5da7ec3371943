//! Long bodies and long answers: between the client's connection and work on a blocking thread.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use engine::images::registry::Cancellation;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::{ApiError, Call, Handled, Reply};
use berth_http::{Body, Exchange, Output, PipeReader, PipeWriter, reader_pipe, writer_pipe};

/// Messages of a progress stream on the way.
const MESSAGES: usize = 64;
/// The stack of a thread for long work.
const WORK_STACK: usize = 1 << 20;

/// The fields of a JSON stream.
pub(super) fn json_fields() -> [(HeaderName, HeaderValue); 1] {
    [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]
}

/// The last object of a JSON stream that failed.
#[derive(Debug, Serialize)]
struct StreamError<'a> {
    #[serde(rename = "errorDetail")]
    detail: StreamErrorDetail<'a>,
    error: &'a str,
}

#[derive(Debug, Serialize)]
struct StreamErrorDetail<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
    message: &'a str,
}

/// An object of a JSON stream with the line ending that follows it.
pub(super) fn stream_line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.extend_from_slice(b"\r\n");
    line
}

#[derive(Debug, Serialize)]
struct StreamText<'a> {
    stream: &'a str,
}

/// A text message in a JSON stream.
pub(super) fn stream_text(text: &str) -> Vec<u8> {
    stream_line(&StreamText { stream: text })
}

/// The object that ends a failed JSON stream.
pub(super) fn stream_error(message: &str, code: Option<i64>) -> Vec<u8> {
    stream_line(&StreamError { detail: StreamErrorDetail { code, message }, error: message })
}

/// Runs work whose blocking thread reads the request's body while it arrives.
pub(super) async fn with_body<T, F: Future<Output = T>>(
    body: &mut Body,
    work: impl FnOnce(PipeReader) -> F,
) -> Result<T, ApiError> {
    let (sender, reader) = reader_pipe();
    let work = work(reader);
    tokio::pin!(work);
    tokio::select! {
        biased;
        result = &mut work => return Ok(result),
        fed = feed(body, sender) => fed?,
    }
    Ok(work.await)
}

/// Runs blocking work that reads the request's body while it arrives.
pub(super) async fn with_body_blocking<T: Send + 'static>(
    body: &mut Body,
    work: impl FnOnce(PipeReader) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let task = |reader| tokio::task::spawn_blocking(move || work(reader));
    finished(with_body(body, task).await?)
}

/// Sends the body to its reader. A reader that has enough ends it, the rest is skipped later.
async fn feed(body: &mut Body, sender: mpsc::Sender<io::Result<Bytes>>) -> Result<(), ApiError> {
    loop {
        match body.next().await {
            Ok(Some(piece)) => {
                if sender.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
            Ok(None) => {
                let _ = sender.send(Ok(Bytes::new())).await;
                return Ok(());
            }
            Err(error) => {
                let _ =
                    sender.send(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error.to_string()))).await;
                return Err(error.into());
            }
        }
    }
}

/// The result of a task, or what became of it.
pub(super) fn finished<T>(result: Result<T, impl std::error::Error>) -> Result<T, ApiError> {
    result.map_err(|error| ApiError::internal(format!("the engine failed at this request: {error}")))
}

/// Answers with what work writes on a blocking thread. A failure before the first byte still has its status; one
/// after it cuts the answer off, which the client sees.
pub(super) async fn answer_with<E, F>(
    call: Call<'_>,
    headers: &[(HeaderName, HeaderValue)],
    work: impl FnOnce(PipeWriter) -> F,
) -> Handled
where
    E: Into<ApiError> + Send + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
{
    let (writer, mut pieces) = writer_pipe();
    let task = tokio::spawn(work(writer));
    let departure = call.exchange.departure();
    tokio::pin!(departure);
    let first = tokio::select! {
        biased;
        first = pieces.recv() => first,
        _ = &mut departure => return Err(ApiError::Gone),
    };
    let Some(first) = first else {
        finished(task.await)?.map_err(Into::into)?;
        call.exchange.begin(StatusCode::OK, headers).await?.1.finish().await?;
        return Ok(Reply::Sent);
    };
    let (_, output) = call.exchange.begin(StatusCode::OK, headers).await?;
    let mut next = Some(first);
    while let Some(piece) = next {
        output.write(&piece).await?;
        next = tokio::select! {
            biased;
            piece = pieces.recv() => piece,
            _ = &mut departure => return Err(ApiError::Gone),
        };
    }
    match finished(task.await)?.map_err(Into::into) {
        Ok(()) => output.finish().await?,
        Err(error) => tracing::info!("an answer was cut off: {error}"),
    }
    Ok(Reply::Sent)
}

/// Cancels registry work when its request is given up.
pub(super) struct CancelOnDrop(pub(super) Arc<Cancellation>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Where long work reports; each message is one object with what follows it.
#[derive(Debug, Clone)]
pub(super) struct Reporter(mpsc::Sender<Vec<u8>>);

impl Reporter {
    /// Sends a message from a blocking thread; false when the receiver is gone.
    pub(super) fn send(&self, message: Vec<u8>) -> bool {
        self.0.blocking_send(message).is_ok()
    }
}

/// Long work on a thread of its own, and its messages meanwhile.
pub(super) struct Work<T> {
    messages: mpsc::Receiver<Vec<u8>>,
    result: oneshot::Receiver<T>,
}

/// Starts long work that reports.
pub(super) fn start<T: Send + 'static>(
    work: impl FnOnce(Reporter) -> T + Send + 'static,
) -> Result<Work<T>, ApiError> {
    let (sender, messages) = mpsc::channel(MESSAGES);
    let result = apart(move || work(Reporter(sender)))?;
    Ok(Work { messages, result })
}

/// Starts work on a thread of its own: however many registries are slow, the runtime's threads for
/// short work stay free.
pub(super) fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, ApiError> {
    let (answer, result) = oneshot::channel();
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        // A build waits for its containers on the runtime.
        let _entered = runtime.enter();
        // Its client may have left.
        let _ = answer.send(work());
    };
    std::thread::Builder::new()
        .name("work".to_owned())
        .stack_size(WORK_STACK)
        .spawn(run)
        .map_err(|error| ApiError::internal(format!("cannot start a thread: {error}")))?;
    Ok(result)
}

/// Streams the messages of long work; an error before its first message keeps its status, one after it
/// is the stream's last object. When the client leaves, `cancel` is called.
pub(super) async fn answer_progress<E: Into<ApiError>>(
    exchange: &mut Exchange,
    work: Work<Result<(), E>>,
    cancel: impl FnOnce() + Send,
) -> Handled {
    answer_progress_of_body(exchange, work, None, cancel).await
}

/// The same for work that reads the request's body meanwhile, through this sender.
pub(super) async fn answer_progress_of_body<E: Into<ApiError>>(
    exchange: &mut Exchange,
    work: Work<Result<(), E>>,
    body_reader: Option<mpsc::Sender<io::Result<Bytes>>>,
    cancel: impl FnOnce() + Send,
) -> Handled {
    let Work { mut messages, result } = work;
    let streamed = transfer(exchange, &mut messages, body_reader).await;
    if let Err(error) = streamed {
        cancel();
        return Err(error);
    }
    let result = finished(result.await)?.map_err(Into::into);
    if exchange.has_begun() {
        if let Err(error) = result {
            exchange.output().write(&stream_error(&error.to_string(), error.code())).await?;
        }
    } else {
        result?;
        exchange.begin(StatusCode::OK, &json_fields()).await?;
    }
    exchange.output().finish().await?;
    Ok(Reply::Sent)
}

/// Carries messages out and the body in until the messages end.
async fn transfer(
    exchange: &mut Exchange,
    messages: &mut mpsc::Receiver<Vec<u8>>,
    body_reader: Option<mpsc::Sender<io::Result<Bytes>>>,
) -> Result<(), ApiError> {
    let departure = exchange.departure();
    let (body, output) = exchange.parts();
    let mut is_feeding = body_reader.is_some();
    let feeding = async {
        match body_reader {
            Some(sender) => feed(body, sender).await,
            None => Ok(()),
        }
    };
    let relaying = relay(output, messages);
    tokio::pin!(departure, feeding, relaying);
    loop {
        tokio::select! {
            biased;
            relayed = &mut relaying => return relayed,
            fed = &mut feeding, if is_feeding => {
                fed?;
                is_feeding = false;
            }
            _ = &mut departure => return Err(ApiError::Gone),
        }
    }
}

/// Writes messages as they come, each as a chunk of its own: clients take a chunk for an object. Those that
/// wait already are sent together.
async fn relay(output: &mut Output, messages: &mut mpsc::Receiver<Vec<u8>>) -> Result<(), ApiError> {
    let mut waiting = Vec::with_capacity(MESSAGES);
    while messages.recv_many(&mut waiting, MESSAGES).await > 0 {
        if !output.has_begun() {
            output.begin(StatusCode::OK, &json_fields()).await?;
        }
        output.write_each(&waiting).await?;
        waiting.clear();
    }
    Ok(())
}
