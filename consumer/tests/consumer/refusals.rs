//! Records that cannot be applied, and failures that are not theirs.

use anyhow::ensure;
use lab::check::Expected;
use lab::orders::{Orders, TestOrder};
use lab::{Group, Record};
use serde_json::{Value, json};

use crate::support::{PATIENCE, stopped};

/// Rules of this test's database alone, which an order that was read well can break.
const RULES: &str = "
    ALTER TABLE orders ADD CONSTRAINT no_thirteen CHECK (amount <> 13);
    ALTER TABLE order_items ADD CONSTRAINT no_contraband CHECK (sku <> 'contraband');
    CREATE FUNCTION lab.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.track_number = 'overflow' THEN RAISE numeric_value_out_of_range; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION lab.refuse()";

/// One order for each rule, in turn.
fn refused(number: usize) -> Value {
    let id = format!("refused-{number}");
    match number % 3 {
        0 => json!({"order_id": id, "user_id": "u", "amount": "13.00"}),
        1 => json!({"order_id": id, "user_id": "u", "items": [{"sku": "contraband", "price": 1}]}),
        _ => json!({"order_id": id, "user_id": "u", "amount": 1, "track_number": "overflow"}),
    }
}

fn record(value: &Value) -> Record {
    Record {
        key: Some(b"u".to_vec()),
        value: Some(value.to_string().into_bytes()),
        headers: vec![("origin".to_owned(), b"test".to_vec())],
        ..Record::default()
    }
}

/// A topic of one partition, and a database with more rules than its own.
async fn group(rules: &str) -> anyhow::Result<Group> {
    let group = Group::new(1).await;
    group.database.client().await.batch_execute(rules).await?;
    Ok(group)
}

/// Publishes good orders with records at some offsets that are none, and expects just those to be dead letters.
async fn mixed(
    group: &Group,
    good: Vec<TestOrder>,
    bad: &[(i64, Record, &str)],
) -> anyhow::Result<()> {
    let mut expected = Expected::default();
    let mut records: Vec<Record> = good.iter().map(Record::of).collect();
    for (offset, record, reason) in bad {
        records.insert(usize::try_from(*offset)?, record.clone());
        expected = expected.dead_letter((0, *offset), reason);
    }
    expected.acknowledged = good;
    group.topic.publish_all(&records).await?;
    let member = group.member("consumer", &[])?;
    group.quiet(PATIENCE).await?;
    group.scene().assert_clean(&expected).await?;
    // Whatever way it took: each record was counted as what it became.
    let metrics = member.metrics().await?;
    for (outcome, count) in [
        ("new", expected.acknowledged.len()),
        (
            "refused",
            bad.iter()
                .filter(|(_, _, reason)| *reason == "refused")
                .count(),
        ),
    ] {
        let counted = metrics.sum("consumer_outcomes_total", &[("outcome", outcome)]);
        ensure!(counted == count as f64, "{counted} {outcome} of {count}");
    }
    Ok(())
}

#[tokio::test]
async fn records_that_only_the_database_refuses_are_found_first_last_and_side_by_side()
-> anyhow::Result<()> {
    let group = group(RULES).await?;
    let good = Orders::seeded(81).take(60).collect();
    let bad: Vec<_> = [0, 17, 18, 19, 40, 65]
        .into_iter()
        .enumerate()
        .map(|(number, offset)| (offset, record(&refused(number)), "refused"))
        .collect();
    mixed(&group, good, &bad).await?;
    let client = group.database.client().await;
    let details = client
        .query("SELECT detail FROM dead_letters ORDER BY \"offset\"", &[])
        .await?;
    for (row, sqlstate) in details
        .iter()
        .zip(["23514", "23514", "22003"].iter().cycle())
    {
        let detail: &str = row.get(0);
        ensure!(detail.contains(sqlstate), "{detail}");
    }
    Ok(())
}

#[tokio::test]
async fn a_batch_of_nothing_but_refused_records_is_passed_over_and_kept() -> anyhow::Result<()> {
    let group = group(RULES).await?;
    let bad: Vec<_> = (0..40)
        .zip(0..)
        .map(|(offset, number)| (offset, record(&refused(number)), "refused"))
        .collect();
    let good = Orders::seeded(82).take(3).collect();
    mixed(&group, good, &bad).await
}

