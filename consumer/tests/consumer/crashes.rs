//! A process, a broker or an answer that is lost between the transaction and what follows from it.

use anyhow::ensure;
use lab::orders::{Orders, TestOrder};
use lab::{Group, Loss, OwnKafka, Proxy, Record, eventually};

use crate::support::{PATIENCE, Setup, assert_exact};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_commit_neither_repeats_nor_skips_a_batch() {
    for loss in [Loss::AfterTheAnswer, Loss::BeforeTheAnswer] {
        let setup = Setup::new(1).await;
        setup.publish_orders(0..50).await;
        let proxy = Proxy::start(setup.group.database.server_address()).await;
        proxy.lose_answer_to(b"COMMIT", loss, 3);
        let member = setup.member_at(
            &setup.group.database.url_through(proxy.address()),
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

/// Each commit of a batch takes a second, in which its rows are locked and nobody else sees them.
const SLOW_COMMITS: &str = "
    CREATE FUNCTION lab.sleep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON applied_batches DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION lab.sleep()";

/// The session that is still committing although its client has gone, while another waits for it.
const WAITED_FOR: &str = "
    SELECT committing.pid FROM pg_stat_activity AS waiting, pg_stat_activity AS committing
     WHERE committing.datname = current_database() AND committing.query = 'COMMIT' AND committing.wait_event = 'PgSleep'
       AND committing.pid = ANY(pg_blocking_pids(waiting.pid))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_still_under_way_when_its_answer_is_lost_is_waited_for_however_it_ends() {
    for aborts in [false, true] {
        let setup = Setup::new(1).await;
        setup
            .client
            .batch_execute(SLOW_COMMITS)
            .await
            .expect("the tables are there");
        let proxy = Proxy::start(setup.group.database.server_address()).await;
        setup.publish_orders(0..20).await;
        proxy.lose_answer_to(b"COMMIT", Loss::BeforeTheAnswer, 1);
        let member = setup.member_at(
            &setup.group.database.url_through(proxy.address()),
            &["--batch-records", "10"],
        );
        proxy.answers_lost(1).await;
        let committing: i32 = eventually(PATIENCE, async || {
            let waited_for = setup.rows(WAITED_FOR).await;
            waited_for
                .first()
                .map(|row| row.get(0))
                .ok_or("the retry does not wait for the commit")
        })
        .await;
        if aborts {
            let aborted = format!("SELECT pg_terminate_backend({committing})");
            assert!(setup.rows(&aborted).await[0].get::<_, bool>(0));
        }
        setup.applied().await;
        member.stop().await;
        assert_exact(&setup, 20).await;
        assert_eq!(
            setup.count("SELECT batch_no FROM consumer_offsets").await,
            2
        );
    }
}

#[tokio::test]
async fn a_kill_between_the_databases_commit_and_kafkas_repeats_nothing() -> anyhow::Result<()> {
    let group = Group::new(2).await;
    let mut member = group.member("consumer", &[])?;
    let mut orders = Orders::seeded(61).of_users(20);
    let mut published: Vec<TestOrder> = Vec::new();
    // Kafka's offsets follow every few seconds: now and then a kill comes just after.
    let behind = loop {
        ensure!(
            published.len() < 1_000,
            "no kill came between the two commits"
        );
        member.ready().await;
        let more: Vec<TestOrder> = orders.by_ref().take(100).collect();
        group.publish(&more).await?;
        published.extend(more);
        group.quiet(PATIENCE).await?;
        member.kill().await?;
        let committed = group.topic.committed(&group.name).await?;
        let committed: i64 = committed.into_iter().flatten().sum();
        if committed < group.applied().await? {
            break committed;
        }
        member.start()?;
    };
    member.start()?;
    let more: Vec<TestOrder> = orders.take(100).collect();
    group.publish(&more).await?;
    published.extend(more);
    group.assert_exact(published, PATIENCE).await?;
    let status = member.stop_within(PATIENCE).await?;
    ensure!(status.success(), "{status}");
    let committed = group.topic.committed(&group.name).await?;
    let committed: i64 = committed.into_iter().flatten().sum();
    ensure!(
        committed == group.applied().await?,
        "Kafka had {behind} committed, and has {committed}"
    );
    Ok(())
}

#[tokio::test]
async fn a_kill_before_the_databases_commit_applies_the_batch_once() -> anyhow::Result<()> {
    let group = Group::new(1).await;
    let proxy = Proxy::start(group.database.server_address()).await;
    let url = group.database.url_through(proxy.address());
    let orders: Vec<TestOrder> = Orders::seeded(62).take(100).collect();
    group.publish(&orders).await?;
    proxy.hold_at(b"COMMIT", 1);
    let mut member = group.member("consumer", &[("DATABASE_URL", &url)])?;
    tokio::time::timeout(PATIENCE, proxy.held(1)).await?;
    member.kill().await?;
    ensure!(group.applied().await? == 0, "the commit was held back");
    member.start()?;
    group.assert_exact(orders, PATIENCE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kafkas_commits_being_behind_repeats_nothing() {
    let setup = Setup::new(1).await;
    setup.publish_orders(0..20).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    // What a crash between the two commits leaves behind: the database ahead of Kafka.
    setup
        .group
        .topic
        .commit(setup.name(), &[Some(3)])
        .await
        .unwrap();

    setup.publish_orders(20..30).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    assert_exact(&setup, 30).await;
    assert_eq!(
        setup.group.topic.committed(setup.name()).await.unwrap(),
        [Some(30)]
    );
}

#[tokio::test]
async fn a_broker_killed_in_mid_load_is_waited_for() -> anyhow::Result<()> {
    const RATE: usize = 600;
    let broker = OwnKafka::start(&[]).await?;
    let group = Group::on(lab::database().await, broker.topic(3).await).await;
    let mut member = group.member("consumer", &[("BATCH_RECORDS", "100")])?;
    let orders: Vec<TestOrder> = Orders::seeded(63).of_users(100).take(3_000).collect();
    let records: Vec<Record> = orders.iter().map(Record::of).collect();
    let topic = group.topic.clone();
    let publishing = tokio::spawn(async move { topic.publish_at(&records, RATE).await });
    group.applied_at_least(500, PATIENCE).await;
    broker.kill().await?;
    ensure!(!publishing.is_finished(), "the kill came after the load");
    broker.start_again().await?;
    publishing.await??;
    group.assert_exact(orders, PATIENCE).await?;
    ensure!(member.is_running(), "it went on by itself");
    Ok(())
}

#[tokio::test]
async fn what_is_waited_for_at_the_start_is_told_for_each_reason_and_not_for_each_attempt()
-> anyhow::Result<()> {
    let group = Group::new(1).await;
    let (database, nobody) = (
        Proxy::start(group.database.server_address()).await,
        lab::free_address().to_string(),
    );
    database.refuse();
    let url = group.database.url_through(database.address());
    let member = group.member(
        "consumer",
        &[("DATABASE_URL", &url), ("KAFKA_BROKERS", &nobody)],
    )?;
    let reasons = || {
        let log = member.log();
        let told = log
            .lines()
            .filter_map(|line| line.split_once("waiting for the servers"));
        told.map(|(_, reason)| reason.to_owned())
            .collect::<Vec<_>>()
    };
    let told_of = async |what: &str| {
        eventually(PATIENCE, async || {
            let reasons = reasons();
            let last = reasons.last();
            ensure!(last.is_some_and(|last| last.contains(what)), "{reasons:?}");
            Ok(())
        })
        .await;
    };
    told_of("connect").await;
    database.pass();
    told_of(&format!("kafka at {nobody}")).await;
    database.refuse();
    told_of("connect").await;
    let reasons = reasons();
    ensure!(
        reasons.windows(2).all(|pair| pair[0] != pair[1]),
        "the same reason twice: {reasons:?}"
    );
    Ok(())
}
