//! `POST /orders/batch`: a verdict for each record, in the order in which they were sent.

use serde_json::{Value, json};

use crate::support::{Answer, App, record_count, send, values};

fn verdicts(answer: &Answer) -> Vec<(&str, Option<&str>)> {
    let results = answer.json["results"]
        .as_array()
        .unwrap_or_else(|| panic!("no results in {answer:?}"));
    for (position, result) in results.iter().enumerate() {
        assert_eq!(result["index"], position);
    }
    results
        .iter()
        .map(|result| {
            (
                result["status"].as_str().unwrap(),
                result["order_id"].as_str(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_broken_line_spoils_only_itself() {
    let topic = lab::topic(3).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let lines = concat!(
        r#"{"order_id":"a","user_id":"u1","amount":1}"#,
        "\r\n",
        "rubbish\n\n",
        r#"{"order_id":"b","user_id":"u2","amount":-1}"#,
        "\n",
        r#"{"order_id":"c","user_id":"u3","amount":1}"#,
    );
    let answer = app.post_lines(lines).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        verdicts(&answer),
        [
            ("accepted", Some("a")),
            ("rejected", None),
            ("rejected", Some("b")),
            ("accepted", Some("c"))
        ]
    );
    assert_eq!(answer.json["results"][2]["errors"][0]["pointer"], "/amount");
    let counts = ["accepted", "rejected", "retry"].map(|name| answer.json[name].as_u64().unwrap());
    assert_eq!(counts, [2, 2, 0]);
    let ids: Vec<_> = values(&topic).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["a", "c"]);
}

#[tokio::test]
async fn an_array_of_many_orders_is_accepted_and_stored_whole() {
    let topic = lab::topic(6).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let orders: Vec<_> =
        (0..10_000).map(|n| json!({"order_id": format!("o{n}"), "user_id": format!("u{}", n % 97), "amount": n})).collect();
    let answer = app
        .post("/orders/batch", &Value::from(orders).to_string())
        .await;
    assert_eq!(
        (answer.status, answer.json["accepted"].as_u64()),
        (200, Some(10_000))
    );
    assert_eq!(verdicts(&answer)[9_999], ("accepted", Some("o9999")));
    assert_eq!(values(&topic).await.len(), 10_000);
    assert_eq!(record_count(&topic).await, 10_000);
}

#[tokio::test]
async fn a_batch_that_is_too_large_broken_or_of_another_type_is_refused_whole() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let order = r#"{"user_id":"u","amount":1}"#;
    assert_eq!(
        app.post_lines(format!("{order}\n").repeat(10_001))
            .await
            .status,
        413
    );
    assert_eq!(
        app.post("/orders/batch", &format!("[{order},{order}"))
            .await
            .status,
        400
    );
    assert_eq!(app.post("/orders/batch", order).await.status, 400);
    assert_eq!(app.post_lines("").await.status, 400);
    assert_eq!(
        app.post("/orders/batch", "[]").await.json["results"],
        json!([])
    );
    assert_eq!(
        app.post_as("/orders/batch", "text/plain", order)
            .await
            .status,
        415
    );
    assert_eq!(app.get("/orders/batch").await.status, 405);
    assert_eq!(record_count(&topic).await, 0);
}

#[tokio::test]
async fn a_batch_beyond_its_limit_of_bytes_is_refused_before_it_is_read() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let answer = app.post_lines(vec![b' '; 16 * 1024 * 1024 + 1]).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn a_repeat_under_the_same_idempotency_key_has_the_same_ids() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let post = async || {
        let body = r#"[{"user_id":"u","amount":1},{"user_id":"u","amount":1},{"order_id":"own","user_id":"u","amount":1}]"#;
        let answer = send(
            app.to("/orders/batch")
                .header("idempotency-key", "k")
                .body(body),
        )
        .await;
        verdicts(&answer)
            .into_iter()
            .map(|(_, id)| id.unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = post().await;
    assert_eq!(first, post().await);
    assert_ne!(first[0], first[1]);
    assert_eq!(first[2], "own");
    assert_eq!(values(&topic).await.len(), 3);
}

#[tokio::test]
async fn of_a_batch_of_nothing_but_errors_the_first_of_each_record_are_told() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let record = format!("{{\"items\":[{}]}}\n", ["{}"; 20].join(","));
    let answer = app.post_lines(record.repeat(5_000)).await;
    let results = answer.json["results"].as_array().unwrap();
    let told: Vec<usize> = results
        .iter()
        .map(|result| result["errors"].as_array().unwrap().len())
        .collect();
    // Ten and how many there are more; later one and how many.
    assert_eq!((told.len(), told[0], told[4_999]), (5_000, 11, 2));
    assert!(told.iter().sum::<usize>() < 20_000);
}

/// One key breaks the same rule eleven times, and names its place in a thousand bytes each time.
#[tokio::test]
async fn errors_that_are_longer_than_their_batch_are_counted_and_not_told() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let name = "k".repeat(990);
    let texts = [r#""\u0000""#; 11].join(",");
    let record = format!("{{\"user_id\":\"u\",\"amount\":1,\"{name}\":[{texts}]}}\n");
    let sent = record.repeat(900);
    let answer = app.post_lines(sent.clone()).await;
    let results = answer.json["results"].as_array().unwrap();
    let of = |index: usize| results[index]["errors"].as_array().unwrap();
    assert_eq!((results.len(), of(0).len(), of(899).len()), (900, 11, 1));
    assert_eq!(of(899)[0]["detail"], "has 11 errors, too long to tell here");
    let told = answer.json.to_string().len();
    assert!(
        told < 2 * sent.len(),
        "{told} bytes are told of {}",
        sent.len()
    );
}
