//! Why a request fails, and its status: one table for the whole API, by kind and version.
//!
//! An endpoint whose list names another status than the table matches on the engine's typed error in its own
//! handler and returns [`ApiError::bad_request`] or its like.

use std::fmt;
use std::io;

use http::StatusCode;
use model::{ErrorKind, in_kernel_words, with_causes};

use crate::version::ApiVersion;
use berth_http::{BodyError, Gone, Response};

/// A failed request.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// An error of the engine.
    Engine(engine::Error),
    /// A failure of this kind; the version decides its status.
    Kind {
        /// The kind of failure.
        kind: ErrorKind,
        /// Words for the client.
        message: String,
    },
    /// This endpoint has a status for it.
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
    /// The client no longer waits for the response.
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

    /// A value that is malformed, in these very words.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Invalid, message.into())
    }

    /// A failure of the daemon, in these very words.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::of_kind(ErrorKind::Internal, message.into())
    }

    /// 403 in these very words.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::Request { status: StatusCode::FORBIDDEN, message: message.into() }
    }

    /// 404 in these very words.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::Request { status: StatusCode::NOT_FOUND, message: message.into() }
    }

    /// A failure of this kind, in these very words.
    pub(crate) const fn of_kind(kind: ErrorKind, message: String) -> Self {
        Self::Kind { kind, message }
    }

    /// The status of the answer to a request of this version.
    pub(crate) fn status(&self, version: ApiVersion) -> StatusCode {
        match self {
            Self::Engine(error) if !version.refusals_have_their_status() && is_of_the_moment(error) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            // Only this engine refuses it so early: no version's list has it.
            Self::Engine(error) if matches!(error.root(), engine::Error::UnusableText(_)) => {
                StatusCode::BAD_REQUEST
            }
            Self::Engine(error)
                if version.conflicting_options_are_bad_requests()
                    && matches!(error.root(), engine::Error::ConflictingOptions(_)) =>
            {
                StatusCode::BAD_REQUEST
            }
            Self::Engine(error) if version.refusals_have_their_status() => of_today(error, version),
            Self::Engine(error) => status_of(error.kind(), version),
            Self::Kind { kind, .. } => status_of(*kind, version),
            Self::Request { status, .. } => *status,
            Self::Body(BodyError::TooLarge(_)) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body(BodyError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Body(BodyError::Timeout) => StatusCode::REQUEST_TIMEOUT,
            Self::Body(_) => StatusCode::BAD_REQUEST,
            Self::Command { .. } | Self::Gone => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The words for the client in this version.
    fn words(&self, version: ApiVersion) -> String {
        match self {
            Self::Engine(error) if version.refusals_have_words_of_today() => crate::words::of_today(error),
            _ => None,
        }
        .unwrap_or_else(|| self.to_string())
    }

    /// The number that a failed build's last object carries: the exit code of its command.
    pub(crate) const fn code(&self) -> Option<i64> {
        match self {
            Self::Command { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The answer to a request of this version: an object with a `message`, or plain text that ends in a newline.
    pub(crate) fn response(&self, version: ApiVersion) -> Response {
        if version.errors_are_json() {
            let message = self.words(version);
            return Response::json(self.status(version), &serde_json::json!({ "message": message }));
        }
        let nosniff = http::HeaderValue::from_static("nosniff");
        Response::text(self.status(version), format!("{self}\n"))
            .with(http::header::X_CONTENT_TYPE_OPTIONS, nosniff)
    }
}

/// Failures whose status differs for newer clients: a start's missing dependency is not a missing container, a program
/// that cannot be run is the client's mistake, a log that is not stored is nothing that the client could fix.
fn of_today(error: &engine::Error, version: ApiVersion) -> StatusCode {
    match error.root() {
        engine::Error::Program { .. } => StatusCode::BAD_REQUEST,
        engine::Error::UnreadableLog(_) => StatusCode::NOT_IMPLEMENTED,
        engine::Error::System { kind: ErrorKind::NotFound, .. } | engine::Error::MissingOnHost(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
        root => status_of(root.kind(), version),
    }
}

/// The status that stands for a kind of failure in this version.
const fn status_of(kind: ErrorKind, version: ApiVersion) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Invalid if version.refusals_have_their_status() => StatusCode::BAD_REQUEST,
        ErrorKind::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorKind::Forbidden => StatusCode::FORBIDDEN,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Invalid | ErrorKind::Unavailable | ErrorKind::Internal => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

/// Whether an error is about the state that a container happens to be in, or addresses and ports in use: not
/// a conflict of names or settings, for which every version has 409.
fn is_of_the_moment(error: &engine::Error) -> bool {
    use engine::Error;
    match error.root() {
        Error::NotRunning(_)
        | Error::JoinedNotRunning { .. }
        | Error::PausedForExec(_)
        | Error::AlreadyPaused(_)
        | Error::NotPaused(_)
        | Error::StartPaused
        | Error::StartRemoving
        | Error::Network(_)
        | Error::System { .. }
        | Error::Program { .. } => error.kind() == ErrorKind::Conflict,
        _ => false,
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(error) => formatter.write_str(&with_causes(error)),
            Self::Kind { message, .. } | Self::Request { message, .. } | Self::Command { message, .. } => {
                formatter.write_str(&in_kernel_words(message))
            }
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

#[cfg(test)]
mod tests {
    use engine::Error;

    use super::*;
    use crate::version::REFERENCE;

    fn statuses(error: Error) -> [u16; 2] {
        let error = ApiError::from(error);
        [ApiVersion::minor(20), ApiVersion::minor(24)].map(|version| error.status(version).as_u16())
    }

    #[test]
    fn a_kind_has_one_status_in_each_version() {
        for (kind, old, new) in [
            (ErrorKind::NotFound, 404, 404),
            (ErrorKind::Conflict, 409, 409),
            (ErrorKind::Invalid, 500, 400),
            (ErrorKind::Forbidden, 403, 403),
            (ErrorKind::Unauthorized, 401, 401),
            (ErrorKind::Unavailable, 500, 500),
            (ErrorKind::Unsupported, 501, 501),
            (ErrorKind::Busy, 503, 503),
            (ErrorKind::Internal, 500, 500),
        ] {
            assert_eq!(statuses(Error::Refused { kind, message: "no".to_owned() }), [old, new], "{kind:?}");
        }
        assert_eq!(ApiError::bad_request("no").status(REFERENCE), StatusCode::BAD_REQUEST);
        assert_eq!(statuses(Error::UnusableText("no".to_owned())), [400, 400]);
    }

    #[test]
    fn a_container_in_the_wrong_state_is_500_in_old_versions_and_names_that_are_taken_are_409_in_all() {
        let start = |source: Error| Error::Container {
            act: "start",
            container: "web".to_owned(),
            source: Box::new(source),
        };
        assert_eq!(statuses(Error::NotRunning("web".to_owned())), [500, 409]);
        assert_eq!(statuses(start(Error::StartPaused)), [500, 409]);
        let holder = model::ContainerId::from_random([0xab; 32]);
        let taken = Error::NameTaken { name: "web".to_owned(), holder };
        assert_eq!(statuses(Error::Rename(Box::new(taken))), [409, 409]);
        assert_eq!(statuses(Error::RemoveRunning), [409, 409]);
    }
}
