//! The loader as a process: what it takes, what it says, and how it ends.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use lab::{Program, TestTopic};
use serde_json::{Value, json};

use crate::support::{PATIENCE, record_count, values};

mod interrupted;

/// A directory for one test's files, removed with the value.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let path = lab::settings::directory().join(format!("loader-{}", uuid::Uuid::new_v4()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

fn loader(topic: &TestTopic, arguments: &[&str]) -> Program {
    let program = Program::named("loader")
        .set("KAFKA_BROKERS", topic.brokers())
        .set("KAFKA_TOPIC", topic.name());
    arguments
        .iter()
        .fold(program, |program, argument| program.argument(*argument))
}

async fn run(topic: &TestTopic, arguments: &[&str]) -> Output {
    loader(topic, arguments).run().await.unwrap()
}

fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        panic!("{error}: {out}\n{err}")
    })
}

fn counts(output: &Output) -> [u64; 3] {
    let summary = summary(output);
    ["accepted", "rejected", "lines"].map(|name| summary[name].as_u64().unwrap())
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn orders(count: usize) -> String {
    let line = |n| {
        json!({"order_id": format!("o{n}"), "user_id": format!("u{}", n % 13), "amount": n})
            .to_string()
            + "\n"
    };
    (0..count).map(line).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_file_is_loaded_whole_and_its_summary_says_where_it_ends() {
    let (topic, files) = (lab::topic(3).await, Files::new());
    let path = files.write("orders.ndjson", orders(5_000));
    let output = run(&topic, &["--json", text(&path)]).await;
    assert_eq!(
        (output.status.code(), counts(&output)),
        (Some(0), [5_000, 0, 5_000])
    );
    assert_eq!(values(&topic).await.len(), 5_000);
    let ends: Vec<_> = topic
        .end_offsets()
        .await
        .unwrap()
        .into_iter()
        .map(Value::from)
        .collect();
    let summary = summary(&output);
    let last_offsets = ["0", "1", "2"].map(|partition| summary["last_offsets"][partition].clone());
    assert_eq!(last_offsets, ends.as_slice());
}

#[tokio::test]
async fn rejected_lines_are_kept_counted_and_end_in_exit_code_2() {
    let (topic, files) = (lab::topic(1).await, Files::new());
    let lines = "{\"order_id\":\"a\",\"user_id\":\"u\",\"amount\":1}\n\nrubbish\n{\"user_id\":\"u\",\"amount\":0.00001}\n";
    let (path, rejects) = (files.write("orders.ndjson", lines), files.0.join("rejects"));
    let output = run(
        &topic,
        &["--json", "--rejects", text(&rejects), text(&path)],
    )
    .await;
    assert_eq!(
        (output.status.code(), counts(&output)),
        (Some(2), [1, 2, 4])
    );
    let rejects = fs::read_to_string(&rejects).unwrap();
    let rejects: Vec<Value> = rejects
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&rejects[0]["line"], &rejects[0]["raw"]),
        (&json!(3), &json!("rubbish"))
    );
    assert_eq!(
        (&rejects[1]["line"], &rejects[1]["errors"][0]["pointer"]),
        (&json!(4), &json!("/amount"))
    );
    assert_eq!(rejects.len(), 2);
    let shown = run(&topic, &[text(&path)]).await;
    assert_eq!(shown.status.code(), Some(2));
    assert!(
        stderr(&shown).contains("rejected line 4: /amount has 5 decimals"),
        "{}",
        stderr(&shown)
    );
}

#[tokio::test]
async fn packed_files_are_recognised_by_their_content_and_read_over_all_their_members() {
    let (topic, files) = (lab::topic(1).await, Files::new());
    let all = orders(2_000);
    let (first, second) = all.split_at(all.len() / 2);
    for pack in [gzip, xz, zst] {
        let packed = [pack(first.as_bytes()), pack(second.as_bytes())].concat();
        let path = files.write("orders", packed);
        let output = run(&topic, &["--json", "--dry-run", text(&path)]).await;
        assert_eq!(
            (output.status.code(), counts(&output)),
            (Some(0), [2_000, 0, 2_000]),
            "{}",
            stderr(&output)
        );
    }
    assert_eq!(record_count(&topic).await, 0, "a dry run sends nothing");
}

#[tokio::test]
async fn a_packed_file_that_is_cut_off_is_loaded_as_far_as_it_goes_and_ends_in_exit_code_1() {
    for pack in [gzip, xz, zst] {
        let (topic, files) = (lab::topic(1).await, Files::new());
        // Two members, so that what comes before the cut can be read whatever the format's blocks.
        let packed = [
            pack(orders(1_000).as_bytes()),
            pack(orders(3_000).as_bytes()),
        ]
        .concat();
        let path = files.write("orders", &packed[..packed.len() - 100]);
        let output = run(&topic, &["--json", text(&path)]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("cut off or corrupt after line"),
            "{}",
            stderr(&output)
        );
        let [accepted, rejected, lines] = counts(&output);
        assert!(
            accepted >= 1_000 && accepted == lines && rejected == 0,
            "{accepted} of {lines}"
        );
        assert_eq!(record_count(&topic).await, i64::try_from(accepted).unwrap());
        assert_eq!(summary(&output)["ending"], "failed");
    }
}

