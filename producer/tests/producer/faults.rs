//! The broker frozen, killed, absent, full, or refusing: each ends in the right answer within its deadline, and the
//! producer recovers by itself.

use std::time::{Duration, Instant};

use clap::Parser as _;
use producer::application::Application;
use producer::config::Config;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use serde_json::json;

use crate::support::{Answer, App, PATIENCE, record_count, values};

/// Within which the first request after the broker's return must succeed.
const RECOVERY: Duration = Duration::from_secs(5);
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(2);
/// On top of a deadline, for a busy machine.
const SLACK: Duration = Duration::from_secs(2);

fn order(id: &str) -> String {
    json!({"order_id": id, "user_id": "u", "amount": 1}).to_string()
}

fn assert_unknown(answer: &Answer, id: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.order_id(), id);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
}

/// The first request that is sent once the broker is back, and again until one succeeds.
async fn accepts_within(app: &App, id: &str, patience: Duration) {
    let started = Instant::now();
    loop {
        let answer = app.post("/orders", &order(id)).await;
        if answer.status == 202 {
            return;
        }
        assert_unknown(&answer, id);
        assert!(
            started.elapsed() < patience,
            "not accepted after {:?}",
            started.elapsed()
        );
    }
}

#[tokio::test]
async fn a_frozen_broker_means_503_in_time_and_a_retry_after_it_counts_once() {
    let mut broker = lab::OwnKafka::start(&[]).await.unwrap();
    let topic = broker.topic(2).await;
    let app = App::ready(topic.brokers(), topic.name(), &["--delivery-timeout", "2s"]).await;
    assert_eq!(app.post("/orders", &order("before")).await.status, 202);

    broker.freeze().unwrap();
    let started = Instant::now();
    let answer = app.post("/orders", &order("during")).await;
    assert_unknown(&answer, "during");
    assert!(
        started.elapsed() < DELIVERY_TIMEOUT + SLACK,
        "{:?}",
        started.elapsed()
    );
    app.becomes_unready(Duration::from_secs(5)).await;
    let batch = app
        .post_lines(format!("{}\nrubbish\n", order("batch")))
        .await;
    assert_eq!(
        (batch.status, batch.header("content-type")),
        (503, "application/problem+json")
    );
    assert_eq!(batch.json["results"][0]["status"], "retry");
    assert_eq!(batch.json["results"][0]["order_id"], "batch");
    assert_eq!(batch.json["results"][1]["status"], "rejected");

    broker.thaw().unwrap();
    accepts_within(&app, "during", RECOVERY).await;
    app.becomes_ready(RECOVERY).await;
    let ids: Vec<_> = values(&topic).await.into_iter().map(|(id, _)| id).collect();
    assert!(
        ids.contains(&"before".to_owned()) && ids.contains(&"during".to_owned()),
        "{ids:?}"
    );
    assert!(ids.len() <= 3, "one value for each id: {ids:?}");

    // What is in flight when the service is asked to stop gets its honest answer, also where that is late.
    broker.freeze().unwrap();
    let last = app.to("/orders").body(order("last")).send();
    let last = tokio::spawn(last);
    let in_flight = async || match app.get("/health").await.json["in_flight"].as_u64() {
        Some(1..) => Ok(()),
        other => Err(format!("{other:?} in flight")),
    };
    lab::eventually(PATIENCE, in_flight).await;
    app.stop.cancel();
    assert_eq!(last.await.unwrap().unwrap().status(), 503);
    app.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_killed_broker_means_503_in_time_and_its_return_is_noticed() {
    let broker = lab::OwnKafka::start(&[]).await.unwrap();
    let topic = broker.topic(2).await;
    let app = App::ready(topic.brokers(), topic.name(), &["--delivery-timeout", "2s"]).await;
    assert_eq!(app.post("/orders", &order("before")).await.status, 202);

    broker.kill().await.unwrap();
    let started = Instant::now();
    let answer = app.post("/orders", &order("during")).await;
    assert_unknown(&answer, "during");
    assert!(
        started.elapsed() < DELIVERY_TIMEOUT + SLACK,
        "{:?}",
        started.elapsed()
    );
    app.becomes_unready(Duration::from_secs(5)).await;

    broker.start_again().await.unwrap();
    accepts_within(&app, "during", RECOVERY).await;
    let ids: Vec<_> = values(&topic).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["before", "during"]);
}

#[tokio::test]
async fn a_producer_may_start_before_its_broker_and_creates_the_topic() {
    let broker = lab::OwnKafka::start(&[]).await.unwrap();
    let topic = lab::TestTopic::unborn(&broker.brokers(), 5);
    broker.stop().await.unwrap();
    let app = App::start(topic.brokers(), topic.name(), &["--kafka-partitions", "5"]);
    assert_unknown(&app.post("/orders", &order("early")).await, "early");
    assert!(app.readiness().await.is_err());
    assert_eq!(app.get("/health/live").await.status, 200);

    broker.start_again().await.unwrap();
    app.becomes_ready(PATIENCE).await;
    assert_eq!(app.post("/orders", &order("early")).await.status, 202);
    assert_eq!(topic.end_offsets().await.unwrap().len(), 5);
}

