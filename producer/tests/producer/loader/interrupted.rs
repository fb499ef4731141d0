//! A load that ends early: asked to, killed, or in want of a file that is still the same; and goes on from there.

use std::collections::BTreeSet;
use std::fs;
use std::process::Output;

use lab::TestTopic;
use lab::process::{ProcessId, Signal};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use super::{Files, counts, orders, run, stderr, summary, text};
use crate::support::{PATIENCE, record_count, values};

/// Starts a slow load, and ends it with `signal` when it is on its way.
async fn interrupted(topic: &TestTopic, arguments: &[&str], signal: Signal) -> Output {
    let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_loader"))
        .args(arguments)
        .env("KAFKA_BROKERS", topic.brokers())
        .env("KAFKA_TOPIC", topic.name())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let process = ProcessId::of(child.id().unwrap()).unwrap();
    let path = arguments.last().copied().unwrap_or_default();
    let keeps_a_checkpoint = arguments.contains(&"--resume");
    let under_way = async || match record_count(topic).await {
        count if count <= 2_500 => Err(format!("{count} so far")),
        _ if keeps_a_checkpoint && checkpointed_lines(path) == 0 => Err("no checkpoint yet".into()),
        _ => Ok(()),
    };
    lab::eventually(PATIENCE, under_way).await;
    process.signal(signal).unwrap();
    child.wait_with_output().await.unwrap()
}

fn checkpointed_lines(path: &str) -> u64 {
    let written = fs::read(format!("{path}.checkpoint")).unwrap_or_default();
    let checkpoint: Value = serde_json::from_slice(&written).unwrap_or_default();
    checkpoint["files"][0]["lines"].as_u64().unwrap_or(0)
}

#[tokio::test]
async fn an_interrupted_load_finishes_what_it_sent_and_is_continued_from_there() {
    let (topic, files) = (lab::topic(3).await, Files::new());
    let path = files.write("orders.ndjson", orders(20_000));
    let output = interrupted(
        &topic,
        &["--json", "--rate", "2000", text(&path)],
        Signal::INT,
    )
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(summary(&output)["ending"], "interrupted");
    assert!(
        stderr(&output).contains("to continue: loader --resume"),
        "{}",
        stderr(&output)
    );
    let accepted = counts(&output)[0];
    assert_eq!(record_count(&topic).await, i64::try_from(accepted).unwrap());

    let output = run(&topic, &["--json", "--resume", text(&path)]).await;
    assert_eq!(
        (output.status.code(), counts(&output)),
        (Some(0), [20_000, 0, 20_000])
    );
    assert_eq!(summary(&output)["resumed_lines"], accepted);
    assert_eq!(record_count(&topic).await, 20_000, "nothing was sent twice");
    assert!(!files.0.join("orders.ndjson.checkpoint").exists());
}

#[tokio::test]
async fn a_killed_load_is_continued_from_its_checkpoint_and_loses_nothing() {
    let (topic, files) = (lab::topic(3).await, Files::new());
    let path = files.write("orders.ndjson", orders(20_000));
    let arguments = ["--json", "--resume", "--rate", "2000", text(&path)];
    let output = interrupted(&topic, &arguments, Signal::KILL).await;
    assert_eq!(output.status.code(), None);
    let output = run(&topic, &["--json", "--resume", text(&path)]).await;
    assert_eq!(
        (output.status.code(), counts(&output)),
        (Some(0), [20_000, 0, 20_000])
    );
    assert!(summary(&output)["resumed_lines"].as_u64().unwrap() > 0);
    let ids: BTreeSet<_> = values(&topic).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 20_000);
}

