//! A driving client's queries about its build, and the result that it returns.

use std::sync::Arc;

use super::lookup::build_of;
use crate::capabilities;
use crate::grpc::{Call, Code, Status};
use crate::parts::Parts;
use crate::worker;
use buildkit_messages::gateway::{
    EvaluateRequest, EvaluateResponse, InputsRequest, InputsResponse, PingRequest, PongResponse,
    ReturnRequest, ReturnResponse,
};

/// `LLBBridge.Ping`
pub(crate) async fn ping(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let PingRequest {} = call.requests.only().await?;
    build_of(&parts, &call).await?;
    let pong = PongResponse {
        frontend_capabilities: capabilities::frontend(),
        operation_capabilities: capabilities::operations(),
        workers: vec![worker::record(&parts)],
    };
    call.replies.send(&pong).await
}

/// `LLBBridge.Return`
pub(crate) async fn take_return(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let request: ReturnRequest = call.requests.only().await?;
    let build = build_of(&parts, &call).await?;
    let result = match request.error {
        Some(error) => {
            Err(Status { code: Code::of_number(error.code), message: error.message, details: error.details })
        }
        None => Ok(request.result.unwrap_or_default()),
    };
    build.take_return(result)?;
    call.replies.send(&ReturnResponse {}).await
}

/// `LLBBridge.Inputs`: builds that clients drive have none.
pub(crate) async fn inputs(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let InputsRequest {} = call.requests.only().await?;
    build_of(&parts, &call).await?;
    call.replies.send(&InputsResponse::default()).await
}

/// `LLBBridge.Evaluate`: results are complete when they are given.
pub(crate) async fn evaluate(parts: Arc<Parts>, mut call: Call) -> Result<(), Status> {
    let EvaluateRequest { reference } = call.requests.only().await?;
    build_of(&parts, &call).await?.results(&[&reference])?;
    call.replies.send(&EvaluateResponse {}).await
}
