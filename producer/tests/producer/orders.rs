//! `POST /orders`: what is answered, and what is then in the topic.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{App, record_count, send, values};

async fn app(topic: &lab::TestTopic) -> App {
    App::ready(
        topic.brokers(),
        topic.name(),
        &["--public-query-url", "http://localhost:8081/"],
    )
    .await
}

#[tokio::test]
async fn an_accepted_order_is_where_the_answer_says_with_its_key_and_headers() {
    let topic = lab::topic(3).await;
    let app = app(&topic).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let body = r#"{"amount": 12.5, "customer_id": 42, "event_id": "e1", "note": "x"}"#;
    let answer = send(app.to("/orders").header("traceparent", trace).body(body)).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.header("location"), "http://localhost:8081/orders/e1");
    let records = topic.records().await.unwrap();
    let [record] = records.as_slice() else {
        panic!("one record, not {records:?}")
    };
    assert_eq!(
        answer.json,
        json!({"order_id": "e1", "status": "accepted", "topic": topic.name(),
               "partition": record.partition, "offset": record.offset})
    );
    assert_eq!(record.key.as_deref(), Some(&b"42"[..]));
    let value = r#"{"order_id":"e1","user_id":"42","amount":"12.50","attributes":{"note":"x"}}"#;
    assert_eq!(
        std::str::from_utf8(record.value.as_deref().unwrap()).unwrap(),
        value
    );
    let header = |name: &str| {
        let (_, value) = record
            .headers
            .iter()
            .find(|(header, _)| header == name)
            .unwrap();
        String::from_utf8(value.clone().unwrap()).unwrap()
    };
    assert_eq!(header("ce_specversion"), "1.0");
    assert_eq!(header("ce_type"), "order.created");
    assert_eq!(header("ce_id"), "e1");
    assert_eq!(header("ce_source"), "/tally/producer");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("traceparent"), trace);
    assert!(common::time::Timestamp::parse(&header("ce_time")).is_ok());
}

#[tokio::test]
async fn every_alias_takes_orders_and_orders_of_one_user_share_a_partition() {
    let topic = lab::topic(6).await;
    let app = app(&topic).await;
    let mut partitions = Vec::new();
    for (index, path) in ["/orders", "/order", "/api/orders"].into_iter().enumerate() {
        let body = json!({"user_id": "u1", "amount": "1", "order_id": format!("o{index}")});
        let answer = app.post(path, &body.to_string()).await;
        assert_eq!(answer.status, 202, "{path}");
        partitions.push(answer.json["partition"].clone());
    }
    partitions.dedup();
    assert_eq!(partitions.len(), 1);
    assert_eq!(record_count(&topic).await, 3);
}

#[tokio::test]
async fn a_retry_in_another_formatting_gives_an_identical_value() {
    let topic = lab::topic(1).await;
    let app = app(&topic).await;
    app.post(
        "/orders",
        r#"{"order_id":"o1","user_id":"u","amount":1.50,"a":{"y":1,"x":[ ]}}"#,
    )
    .await;
    app.post(
        "/orders",
        r#"{ "a" : {"x":[],"y":1.0}, "amount":"1.5", "\u0075ser_id":"u", "id":"o1" }"#,
    )
    .await;
    assert_eq!(record_count(&topic).await, 2);
    assert_eq!(values(&topic).await.len(), 1);
}

