//! A cluster that lets in only who proves themselves, over TLS, as managed ones do: through `KAFKA_CONFIG` alone.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::ensure;
use lab::{Program, SecuredKafka, Trio};
use serde_json::{Value, json};

use crate::PATIENCE;

const WRONG_PASSWORD: &str = "off-with-their-heads";

/// The clients and how they log in and pack, between them every one that is built in.
const LOADS: [(&str, &str); 4] = [
    ("PLAIN", "gzip"),
    ("SCRAM-SHA-256", "lz4"),
    ("SCRAM-SHA-512", "snappy"),
    ("SCRAM-SHA-256", "zstd"),
];

#[tokio::test]
async fn orders_pass_through_a_cluster_with_tls_and_passwords_and_a_wrong_one_is_named()
-> anyhow::Result<()> {
    let kafka = SecuredKafka::start().await?;
    let right = |mechanism| kafka.client_config(mechanism, SecuredKafka::PASSWORD);
    let zstd = format!("{},compression.type=zstd", right("SCRAM-SHA-512"));
    let trio = Trio::plan()
        .brokers(kafka.brokers())
        .set("KAFKA_CONFIG", zstd)
        .start()
        .await?;
    let order = json!({"order_id": "over-http", "user_id": "u", "amount": "12.50"});
    let answer = trio
        .http
        .post_json(&trio.producer.url("/orders"), &order)
        .await?;
    ensure!(answer.status == 202, "{}", answer.text());

    let file = kafka.open().directory().join("orders.ndjson");
    for (mechanism, compression) in LOADS {
        let name = format!("{mechanism}-{compression}").to_lowercase();
        let order = json!({"order_id": name, "user_id": "u", "amount": "0.50"});
        std::fs::write(&file, order.to_string())?;
        let config = format!("{},compression.type={compression}", right(mechanism));
        let output = loader(&kafka, &trio, &file)
            .set("KAFKA_CONFIG", config)
            .run()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{mechanism}, {compression}: {said}"
        );
    }
    let expected =
        json!([{"currency": "USD", "order_count": 5, "user_count": 1, "total_amount": "14.50"}]);
    lab::eventually(PATIENCE, async || -> anyhow::Result<()> {
        let summary: Value = trio.http.json(&trio.query_api.url("/summary")).await?;
        ensure!(summary["currencies"] == expected, "{summary}");
        Ok(())
    })
    .await;
    for log in [trio.producer.log(), trio.consumers[0].log()] {
        ensure!(
            !log.contains(SecuredKafka::PASSWORD),
            "a password is in {log}"
        );
    }
    wrong_password(&kafka, &trio, &file).await
}

fn loader(kafka: &SecuredKafka, trio: &Trio, file: &Path) -> Program {
    Program::named("loader")
        .argument(file.display().to_string())
        .set("KAFKA_BROKERS", kafka.brokers())
        .set("KAFKA_TOPIC", trio.topic.name())
        .set("RUST_LOG", "debug")
}

async fn wrong_password(kafka: &SecuredKafka, trio: &Trio, file: &Path) -> anyhow::Result<()> {
    let refused = |text: &str| text.contains("SASL authentication error");
    let wrong = kafka.client_config("SCRAM-SHA-512", WRONG_PASSWORD);
    let load = loader(kafka, trio, file)
        .set("KAFKA_CONFIG", &wrong)
        .argument("--timeout")
        .argument("8s");
    let output = load.run().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1) && refused(&said), "{said}");
    ensure!(!said.contains(WRONG_PASSWORD), "a password is in {said}");

    // Any port will do: nobody asks them, they only say what is the matter.
    let address: SocketAddr = "127.0.0.1:0".parse()?;
    for (binary, address_setting) in [
        ("producer", "PRODUCER_ADDRESS"),
        ("consumer", "CONSUMER_ADDRESS"),
    ] {
        let service = Program::named(binary)
            .set(address_setting, address)
            .set("DATABASE_URL", trio.database.url())
            .set("KAFKA_BROKERS", kafka.brokers())
            .set("KAFKA_TOPIC", trio.topic.name())
            .set("KAFKA_CONFIG", &wrong)
            .set("RUST_LOG", "debug")
            .serve(binary, address)?;
        lab::eventually(PATIENCE, async || -> anyhow::Result<()> {
            ensure!(
                refused(&service.log()),
                "no word of it in {}",
                service.log()
            );
            Ok(())
        })
        .await;
        ensure!(
            !service.log().contains(WRONG_PASSWORD),
            "a password is in its log"
        );
    }
    Ok(())
}
