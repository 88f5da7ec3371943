//! A client's session: it serves its directories, and takes what exporters send.

use std::path::Path;
use std::sync::{Arc, Mutex};

use buildkit_messages::content::{ReadContentRequest, ReadContentResponse};
use buildkit_messages::file_sync::{BytesMessage, Packet, PacketKind, Stat};
use buildkit_messages::policy::CheckPolicyRequest;
use buildkit_messages::session::{CheckAgentResponse, SecretRequest, SecretResponse};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::content_store::WRITE;
use crate::offers::{End, Offer, Offers};
use crate::streams::{Messages, frame, send, upgraded};

const STAT: i32 = PacketKind::Stat as i32;
const REQUEST: i32 = PacketKind::Request as i32;
const DATA: i32 = PacketKind::Data as i32;
const FINISH: i32 = PacketKind::Finish as i32;

const GET_SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
const CHECK_AGENT: &str = "/moby.sshforward.v1.SSH/CheckAgent";
const CHECK_POLICY: &str = "/moby.buildkit.v1.sourcepolicy.policysession.PolicyVerifier/CheckPolicy";
const PULL: &str = "/moby.upload.v1.Upload/Pull";
const READ: &str = "/containerd.services.content.v1.Content/Read";
/// The field that names a layout or a store of blobs.
const STORE: &str = "buildkit-attachable-store-id";
const METHODS: [&str; 8] = [
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.FileSend/DiffCopy",
    GET_SECRET,
    CHECK_AGENT,
    CHECK_POLICY,
    PULL,
    READ,
    WRITE,
];

/// Stands for an export in the list of requests.
pub(crate) const EXPORT: &str = "an export";

/// What exporters sent, and which contents the engine requested.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    /// The bytes of files.
    pub(crate) file: Vec<u8>,
    /// The entries of a directory with their contents.
    pub(crate) directory: Vec<(Stat, Vec<u8>)>,
    /// The paths of requested contents.
    pub(crate) asked: Vec<String>,
}

