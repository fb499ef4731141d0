//! The description at `/openapi.json` held against real answers.

use lab::openapi::{check, contents, examples, operations, resolve};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::with_orders;

/// A call with the examples of its parameters in their places.
fn filled(path: &str, operation: &Value) -> String {
    let mut url = path.to_owned();
    let mut query = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let Some(example) = parameter["example"].as_str() else {
            assert_ne!(parameter["required"], true, "{path}: {name} has no example");
            continue;
        };
        match parameter["in"].as_str() {
            Some("path") => url = url.replace(&format!("{{{name}}}"), example),
            Some("query") => query.push(format!("{name}={example}")),
            other => panic!("{path}: {name} in {other:?}"),
        }
    }
    format!("{url}?{}", query.join("&"))
}

#[tokio::test]
async fn every_call_with_its_examples_is_answered_as_described() {
    let order = |id: &str, user_id: &str, amount: u32| {
        json!({"order_id": id, "user_id": user_id, "currency": "EUR", "created_at": "2026-01-15T10:00:00Z",
               "items": [{"sku": "A-1", "name": "Kettle", "quantity": 2, "unit_price": amount}]})
    };
    let orders = [
        order("o-1", "u1", 25),
        order("o-2", "u2", 1),
        order("o-3", "u3", 1),
    ];
    let (_database, _writer, app) = with_orders(&orders).await;
    let document = app.json("/openapi.json").await;
    let operations = operations(&document);
    assert!(operations.len() > 15, "{}", operations.len());
    for operation in operations {
        let (_, path) = &operation.call;
        let url = filled(path, operation.value);
        let response = resolve(&document, &operation.value["responses"]["200"]);
        let never_ends = response["content"].get("text/event-stream").is_some();
        let method = if never_ends {
            Method::HEAD
        } else {
            Method::GET
        };
        let answer = app.request(method.clone(), &url, &[]).await;
        assert_eq!(answer.status, 200, "{url}: {}", answer.text());
        let described = |header| response["headers"].get(header).is_some();
        assert!(!answer.header("x-as-of").is_empty(), "{url}");
        // What all services answer is described for all of them.
        let is_own = !["/health", "/metrics", "/openapi.json"]
            .iter()
            .any(|beginning| path.starts_with(beginning));
        assert_eq!(described("X-As-Of"), is_own, "{url}");
        assert_eq!(described("X-Stale"), is_own, "{url}");
        let all = [("if-none-match", "*")];
        let known = app.request(method, &url, &all).await.status == 304;
        let described = operation.value["responses"].get("304").is_some();
        assert_eq!(described, known, "{url}");
        for (content_type, content) in contents(response) {
            assert!(
                answer.header("content-type").starts_with(content_type),
                "{url}"
            );
            if content_type == "application/json" {
                let fits = check(&document, &content["schema"], &answer.json().unwrap());
                fits.unwrap_or_else(|error| panic!("{url}: {error:#}"));
            }
        }
        for (status, response) in operation.value["responses"].as_object().unwrap() {
            for (content_type, content) in contents(resolve(&document, response)) {
                for example in examples(content) {
                    check(&document, &content["schema"], example).unwrap();
                    if content_type == "application/problem+json" {
                        assert_eq!(example["status"].to_string(), *status, "{path}");
                    }
                }
            }
        }
    }
    for (path, list) in [
        ("/users/anomalies?sigma=0.1", "users"),
        ("/users/active", "buckets"),
        ("/users/u1/sales", "buckets"),
        ("/lag", "partitions"),
    ] {
        let answer = app.json(path).await;
        assert_ne!(
            answer[list],
            json!([]),
            "{path}: or its shape was not looked at"
        );
    }
}

#[tokio::test]
async fn what_is_described_of_refusals_is_what_they_say() {
    let (_database, _writer, app) = with_orders(&[]).await;
    let document = app.json("/openapi.json").await;
    for (path, url, status) in [
        ("/orders/{order_id}", "/orders/unknown", 404),
        ("/orders", "/orders?limit=0&cursor=x", 422),
        ("/users/anomalies", "/users/anomalies?sigma=many", 422),
    ] {
        let answer = app.get(url).await;
        assert_eq!(answer.status, status, "{url}");
        let problem = answer.json().unwrap();
        let response = &document["paths"][path]["get"]["responses"][status.to_string()];
        let content = &response["content"]["application/problem+json"];
        check(&document, &content["schema"], &problem).unwrap();
        for error in problem["errors"].as_array().into_iter().flatten() {
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.contains("(got \""), "{url}: {detail}");
        }
    }
}