#[tokio::test]
async fn poison_first_and_last_in_a_batch_takes_no_neighbour_along() -> anyhow::Result<()> {
    let group = Group::new(1).await;
    let poison = |value: &[u8]| Record {
        value: Some(value.to_vec()),
        ..record(&Value::Null)
    };
    let good = Orders::seeded(83).take(20).collect();
    let bad = [
        (0, poison(b"\xff{"), "undecodable"),
        (21, poison(b"[]"), "invalid"),
    ];
    mixed(&group, good, &bad).await
}

/// A failure that is not a record's fault: the partition stops and says `reason`, nothing is set aside, and once it is mended
/// a restart goes on.
async fn stops_and_condemns_nobody(fault: &str, mend: &str, reason: &str) -> anyhow::Result<()> {
    let group = Group::new(1).await;
    let client = group.database.client().await;
    let mut orders = Orders::seeded(84).of_users(1);
    let mut published: Vec<TestOrder> = orders.by_ref().take(20).collect();
    group.publish(&published).await?;
    let mut member = group.member("consumer", &[])?;
    group.quiet(PATIENCE).await?;
    client.batch_execute(fault).await?;
    let more: Vec<TestOrder> = orders.take(20).collect();
    group.publish(&more).await?;
    published.extend(more);

    let told = stopped(&member, 0).await;
    ensure!(told.contains(reason), "{told}");
    ensure!(group.applied().await? == 20, "it stands where it was");
    let dead: i64 = client
        .query_one("SELECT count(*) FROM dead_letters", &[])
        .await?
        .get(0);
    ensure!(dead == 0, "{dead} records were condemned");

    client.batch_execute(mend).await?;
    member.stop_within(PATIENCE).await?;
    member.start()?;
    group.assert_exact(published, PATIENCE).await
}

#[tokio::test]
async fn a_sum_that_the_database_refuses_condemns_no_record() -> anyhow::Result<()> {
    stops_and_condemns_nobody(
        "ALTER TABLE user_stats ADD CONSTRAINT few CHECK (order_count < 20) NOT VALID",
        "ALTER TABLE user_stats DROP CONSTRAINT few",
        "23514",
    )
    .await
}

#[tokio::test]
async fn a_number_that_is_taken_condemns_no_order() -> anyhow::Result<()> {
    stops_and_condemns_nobody(
        "ALTER SEQUENCE order_blocks RESTART",
        // As the message says.
        "SELECT setval('order_blocks', max(order_no) / 10000 + 1) FROM orders",
        "SELECT setval('order_blocks', max(order_no) / 10000 + 1) FROM orders",
    )
    .await
}

#[tokio::test]
async fn a_flood_of_poison_stops_its_partition_loudly_and_a_restart_reads_on() -> anyhow::Result<()>
{
    let group = Group::new(1).await;
    let poison = (0..25).map(|number| Record {
        value: Some(format!("poison {number}").into_bytes()),
        ..record(&Value::Null)
    });
    let good: Vec<TestOrder> = Orders::seeded(85).take(5).collect();
    let records: Vec<Record> = poison.chain(good.iter().map(Record::of)).collect();
    group.topic.publish_all(&records).await?;
    let mut member = group.member("consumer", &[("MAX_CONSECUTIVE_POISON", "10")])?;
    for end in [10, 20] {
        let reason = stopped(&member, 0).await;
        ensure!(reason.contains("a restart reads on"), "{reason}");
        ensure!(
            group.applied().await? == end,
            "{:?}",
            group.positions().await
        );
        let stopped = member
            .metrics()
            .await?
            .sum("consumer_stopped_partitions", &[]);
        ensure!(stopped == 1.0, "{stopped} partitions are stopped");
        ensure!(member.log().contains("ERROR"), "the log is loud");
        member.stop_within(PATIENCE).await?;
        member.start()?;
    }
    group.quiet(PATIENCE).await?;
    let expected = (0..25).fold(Expected::acknowledged(good), |expected, offset| {
        expected.dead_letter((0, offset), "undecodable")
    });
    group.scene().assert_clean(&expected).await
}
