//! Why a request fails, and the status that says so: one table for the whole API.

use std::fmt;
use std::io;

use http::StatusCode;
use model::{ErrorKind, with_causes};

use berth_http::{BodyError, Gone, Response};

/// A failed request.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The engine says why.
    Engine(engine::Error),
    /// The request itself is at fault.
    Request {
        /// The answer's status.
        status: StatusCode,
        /// Words for the client.
        message: String,
    },
    /// A command of a build ended with another code than 0.
    Command {
        /// The code.
        code: i64,
        /// Words for the client.
        message: String,
    },
    /// The request's body could not be read.
    Body(BodyError),
    /// Nobody waits for the answer.
    Gone,
}

impl ApiError {
    /// 400 in these very words.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::Request { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// 400 where the specification lists "bad parameter".
    pub(crate) fn bad_parameter(message: impl fmt::Display) -> Self {
        Self::bad_request(format!("bad parameter: {message}"))
    }

    /// 500 where the specification lists no 400.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Request { status: StatusCode::INTERNAL_SERVER_ERROR, message: message.into() }
    }

    /// 403 in these very words.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::Request { status: StatusCode::FORBIDDEN, message: message.into() }
    }

    /// 404 in these very words.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::Request { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    /// The status of this kind of failure, in these very words.
    pub(crate) const fn of_kind(kind: ErrorKind, message: String) -> Self {
        Self::Request { status: status_of(kind), message }
    }

    /// The status of the answer.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Engine(error) => status_of(error.kind()),
            Self::Request { status, .. } => *status,
            Self::Body(BodyError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Body(BodyError::Timeout) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Command { .. } | Self::Gone => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The number that a failed build's last object carries: the exit code of its command.
    pub(crate) const fn code(&self) -> Option<i64> {
        match self {
            Self::Command { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The answer: plain text that ends in a newline.
    pub(crate) fn response(&self) -> Response {
        let status = self.status();
        if status == StatusCode::NOT_MODIFIED {
            return Response::empty(status);
        }
        let nosniff = http::HeaderValue::from_static("nosniff");
        Response::text(status, format!("{self}\n")).with(http::header::X_CONTENT_TYPE_OPTIONS, nosniff)
    }
}

/// The status that stands for a kind of failure.
const fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::BadParameter => StatusCode::BAD_REQUEST,
        ErrorKind::NotModified => StatusCode::NOT_MODIFIED,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        ErrorKind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Refused | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => formatter.write_str(&with_causes(error)),
            Self::Request { message, .. } | Self::Command { message, .. } => formatter.write_str(message),
            Self::Body(error) => error.fmt(formatter),
            Self::Gone => formatter.write_str("the client left"),
        }
    }
}

impl From<engine::Error> for ApiError {
    fn from(error: engine::Error) -> Self {
        Self::Engine(error)
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Disconnected | BodyError::Read(_) => Self::Gone,
            BodyError::Chunked(_) | BodyError::TooLarge(_) | BodyError::Busy | BodyError::Timeout => {
                Self::Body(error)
            }
        }
    }
}

impl From<Gone> for ApiError {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

impl From<io::Error> for ApiError {
    /// The only I/O of handlers is the client's connection.
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}
