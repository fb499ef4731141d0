//! A client that failed for good is replaced. An idempotent producer fails so when its sequence is lost, which a real
//! broker cannot be made to say; librdkafka's own mock can.

use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use serde_json::json;

use crate::support::App;

const RECOVERY: Duration = Duration::from_secs(5);

#[tokio::test]
async fn after_a_fatal_error_the_first_request_succeeds_without_a_restart() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("orders", 1, 1).unwrap();
    let app = App::ready(
        &cluster.bootstrap_servers(),
        "orders",
        &["--delivery-timeout", "2s"],
    )
    .await;
    let order = json!({"order_id": "o1", "user_id": "u", "amount": 1}).to_string();
    assert_eq!(app.post("/orders", &order).await.status, 202);

    // Refused as out of sequence although nothing was lost: to an idempotent producer, the end.
    let lost = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    cluster.request_errors(RDKafkaApiKey::Produce, &[lost]);
    let answer = app.post("/orders", &order).await;
    assert_eq!((answer.status, answer.order_id()), (503, "o1"));

    let started = Instant::now();
    while app.post("/orders", &order).await.status != 202 {
        assert!(
            started.elapsed() < RECOVERY,
            "not accepted after {:?}",
            started.elapsed()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Else the client had not failed for good, and nothing was shown.
    assert_eq!(
        app.metric("publisher_clients_replaced_total").await,
        Some(1.0)
    );
}
