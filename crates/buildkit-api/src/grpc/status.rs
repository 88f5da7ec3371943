//! How a call ended: code, text and details, as the trailers of its answer carry them.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use engine::images::registry::RegistryError;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::{ErrorKind, without_credentials};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use prost::Message as _;

use buildkit_messages::google;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// The characters that are escaped in messages: "Responses" of the protocol's page.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');
/// The longest text that a status carries: header lists of peers are bounded.
const TEXT_LIMIT: usize = 2048;
/// Binary fields are written without padding and read either way.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The codes of statuses that are made or checked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Cancelled,
    Unknown,
    InvalidArgument,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Unimplemented,
    Internal,
    Unavailable,
    Unauthenticated,
}

impl Code {
    const ALL: [(Self, i32); 12] = [
        (Self::Cancelled, 1),
        (Self::Unknown, 2),
        (Self::InvalidArgument, 3),
        (Self::NotFound, 5),
        (Self::AlreadyExists, 6),
        (Self::PermissionDenied, 7),
        (Self::ResourceExhausted, 8),
        (Self::FailedPrecondition, 9),
        (Self::Unimplemented, 12),
        (Self::Internal, 13),
        (Self::Unavailable, 14),
        (Self::Unauthenticated, 16),
    ];

    fn number(self) -> i32 {
        Self::ALL.iter().find(|(code, _)| *code == self).map_or(2, |(_, number)| *number)
    }

    /// The code of a number; those that are not distinguished here are `Unknown`.
    pub(crate) fn of_number(number: i32) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == number).map_or(Self::Unknown, |(code, _)| *code)
    }
}

/// The end of a call that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Status {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) details: Vec<google::Any>,
}

impl Status {
    /// Makes the end of a call; addresses in its text are shown without credentials.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: without_credentials(&message.into()), details: Vec::new() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(crate) fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(Code::Unimplemented, message)
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Code::Cancelled, "context canceled")
    }

    /// The end of a build that failed: clients show any other code in front of the text.
    pub(crate) fn of_build(self) -> Self {
        let is_refusal = matches!(
            self.code,
            Code::Unimplemented | Code::InvalidArgument | Code::PermissionDenied | Code::FailedPrecondition
        );
        if is_refusal { Self { code: Code::Unknown, ..self } } else { self }
    }

    /// The status of a failure of the engine.
    pub(crate) fn of_kind(kind: ErrorKind, message: impl Into<String>) -> Self {
        let code = match kind {
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::Conflict => Code::AlreadyExists,
            ErrorKind::Invalid => Code::InvalidArgument,
            ErrorKind::Forbidden => Code::PermissionDenied,
            ErrorKind::Unauthorized => Code::Unauthenticated,
            ErrorKind::Unavailable => Code::Unavailable,
            ErrorKind::Busy => Code::ResourceExhausted,
            ErrorKind::Unsupported => Code::Unimplemented,
            ErrorKind::Internal => Code::Internal,
        };
        Self::new(code, message)
    }

    /// The kind of failure for the engine.
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self.code {
            Code::NotFound => ErrorKind::NotFound,
            Code::AlreadyExists => ErrorKind::Conflict,
            Code::InvalidArgument | Code::FailedPrecondition | Code::Cancelled => ErrorKind::Invalid,
            Code::PermissionDenied => ErrorKind::Forbidden,
            Code::Unauthenticated => ErrorKind::Unauthorized,
            Code::Unavailable => ErrorKind::Unavailable,
            Code::ResourceExhausted => ErrorKind::Busy,
            Code::Unimplemented => ErrorKind::Unsupported,
            Code::Unknown | Code::Internal => ErrorKind::Internal,
        }
    }

    /// The same as the message of a failed build in its history.
    pub(crate) fn to_message(&self) -> google::Status {
        google::Status {
            code: self.code.number(),
            message: self.message.clone(),
            details: self.details.clone(),
        }
    }

    /// The trailers of an answer that ends so.
    pub(super) fn trailers(result: Result<(), Self>) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        let Err(mut status) = result else {
            trailers.insert(STATUS, HeaderValue::from_static("0"));
            return trailers;
        };
        if let Some((end, _)) = status.message.char_indices().find(|(end, _)| *end >= TEXT_LIMIT) {
            status.message.truncate(end);
        }
        trailers.insert(STATUS, status.code.number().into());
        let text = utf8_percent_encode(&status.message, ESCAPED).to_string();
        if let Ok(text) = HeaderValue::from_str(&text) {
            trailers.insert(MESSAGE, text);
        }
        if !status.details.is_empty()
            && let Ok(details) = HeaderValue::from_str(&BASE64.encode(status.to_message().encode_to_vec()))
        {
            trailers.insert(DETAILS, details);
        }
        trailers
    }

    /// How a response ended; `None` where the fields do not have a status.
    pub(super) fn of_trailers(fields: &HeaderMap) -> Option<Result<(), Self>> {
        let number: i32 = fields.get(STATUS)?.to_str().ok()?.parse().ok()?;
        if number == 0 {
            return Some(Ok(()));
        }
        let text = fields.get(MESSAGE).and_then(|text| text.to_str().ok()).unwrap_or_default();
        let text = percent_decode_str(text).decode_utf8_lossy().into_owned();
        Some(Err(Self::new(Code::of_number(number), text)))
    }
}

impl From<RegistryError> for Status {
    fn from(error: RegistryError) -> Self {
        Self::of_kind(error.kind(), error.to_string())
    }
}

impl From<h2::Error> for Status {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(h2::Reason::CANCEL) => Self::cancelled(),
            _ => Self::new(Code::Unavailable, format!("the connection failed: {error}")),
        }
    }
}
