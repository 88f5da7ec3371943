//! Ports of a pod over a client's streams: a pair of streams a connection, one for its bytes and one for its failure.

use std::collections::HashMap;
use std::sync::Arc;

use engine::Engine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::stream::{Accepted, PIECE, Stream};
use crate::wire::session::PortForwardRequest;

/// Pairs that a client may have begun at once.
const LIMIT: usize = 256;

/// Serves the connections of a client until it leaves.
pub(super) async fn serve(engine: Arc<Engine>, asked: PortForwardRequest, mut accepted: Accepted) {
    let mut begun: HashMap<String, Stream> = HashMap::new();
    while let Some(stream) = accepted.recv().await {
        let pair = stream.header("requestid").to_owned();
        let (data, error) = match (begun.remove(&pair), stream.header("streamtype")) {
            (Some(error), "data") => (stream, error),
            (Some(data), "error") => (data, stream),
            _ if begun.len() >= LIMIT => return,
            _ => {
                begun.insert(pair, stream);
                continue;
            }
        };
        let (engine, sandbox) = (Arc::clone(&engine), asked.pod_sandbox_id.clone());
        tokio::spawn(async move {
            if let Err(reason) = forward(&engine, &sandbox, data).await {
                let _ = error.send(reason.as_bytes()).await;
            }
            let _ = error.finish().await;
        });
    }
}

/// Carries one connection.
async fn forward(engine: &Engine, sandbox: &str, data: Stream) -> Result<(), String> {
    let port: u16 = data.header("port").parse().map_err(|_| "the stream names no port".to_owned())?;
    let connected = engine.pods.streams.connect(sandbox, port).await;
    let connection = match connected {
        Ok(connection) => connection,
        Err(error) => {
            let _ = data.finish().await;
            return Err(format!("cannot reach port {port} of the pod: {}", model::with_causes(&error)));
        }
    };
    carry(connection, data).await;
    Ok(())
}

/// Carries bytes both ways until both sides have sent their last, or one of them is gone.
async fn carry(connection: TcpStream, data: Stream) {
    let (mut read, mut write) = connection.into_split();
    let departure = data.departure();
    let (mut incoming, outgoing) = data.split();
    let inward = async {
        while let Some(bytes) = incoming.recv().await {
            if write.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = write.shutdown().await;
    };
    let outward = async {
        let mut piece = vec![0; PIECE];
        while let Ok(count @ 1..) = read.read(&mut piece).await {
            if outgoing.send(&piece[..count]).await.is_err() {
                return;
            }
        }
        let _ = outgoing.finish().await;
    };
    let both = async {
        tokio::pin!(inward, outward);
        tokio::select! {
            () = &mut outward => {}
            () = &mut inward => outward.await,
        }
    };
    tokio::select! {
        () = both => {}
        () = departure.wait_for_last_words() => {}
    }
}
