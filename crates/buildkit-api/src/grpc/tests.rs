//! Calls over a pair of connected pipes, between both sides of this module.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::DuplexStream;

use super::{Answer, Call, Channel, Code, Handler, Status, serve};
use buildkit_messages::file_sync::BytesMessage;

struct Echo;

impl Handler for Echo {
    fn handle(self: Arc<Self>, mut call: Call) -> Answer {
        Box::pin(async move {
            if call.path == "/test/Refuse" {
                return Err(Status::new(Code::NotFound, "no ü % \n here"));
            }
            while let Some(message) = call.requests.next::<BytesMessage>().await? {
                call.replies.send(&message).await?;
            }
            Ok(())
        })
    }
}

async fn channel(client: DuplexStream, server: DuplexStream) -> Channel {
    tokio::spawn(serve(server, Arc::new(Echo)));
    let (channel, connection) = Channel::open(client).await.expect("a connection");
    tokio::spawn(connection);
    channel
}

fn message(length: usize) -> BytesMessage {
    BytesMessage { data: Bytes::from(vec![7; length]) }
}

#[tokio::test]
async fn messages_of_any_size_go_both_ways() {
    let (client, server) = tokio::io::duplex(4096);
    let channel = channel(client, server).await;
    let (mut requests, mut answers) = channel.call("/test/Echo", HeaderMap::new()).await.expect("a call");
    for length in [0, 1, 70_000, 3 << 20] {
        let sent = message(length);
        let (sent, answer) = tokio::join!(requests.send(&sent), answers.next::<BytesMessage>());
        sent.expect("sent");
        assert_eq!(answer.expect("an answer").expect("a message").data.len(), length);
    }
    requests.finish();
    assert_eq!(answers.next::<BytesMessage>().await.expect("the end"), None);
}

#[tokio::test]
async fn a_refusal_has_its_code_and_text() {
    let (client, server) = tokio::io::duplex(4096);
    let channel = channel(client, server).await;
    let refusal = channel.unary::<BytesMessage>("/test/Refuse", &message(1)).await.expect_err("a refusal");
    assert_eq!((refusal.code, refusal.message.as_str()), (Code::NotFound, "no ü % \n here"));
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let (client, server) = tokio::io::duplex(1 << 20);
    let channel = channel(client, server).await;
    let long = message(super::frame::MESSAGE_LIMIT + 1);
    let refusal = channel.unary::<BytesMessage>("/test/Echo", &long).await.expect_err("a refusal");
    assert_eq!(refusal.code, Code::ResourceExhausted);
}
