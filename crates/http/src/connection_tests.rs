//! Connections over real sockets, byte by byte.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::{Response, StreamKind};

/// Answers by path; counts the streams that noticed a departure.
#[derive(Default)]
struct Echo {
    departures: AtomicUsize,
}

impl Service for Echo {
    fn call<'a>(&'a self, exchange: &'a mut Exchange) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if self.answer(exchange).await.is_err() {
                self.departures.fetch_add(1, Ordering::SeqCst);
            }
        })
    }
}

impl Echo {
    async fn answer(&self, exchange: &mut Exchange) -> io::Result<()> {
        match exchange.head.path.clone().as_str() {
            "/gather" => match exchange.body.gather(100_000).await {
                Ok(body) => exchange.respond(&Response::text(StatusCode::OK, body)).await,
                Err(error) => {
                    exchange.respond(&Response::text(StatusCode::BAD_REQUEST, error.to_string())).await
                }
            },
            "/duplex" => {
                let (body, output) = exchange.begin(StatusCode::OK, &[]).await?;
                while let Ok(Some(piece)) = body.next().await {
                    output.write(&piece).await?;
                }
                output.finish().await
            }
            "/count" => {
                let mut count = 0;
                while let Some(piece) = exchange.body.next().await.map_err(io::Error::other)? {
                    count += piece.len();
                }
                exchange.respond(&Response::text(StatusCode::OK, count.to_string())).await
            }
            "/endless" => {
                exchange.begin(StatusCode::OK, &[]).await?;
                exchange.output().write(b"first").await?;
                let forever = std::future::pending::<()>();
                exchange.while_waited_for(forever).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
            "/broken" => {
                exchange.begin(StatusCode::OK, &[]).await?;
                exchange.output().write(b"half").await
            }
            "/hijack" => {
                let mut client = exchange.hijack(StreamKind::Raw).await?.into_stream();
                let mut all = Vec::new();
                client.read_to_end(&mut all).await?;
                client.write_all(&all).await?;
                client.shutdown().await
            }
            "/descriptor" => {
                let (descriptor, early) = exchange.hijack(StreamKind::Raw).await?.into_descriptor()?;
                std::thread::spawn(move || echo_blocking(descriptor.into(), &early));
                Ok(())
            }
            "/nothing" => exchange.respond(&Response::empty(StatusCode::NO_CONTENT)).await,
            path => exchange.respond(&Response::text(StatusCode::OK, path.to_owned())).await,
        }
    }
}

fn echo_blocking(mut client: StdUnixStream, early: &[u8]) {
    use std::io::{Read as _, Write as _};
    let mut rest = Vec::new();
    let result = client
        .set_nonblocking(false)
        .and_then(|()| client.write_all(early))
        .and_then(|()| client.read_to_end(&mut rest))
        .and_then(|_| client.write_all(&rest));
    drop(result);
}

struct Server {
    client: UnixStream,
    echo: Arc<Echo>,
    task: tokio::task::JoinHandle<()>,
    stop: watch::Sender<bool>,
}

fn server() -> Server {
    let (client, ours) = UnixStream::pair().expect("socket pair");
    let (stop, stopping) = watch::channel(false);
    let echo = Arc::new(Echo::default());
    let settings =
        Settings { common_headers: "Server: test\r\n".into(), budget: request_budget(1 << 20), stopping };
    let task = tokio::spawn(serve(Transport::Unix(ours), Arc::clone(&echo) as Arc<dyn Service>, settings));
    Server { client, echo, task, stop }
}

/// Sends the text, closes the sending side and gives all that comes back.
async fn talk(text: &str) -> String {
    let mut server = server();
    server.client.write_all(text.as_bytes()).await.expect("send");
    server.client.shutdown().await.expect("close");
    let mut answer = String::new();
    server.client.read_to_string(&mut answer).await.expect("read");
    server.task.await.expect("the connection's task ends");
    answer
}

/// Reads until the text has been seen.
async fn read_until(client: &mut UnixStream, wanted: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(wanted) {
        let count = client.read_buf(&mut seen).await.expect("read");
        assert_ne!(count, 0, "ended before {wanted:?}: {:?}", String::from_utf8_lossy(&seen));
    }
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let answer = talk(
        "GET /a HTTP/1.1\r\nHost: d\r\n\r\nPOST /gather HTTP/1.1\r\nHost: d\r\nContent-Length: 3\r\n\r\nxyz\
         POST /gather HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nT: v\r\n\r\n\
         GET /nothing HTTP/1.1\r\nHost: d\r\n\r\nGET /last HTTP/1.1\r\nHost: d\r\n\r\n",
    )
    .await;
    let bodies: Vec<_> =
        answer.split("HTTP/1.1 ").skip(1).map(|part| part.split_once("\r\n\r\n").expect("head")).collect();
    let texts: Vec<_> = bodies.iter().map(|(_, body)| *body).collect();
    assert_eq!(texts, ["/a", "xyz", "abc", "", "/last"]);
    assert!(bodies[3].0.starts_with("204") && !bodies[3].0.contains("Content-Length"), "{answer}");
    assert!(
        bodies[0].0.contains("Server: test\r\nDate: ") && !bodies[0].0.contains("Connection"),
        "{answer}"
    );
}

#[tokio::test]
async fn one_dot_nought_and_close_end_the_connection() {
    for (request, connection) in [
        ("GET /a HTTP/1.0\r\n\r\n", "Connection: close"),
        ("GET /a HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", "Connection: close"),
        ("GET /duplex HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "Connection: close"),
    ] {
        let mut server = server();
        server.client.write_all(request.as_bytes()).await.expect("send");
        let mut answer = String::new();
        server.client.read_to_string(&mut answer).await.expect("the server closes");
        assert!(answer.contains(connection) && !answer.contains("chunked"), "{answer}");
    }
    let answer = talk("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains("Connection: keep-alive") && answer.ends_with("/b"), "{answer}");
}

#[tokio::test]
async fn head_has_the_length_but_no_body() {
    let answer = talk("HEAD /four HTTP/1.1\r\nHost: d\r\n\r\nHEAD /duplex HTTP/1.1\r\nHost: d\r\n\r\n").await;
    assert!(answer.contains("Content-Length: 5\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 2);
}

#[tokio::test]
async fn continue_comes_before_the_body_is_sent() {
    let mut server = server();
    let request = "POST /gather HTTP/1.1\r\nHost: d\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    server.client.write_all(request.as_bytes()).await.expect("send");
    assert_eq!(read_until(&mut server.client, "\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    server.client.write_all(b"hi").await.expect("send");
    assert!(read_until(&mut server.client, "hi").await.starts_with("HTTP/1.1 200 OK"));
    // Refused unread: no 100, and the connection cannot go on.
    server.client.write_all(request.replace("gather", "x").as_bytes()).await.expect("send");
    let mut answer = String::new();
    server.client.read_to_string(&mut answer).await.expect("the server closes");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Connection: close"), "{answer}");
}

#[tokio::test]
async fn an_unread_body_does_not_become_a_request() {
    let answer = talk(
        "POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 30\r\n\r\nGET /evil HTTP/1.1\r\nHost: d\r\n\r\n",
    )
    .await;
    assert!(answer.ends_with("\r\n\r\n/a") && !answer.contains("evil"), "{answer}");
    let mut large = server();
    let request =
        format!("POST /a HTTP/1.1\r\nHost: d\r\nContent-Length: 3000000\r\n\r\n{}", "x".repeat(100_000));
    large.client.write_all(request.as_bytes()).await.expect("send");
    let answer = read_until(&mut large.client, "/a").await;
    assert!(answer.contains("Connection: close"), "{answer}");
}

#[tokio::test]
async fn both_ways_at_once_with_back_pressure() {
    let server = server();
    let (mut read, mut write) = server.client.into_split();
    let total = 64 << 20;
    let sender = tokio::spawn(async move {
        let head = format!(
            "POST /duplex HTTP/1.1\r\nHost: d\r\nContent-Length: {total}\r\nConnection: close\r\n\r\n"
        );
        write.write_all(head.as_bytes()).await.expect("send");
        let piece = vec![b'z'; 1 << 20];
        for _ in 0..64 {
            write.write_all(&piece).await.expect("send");
        }
        write
    });
    let (mut count, mut piece) = (0, vec![0; 1 << 16]);
    loop {
        let got = read.read(&mut piece).await.expect("read");
        if got == 0 {
            break;
        }
        count += piece[..got].iter().filter(|byte| **byte == b'z').count();
    }
    assert_eq!(count, total);
    sender.await.expect("sender");
}

#[tokio::test]
async fn too_large_and_broken_bodies_are_refused() {
    let large =
        format!("POST /gather HTTP/1.1\r\nHost: d\r\nContent-Length: 200000\r\n\r\n{}", "x".repeat(200_000));
    assert!(talk(&large).await.contains("larger than 100000 bytes"));
    let broken = "POST /gather HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    let answer = talk(broken).await;
    assert!(answer.contains("malformed chunk size") && answer.contains("Connection: close"), "{answer}");
}

#[tokio::test]
async fn refused_heads_get_a_text_and_the_end() {
    let answer =
        talk("GET / HTTP/1.1\r\nHost: d\r\nContent-Length: x\r\n\r\nGET /b HTTP/1.1\r\nHost: d\r\n\r\n")
            .await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain"), "{answer}");
    assert!(answer.ends_with("400 Bad Request: malformed Content-Length\n"), "{answer}");
    let mut server = server();
    let flood = vec![b'a'; 2 << 20];
    server.client.write_all(b"GET / HTTP/1.1\r\nHost: d\r\nX: ").await.expect("send");
    let _ = server.client.write_all(&flood).await;
    let mut answer = Vec::new();
    let _ = server.client.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{:?}", String::from_utf8_lossy(&answer));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_dawdles_is_timed_out() {
    let mut server = server();
    let mut answer = Vec::new();
    for byte in b"GET /_ping HTTP/1.1\r\n" {
        if server.client.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    server.client.read_to_end(&mut answer).await.expect("read");
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn streams_learn_that_the_client_left() {
    let mut left = server();
    left.client.write_all(b"GET /endless HTTP/1.1\r\nHost: d\r\n\r\n").await.expect("send");
    let seen = read_until(&mut left.client, "first").await;
    assert!(seen.contains("Transfer-Encoding: chunked"), "{seen}");
    drop(left.client);
    left.task.await.expect("ends");
    assert_eq!(left.echo.departures.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_half_closed_client_still_waits() {
    let mut server = server();
    server.client.write_all(b"GET /endless HTTP/1.1\r\nHost: d\r\n\r\nGET /next").await.expect("send");
    read_until(&mut server.client, "first").await;
    server.client.shutdown().await.expect("half close");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(server.echo.departures.load(Ordering::SeqCst), 0);
    drop(server.client);
    server.task.await.expect("ends");
    assert_eq!(server.echo.departures.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_incomplete_stream_is_seen_as_such() {
    let answer = talk("GET /broken HTTP/1.1\r\nHost: d\r\n\r\n").await;
    assert!(answer.ends_with("4\r\nhalf\r\n"), "{answer}");
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_streams() {
    let mut idle = server();
    idle.client.write_all(b"GET /a HTTP/1.1\r\nHost: d\r\n\r\n").await.expect("send");
    read_until(&mut idle.client, "/a").await;
    let mut busy = server();
    busy.client.write_all(b"GET /endless HTTP/1.1\r\nHost: d\r\n\r\n").await.expect("send");
    read_until(&mut busy.client, "first").await;
    idle.stop.send_replace(true);
    busy.stop.send_replace(true);
    idle.task.await.expect("ends");
    busy.task.await.expect("ends");
}

#[tokio::test]
async fn hijacked_connections_lose_no_byte() {
    for path in ["/hijack", "/descriptor"] {
        for (upgrade, status) in
            [("Upgrade: tcp\r\nConnection: Upgrade\r\n", "HTTP/1.1 101 UPGRADED"), ("", "HTTP/1.1 200 OK")]
        {
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: d\r\n{upgrade}Content-Length: 0\r\n\r\nearly bird and more"
            );
            let answer = talk(&request).await;
            assert!(answer.starts_with(status), "{answer}");
            assert!(answer.contains("Content-Type: application/vnd.docker.raw-stream\r\n"), "{answer}");
            assert_eq!(answer.contains("Upgrade: tcp\r\n"), !upgrade.is_empty());
            assert!(answer.ends_with("\r\n\r\nearly bird and more"), "{answer}");
        }
    }
    let long = "x".repeat(300_000);
    let request = format!("POST /descriptor HTTP/1.1\r\nHost: d\r\nContent-Length: 1\r\n\r\n_{long}");
    assert!(talk(&request).await.ends_with(&long));
}

#[tokio::test]
async fn a_client_may_leave_at_any_byte() {
    let request =
        "POST /count HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    for length in 0..=request.len() {
        let mut server = server();
        server.client.write_all(&request.as_bytes()[..length]).await.expect("send");
        drop(server.client);
        timeout(Duration::from_secs(60), server.task).await.expect("no task is left").expect("no panic");
    }
}

#[test]
fn pipes_carry_bytes_between_threads() {
    use crate::{reader_pipe, writer_pipe};
    use std::io::{Read as _, Write as _};
    let (sender, mut reader) = reader_pipe();
    let feeder = std::thread::spawn(move || {
        for piece in [&b"abc"[..], b"defg", b""] {
            sender.blocking_send(Ok(Bytes::from_static(piece))).expect("reader lives");
        }
    });
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("whole");
    feeder.join().expect("feeder");
    assert_eq!(text, "abcdefg");
    let (sender, mut reader) = reader_pipe();
    drop(sender);
    let cut = reader.read_to_string(&mut text).expect_err("cut short");
    assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    let (mut writer, receiver) = writer_pipe();
    drop(receiver);
    writer.write_all(b"x").expect("gathered");
    assert_eq!(writer.flush().expect_err("nobody reads").kind(), io::ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn an_idle_connection_is_cheap() {
    let (_client, ours) = UnixStream::pair().expect("socket pair");
    let (_stop, stopping) = watch::channel(false);
    let settings = Settings { common_headers: "".into(), budget: request_budget(1 << 20), stopping };
    let connection = serve(Transport::Unix(ours), Arc::new(Echo::default()), settings);
    let size = std::mem::size_of_val(&connection);
    assert!(size <= 1024, "a connection's task takes {size} bytes");
}