#[tokio::test]
async fn an_existing_topic_is_never_altered() {
    let topic = lab::topic(2).await;
    let app = App::ready(topic.brokers(), topic.name(), &["--kafka-partitions", "9"]).await;
    assert_eq!(app.post("/orders", &order("o1")).await.status, 202);
    assert_eq!(topic.end_offsets().await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_order_larger_than_the_topic_takes_is_413_and_small_ones_beside_it_are_not_hurt() {
    let broker = lab::OwnKafka::start(&["message.max.bytes=20000"])
        .await
        .unwrap();
    let topic = broker.topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    let name = "x".repeat(30_000);
    let large =
        json!({"order_id": "large", "user_id": "u", "items": [{"name": name, "unit_price": 1}]})
            .to_string();
    let answer = app.post("/orders", &large).await;
    assert_eq!((answer.status, answer.order_id()), (413, "large"));
    // Together far more than one batch may have.
    let small = json!({"user_id": "u", "items": [{"name": "y".repeat(5_000), "unit_price": 1}]})
        .to_string();
    let answer = app
        .post_lines(format!("{large}\n{}", format!("{small}\n").repeat(40)))
        .await;
    let counts = ["accepted", "rejected", "retry"].map(|name| answer.json[name].as_u64().unwrap());
    assert_eq!(counts, [40, 1, 0]);
    assert_eq!(record_count(&topic).await, 40);
}

#[tokio::test]
async fn a_full_queue_means_503_and_nobody_waits_for_ever() {
    let mut broker = lab::OwnKafka::start(&[]).await.unwrap();
    let topic = broker.topic(1).await;
    let arguments = ["--delivery-timeout", "2s", "--queue-records", "10"];
    let app = App::ready(topic.brokers(), topic.name(), &arguments).await;
    broker.freeze().unwrap();
    let started = Instant::now();
    let orders: Vec<_> = (0..50).map(|number| order(&format!("o{number}"))).collect();
    let answers = orders.iter().map(|order| app.post("/orders", order));
    let answers = futures_util::future::join_all(answers).await;
    assert!(
        started.elapsed() < DELIVERY_TIMEOUT + SLACK,
        "{:?}",
        started.elapsed()
    );
    for (number, answer) in answers.iter().enumerate() {
        assert_unknown(answer, &format!("o{number}"));
    }
    let full = answers
        .iter()
        .filter(|answer| answer.json["detail"].as_str().unwrap().contains("too many"))
        .count();
    assert!(full >= 30, "{full} of 50 were told that the queue is full");
    broker.thaw().unwrap();
    accepts_within(&app, "after", RECOVERY).await;
    // A retry of each, whatever became of the first attempt, leaves one value for each id.
    for (number, order) in orders.iter().enumerate() {
        let answer = app.post("/orders", order).await;
        assert_eq!(
            (answer.status, answer.order_id()),
            (202, &*format!("o{number}"))
        );
    }
    assert_eq!(values(&topic).await.len(), orders.len() + 1);
}

/// The limit was read when the topic was found; the broker has the last word.
#[tokio::test]
async fn an_order_that_the_broker_finds_too_large_is_413_too() {
    let topic = lab::topic(1).await;
    let app = App::ready(topic.brokers(), topic.name(), &[]).await;
    limit_records(&topic, "20000").await;
    let items = json!([{"name": "x".repeat(30_000), "unit_price": 1}]);
    let large = json!({"order_id": "large", "user_id": "u", "items": items}).to_string();
    let answer = app.post("/orders", &large).await;
    assert_eq!(
        (answer.status, answer.order_id()),
        (413, "large"),
        "{answer:?}"
    );
    let answer = app.post_lines(format!("{large}\n")).await;
    assert_eq!(answer.json["results"][0]["status"], "rejected");
    assert_eq!(app.post("/orders", &order("small")).await.status, 202);
    assert_eq!(record_count(&topic).await, 1);
}

async fn limit_records(topic: &lab::TestTopic, bytes: &str) {
    let mut config = ClientConfig::new();
    let admin: AdminClient<_> = config
        .set("bootstrap.servers", topic.brokers())
        .create()
        .unwrap();
    let resource = ResourceSpecifier::Topic(topic.name());
    let change = AlterConfig::new(resource).set("max.message.bytes", bytes);
    let changed = admin.alter_configs([&change], &AdminOptions::new()).await;
    changed
        .unwrap()
        .into_iter()
        .for_each(|result| drop(result.unwrap()));
}

#[tokio::test]
async fn a_setting_that_kafkas_client_refuses_is_named_at_the_start() {
    for (setting, named) in [
        ("nonsense=1", "nonsense"),
        ("max.in.flight=10", "max.in.flight"),
    ] {
        let arguments = [
            "producer",
            "--address",
            "127.0.0.1:0",
            "--kafka-config",
            setting,
        ];
        let config = Config::try_parse_from(arguments).unwrap();
        let Err(error) = Application::build(config) else {
            panic!("{setting} was taken")
        };
        let message = error.to_string();
        assert!(
            message.contains(named) && message.contains("--kafka-config"),
            "{message}"
        );
    }
}
