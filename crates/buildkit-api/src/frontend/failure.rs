//! A failed build as the end of a call.

use engine::builder::BuildError;

use super::error_details;
use crate::grpc::{Code, Status};
use buildkit_messages::operations::SourceInfo;

/// The status of a failed build, with its place in the Dockerfile where that is known.
pub(super) fn status(error: &BuildError, source: Option<&SourceInfo>) -> Status {
    if matches!(error, BuildError::Cancelled) {
        return Status::cancelled();
    }
    let mut status = Status::of_kind(error.kind(), error.to_string());
    // An exit code is a failure of the build, not of its request.
    if error.code().is_some() {
        status.code = Code::Unknown;
    }
    if let (Some(source), Some(lines)) = (source, error.lines()) {
        status.details.push(error_details::source(&source.file_name, &source.data, lines));
    }
    status
}
