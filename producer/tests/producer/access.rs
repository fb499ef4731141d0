//! API keys: who may send, whose repeats are whose, and that no secret is ever written down.

use std::fs;
use std::path::PathBuf;

use reqwest::RequestBuilder;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::{App, record_count, send, values};

const ORDER: &str = r#"{"user_id":"u","amount":1}"#;

/// A file with one key for each of `names`; the key is `NAME's-key`.
struct KeysFile(PathBuf);

impl KeysFile {
    fn new(names: &[(&str, &str)]) -> Self {
        let line = |(name, role): &(&str, &str)| format!("{name}:{role}:{}\n", hash(&key(name)));
        let path = lab::settings::directory().join(format!("keys-{}", uuid::Uuid::new_v4()));
        fs::write(&path, names.iter().map(line).collect::<String>()).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for KeysFile {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

fn key(name: &str) -> String {
    format!("{name}'s-key")
}

fn hash(key: &str) -> String {
    let digest = Sha256::digest(key);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn by(request: RequestBuilder, name: &str) -> RequestBuilder {
    request.bearer_auth(key(name))
}

#[tokio::test]
async fn only_keys_that_may_write_send_orders() {
    let keys = KeysFile::new(&[("shop", "write"), ("dashboard", "read"), ("boss", "admin")]);
    let topic = lab::topic(1).await;
    let arguments = ["--api-keys-file", keys.path()];
    let app = App::ready(topic.brokers(), topic.name(), &arguments).await;
    for (name, status) in [("shop", 202), ("dashboard", 403), ("boss", 202), ("x", 401)] {
        let answer = send(by(app.to("/orders").body(ORDER), name)).await;
        assert_eq!(answer.status, status, "{name}");
    }
    let answer = app.post("/orders/batch", &format!("[{ORDER}]")).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"tally\"");
    assert_eq!(record_count(&topic).await, 2);
}

#[tokio::test]
async fn the_same_idempotency_key_of_two_callers_means_two_orders() {
    let keys = KeysFile::new(&[("shop", "write"), ("boss", "admin")]);
    let topic = lab::topic(1).await;
    let arguments = ["--api-keys-file", keys.path()];
    let app = App::ready(topic.brokers(), topic.name(), &arguments).await;
    let post = async |name: &str, path: &str, body: &str| {
        let request = app.to(path).header("idempotency-key", "k1");
        let answer = send(by(request.body(body.to_owned()), name)).await;
        let order_id = match &answer.json["results"][0] {
            serde_json::Value::Null => &answer.json["order_id"],
            result => &result["order_id"],
        };
        order_id.as_str().unwrap().to_owned()
    };
    let batch = format!("[{ORDER}]");
    let mut ids = Vec::new();
    for name in ["shop", "boss"] {
        for (path, body) in [("/orders", ORDER), ("/orders/batch", &batch)] {
            let first = post(name, path, body).await;
            assert_eq!(first, post(name, path, body).await, "{name} {path}");
            ids.push(first);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 4);
    assert_eq!(values(&topic).await.len(), 4);
}

#[tokio::test]
async fn orders_come_no_faster_than_the_rate_and_a_refused_one_is_not_published() {
    let topic = lab::topic(1).await;
    let arguments = ["--rate-limit", "1/h", "--rate-limit-burst", "3"];
    let app = App::ready(topic.brokers(), topic.name(), &arguments).await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        statuses.push(app.post("/orders", ORDER).await.status);
        statuses.push(app.post_lines(format!("{ORDER}\n{ORDER}\n")).await.status);
    }
    assert_eq!(statuses, [202, 200, 202, 429]);
    let refused = app.post("/orders", ORDER).await;
    assert_eq!(
        refused.header("ratelimit-policy"),
        "\"requests\";q=3;w=10800"
    );
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 3_000);
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert_eq!(record_count(&topic).await, 4);
}

#[tokio::test]
async fn no_secret_is_logged_however_much_is() {
    let keys = KeysFile::new(&[("shop", "write")]);
    let topic = lab::topic(1).await;
    let address = lab::free_address();
    let mut producer = lab::Program::named("producer")
        .set("KAFKA_BROKERS", topic.brokers())
        .set("KAFKA_TOPIC", topic.name())
        .set("KAFKA_CONFIG", "sasl.password=hunter2")
        .set("API_KEYS_FILE", keys.path())
        .set("PRODUCER_ADDRESS", address)
        .set("RUST_LOG", "trace")
        .serve("producer", address)
        .unwrap();
    producer.ready().await;
    let client = reqwest::Client::new();
    let order = json!({"order_id": "o1", "user_id": "u", "amount": 1, "note": "payload"});
    for header in ["authorization", "x-api-key"] {
        for name in ["shop", "stranger"] {
            let scheme = if header == "authorization" {
                "Bearer "
            } else {
                ""
            };
            let request = client.post(producer.url("/orders")).json(&order);
            let request = request.header(header, format!("{scheme}{}", key(name)));
            request.send().await.unwrap();
        }
    }
    producer.signal(lab::process::Signal::HUP).unwrap();
    let read_again = async || {
        let log = producer.log();
        if log.contains("read again") {
            Ok(())
        } else {
            Err(log)
        }
    };
    lab::eventually(crate::support::PATIENCE, read_again).await;
    let log = producer.log();
    let secrets = [
        key("shop"),
        key("stranger"),
        hash(&key("shop")),
        "hunter2".into(),
        "payload".into(),
    ];
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
    }
}
