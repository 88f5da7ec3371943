//! A failed build as the end of a call.

use engine::builder::BuildError;
use model::ErrorKind;

use super::error_details;
use crate::grpc::{Code, Status};
use buildkit_messages::operations::SourceInfo;

/// The status of a failed build, with its place in the Dockerfile, if known.
pub(super) fn status(error: &BuildError, source: Option<&SourceInfo>) -> Status {
    if matches!(error, BuildError::Cancelled) {
        return Status::cancelled();
    }
    // A build that fails is no failure of its request: clients would show another code before the text.
    let code = match error.kind() {
        ErrorKind::Unsupported => Code::Unimplemented,
        _ => Code::Unknown,
    };
    let mut status = Status::new(code, error.graph_text());
    if let (Some(source), Some(lines)) = (source, error.lines()) {
        status.details.push(error_details::source(&source.file_name, &source.data, lines));
    }
    status
}
