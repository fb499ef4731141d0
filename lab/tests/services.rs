//! What the laboratory knows of the processes it runs.

use std::time::Duration;

use anyhow::Context;
use lab::Trio;
use lab::process::Signal;

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_process_that_ended_unasked_is_known_from_one_that_was_killed_or_stopped()
-> anyhow::Result<()> {
    let mut trio = Trio::start().await?;
    let producer = &mut trio.producer;
    assert_eq!(producer.ended_by_itself(), None);
    // Behind the laboratory's back.
    producer.process()?.signal(Signal::KILL)?;
    let status = lab::eventually(PATIENCE, async || {
        producer.ended_by_itself().context("it still runs")
    });
    assert!(!status.await.success());
    producer.start()?;
    assert_eq!(producer.ended_by_itself(), None);
    producer.kill().await?;
    assert!(producer.exit_status().is_some());
    assert_eq!(producer.ended_by_itself(), None);

    let consumer = &mut trio.consumers[0];
    assert!(consumer.stop_within(PATIENCE).await?.success());
    assert_eq!(consumer.ended_by_itself(), None);
    Ok(())
}

#[tokio::test]
async fn the_most_memory_of_a_service_outlives_the_process_that_held_it() -> anyhow::Result<()> {
    let mut trio = Trio::start().await?;
    let first = trio.consumers[0].peak_resident_bytes()?;
    trio.consumers[0].kill().await?;
    assert!(trio.consumers[0].peak_resident_bytes().is_err());
    trio.consumers[0].start()?;
    // The new process has only begun to fill its own.
    let peak = trio.consumers[0].peak_resident_bytes()?;
    assert!(peak >= first, "{peak} after {first}");
    Ok(())
}