#[tokio::test]
async fn the_same_file_twice_gives_the_same_orders_and_another_source_others() {
    let (topic, files) = (lab::topic(2).await, Files::new());
    let path = files.write(
        "orders.ndjson",
        "{\"user_id\":\"u\",\"amount\":1}\n".repeat(100),
    );
    for _ in 0..2 {
        assert_eq!(run(&topic, &[text(&path)]).await.status.code(), Some(0));
    }
    assert_eq!(record_count(&topic).await, 200);
    assert_eq!(values(&topic).await.len(), 100);
    for _ in 0..2 {
        run(&topic, &["--source", "elsewhere", text(&path)]).await;
    }
    assert_eq!(values(&topic).await.len(), 200);
}

#[tokio::test]
async fn several_files_are_one_load() {
    let (topic, files) = (lab::topic(1).await, Files::new());
    let first = files.write("first", orders(10));
    let second = files.write("second", gzip("rubbish\n".as_bytes()));
    let output = run(&topic, &["--json", text(&first), text(&second)]).await;
    assert_eq!(
        (output.status.code(), counts(&output)),
        (Some(2), [10, 1, 11])
    );
    assert!(
        stderr(&output).contains("second, line 1"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn what_cannot_be_begun_ends_in_exit_code_1_and_says_why() {
    let topic = lab::topic(1).await;
    for (arguments, reason) in [
        (
            &["/nowhere/orders.ndjson"][..],
            "cannot open /nowhere/orders.ndjson",
        ),
        (&[][..], "required"),
        (&["--rate", "0", "x"][..], "--rate"),
        (&["--resume", "-"][..], "--resume needs a file"),
    ] {
        let output = run(&topic, arguments).await;
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(
            stderr(&output).contains(reason),
            "{arguments:?}: {}",
            stderr(&output)
        );
    }
}

#[tokio::test]
async fn a_broker_that_never_answers_ends_the_load_after_its_timeout() {
    let files = Files::new();
    let path = files.write("orders.ndjson", orders(10));
    let nobody = TestTopic::unborn("127.0.0.1:9", 1);
    let output = run(&nobody, &["--json", "--timeout", "1s", text(&path)]).await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(counts(&output)[0], 0);
    assert!(
        stderr(&output).contains("confirmed nothing"),
        "{}",
        stderr(&output)
    );
}

#[tokio::test]
async fn a_broker_that_is_killed_in_mid_load_delays_it_and_loses_nothing() {
    let broker = lab::OwnKafka::start(&[]).await.unwrap();
    let (topic, files) = (broker.topic(3).await, Files::new());
    let path = files.write("orders.ndjson", orders(30_000));
    let arguments = ["--json", "--rate", "6000", text(&path)];
    let program = loader(&topic, &arguments).set("DELIVERY_TIMEOUT", "2s");
    let load = tokio::spawn(async move { program.run().await.unwrap() });
    let under_way = async || match record_count(&topic).await {
        count if count > 1_000 => Ok(()),
        count => Err(format!("{count} so far")),
    };
    lab::eventually(PATIENCE, under_way).await;
    broker.kill().await.unwrap();
    // Longer than a delivery may take, so that records come back and are sent again.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    broker.start_again().await.unwrap();
    let output = load.await.unwrap();
    assert_eq!(
        (output.status.code(), counts(&output)),
        (Some(0), [30_000, 0, 30_000]),
        "{}",
        stderr(&output)
    );
    assert_eq!(values(&topic).await.len(), 30_000);
}

#[tokio::test]
async fn generated_orders_are_accepted_and_add_up_to_their_totals() {
    let (topic, files) = (lab::topic(2).await, Files::new());
    let (path, totals) = (files.0.join("sample.ndjson"), files.0.join("totals.json"));
    let arguments = [
        "generate",
        "--orders",
        "2000",
        "--broken",
        "0.02",
        "--duplicates",
        "0.02",
        "--output",
        text(&path),
        "--totals",
        text(&totals),
    ];
    assert_eq!(run(&topic, &arguments).await.status.code(), Some(0));
    let totals: Value = serde_json::from_slice(&fs::read(&totals).unwrap()).unwrap();
    let output = run(&topic, &["--json", text(&path)]).await;
    let total = |name: &str| totals[name].as_u64().unwrap();
    let [accepted, rejected, _] = counts(&output);
    assert_eq!(
        (accepted, rejected),
        (total("orders") + total("duplicates"), total("rejected"))
    );
    assert_eq!(values(&topic).await.len() as u64, total("orders"));
}

#[tokio::test]
async fn rejected_lines_that_cannot_be_kept_end_the_load_and_no_checkpoint_passes_them_over() {
    let (topic, files) = (lab::topic(1).await, Files::new());
    let path = files.write("orders.ndjson", "rubbish\n".repeat(10_000));
    // Every write to it fails for want of space.
    let output = run(&topic, &["--json", "--rejects", "/dev/full", text(&path)]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("cannot write the rejected lines")
            && stderr(&output).contains("begins from the start"),
        "{}",
        stderr(&output)
    );
    assert!(!files.0.join("orders.ndjson.checkpoint").exists());
}

#[tokio::test]
async fn a_file_that_is_to_be_loaded_is_never_written_to() {
    let (topic, files) = (lab::topic(1).await, Files::new());
    let path = files.write("orders.ndjson", "rubbish\n");
    for option in ["--rejects", "--checkpoint"] {
        let output = run(&topic, &[option, text(&path), text(&path)]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("cannot be written to"),
            "{}",
            stderr(&output)
        );
        assert_eq!(fs::read(&path).unwrap(), b"rubbish\n");
    }
}
