//! What an operator does by hand, by the binary's own command line, on what a consumer has left in the tables.

use lab::check::Scene;
use lab::{Program, Record};
use serde_json::{Value, json};

use crate::support::{PATIENCE, Setup, order};

/// A command's end.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its standard output, if it ended well.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    fn json_lines(self) -> Vec<Value> {
        let line = |line: &str| serde_json::from_str(line).expect("each line is JSON");
        self.ok().lines().map(line).collect()
    }
}

impl Setup {
    fn program(&self, binary: &str, arguments: &[&str]) -> Program {
        let program = Program::named(binary)
            .set("DATABASE_URL", self.group.database.url())
            .set("KAFKA_BROKERS", self.group.topic.brokers())
            .set("KAFKA_TOPIC", self.group.topic.name())
            .set("GROUP_ID", self.name());
        arguments
            .iter()
            .fold(program, |program, argument| program.argument(*argument))
    }

    pub(crate) async fn run(&self, binary: &str, arguments: &[&str]) -> Ran {
        let output = self.program(binary, arguments).run().await;
        let output = output.expect("the binary is built and ends");
        let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
        Ran {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    pub(crate) async fn dead_letters(&self, arguments: &[&str]) -> Ran {
        let arguments: Vec<_> = [&["dead-letters"], arguments].concat();
        self.run("consumer", &arguments).await
    }

    /// Whatever the tables and the topic say of each other holds.
    pub(crate) async fn assert_consistent(&self) {
        let scene = Scene {
            database: &self.group.database,
            topic: &self.group.topic,
            group: self.name(),
        };
        scene.assert_consistent().await.expect("the servers answer");
    }

    /// Publishes and waits until a consumer has applied it.
    pub(crate) async fn apply(&self, records: &[Record]) {
        self.group
            .topic
            .publish_all(records)
            .await
            .expect("the broker takes the records");
        let member = self.member(&[]);
        self.applied().await;
        member.stop().await;
    }
}

pub(crate) fn record(value: impl Into<Vec<u8>>) -> Record {
    Record {
        partition: Some(0),
        value: Some(value.into()),
        ..Record::default()
    }
}

fn numbers(letters: &[Value]) -> Vec<i64> {
    let number = |letter: &Value| letter["dead_letter_no"].as_i64().expect("a number");
    letters.iter().map(number).collect()
}

/// Escapes that set a title and a colour, as bytes and as C1 characters, and an override of the writing's direction.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[31m\u{9b}32m\u{202e}\r";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_listed_by_what_is_asked_for_and_shown_without_acting_on_the_terminal() {
    let setup = Setup::new(2).await;
    let hostile = Record {
        key: Some(HOSTILE.as_bytes().to_vec()),
        headers: vec![(HOSTILE.to_owned(), b"\xff\x1b[2J".to_vec())],
        ..record([HOSTILE.as_bytes(), b"\n\xff{"].concat())
    };
    let mut hostile_order = order("o1", "u", "-1");
    hostile_order["order_id"] = json!(HOSTILE);
    let elsewhere = Record {
        partition: Some(1),
        ..record("[]")
    };
    setup
        .apply(&[
            record(order("o1", "u", "1").to_string()),
            hostile,
            record(order("o1", "u", "2").to_string()),
            record(hostile_order.to_string()),
            elsewhere,
        ])
        .await;

    let all = setup.dead_letters(&["list", "--json"]).await.json_lines();
    assert_eq!(all.len(), 4, "{all:?}");
    for (filter, offsets) in [
        (&["--reason", "conflict"][..], &[2][..]),
        (&["--reason", "undecodable"], &[1]),
        (&["--partition", "1"], &[0]),
        (&["--order-id", "o1"], &[2]),
        (
            &["--topic", setup.group.topic.name(), "--partition", "0"],
            &[1, 2, 3],
        ),
        (&["--topic", "other"], &[]),
        (&["--group", "other"], &[]),
        (
            &["--from", "2020-01-01", "--to", "2020-01-02T00:00:00Z"],
            &[],
        ),
        (&["--from", "2020-01-01", "--partition", "0"], &[1, 2, 3]),
        (&["--replayed"], &[]),
        (&["--not-replayed", "--partition", "0"], &[1, 2, 3]),
    ] {
        let arguments = [&["list", "--json"], filter].concat();
        let mut found: Vec<i64> = setup
            .dead_letters(&arguments)
            .await
            .json_lines()
            .iter()
            .map(|letter| letter["offset"].as_i64().expect("an offset"))
            .collect();
        found.sort_unstable();
        assert_eq!(found, offsets, "{filter:?}");
    }

    let first = setup.dead_letters(&["list", "--limit", "1"]).await;
    assert!(first.stderr.contains("and 3 more"), "{}", first.stderr);
    assert_eq!(first.ok().lines().count(), 2, "a heading and a line");

    let mut printed = setup.dead_letters(&["list"]).await.ok();
    for number in numbers(&all) {
        printed += &setup
            .dead_letters(&["show", &number.to_string()])
            .await
            .ok();
    }
    let harmful: Vec<char> = printed
        .chars()
        .filter(|&c| (c.is_control() && c != '\n') || c == '\u{202e}')
        .collect();
    assert!(harmful.is_empty(), "{harmful:?} in {printed:?}");
    let shown = "\\u{1b}]0;owned\\u{7}\\u{1b}[31m\\u{9b}32m\\u{202e}\\r";
    assert!(
        printed.contains(&format!("header           {shown}: \\xff\\u{{1b}}[2J\n")),
        "{printed}"
    );
    assert!(
        printed.contains(&format!("    {shown}\n    \\xff{{\n")),
        "{printed}"
    );
    assert!(
        printed.contains("id taken by      an order of user u: 1.00 EUR, 1 items, created at 2026-01-02T03:04:05Z"),
        "{printed}"
    );
    let missing = setup.dead_letters(&["show", "999999"]).await;
    assert_eq!(missing.code, Some(1));
    assert!(
        missing.stderr.contains("no dead letter 999999"),
        "{}",
        missing.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lag_is_a_lower_bound_once_nobody_reads_the_partitions_end() {
    let setup = Setup::new(1).await;
    setup.publish(0, &order("o1", "u", "1")).await;
    let member = setup.member(&[]);
    setup.applied().await;
    let line = async || {
        let shown = setup.run("consumer", &["offsets", "show"]).await.ok();
        let line = shown.lines().nth(1).map(str::to_owned);
        line.ok_or(shown)
    };
    lab::eventually(PATIENCE, async || {
        let line = line().await?;
        let words: Vec<&str> = line.split_whitespace().collect();
        // partition, next_offset, end_offset, end_read, "ago", lag
        match words[..] {
            ["0", "1", "1", _, "ago", "0", ..] => Ok(()),
            _ => Err(line),
        }
    })
    .await;
    member.stop().await;
    setup
        .rows(
            "UPDATE consumer_progress SET read_at = read_at - interval '3 minutes', end_offset = 4",
        )
        .await;
    let line = line().await.expect("a line");
    assert!(line.contains("3m ago") && line.contains(">=3"), "{line}");
}