#[tokio::test]
async fn a_file_that_changed_since_its_checkpoint_is_loaded_from_its_beginning() {
    let (topic, files) = (lab::topic(1).await, Files::new());
    let path = files.write("orders.ndjson", orders(20_000));
    interrupted(&topic, &["--rate", "2000", text(&path)], Signal::INT).await;
    files.write("orders.ndjson", orders(100));
    let output = run(&topic, &["--json", "--resume", text(&path)]).await;
    assert_eq!(counts(&output), [100, 0, 100]);
    assert!(
        stderr(&output).contains("has changed since"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn a_checkpoint_of_a_topic_that_was_made_again_is_refused() {
    let (topic, files) = (lab::topic(3).await, Files::new());
    let path = files.write("orders.ndjson", orders(20_000));
    interrupted(&topic, &["--rate", "2000", text(&path)], Signal::INT).await;
    topic.delete().await.unwrap();
    // It is deleted in the background.
    lab::eventually(PATIENCE, async || topic.make().await).await;

    let checkpoint = files.0.join("orders.ndjson.checkpoint");
    let before = fs::read(&checkpoint).unwrap();
    let output = run(&topic, &["--resume", text(&path)]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("made again") && said.contains("without --resume"),
        "{said}"
    );
    assert_eq!(record_count(&topic).await, 0, "nothing was sent");
    assert_eq!(fs::read(&checkpoint).unwrap(), before);

    let output = run(&topic, &["--json", text(&path)]).await;
    assert_eq!(counts(&output), [20_000, 0, 20_000]);
    assert!(!checkpoint.exists());
}

#[tokio::test]
async fn a_checkpoint_of_another_cluster_is_refused() {
    let (topic, files) = (lab::topic(1).await, Files::new());
    let path = files.write("orders.ndjson", orders(20_000));
    interrupted(&topic, &["--rate", "2000", text(&path)], Signal::INT).await;
    let checkpoint = files.0.join("orders.ndjson.checkpoint");
    let mut kept: Value = serde_json::from_slice(&fs::read(&checkpoint).unwrap()).unwrap();
    assert!(kept["arrival"]["cluster_id"].is_string(), "{kept}");
    kept["arrival"]["cluster_id"] = "another".into();
    fs::write(&checkpoint, kept.to_string()).unwrap();
    let before = record_count(&topic).await;
    let output = run(&topic, &["--resume", text(&path)]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("the Kafka cluster another") && said.contains("without --resume"),
        "{said}"
    );
    assert_eq!(record_count(&topic).await, before, "nothing was sent");
}

#[tokio::test]
async fn a_load_from_the_beginning_leaves_no_checkpoint_of_an_earlier_one() {
    let files = Files::new();
    let path = files.write("orders.ndjson", orders(20_000));
    let arguments = ["--rate", "2000", text(&path)];
    let checkpoint = files.0.join("orders.ndjson.checkpoint");
    interrupted(&lab::topic(1).await, &arguments, Signal::INT).await;
    assert!(checkpoint.exists());
    // Killed, so that it leaves none of its own.
    interrupted(&lab::topic(1).await, &arguments, Signal::KILL).await;
    assert!(!checkpoint.exists());
}

#[tokio::test]
async fn a_killed_load_keeps_every_rejected_line_once() {
    let (topic, files) = (lab::topic(3).await, Files::new());
    let line = |number: usize| match number % 4 {
        0 => format!("rubbish {number}\n"),
        _ => format!("{{\"order_id\":\"o{number}\",\"user_id\":\"u\",\"amount\":1}}\n"),
    };
    let path = files.write("orders.ndjson", (1..=20_000).map(line).collect::<String>());
    let rejects = files.0.join("rejects");
    let arguments = [
        "--json",
        "--resume",
        "--rejects",
        text(&rejects),
        text(&path),
    ];
    let slow = [&["--rate", "2000"][..], &arguments].concat();
    interrupted(&topic, &slow, Signal::KILL).await;
    let output = run(&topic, &arguments).await;
    assert!(summary(&output)["resumed_lines"].as_u64().unwrap() > 0);
    assert_eq!(counts(&output), [15_000, 5_000, 20_000]);
    let kept = fs::read_to_string(&rejects).unwrap();
    let mut kept: Vec<u64> = kept
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["line"]
                .as_u64()
                .unwrap()
        })
        .collect();
    kept.sort_unstable();
    assert_eq!(
        kept,
        (1..=5_000).map(|number| 4 * number).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn an_input_that_is_silent_does_not_keep_a_load_from_stopping() {
    let topic = lab::topic(1).await;
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_loader"))
        .args(["--json", "--source", "silent", "-"])
        .env("KAFKA_BROKERS", topic.brokers())
        .env("KAFKA_TOPIC", topic.name())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(orders(3).as_bytes()).await.unwrap();
    let all_sent = async || match record_count(&topic).await {
        3 => Ok(()),
        count => Err(format!("{count} so far")),
    };
    lab::eventually(PATIENCE, all_sent).await;
    let process = ProcessId::of(child.id().unwrap()).unwrap();
    process.signal(Signal::INT).unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .expect("it ends while its input is open")
        .unwrap();
    assert_eq!(
        (output.status.code(), counts(&output)),
        (Some(1), [3, 0, 3])
    );
    drop(input);
}
