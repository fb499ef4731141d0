//! Where consuming starts, and positions that do not fit the topic any more.

use std::time::Duration;

use anyhow::ensure;
use lab::{Group, OwnKafka, TestTopic, eventually};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use crate::support::{PATIENCE, Setup, assert_exact, assert_sums, order, stopped};

/// `consumer offsets set` for partition 0.
async fn set_offset(group: &Group, to: &str, options: &[&str]) -> anyhow::Result<()> {
    let set = ["offsets", "set", "--partition", "0", "--to", to];
    let program = set
        .iter()
        .chain(options)
        .fold(group.program(), |program, argument| {
            program.argument(*argument)
        });
    let output = program.run().await?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_database_reads_from_the_beginning_whatever_kafka_has_committed() {
    let setup = Setup::new(2).await;
    setup.publish_orders(0..20).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    let committed = setup.group.topic.committed(setup.name()).await.unwrap();
    assert_eq!(committed, [Some(10), Some(10)]);

    let fresh = Setup::on(lab::database().await, setup.group.topic).await;
    let member = fresh.member(&[]);
    fresh.applied().await;
    member.stop().await;
    assert_exact(&fresh, 20).await;
}

#[tokio::test]
async fn a_broker_that_makes_topics_by_itself_does_not_choose_the_partitions() -> anyhow::Result<()>
{
    let broker = OwnKafka::start(&["auto.create.topics.enable=true"]).await?;
    let topic = TestTopic::unborn(&broker.brokers(), 3);
    let group = Group::on(lab::database().await, topic).await;
    let mut member = group.member("consumer", &[])?;
    member.ready().await;
    assert_eq!(group.topic.end_offsets().await?, [0, 0, 0]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_again_stops_its_partition_even_when_it_has_grown_past_the_position()
{
    let setup = Setup::new(1).await;
    setup.publish_orders(0..10).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    setup.group.topic.delete().await.unwrap();
    setup.group.topic.make().await.unwrap();
    setup.publish_orders(100..130).await;

    let member = setup.member(&[]);
    // It must not move; give it the time in which it would.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(setup.positions().await[&0], 10);
    assert_sums(&setup, 10).await;

    // What the message says resolves it, without a restart.
    set_offset(&setup.group, "0", &["--force"])
        .await
        .expect("forced");
    setup.applied().await;
    assert_sums(&setup, 40).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_made_again_while_it_is_consumed_stops_its_partition_and_growing_does_not_move_it()
-> anyhow::Result<()> {
    let setup = Setup::new(1).await;
    setup.publish_orders(0..10).await;
    let mut member = setup.group.member("consumer", &[])?;
    setup.applied().await;
    setup.group.topic.delete().await?;
    setup.group.topic.make().await?;
    let reason = stopped(&member, 0).await;
    assert!(
        reason.contains("consumer offsets set --partition 0 --to"),
        "{reason}"
    );
    setup.publish_orders(100..130).await;

    // A restart does not move it either, now that there is a record at its offset.
    member.stop_within(PATIENCE).await?;
    member.start()?;
    let reason = stopped(&member, 0).await;
    assert!(reason.contains("the topic was made again"), "{reason}");
    assert_eq!(setup.positions().await[&0], 10);
    set_offset(&setup.group, "0", &["--force"]).await?;
    setup.applied().await;
    member.ready().await;
    assert_sums(&setup, 40).await;
    Ok(())
}

#[tokio::test]
async fn offsets_that_the_broker_no_longer_holds_stop_their_partition_alone() -> anyhow::Result<()>
{
    let setup = Setup::new(2).await;
    setup.publish_orders(0..20).await;
    let mut member = setup.group.member("consumer", &[])?;
    setup.applied().await;
    member.stop_within(PATIENCE).await?;
    setup.publish_orders(20..60).await;
    setup.group.topic.delete_records(0, 25).await?;

    member.start()?;
    let reason = stopped(&member, 0).await;
    assert!(
        reason.contains("does not hold offset 10")
            && reason.contains("consumer offsets set --partition 0 --to"),
        "{reason}"
    );
    eventually(PATIENCE, async || {
        let positions = setup.positions().await;
        ensure!(positions[&1] == 30, "the other goes on: {positions:?}");
        Ok(())
    })
    .await;
    assert_eq!(setup.positions().await[&0], 10);

    set_offset(&setup.group, "25", &["--force"]).await?;
    setup.applied().await;
    member.ready().await;
    // Partition 0 has lost 15 of its 30 orders.
    assert_sums(&setup, 45).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_set_by_hand_is_guarded_recorded_and_gone_on_from() {
    let setup = Setup::new(1).await;
    setup.publish_orders(0..10).await;
    let member = setup.member(&[]);
    setup.applied().await;
    let refused = set_offset(&setup.group, "4", &[])
        .await
        .expect_err("the group consumes")
        .to_string();
    assert!(refused.contains("--force"), "{refused}");
    assert_eq!(setup.positions().await[&0], 10);

    set_offset(&setup.group, "4", &["--force"])
        .await
        .expect("forced");
    setup.applied().await;
    assert_sums(&setup, 10).await;
    let change = &setup
        .rows("SELECT from_offset, to_offset FROM offset_changes")
        .await[0];
    assert_eq!((change.get::<_, i64>(0), change.get::<_, i64>(1)), (10, 4));
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_records_and_aborted_orders_leave_no_lag_behind() {
    let setup = Setup::new(1).await;
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", setup.group.topic.brokers())
        .set("transactional.id", setup.group.topic.name())
        .create()
        .expect("a producer");
    producer
        .init_transactions(PATIENCE)
        .expect("the broker has transactions");
    let send = |ids: std::ops::Range<u32>| {
        producer.begin_transaction().expect("a transaction");
        for id in ids {
            let value = order(&format!("o{id}"), "u", "1.00").to_string();
            let record = BaseRecord::<str, str>::to(setup.group.topic.name()).payload(&value);
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("room in the queue");
        }
    };
    send(0..3);
    producer.commit_transaction(PATIENCE).expect("committed");
    send(100..102);
    // Else they would be dropped before they were sent.
    producer.flush(PATIENCE).expect("sent");
    producer.abort_transaction(PATIENCE).expect("aborted");

    let member = setup.member(&[]);
    setup.applied().await;
    assert_exact(&setup, 3).await;
    eventually(PATIENCE, async || {
        let position = setup.positions().await[&0];
        let all = "three orders, a marker, two orders, a marker";
        ensure!(position == 7, "{all} end at 7, not at {position}");
        anyhow::Ok(())
    })
    .await;

    // From behind the marker it goes on, and so it does after a restart.
    send(3..5);
    producer.commit_transaction(PATIENCE).expect("committed");
    setup.applied().await;
    member.stop().await;
    let member = setup.member(&[]);
    send(5..6);
    producer.commit_transaction(PATIENCE).expect("committed");
    setup.applied().await;
    member.stop().await;
    assert_exact(&setup, 6).await;
}