/// An open session; dropping it closes it.
pub(crate) struct Session {
    task: JoinHandle<()>,
    received: Arc<Mutex<Received>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Session {
    pub(crate) async fn open(socket: &Path, id: &str, offers: Arc<Offers>) -> Self {
        let mut fields =
            format!("X-Docker-Expose-Session-Uuid: {id}\r\nX-Docker-Expose-Session-Sharedkey: test\r\n");
        for method in METHODS {
            fields.push_str(&format!("X-Docker-Expose-Session-Grpc-Method: {method}\r\n"));
        }
        let stream = upgraded(socket, "/session", &fields).await;
        let received = Arc::new(Mutex::new(Received::default()));
        let shared = Arc::clone(&received);
        let task = tokio::spawn(async move {
            let mut connection = h2::server::handshake(stream).await.expect("HTTP/2");
            let mut calls = tokio::task::JoinSet::new();
            while let Some(Ok((request, respond))) = connection.accept().await {
                calls.spawn(serve(request, respond, Arc::clone(&offers), Arc::clone(&shared)));
            }
        });
        Self { task, received }
    }

    /// What has come.
    pub(crate) async fn received(&self) -> Received {
        self.received.lock().expect("what came").clone()
    }
}

async fn serve(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    offers: Arc<Offers>,
    received: Arc<Mutex<Received>>,
) {
    let (head, body) = request.into_parts();
    let response =
        Response::builder().header("content-type", "application/grpc").body(()).expect("a response");
    let Ok(mut stream) = respond.send_response(response, false) else { return };
    let fields = |name: &str| -> Vec<String> {
        let values = head.headers.get_all(name).iter();
        values.map(|value| value.to_str().expect("a text").to_owned()).collect()
    };
    let mut messages = Messages::new(body);
    let code = match head.uri.path() {
        "/moby.filesync.v1.FileSync/DiffCopy" => {
            let name = fields("dir-name").first().cloned().unwrap_or_default();
            match offers.directories.get(&name) {
                Some(Offer { script: Some(script), .. }) => {
                    let packets = script.packets.iter().map(frame).collect();
                    send_pieces(&mut stream, packets, script.end).await;
                    0
                }
                Some(offer) => {
                    let includes = fields("include-patterns");
                    let offer = if includes.is_empty() { offer.clone() } else { offer.only(&includes) };
                    let offer = offer.at(&fields("followpaths"));
                    let offer = offer.without(&fields("exclude-patterns"));
                    send_tree(&mut stream, messages, &offer, &received).await;
                    0
                }
                None => 5,
            }
        }
        "/moby.filesync.v1.FileSend/DiffCopy" => {
            if offers.ignores_exports {
                received.lock().expect("what came").asked.push(EXPORT.to_owned());
                return std::future::pending().await;
            }
            receive(&mut stream, &mut messages, &received).await;
            0
        }
        PULL => match &offers.archive {
            Some(archive) => {
                let piece = |data: &Bytes| frame(&BytesMessage { data: data.clone() });
                send_pieces(&mut stream, archive.pieces.iter().map(piece).collect(), archive.end).await;
                0
            }
            None => 5,
        },
        READ => {
            let request: ReadContentRequest = messages.next().await.expect("a request");
            let store = fields(STORE).first().cloned().unwrap_or_default();
            let layout = store.strip_prefix("oci:").and_then(|name| offers.layouts.get(name));
            match (offers.stores.get(&store), layout.and_then(|layout| layout.get(&request.digest))) {
                (Some(cache), _) => cache.read(&mut stream, &request).await,
                (None, Some(blob)) => {
                    let piece = |data: &Bytes| frame(&ReadContentResponse { offset: 0, data: data.clone() });
                    send_pieces(&mut stream, blob.pieces.iter().map(piece).collect(), blob.end).await;
                    0
                }
                (None, None) => 5,
            }
        }
        WRITE => match offers.stores.get(&fields(STORE).first().cloned().unwrap_or_default()) {
            Some(cache) => cache.write(&mut stream, &mut messages).await,
            None => 5,
        },
        GET_SECRET => {
            let request: SecretRequest = messages.next().await.expect("a request");
            let secret = offers.secrets.get(&request.id);
            answer(&mut stream, secret.map(|data| SecretResponse { data: data.clone() })).await
        }
        CHECK_AGENT => answer(&mut stream, offers.has_agent.then_some(CheckAgentResponse {})).await,
        CHECK_POLICY => {
            let request: CheckPolicyRequest = messages.next().await.unwrap_or_default();
            match offers.policy {
                Some(policy) => answer(&mut stream, Some(policy(&request))).await,
                None => 12,
            }
        }
        _ => 12,
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    let _ = stream.send_trailers(trailers);
}

/// Sends chunks, and what comes behind them.
async fn send_pieces(stream: &mut SendStream<Bytes>, pieces: Vec<Bytes>, end: End) {
    for piece in &pieces {
        if !send(stream, piece.clone()).await {
            return;
        }
    }
    while let (End::Repeats, Some(last)) = (end, pieces.last()) {
        if !send(stream, last.clone()).await {
            return;
        }
    }
}

/// Answers a call that has one answer; gives the call's status, which is `NotFound` for none.
async fn answer(stream: &mut SendStream<Bytes>, message: Option<impl Message>) -> i32 {
    let Some(message) = message else { return 5 };
    send(stream, frame(&message)).await;
    0
}

fn packet(kind: i32, id: u32, data: Bytes) -> Bytes {
    frame(&Packet { kind, stat: None, id, data })
}

async fn send_tree(
    stream: &mut SendStream<Bytes>,
    mut messages: Messages,
    offer: &Offer,
    received: &Mutex<Received>,
) {
    let (sender, mut asked) = mpsc::unbounded_channel();
    let listen = async {
        while let Some(packet) = messages.next::<Packet>().await {
            let _ = sender.send((packet.kind, packet.id));
        }
        let _ = sender.send((FINISH, 0));
    };
    let answer = async {
        let endless = (0_u64..).take_while(|_| offer.endless).map(|number| Stat {
            path: format!("endless-{number:020}").into_bytes(),
            mode: 0o644,
            ..Stat::default()
        });
        for stat in offer.stats.iter().cloned().chain(endless) {
            if !send(stream, frame(&Packet { kind: STAT, stat: Some(stat), ..Packet::default() })).await {
                return;
            }
        }
        send(stream, packet(STAT, 0, Bytes::new())).await;
        while let Some((kind, id)) = asked.recv().await {
            if kind == FINISH {
                send(stream, packet(FINISH, 0, Bytes::new())).await;
                return;
            }
            assert_eq!(kind, REQUEST, "a packet of the receiver");
            received
                .lock()
                .expect("what came")
                .asked
                .push(String::from_utf8_lossy(&offer.stats[id as usize].path).into_owned());
            if offer.stalls {
                continue;
            }
            for piece in offer.contents.get(&id).into_iter().flatten() {
                send(stream, packet(DATA, id, piece.clone())).await;
            }
            send(stream, packet(DATA, id, Bytes::new())).await;
        }
    };
    tokio::select! {
        () = answer => {}
        () = async { listen.await; std::future::pending().await } => {}
    }
}

/// Receives a file, or a directory: the exporter's messages show which.
async fn receive(stream: &mut SendStream<Bytes>, messages: &mut Messages, received: &Mutex<Received>) {
    let mut directory: Vec<(Stat, Vec<u8>)> = Vec::new();
    let mut waiting = 0;
    let mut is_listed = false;
    while let Some(message) = messages.next_bytes().await {
        match read(&message) {
            Either::File(piece) => received.lock().expect("what came").file.extend_from_slice(&piece),
            Either::Packet(Packet { kind: STAT, stat: Some(stat), .. }) => {
                let number = u32::try_from(directory.len()).expect("a number");
                if stat.mode & (DIRECTORY_OR_LINK) == 0 && stat.link.is_empty() {
                    waiting += 1;
                    send(stream, packet(REQUEST, number, Bytes::new())).await;
                }
                directory.push((stat, Vec::new()));
            }
            Either::Packet(Packet { kind: STAT, stat: None, .. }) => is_listed = true,
            Either::Packet(Packet { kind: DATA, id, data, .. }) if data.is_empty() => {
                waiting -= 1;
                assert!(directory.len() > id as usize, "a number");
            }
            Either::Packet(Packet { kind: DATA, id, data, .. }) => {
                directory[id as usize].1.extend_from_slice(&data);
            }
            Either::Packet(Packet { kind: FINISH, .. }) => break,
            Either::Packet(packet) => panic!("{packet:?}"),
        }
        if is_listed && waiting == 0 {
            is_listed = false;
            send(stream, packet(FINISH, 0, Bytes::new())).await;
        }
    }
    received.lock().expect("what came").directory = directory;
}

/// Everything but a regular file.
const DIRECTORY_OR_LINK: u32 = (1 << 31) | (1 << 27) | (1 << 26) | (1 << 25);

enum Either {
    File(Bytes),
    Packet(Packet),
}

/// A message of an exporter: field 1 is the bytes of a chunk, or the number of a packet's kind, which its head
/// shows.
fn read(message: &Bytes) -> Either {
    match message.first() {
        Some(0x0a) => Either::File(BytesMessage::decode(message.clone()).expect("a piece").data),
        _ => Either::Packet(Packet::decode(message.clone()).expect("a packet")),
    }
}
