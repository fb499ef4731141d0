//! What must hold when something breaks: each test stages one failure and looks at the tables afterwards.

use std::time::Duration;

use crate::support::{PATIENCE, Setup, order};
use clap::Parser;
use consumer::commands;
use consumer::config::{Cli, Command};
use lab::{Loss, Proxy};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

/// Publishes `count` orders of 1.00 each for a few users over all partitions.
async fn publish_orders(setup: &Setup, ids: std::ops::Range<u32>) {
    let orders = ids.map(|id| {
        let partition = i32::try_from(id).expect("few orders") % setup.topic.partitions();
        (
            partition,
            order(&format!("o{id}"), &format!("u{}", id % 7), "1.00"),
        )
    });
    setup.publish_all(orders).await;
}

/// `consumer offsets set` for partition 0.
async fn set_offset(setup: &Setup, to: &str, force: bool) -> anyhow::Result<()> {
    let arguments = ["consumer", "offsets", "set", "--partition", "0", "--to", to];
    let (topic, group) = (setup.topic.name(), setup.topic.name());
    let target = [
        "--database-url",
        setup.database.url(),
        "--kafka-topic",
        topic,
        "--group-id",
        group,
    ];
    let force = if force { &["--force"][..] } else { &[] };
    match Cli::parse_from(arguments.iter().chain(&target).chain(force)).command {
        Some(Command::Offsets(offsets)) => commands::offsets(offsets.command).await.map(drop),
        other => panic!("not what was asked: {other:?}"),
    }
}

