//! Keys, rates and origins as clients meet them, over a real socket.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Readiness;
use super::tests::{Running, start_with, until};

/// Keys called `reader`, `writer` and `boss`, each with the key `NAME's key`.
pub(super) struct KeysFile(PathBuf);

impl KeysFile {
    pub(super) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tally-keys-{test}-{}", std::process::id()));
        let file = Self(path);
        file.write(&[("reader", "read"), ("writer", "write"), ("boss", "admin")]);
        file
    }

    fn write(&self, keys: &[(&str, &str)]) {
        let line = |(name, role): &(&str, &str)| {
            let hash = Sha256::digest(key(name));
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{name}:{role}:{hex}\n")
        };
        fs::write(&self.0, keys.iter().map(line).collect::<String>()).unwrap();
    }

    pub(super) fn argument(&self) -> [&str; 2] {
        ["--api-keys-file", self.0.to_str().unwrap()]
    }
}

impl Drop for KeysFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

fn key(name: &str) -> String {
    format!("{name}'s-key")
}

impl Running {
    async fn ask_as(&self, name: &str, request: &str) -> (String, String) {
        let header = format!("Authorization: Bearer {}\r\n", key(name));
        self.ask_with(request, &header).await
    }

    async fn status_as(&self, name: &str, request: &str) -> u16 {
        status(&self.ask_as(name, request).await.0)
    }
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn with_keys_everything_needs_one_but_probes_and_open_pages() {
    let keys = KeysFile::new("needed");
    let running = start_with(Readiness::Ready, &keys.argument());
    for open in ["/health/live", "/health/ready", "/page", "/static/x.css"] {
        let (head, _) = running.ask(&format!("GET {open}")).await;
        assert_eq!(status(&head), 200, "{open}");
    }
    for closed in [
        "/thing", "/metrics", "/health", "/nothing", "/pages", "/static", "//page",
    ] {
        let (head, problem) = running.problem(&format!("GET {closed}")).await;
        assert_eq!(status(&head), 401, "{closed}");
        assert_eq!(problem["status"], 401);
        assert!(
            head.contains("www-authenticate: bearer realm=\"tally\""),
            "{head}"
        );
    }
    assert_eq!(running.status_as("reader", "GET /metrics").await, 200);
    assert_eq!(running.status_as("reader", "GET /nothing").await, 404);
}

#[tokio::test]
async fn a_role_decides_and_a_403_names_what_is_missing() {
    let keys = KeysFile::new("roles");
    let running = start_with(Readiness::Ready, &keys.argument());
    for (name, get, post) in [
        ("reader", 200, 403),
        ("writer", 403, 200),
        ("boss", 200, 200),
        ("stranger", 401, 401),
    ] {
        assert_eq!(running.status_as(name, "GET /thing").await, get, "{name}");
        assert_eq!(running.status_as(name, "HEAD /thing").await, get, "{name}");
        assert_eq!(running.status_as(name, "POST /thing").await, post, "{name}");
    }
    let (head, problem) = running.ask_as("reader", "POST /thing").await;
    assert!(
        head.contains("content-type: application/problem+json"),
        "{head}"
    );
    assert!(
        problem.contains("the API key reader has the role read; this needs write or admin"),
        "{problem}"
    );
    let (head, caller) = running.ask_as("boss", "GET /caller").await;
    assert_eq!(caller, "boss");
    // What only a key's holder sees is kept nowhere, or by himself.
    assert!(head.contains("cache-control: no-store"), "{head}");
    let (head, _) = running.ask_as("boss", "GET /revalidated").await;
    assert!(head.contains("cache-control: private, no-cache"), "{head}");
}

#[tokio::test]
async fn keys_are_read_again_on_sighup_and_a_bad_file_changes_nothing() {
    let keys = KeysFile::new("reload");
    let running = start_with(Readiness::Ready, &keys.argument());
    let becomes = async |name: &str, wanted: u16| {
        until(&format!("{name} gets {wanted}"), async || {
            let is = running.status_as(name, "GET /thing").await == wanted;
            if !is {
                kill_process(getpid(), Signal::HUP).unwrap();
            }
            is
        })
        .await;
    };
    keys.write(&[("newcomer", "read")]);
    becomes("newcomer", 200).await;
    assert_eq!(running.status_as("reader", "GET /thing").await, 401);
    fs::write(&keys.0, "newcomer's-key\n").unwrap();
    for _ in 0..20 {
        kill_process(getpid(), Signal::HUP).unwrap();
        assert_eq!(running.status_as("newcomer", "GET /thing").await, 200);
    }
    keys.write(&[("reader", "read")]);
    becomes("reader", 200).await;
    assert_eq!(running.status_as("newcomer", "GET /thing").await, 401);
}

#[tokio::test]
async fn one_request_too_many_is_429_for_its_key_alone() {
    let keys = KeysFile::new("rate");
    let [file, path] = keys.argument();
    let arguments = [file, path, "--rate-limit", "2/h"];
    let running = start_with(Readiness::Ready, &arguments);
    let (head, _) = running.ask_as("reader", "GET /thing").await;
    assert!(
        head.contains("ratelimit: \"requests\";r=1;t=1800"),
        "{head}"
    );
    assert!(
        head.contains("ratelimit-policy: \"requests\";q=2;w=3600"),
        "{head}"
    );
    assert_eq!(running.status_as("reader", "GET /thing").await, 200);
    let (head, problem) = running.ask_as("reader", "GET /thing").await;
    assert_eq!(status(&head), 429, "{head}");
    assert!(
        head.contains("ratelimit: \"requests\";r=0;t=1800"),
        "{head}"
    );
    assert!(head.contains("retry-after: 1800"), "{head}");
    assert!(
        problem.contains("at most 2 requests per hour, 2 at once"),
        "{problem}"
    );
    // Another key, and strangers, have their own; who guesses keys is slowed down as well.
    assert_eq!(running.status_as("boss", "GET /thing").await, 200);
    let guesses = ["a", "b", "c"].map(|guess| running.status_as(guess, "GET /thing"));
    let mut statuses = Vec::new();
    for guess in guesses {
        statuses.push(guess.await);
    }
    assert_eq!(statuses, [401, 401, 429]);
    // Probes and the operator are let in all the same.
    for _ in 0..5 {
        assert_eq!(status(&running.ask("GET /health/live").await.0), 200);
        assert_eq!(running.status_as("reader", "GET /metrics").await, 200);
    }
    for path in ["/metrics", "/health"] {
        let (head, _) = running.ask_as("boss", &format!("POST {path}")).await;
        let expected = if path == "/metrics" { 405 } else { 429 };
        assert_eq!(status(&head), expected, "{path}");
        // What the server library refuses says it too.
        assert!(head.contains("ratelimit: \"requests\";r=0"), "{head}");
    }
}

#[tokio::test]
async fn without_keys_nobody_is_taken_for_the_operator() {
    let running = start_with(Readiness::Ready, &["--rate-limit", "2/h"]);
    let mut statuses = Vec::new();
    for request in ["GET /metrics", "GET /health", "HEAD /metrics"] {
        statuses.push(status(&running.ask(request).await.0));
    }
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(status(&running.ask("GET /health/ready").await.0), 200);
    assert_eq!(status(&running.ask("POST /health/ready").await.0), 429);
}

#[tokio::test]
async fn only_pages_of_the_named_origins_may_call_from_a_browser() {
    let keys = KeysFile::new("cors");
    let [file, path] = keys.argument();
    let origins = "https://shop.example,http://localhost:3000";
    let running = start_with(Readiness::Ready, &[file, path, "--cors-origins", origins]);
    let ours = "Origin: https://shop.example\r\n";
    let asks =
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-api-key\r\n";
    let (head, body) = running
        .ask_with("OPTIONS /thing", &format!("{ours}{asks}"))
        .await;
    assert_eq!((status(&head), body.as_str()), (204, ""), "{head}");
    assert!(
        head.contains("access-control-allow-origin: https://shop.example"),
        "{head}"
    );
    assert!(
        head.contains("access-control-allow-methods: get, head, post"),
        "{head}"
    );
    assert!(
        head.contains("idempotency-key") && head.contains("x-api-key"),
        "{head}"
    );
    // A refusal is told to the page too.
    let (head, _) = running.ask_with("POST /thing", ours).await;
    assert_eq!(status(&head), 401);
    assert!(
        head.contains("access-control-allow-origin: https://shop.example"),
        "{head}"
    );
    assert!(
        head.contains("access-control-expose-headers: etag, location"),
        "{head}"
    );
    let theirs = "Origin: https://evil.example\r\n";
    for request in [format!("{theirs}{asks}"), theirs.to_owned()] {
        let (head, _) = running.ask_with("OPTIONS /thing", &request).await;
        assert!(!head.contains("access-control"), "{head}");
        assert!(head.contains("vary: origin"), "{head}");
    }
}

#[tokio::test]
async fn without_the_setting_no_page_of_another_origin_is_told_anything() {
    let running = start_with(Readiness::Ready, &[]);
    let headers = "Origin: https://shop.example\r\nAccess-Control-Request-Method: GET\r\n";
    let (head, _) = running.ask_with("OPTIONS /thing", headers).await;
    assert_eq!(status(&head), 405);
    let (head, _) = running.ask_with("GET /thing", headers).await;
    assert!(
        !head.contains("access-control") && !head.contains("vary"),
        "{head}"
    );
    for header in [
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'; frame-ancestors 'none'",
    ] {
        assert!(head.contains(header), "{head}");
    }
    // What is no page leads nowhere.
    for header in ["cache-control", "referrer-policy"] {
        assert!(!head.contains(header), "{head}");
    }
}

#[tokio::test]
async fn without_keys_on_loopback_only_those_are_answered_who_mean_this_machine() {
    let rebound = "Host: evil.example:8080\r\n";
    let asked = async |arguments: &[&str], name: &str| {
        let running = start_with(Readiness::Ready, arguments);
        let (head, body) = running.ask_with("GET /thing", name).await;
        (status(&head), body)
    };
    let (refused, problem) = asked(&[], rebound).await;
    assert_eq!(refused, 403, "{problem}");
    assert!(problem.contains("answered as localhost"), "{problem}");
    assert_eq!(asked(&[], "Host: localhost:8080\r\n").await.0, 200);
    assert_eq!(asked(&["--insecure"], rebound).await.0, 200);
    // With keys a page has none to show; who has one may come by any name.
    let keys = KeysFile::new("host");
    let with_key = format!("{rebound}X-API-Key: {}\r\n", key("reader"));
    assert_eq!(asked(&keys.argument(), rebound).await.0, 401);
    assert_eq!(asked(&keys.argument(), &with_key).await.0, 200);
}

#[tokio::test]
async fn what_is_refused_at_the_gate_is_answered_before_its_body_has_come() {
    let keys = KeysFile::new("body");
    let running = start_with(Readiness::Ready, &keys.argument());
    let mut stream = TcpStream::connect(running.address()).await.unwrap();
    let head = "POST /thing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    let read = tokio::time::timeout(Duration::from_secs(20), read).await;
    read.expect("the connection is closed").unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}
