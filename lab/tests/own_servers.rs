//! The laboratory's servers for faults: data outlive every kind of stop, and a frozen server answers nobody.

use std::time::Duration;

use lab::{OwnKafka, OwnPostgres, Record, Stop};

const A_WHILE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(20);
/// Enough that a session ends in the middle of one.
const FREEZES: usize = 50;

#[tokio::test]
async fn postgres_keeps_what_was_committed_through_every_stop() -> anyhow::Result<()> {
    let mut server = OwnPostgres::start(&[]).await?;
    let database = server.database().await;
    let count = async |sql: &str| {
        let client = database.client().await;
        client.batch_execute(sql).await?;
        anyhow::Ok(
            client
                .query_one("SELECT count(*) FROM purged_orders", &[])
                .await?
                .get::<_, i64>(0),
        )
    };
    let insert = "INSERT INTO purged_orders VALUES (gen_random_uuid()::text, '0123456789abcdef', 'u', 'USD', 1, 0, now())";
    assert_eq!(count(insert).await?, 1);
    server.stop(Stop::Immediate).await?;
    server.start_again().await?;
    assert_eq!(count(insert).await?, 2);
    server.stop(Stop::Fast).await?;
    server.start_again().await?;
    assert_eq!(count(insert).await?, 3);
    server.kill()?;
    server.start_again().await?;
    assert_eq!(count("").await?, 3);

    let client = database.client().await;
    server.freeze()?;
    assert!(
        tokio::time::timeout(A_WHILE, client.batch_execute(""))
            .await
            .is_err()
    );
    server.thaw()?;
    tokio::time::timeout(PATIENCE, client.batch_execute("")).await??;
    Ok(())
}

#[tokio::test]
async fn postgres_freezes_while_sessions_end_and_leaves_no_test_waiting() -> anyhow::Result<()> {
    let mut server = OwnPostgres::start(&[]).await?;
    let database = server.database().await;
    for _ in 0..FREEZES {
        drop(tokio::join!(database.client(), database.client()));
        server.freeze()?;
        server.thaw()?;
    }
    server.freeze()?;
    // Not the runtime's thread: that would be waited for.
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        drop(database);
        ended.send(())
    });
    tokio::time::timeout(2 * PATIENCE, end).await??;
    Ok(())
}

#[tokio::test]
async fn kafka_keeps_what_was_acknowledged_through_a_kill() -> anyhow::Result<()> {
    let mut broker = OwnKafka::start(&["group.min.session.timeout.ms=1000"]).await?;
    let topic = broker.topic(1).await;
    let record = Record {
        value: Some(b"kept".to_vec()),
        ..Record::default()
    };
    topic.publish(&record).await?;
    broker.kill().await?;
    broker.start_again().await?;
    assert_eq!(topic.publish(&record).await?, (0, 1));

    broker.freeze()?;
    assert!(
        tokio::time::timeout(A_WHILE, topic.publish(&record))
            .await
            .is_err()
    );
    broker.thaw()?;
    lab::eventually(PATIENCE, async || topic.publish(&record).await).await;
    Ok(())
}
