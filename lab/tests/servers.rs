//! The laboratory's own ground: databases and topics of a test.

use lab::Record;

#[tokio::test]
async fn a_test_database_is_migrated_and_gone_afterwards() -> anyhow::Result<()> {
    let database = lab::database().await;
    let client = database.client().await;
    let row = client.query_one("SELECT count(*) FROM orders", &[]).await?;
    assert_eq!(row.get::<_, i64>(0), 0);
    let name = database.name().to_owned();
    drop(database);
    let other = lab::TestDatabase::create_empty(lab::settings::database_url()).await;
    let row = other
        .client()
        .await
        .query_one(
            "SELECT count(*) FROM pg_database WHERE datname = $1",
            &[&name],
        )
        .await?;
    assert_eq!(row.get::<_, i64>(0), 0);
    Ok(())
}

#[tokio::test]
async fn a_record_is_read_back_as_it_was_published() -> anyhow::Result<()> {
    let topic = lab::topic(3).await;
    let record = Record {
        partition: Some(2),
        key: Some(b"u1".to_vec()),
        value: Some(b"\xff\0 no json".to_vec()),
        headers: vec![("ce_id".to_owned(), b"o1".to_vec())],
    };
    assert_eq!(topic.publish(&record).await?, (2, 0));
    let tombstone = Record {
        partition: Some(2),
        ..Record::default()
    };
    assert_eq!(topic.publish(&tombstone).await?, (2, 1));

    let records = topic.records().await?;
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].partition, records[0].offset), (2, 0));
    assert_eq!(
        (&records[0].key, &records[0].value),
        (&record.key, &record.value)
    );
    assert_eq!(
        records[0].headers,
        [("ce_id".to_owned(), Some(b"o1".to_vec()))]
    );
    assert_eq!((&records[1].key, &records[1].value), (&None, &None));
    assert_eq!(topic.end_offsets().await?, [0, 0, 2]);
    assert_eq!(topic.committed("nobody").await?, [None, None, None]);
    Ok(())
}

#[tokio::test]
async fn a_topic_can_be_made_again_and_begins_at_zero() -> anyhow::Result<()> {
    let topic = lab::topic(1).await;
    topic
        .publish(&Record {
            value: Some(b"1".to_vec()),
            ..Record::default()
        })
        .await?;
    topic.delete().await?;
    lab::eventually(std::time::Duration::from_secs(10), async || {
        topic.make().await
    })
    .await;
    assert_eq!(topic.end_offsets().await?, [0]);
    Ok(())
}
