//! The description at `/openapi.json` held against the service, and the page that shows it.

use std::io::Read as _;

use lab::openapi::{check, contents, examples, operations, resolve};
use serde_json::Value;

use crate::support::{Answer, App, PATIENCE};

async fn app() -> (lab::TestTopic, App, Value) {
    let topic = lab::topic(3).await;
    let arguments = ["--public-query-url", "http://localhost:8081"];
    let app = App::ready(topic.brokers(), topic.name(), &arguments).await;
    let document = app.get("/openapi.json").await.json;
    (topic, app, document)
}

/// An example's body as it would be sent.
fn body(example: &Value) -> String {
    example
        .as_str()
        .map_or_else(|| example.to_string(), str::to_owned)
}

/// The description of an answer with this status.
fn described<'a>(document: &'a Value, operation: &'a Value, status: u16) -> &'a Value {
    let response = &operation["responses"][status.to_string()];
    assert!(!response.is_null(), "{status} is not described");
    resolve(document, response)
}

fn assert_fits(document: &Value, operation: &Value, answer: &Answer) {
    let response = described(document, operation, answer.status);
    let content_type = answer.header("content-type");
    let content = &response["content"][content_type];
    assert!(!content.is_null(), "{content_type} is not described");
    check(document, &content["schema"], &answer.json).unwrap();
    // An example shows what comes, and nothing else.
    for example in examples(content) {
        let names =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(names(example), names(&answer.json), "{example}");
    }
}

#[tokio::test]
async fn every_example_request_is_answered_as_described() {
    let (_topic, app, document) = app().await;
    let mut sent = 0;
    for operation in operations(&document) {
        let (method, path) = &operation.call;
        for (content_type, content) in contents(&operation.value["requestBody"]) {
            assert_eq!(method, "post");
            let content_examples = examples(content);
            assert!(!content_examples.is_empty(), "{path}: {content_type}");
            for example in content_examples {
                let answer = app.post_as(path, content_type, body(example)).await;
                assert!(answer.status < 300, "{path}: {example}: {answer:?}");
                assert_fits(&document, operation.value, &answer);
                if content_type == "application/json" {
                    check(&document, &content["schema"], example).unwrap();
                }
                sent += 1;
            }
        }
    }
    // Four orders at three paths, and a batch in two forms.
    assert_eq!(sent, 14);
}

#[tokio::test]
async fn every_example_answer_fits_its_schema_and_names_its_own_status() {
    let (_topic, _app, document) = app().await;
    let mut seen = 0;
    for operation in operations(&document) {
        let path = &operation.call.1;
        for (status, response) in operation.value["responses"].as_object().unwrap() {
            for (content_type, content) in contents(resolve(&document, response)) {
                for example in examples(content) {
                    let fits = check(&document, &content["schema"], example);
                    fits.unwrap_or_else(|error| panic!("{path} {status}: {error:#}"));
                    if content_type == "application/problem+json" {
                        assert_eq!(example["status"].to_string(), *status, "{path}");
                    }
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

/// Nothing that the document calls a field of an order ends up among what nobody knows.
#[tokio::test]
async fn every_described_field_of_an_order_has_a_place() {
    let (topic, app, document) = app().await;
    let whole = &document["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]
        ["examples"]["Whole"]["value"];
    assert_eq!(app.post("/orders", &whole.to_string()).await.status, 202);
    let records = topic.records().await.unwrap();
    let order: Value = serde_json::from_slice(records[0].value.as_deref().unwrap()).unwrap();
    assert_eq!(order["attributes"], serde_json::json!({"gift": true}));
    for schema in ["Delivery", "Payment", "Item"] {
        let part = match schema {
            "Item" => &order["items"][0],
            name => &order[name.to_lowercase()],
        };
        let properties = &document["components"]["schemas"][schema]["properties"];
        for (name, value) in part.as_object().unwrap() {
            assert!(properties.get(name).is_some(), "{schema}: {name}: {value}");
        }
    }
}

#[tokio::test]
async fn refusals_are_as_described() {
    let (_topic, app, document) = app().await;
    let too_large = format!("{{\"x\":\"{}\"}}", "x".repeat(600_000));
    let json = "application/json";
    for (path, content_type, body, status) in [
        ("/orders", json, "{", 400),
        ("/orders", json, "", 400),
        ("/orders", json, too_large.as_str(), 413),
        ("/orders", "text/plain", "{}", 415),
        ("/orders", json, r#"{"order_id":"o","user_id":""}"#, 422),
        ("/orders/batch", json, "{}", 400),
        ("/orders/batch", "text/plain", "[]", 415),
    ] {
        let answer = app.post_as(path, content_type, body).await;
        assert_eq!(answer.status, status, "{path} {status}");
        assert_fits(&document, &document["paths"][path]["post"], &answer);
    }
    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = app.get(path).await;
        let operation = &document["paths"][path]["get"];
        let content = &described(&document, operation, 200)["content"]["application/json"];
        check(&document, &content["schema"], &answer.json).unwrap();
    }
}

#[tokio::test]
async fn the_page_shows_the_calls_in_a_browser_without_anything_from_elsewhere() {
    let (_topic, app, _document) = app().await;
    let page = reqwest::get(app.url("/docs")).await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert_eq!(page.headers()["referrer-policy"], "no-referrer");
    assert!(!page.text().await.unwrap().contains("//"));
    for (file, contains) in [
        ("swagger-ui-bundle.js", "SwaggerUIBundle"),
        ("swagger-ui.css", ".swagger-ui"),
    ] {
        let answer = reqwest::get(app.url(&format!("/docs/{file}")))
            .await
            .unwrap();
        assert_eq!(answer.headers()["content-encoding"], "gzip");
        let mut text = String::new();
        let compressed = answer.bytes().await.unwrap();
        let mut decoder = flate2::read::GzDecoder::new(compressed.as_ref());
        // Checks the length and the sum, which come from the archive's directory.
        decoder.read_to_string(&mut text).unwrap();
        assert!(text.contains(contains), "{file}");
    }
    let browser = lab::Browser::open(1_200, 900).await.unwrap();
    browser.visit(&app.url("/docs")).await.unwrap();
    let shown = async || {
        let script = "return [...document.querySelectorAll('.opblock-summary-path')].map(path => path.textContent.replace(/\\u200b/g, ''))";
        let paths = browser.run(script).await?;
        let has = |wanted| {
            paths
                .as_array()
                .is_some_and(|paths| paths.contains(&Value::from(wanted)))
        };
        anyhow::ensure!(
            has("/orders") && has("/orders/batch") && has("/metrics"),
            "{paths}"
        );
        Ok::<_, anyhow::Error>(())
    };
    lab::eventually(PATIENCE, shown).await;
    // What the policy forbids would be complained of here.
    assert_eq!(browser.console().await.unwrap(), Vec::<String>::new());
}