#[tokio::test]
async fn an_order_without_an_id_gets_one_that_a_retry_may_use() {
    let topic = lab::topic(1).await;
    let app = app(&topic).await;
    let first = app.post("/orders", r#"{"user_id":"u","amount":1}"#).await;
    let second = app.post("/orders", r#"{"user_id":"u","amount":1}"#).await;
    assert_ne!(first.order_id(), second.order_id());
    let again = json!({"order_id": first.order_id(), "user_id": "u", "amount": 1});
    app.post("/orders", &again.to_string()).await;
    assert_eq!(record_count(&topic).await, 3);
    assert_eq!(values(&topic).await.len(), 2);
}

#[tokio::test]
async fn an_idempotency_key_makes_a_repeat_the_same_order() {
    let topic = lab::topic(1).await;
    let app = app(&topic).await;
    let post = async |key: &str| {
        let request = app
            .to("/orders")
            .header("idempotency-key", key)
            .body(r#"{"user_id":"u","amount":1}"#);
        send(request).await.order_id().to_owned()
    };
    assert_eq!(post("k1").await, post("k1").await);
    assert_ne!(post("k1").await, post("k2").await);
    assert_eq!(values(&topic).await.len(), 2);
    let own = app
        .to("/orders")
        .header("idempotency-key", "k1")
        .body(r#"{"id":"mine","user_id":"u","amount":1}"#);
    assert_eq!(send(own).await.order_id(), "mine");
    let bad = app
        .to("/orders")
        .header("idempotency-key", "a b")
        .body(r#"{"user_id":"u","amount":1}"#);
    let answer = send(bad).await;
    assert_eq!(
        (answer.status, answer.pointers()),
        (422, vec!["/headers/idempotency-key"])
    );
}

#[tokio::test]
async fn what_is_no_order_is_refused_with_its_code_and_never_published() {
    let topic = lab::topic(1).await;
    let app = app(&topic).await;
    let too_large = format!(
        r#"{{"user_id":"u","amount":1,"x":"{}"}}"#,
        "x".repeat(600_000)
    );
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("user", 400),
        ("{} {}", 400),
        ("[]", 422),
        ("{}", 422),
        (r#"{"user_id":"u"}"#, 422),
        (too_large.as_str(), 413),
    ] {
        let answer = app.post("/orders", body).await;
        assert_eq!(answer.status, status, "{}", body.get(..40).unwrap_or(body));
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(answer.json["status"], status);
    }
    let not_utf8 = send(
        app.to("/orders")
            .body(b"{\"user_id\":\"\xff\",\"amount\":1}".to_vec()),
    )
    .await;
    assert_eq!(not_utf8.status, 400);
    assert_eq!(record_count(&topic).await, 0);
}

#[tokio::test]
async fn every_bad_field_is_named_in_the_senders_spelling() {
    let topic = lab::topic(1).await;
    let app = app(&topic).await;
    let body = r#"{"id":"o1","customer_id":"","total":"0.00001","items":[{"sku":"a","quantity":0,"price":1},{"price":-1,"name":"b"}],"timestamp":"2999-01-01T00:00:00Z"}"#;
    let answer = app.post("/orders", body).await;
    assert_eq!(answer.status, 422);
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/customer_id",
            "/items/0/quantity",
            "/items/1/price",
            "/timestamp",
            "/total"
        ]
    );
    assert_eq!(answer.order_id(), "o1");
}

#[tokio::test]
async fn a_wrong_content_type_method_or_path_is_told_what_is_right() {
    let topic = lab::topic(1).await;
    let app = app(&topic).await;
    let client = reqwest::Client::new();
    let body = r#"{"user_id":"u","amount":1}"#;
    let answer = app
        .post_as("/orders", "application/x-www-form-urlencoded", body)
        .await;
    assert_eq!(answer.status, 415);
    assert!(
        answer.json["detail"]
            .as_str()
            .unwrap()
            .contains("application/json")
    );
    let answer = app.get("/orders").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    assert_eq!(app.get("/nothing").await.status, 404);
    let unsaid = client.post(app.url("/orders")).body(body);
    assert_eq!(send(unsaid).await.status, 202);
}

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_given_up_and_others_are_served_meanwhile() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &["--body-timeout", "1s"]).await;
    let mut slow = TcpStream::connect(app.address).await.unwrap();
    let head = "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(
        app.post("/orders", r#"{"user_id":"u","amount":1}"#)
            .await
            .status,
        202
    );
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["status"], 408);
}

#[tokio::test]
async fn a_body_in_pieces_of_unknown_length_is_read_up_to_its_limit() {
    let topic = lab::topic(1).await;
    let app = app(&topic).await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in [r#"{"user_id":"#, r#""u","am"#, r#"ount":1}"#] {
        stream
            .write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes())
            .await
            .unwrap();
        stream.flush().await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

#[tokio::test]
async fn a_request_whose_client_hangs_up_does_no_harm() {
    let topic = lab::topic(1).await;
    let app = app(&topic).await;
    for _ in 0..20 {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        let body = r#"{"user_id":"u","amount":1}"#;
        let head = format!(
            "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(format!("{head}{body}").as_bytes())
            .await
            .unwrap();
    }
    assert_eq!(
        app.post("/orders", r#"{"user_id":"u","amount":1}"#)
            .await
            .status,
        202
    );
    let nothing_waits = async || {
        let health = app.get("/health").await.json;
        if health["in_flight"] == 0 {
            Ok(())
        } else {
            Err(health)
        }
    };
    lab::eventually(crate::support::PATIENCE, nothing_waits).await;
}

#[tokio::test]
async fn requests_in_flight_are_answered_truthfully_when_the_service_stops() {
    let topic = lab::topic(2).await;
    let app = app(&topic).await;
    let (url, client) = (app.url("/orders"), reqwest::Client::new());
    let mut posts = tokio::task::JoinSet::new();
    for number in 0..200 {
        let request = client
            .post(&url)
            .json(&json!({"order_id": format!("o{number}"), "user_id": "u", "amount": 1}));
        posts.spawn(async move { request.send().await.map(|answer| answer.status().as_u16()) });
    }
    let mut outcomes = vec![posts.join_next().await.unwrap().unwrap()];
    app.stop.cancel();
    while let Some(outcome) = posts.join_next().await {
        outcomes.push(outcome.unwrap());
    }
    app.running.await.unwrap().unwrap();
    let accepted = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Ok(202)))
        .count();
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Ok(202) | Err(_))),
        "{outcomes:?}"
    );
    let stored = values(&topic).await.len();
    assert!(
        (1..=stored).contains(&accepted),
        "{accepted} accepted, {stored} stored"
    );
}
