//! Large answers, and clients who take them slowly or not at all, over a real socket.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Readiness;
use super::tests::{LARGE_ANSWERS, LARGE_BYTES, PATIENCE, Running, start_with, until};

const SEND_TIMEOUT: [&str; 2] = ["--send-timeout", "1s"];

/// Asks, and reads nothing.
async fn silent(running: &Running) -> TcpStream {
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    let request = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    stream
}

#[tokio::test]
async fn large_answers_share_a_room_that_who_takes_nothing_gives_back_with_his_connection() {
    let running = start_with(Readiness::Ready, &SEND_TIMEOUT);
    let mut silent_ones = Vec::new();
    for _ in 0..LARGE_ANSWERS {
        let stream = silent(&running).await;
        stream.readable().await.unwrap();
        silent_ones.push(stream);
    }
    let (head, _) = running.ask("GET /large").await;
    assert!(head.starts_with("http/1.1 503"), "{head}");
    until("the room is free", async || running.has_all_its_room()).await;
    for mut stream in silent_ones {
        let mut taken = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut taken)).await;
        // A reset is an end too.
        drop(read.expect("the connection has ended"));
        assert!(taken.len() < LARGE_BYTES, "{}", taken.len());
    }
    let (_, body) = running.ask("GET /large").await;
    assert_eq!(body.len(), LARGE_BYTES);
}

#[tokio::test]
async fn who_takes_an_answer_slowly_gets_all_of_it() {
    const PIECE: usize = 512 * 1024;
    const PAUSE: Duration = Duration::from_millis(100);
    let running = start_with(Readiness::Ready, &SEND_TIMEOUT);
    let mut stream = silent(&running).await;
    let started = Instant::now();
    let mut piece = vec![0; PIECE];
    // The client's own pace: it is what is shown, and nothing is waited for.
    let mut pace = tokio::time::interval(PAUSE);
    for _ in 0..LARGE_BYTES / PIECE {
        pace.tick().await;
        stream.read_exact(&mut piece).await.unwrap();
    }
    assert!(started.elapsed() > Duration::from_secs(3), "that was fast");
}

#[tokio::test]
async fn an_answer_without_a_body_is_as_it_was() {
    let running = start_with(Readiness::Ready, &[]);
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    // One after the other on one connection: each ends where it should.
    for (path, status, length) in [
        ("/known", "304 Not Modified", None),
        ("/number?n=1", "200 OK", Some("content-length: 0")),
        ("/known", "304 Not Modified", None),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert!(!head.contains("transfer-encoding"), "{head}");
        let said = head.lines().find(|line| line.starts_with("content-length"));
        assert_eq!(said, length, "{head}");
    }
}

#[tokio::test]
async fn who_reads_no_answers_is_not_read_either() {
    /// More than the system's buffers take.
    const TOO_MUCH: usize = 48 * 1024 * 1024;
    const SILENCE: Duration = Duration::from_secs(1);
    let running = start_with(Readiness::Ready, &[]);
    for path in ["/thing", "/known"] {
        let mut stream = TcpStream::connect(running.address()).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let requests = request.repeat(1_000);
        let mut written = 0;
        let mut write = async || {
            let written = stream.write_all(requests.as_bytes());
            tokio::time::timeout(SILENCE, written).await
        };
        while let Ok(taken) = write().await {
            taken.unwrap();
            written += requests.len();
            assert!(written < TOO_MUCH, "{path}: it reads on and on");
        }
    }
}