/// Every order once, and every sum equal to what the orders say.
async fn assert_exact(setup: &Setup, orders: i64) {
    assert_eq!(setup.count("SELECT count(*) FROM orders").await, orders);
    assert_eq!(
        setup.count("SELECT count(*) FROM order_items").await,
        orders
    );
    assert_eq!(
        setup
            .count("SELECT sum(order_count)::bigint FROM sales_hourly")
            .await,
        orders
    );
    let wrong = setup
        .count(
            "SELECT count(*) FROM user_stats s FULL JOIN
                    (SELECT user_id, currency, count(*) AS n, sum(amount) AS total FROM orders GROUP BY 1, 2) o
                    USING (user_id, currency)
              WHERE s.order_count IS DISTINCT FROM o.n OR s.total_amount IS DISTINCT FROM o.total",
        )
        .await;
    assert_eq!(wrong, 0, "user_stats differ from the orders");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_commit_neither_repeats_nor_skips_a_batch() {
    for loss in [Loss::AfterTheAnswer, Loss::BeforeTheAnswer] {
        let setup = Setup::new(1).await;
        publish_orders(&setup, 0..50).await;
        let proxy = Proxy::start(setup.database.server_address()).await;
        proxy.lose_answer_to(b"COMMIT", loss, 3);
        let member = setup.member_at(
            &setup.database.url_through(proxy.address()),
            &["--batch-records", "10"],
        );
        setup.applied().await;
        proxy.answers_lost(3).await;
        member.stop().await;
        assert_exact(&setup, 50).await;
        // One batch number for each batch: none was applied twice.
        assert_eq!(
            setup.count("SELECT batch_no FROM consumer_offsets").await,
            5
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_database_reads_from_the_beginning_whatever_kafka_has_committed() {
    let setup = Setup::new(2).await;
    publish_orders(&setup, 0..20).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    let committed = setup.topic.committed(setup.topic.name()).await.unwrap();
    assert_eq!(committed, [Some(10), Some(10)]);

    let fresh = Setup {
        database: lab::database().await,
        ..setup
    };
    let fresh = Setup {
        client: fresh.database.client().await,
        ..fresh
    };
    let member = fresh.member(&[]);
    fresh.applied().await;
    member.stop().await;
    assert_exact(&fresh, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafkas_commits_being_behind_repeats_nothing() {
    let setup = Setup::new(1).await;
    publish_orders(&setup, 0..20).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    // What a crash between the two commits leaves behind: the database ahead of Kafka.
    setup
        .topic
        .commit(setup.topic.name(), &[Some(3)])
        .await
        .unwrap();

    publish_orders(&setup, 20..30).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    assert_exact(&setup, 30).await;
    assert_eq!(
        setup.topic.committed(setup.topic.name()).await.unwrap(),
        [Some(30)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_claim_by_somebody_else_fences_the_owner_which_claims_again() {
    let setup = Setup::new(1).await;
    publish_orders(&setup, 0..10).await;
    let member = setup.member(&[]);
    setup.applied().await;
    setup
        .rows("UPDATE consumer_offsets SET epoch = epoch + 1, owner = 'late' RETURNING 1")
        .await;
    publish_orders(&setup, 10..20).await;
    setup.applied().await;
    assert_exact(&setup, 20).await;
    assert_eq!(setup.count("SELECT epoch FROM consumer_offsets").await, 3);
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_was_made_again_stops_its_partition_even_when_it_has_grown_past_the_position()
{
    let setup = Setup::new(1).await;
    publish_orders(&setup, 0..10).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    setup.topic.delete().await.unwrap();
    setup.topic.make().await.unwrap();
    publish_orders(&setup, 100..130).await;

    let member = setup.member(&[]);
    // It must not move; give it the time in which it would.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(setup.positions().await[&0], 10);
    assert_exact(&setup, 10).await;

    // What the message says resolves it, without a restart.
    set_offset(&setup, "0", true).await.expect("forced");
    setup.applied().await;
    assert_exact(&setup, 40).await;
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_order_on_two_partitions_at_once_counts_once() {
    let setup = Setup::new(2).await;
    let same = |id: u32| order(&format!("o{id}"), "u", "1.00");
    setup
        .publish_all((0..500).flat_map(|id| [(0, same(id)), (1, same(id))]))
        .await;
    let member = setup.member(&["--batch-records", "50", "--workers", "2"]);
    setup.applied().await;
    member.stop().await;
    assert_exact(&setup, 500).await;
    assert_eq!(setup.count("SELECT count(*) FROM dead_letters").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_share_the_partitions_and_hand_them_over_while_batches_are_in_flight() {
    let setup = Setup::new(6).await;
    publish_orders(&setup, 0..600).await;
    let small = &["--batch-records", "5"];
    let first = setup.member(small);
    let second = setup.member(small);
    lab::eventually(PATIENCE, async || {
        let owners = setup
            .count("SELECT count(DISTINCT epoch) FROM consumer_offsets")
            .await;
        if owners > 0 {
            Ok(())
        } else {
            Err("nobody has claimed a partition")
        }
    })
    .await;
    publish_orders(&setup, 600..900).await;
    first.stop().await;
    setup.applied().await;
    second.stop().await;
    assert_exact(&setup, 900).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_set_by_hand_is_guarded_recorded_and_gone_on_from() {
    let setup = Setup::new(1).await;
    publish_orders(&setup, 0..10).await;
    let member = setup.member(&[]);
    setup.applied().await;
    let refused = set_offset(&setup, "4", false)
        .await
        .expect_err("the group consumes")
        .to_string();
    assert!(refused.contains("--force"), "{refused}");
    assert_eq!(setup.positions().await[&0], 10);

    set_offset(&setup, "4", true).await.expect("forced");
    setup.applied().await;
    assert_exact(&setup, 10).await;
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
        .set("bootstrap.servers", setup.topic.brokers())
        .set("transactional.id", setup.topic.name())
        .create()
        .expect("a producer");
    producer
        .init_transactions(PATIENCE)
        .expect("the broker has transactions");
    let send = |ids: std::ops::Range<u32>| {
        producer.begin_transaction().expect("a transaction");
        for id in ids {
            let value = order(&format!("o{id}"), "u", "1.00").to_string();
            let record = BaseRecord::<str, str>::to(setup.topic.name()).payload(&value);
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
    let position = setup.positions().await[&0];
    assert_eq!(position, 7, "three orders, a marker, two orders, a marker");

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
