//! Whatever is no order gets the code, and every error the pointer, that the contract names; the words are the reader's own.

use serde_json::Value;

use crate::support::{Answer, App, record_count, send};

#[path = "../../../common/src/order/tests/malformed_table.rs"]
mod table;

use table::{INVALID, NOT_JSON};

fn errors(of: &Value) -> Vec<(&str, &str)> {
    let errors = of["errors"].as_array();
    let errors = errors.unwrap_or_else(|| panic!("no errors in {of}"));
    errors
        .iter()
        .map(|error| {
            let [pointer, detail] = ["pointer", "detail"].map(|name| error[name].as_str().unwrap());
            (pointer, detail)
        })
        .collect()
}

fn assert_problem(answer: &Answer, status: u16, sent: &str) {
    assert_eq!(answer.status, status, "{sent}: {answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json["status"], status);
}

#[tokio::test]
async fn each_malformed_order_gets_its_code_and_its_pointers() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    for &(sent, reason) in NOT_JSON {
        let answer = app.post("/orders", sent).await;
        assert_problem(&answer, 400, sent);
        let detail = answer.json["detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{sent}: {detail}");
    }
    for &(sent, expected) in INVALID {
        let answer = app.post("/orders", sent).await;
        assert_problem(&answer, 422, sent);
        assert_eq!(errors(&answer.json), expected, "{sent}");
    }
    assert!(NOT_JSON.len() + INVALID.len() >= 60);
    assert_eq!(record_count(&topic).await, 0);
}

#[tokio::test]
async fn a_malformed_order_in_a_batch_gets_the_errors_that_it_would_get_alone() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let array = format!(
        "[{}]",
        INVALID
            .iter()
            .map(|(sent, _)| *sent)
            .collect::<Vec<_>>()
            .join(",")
    );
    let answer = app.post("/orders/batch", &array).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json["rejected"], INVALID.len());
    for (result, (sent, expected)) in answer.json["results"]
        .as_array()
        .unwrap()
        .iter()
        .zip(INVALID)
    {
        assert_eq!(result["status"], "rejected", "{sent}");
        assert_eq!(errors(result), *expected, "{sent}");
    }
    assert_eq!(record_count(&topic).await, 0);
}

/// What is too large, too deep, too much, too late, or no text at all is made here.
#[tokio::test]
async fn each_bound_has_its_code_and_its_pointer() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let order = |field: &str| format!(r#"{{"user_id":"u","amount":1,{field}}}"#);
    let items = vec![r#"{"sku":"s","price":1}"#; 5_001].join(",");
    let deep = format!("/deep{}", "/0".repeat(62));
    let cases = [
        (
            order(&format!(r#""deep":{}"#, nested(63))),
            422,
            deep.as_str(),
        ),
        (
            order(&format!(r#""a":"{}""#, "x".repeat(16 * 1024))),
            422,
            "",
        ),
        (order(r#""a":[1e131071]"#), 422, ""),
        (
            format!(r#"{{"user_id":"u","items":[{items}]}}"#),
            422,
            "/items",
        ),
        (
            format!(r#"{{"user_id":"{}","amount":1}}"#, "é".repeat(129)),
            422,
            "/user_id",
        ),
        (
            order(&format!(r#""order_id":"{}""#, "o".repeat(65))),
            422,
            "/order_id",
        ),
        (
            order(r#""created_at":"2999-01-01T00:00:00Z""#),
            422,
            "/created_at",
        ),
    ];
    for (sent, status, pointer) in &cases {
        let answer = app.post("/orders", sent).await;
        let beginning = &sent[..sent.floor_char_boundary(60)];
        assert_problem(&answer, *status, beginning);
        assert_eq!(answer.pointers(), [*pointer], "{beginning}");
    }
    let too_large = order(&format!(r#""track_number":"{}""#, "x".repeat(512 * 1024)));
    assert_problem(
        &app.post("/orders", &too_large).await,
        413,
        "512 KiB and more",
    );
    for no_text in [
        &b"{\"user_id\":\"\xff\"}"[..],
        b"\xff\xfe{\x00}\x00",
        b"\xc0\x80",
    ] {
        let answer = send(app.to("/orders").body(no_text.to_vec())).await;
        assert_problem(&answer, 400, "not UTF-8");
    }
    // What is one less of each is an order.
    let most = [
        order(&format!(r#""deep":{}"#, nested(62))),
        format!(r#"{{"user_id":"{}","amount":1}}"#, "é".repeat(128)),
        order(&format!(r#""order_id":"{}""#, "o".repeat(64))),
    ];
    for sent in &most {
        assert_eq!(app.post("/orders", sent).await.status, 202);
    }
    assert_eq!(record_count(&topic).await, 3);
}
