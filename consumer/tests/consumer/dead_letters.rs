//! What becomes of dead letters: mended and loaded again, replayed, or discarded.

use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::UnixListener;

use lab::{OwnKafka, Record};
use serde_json::{Value, json};

use crate::commands::record;
use crate::support::{PATIENCE, Setup, order};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_goes_back_through_the_loader_once_it_is_mended() {
    let setup = Setup::new(1).await;
    let invalid = json!({"order_id": "o2", "user_id": "u", "amount": "7.00001"});
    setup
        .apply(&[
            record(order("o1", "u", "1").to_string()),
            record(order("o1", "u", "2").to_string()),
            record(serde_json::to_vec_pretty(&invalid).expect("JSON")),
            record(*b"{\"order_id\":\"o3\",\"user_id\":\"u\",\"amount\":3\xff"),
        ])
        .await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dead.ndjson");
    let path = file.to_str().expect("a path of ASCII");

    let exported = setup.dead_letters(&["export", path]).await;
    assert!(
        exported.stderr.contains("2 JSON objects, 1 to be replaced"),
        "{}",
        exported.stderr
    );
    exported.ok();
    let text = std::fs::read_to_string(&file).expect("the file is there");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.contains(&order("o1", "u", "2")), "{text}");
    assert!(lines.contains(&invalid), "{text}");
    let to_mend = lines.iter().find(|line| line.get("raw").is_some());
    let to_mend = to_mend.expect("one is wrapped");
    assert_eq!(
        to_mend["raw_hex"].as_str().map(str::len),
        Some(2 * 42),
        "{}",
        to_mend
    );
    assert_eq!(setup.dead_letters(&["export"]).await.ok(), text);
    let refused = setup.dead_letters(&["export", path]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    let one = to_mend["dead_letter_no"].to_string();
    setup
        .dead_letters(&["export", path, "--force", "--numbers", &one])
        .await
        .ok();
    assert_eq!(
        std::fs::read_to_string(&file)
            .expect("a file")
            .lines()
            .count(),
        1
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("a folder").count(),
        1,
        "nothing is left behind"
    );

    // Not mended, each is told why.
    std::fs::write(&file, &text).expect("written");
    let dry = setup.run("loader", &["--dry-run", path]).await;
    assert_eq!(dry.code, Some(2), "{}", dry.stderr);
    assert!(
        dry.stderr.contains("/amount has 5 decimals"),
        "{}",
        dry.stderr
    );
    assert!(dry.stderr.contains("/user_id"), "{}", dry.stderr);

    let mended = [
        order("o1-corrected", "u", "2"),
        json!({"order_id": "o2", "user_id": "u", "amount": "7.0001"}),
        json!({"order_id": "o3", "user_id": "u", "amount": 3}),
    ];
    let mended: Vec<String> = mended.iter().map(Value::to_string).collect();
    std::fs::write(&file, mended.join("\n")).expect("written");
    setup.run("loader", &[path]).await.ok();
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    assert_eq!(setup.count("SELECT count(*) FROM orders").await, 4);
    assert_eq!(
        setup.count("SELECT count(*) FROM dead_letters").await,
        3,
        "they stay until they are discarded"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_replayed_is_exported_only_where_that_is_asked_for() {
    let setup = Setup::new(1).await;
    setup.apply(&[record("rubbish"), record("more")]).await;
    let replayed = setup.count("SELECT min(dead_letter_no) FROM dead_letters");
    let replayed = replayed.await.to_string();
    replay(&setup, &[&replayed], 1).await;
    for (arguments, exported) in [
        (&["export"][..], &["more"][..]),
        (&["export", "--replayed"], &["rubbish"]),
        (&["export", "--not-replayed"], &["more"]),
    ] {
        let printed = setup.dead_letters(arguments).await.ok();
        let raw = printed.lines().map(|line| {
            let line: Value = serde_json::from_str(line).expect("JSON");
            line["raw"].as_str().expect("wrapped").to_owned()
        });
        assert_eq!(raw.collect::<Vec<_>>(), exported, "{arguments:?}");
    }
    let asked = setup
        .dead_letters(&["export", "--numbers", &replayed])
        .await;
    assert!(
        asked.stderr.contains("1 of the numbers") && asked.stderr.contains("--replayed"),
        "{}",
        asked.stderr
    );
    assert_eq!(asked.ok(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_replaces_a_file_and_nothing_else() {
    let setup = Setup::new(1).await;
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("file"), "before").expect("written");
    symlink(at("file"), at("link")).expect("a link");
    let _socket = UnixListener::bind(at("socket")).expect("a socket");
    for name in ["link", "socket"] {
        let path = at(name).display().to_string();
        let refused = setup.dead_letters(&["export", &path, "--force"]).await;
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(
            refused.stderr.contains("no regular file"),
            "{}",
            refused.stderr
        );
    }
    let kind = |name: &str| {
        let found = at(name).symlink_metadata().expect("it is there");
        found.file_type()
    };
    assert!(kind("link").is_symlink() && kind("socket").is_socket());
    assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "before");
    let path = at("file").display().to_string();
    setup.dead_letters(&["export", &path, "--force"]).await.ok();
    assert_eq!(std::fs::read_to_string(at("file")).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_to_a_topic_that_is_gone_fails_and_does_not_make_it() {
    let broker = OwnKafka::start(&["auto.create.topics.enable=true"])
        .await
        .expect("a broker");
    let setup = Setup::on(lab::database().await, broker.topic(2).await).await;
    setup.apply(&[record("rubbish")]).await;
    setup.group.topic.delete().await.expect("deleted");
    lab::eventually(PATIENCE, async || {
        match setup.group.topic.end_offsets().await {
            Ok(_) => Err("the topic is still there"),
            Err(_) => Ok(()),
        }
    })
    .await;
    let refused = setup.dead_letters(&["replay", "--all"]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    let said = format!("there is no topic {}", setup.group.topic.name());
    assert!(refused.stderr.contains(&said), "{}", refused.stderr);
    setup.group.topic.make().await.expect("nobody has made it");
    replay(&setup, &["--all"], 1).await;
}

async fn replay(setup: &Setup, arguments: &[&str], count: usize) {
    let arguments = [&["replay"], arguments].concat();
    let printed = setup.dead_letters(&arguments).await.ok();
    let expected = format!("replayed {count} dead letters");
    assert!(printed.starts_with(&expected), "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_record_lands_when_it_is_replayed_after_its_constraint_was_dropped() {
    let setup = Setup::new(3).await;
    setup
        .rows("ALTER TABLE orders ADD CONSTRAINT lab_small CHECK (amount < 100)")
        .await;
    // Neither id nor time of its own: both hang on where and when it was first read.
    let nameless = json!({"user_id": "u", "currency": "EUR", "amount": "500"});
    let refused = Record {
        partition: Some(2),
        key: Some(Vec::new()),
        headers: vec![
            ("a".to_owned(), vec![0, 255]),
            ("a".to_owned(), Vec::new()),
            ("tally_replayed_from".to_owned(), b"nowhere".to_vec()),
        ],
        ..record(nameless.to_string())
    };
    setup
        .apply(&[
            refused.clone(),
            record(order("o1", "u", "400").to_string()),
            record(order("o2", "u", "1").to_string()),
            record("rubbish"),
        ])
        .await;
    assert_eq!(setup.count("SELECT count(*) FROM orders").await, 1);
    setup
        .rows("ALTER TABLE orders DROP CONSTRAINT lab_small")
        .await;

    let member = setup.member(&[]);
    let needless = setup.dead_letters(&["replay"]).await;
    assert_eq!(needless.code, Some(1));
    assert!(needless.stderr.contains("--all"), "{}", needless.stderr);
    replay(&setup, &["--reason", "refused"], 2).await;
    setup.applied().await;
    assert_eq!(setup.count("SELECT count(*) FROM orders").await, 3);
    assert_eq!(
        setup
            .count("SELECT count(*) FROM dead_letters WHERE replayed_at IS NOT NULL")
            .await,
        2
    );

    // Those are left out from now on, and published again only where that is asked for. Then they are duplicates, also the
    // one that has no id of its own: what a crash before the mark comes to.
    replay(&setup, &["--reason", "refused"], 0).await;
    replay(&setup, &["--reason", "refused", "--replayed"], 2).await;
    setup.applied().await;
    assert_eq!(setup.count("SELECT count(*) FROM orders").await, 3);
    // What is still no order is one dead letter more.
    replay(&setup, &["--all"], 1).await;
    setup.applied().await;
    assert_eq!(setup.count("SELECT count(*) FROM dead_letters").await, 4);
    member.stop().await;

    let records = setup
        .group
        .topic
        .records()
        .await
        .expect("the topic is read");
    let again: Vec<_> = records
        .iter()
        .filter(|record| record.partition == 2)
        .collect();
    assert_eq!(again.len(), 3, "the same partition each time");
    for record in &again[1..] {
        assert_eq!((&record.key, &record.value), (&refused.key, &refused.value));
        let (replayed_from, others) = record.headers.split_first().expect("headers");
        assert_eq!(others, again[0].headers);
        let origin = format!("{}/2/0/", setup.group.topic.name());
        let value = replayed_from.1.clone().expect("a value");
        assert_eq!(replayed_from.0, "tally_replayed_from");
        assert!(
            String::from_utf8_lossy(&value).starts_with(&origin),
            "{value:?}"
        );
    }
    let created = setup
        .count(
            "SELECT (extract(epoch FROM created_at) * 1000)::bigint FROM orders WHERE amount = 500",
        )
        .await;
    assert_eq!(
        Some(created),
        again[0].timestamp,
        "dated when it was first read"
    );
    setup.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_published_is_not_marked() {
    let setup = Setup::new(1).await;
    setup.apply(&[record("rubbish"), record("more")]).await;
    // A partition that the topic does not have.
    setup
        .rows("UPDATE dead_letters SET partition = 7 WHERE \"offset\" = 0")
        .await;
    let replayed = setup.dead_letters(&["replay", "--all"]).await;
    assert_eq!(replayed.code, Some(1), "{}", replayed.stdout);
    assert!(
        replayed
            .stderr
            .contains("1 are not known to be in the topic"),
        "{}",
        replayed.stderr
    );
    let marked = setup
        .rows("SELECT partition FROM dead_letters WHERE replayed_at IS NOT NULL")
        .await;
    assert_eq!(
        marked
            .iter()
            .map(|row| row.get::<_, i32>(0))
            .collect::<Vec<_>>(),
        [0]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_discard_is_explicit_recorded_and_does_not_disturb_the_partitions_owner() {
    let setup = Setup::new(2).await;
    let elsewhere = Record {
        partition: Some(1),
        ..record("rubbish")
    };
    let member = setup.member(&[]);
    setup
        .group
        .topic
        .publish_all(&[
            record("rubbish"),
            record(order("o1", "u", "1").to_string()),
            record(order("o1", "u", "2").to_string()),
            elsewhere,
        ])
        .await
        .expect("published");
    setup.applied().await;
    let epochs = setup
        .count("SELECT sum(epoch)::bigint FROM consumer_offsets")
        .await;

    assert_eq!(
        setup.dead_letters(&["discard", "--yes"]).await.code,
        Some(1),
        "which ones?"
    );
    let dry = setup
        .dead_letters(&["discard", "--reason", "undecodable"])
        .await
        .ok();
    assert!(
        dry.contains("2 dead letters would be deleted; --yes"),
        "{dry}"
    );
    assert_eq!(setup.count("SELECT count(*) FROM dead_letters").await, 3);
    let done = setup
        .dead_letters(&["discard", "--reason", "undecodable", "--yes"])
        .await
        .ok();
    assert!(done.contains("2 dead letters deleted"), "{done}");
    let left = setup.rows("SELECT reason FROM dead_letters").await;
    assert_eq!(
        left.iter().map(|row| row.get(0)).collect::<Vec<String>>(),
        ["conflict"]
    );
    let recorded = setup
        .rows("SELECT partition, offsets, letter_count, selection, discarded_by FROM dead_letter_discards ORDER BY partition")
        .await;
    let recorded: Vec<(i32, Vec<i64>, i32, String, String)> = recorded
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4)))
        .collect();
    let (selection, operator) = ("reason undecodable".to_owned(), "tally".to_owned());
    assert_eq!(
        recorded,
        [
            (0, vec![0], 1, selection.clone(), operator.clone()),
            (1, vec![0], 1, selection, operator)
        ]
    );
    let announced =
        "SELECT sum(dead_letter_count)::bigint FROM applied_batches WHERE dead_letter_count < 0";
    assert_eq!(setup.count(announced).await, -2);

    setup.publish(0, &order("o3", "u", "1")).await;
    setup.publish(1, &order("o4", "u", "1")).await;
    setup.applied().await;
    member.stop().await;
    assert_eq!(
        setup
            .count("SELECT sum(epoch)::bigint FROM consumer_offsets")
            .await,
        epochs,
        "nobody was fenced"
    );
    setup.assert_consistent().await;
}
