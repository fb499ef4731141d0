//! Processes and servers that die in mid-load. Afterwards every acknowledged order is there once, and every sum is right.

use lab::check::Expected;
use lab::ledger::Ledger;
use lab::orders::{self, Orders, TestOrder};
use lab::{Loss, OwnPostgres, Proxy, Stop, Trio, answers};
use rand::RngExt;

use crate::PATIENCE;

const ORDERS: usize = 12_000;
/// Slow enough that the load outlasts what is done to it.
const RATE: &str = "--rate=3000";

fn orders(seed: u64) -> Vec<TestOrder> {
    Orders::seeded(seed).of_users(300).take(ORDERS).collect()
}

/// Points of a load, in order, as numbers of records: none at its very end.
fn moments(seed: u64, count: usize) -> Vec<i64> {
    let mut random = orders::choices(seed);
    let mut moments: Vec<i64> = (0..count)
        .map(|_| random.random_range(100..9_000))
        .collect();
    moments.sort_unstable();
    moments
}

/// The load is done: everything is applied, every answer equals the ledger's, nothing is violated.
async fn assert_exact(trio: &Trio, orders: Vec<TestOrder>) -> anyhow::Result<()> {
    trio.quiet(PATIENCE).await?;
    answers::assert_equal(trio, &Ledger::of(&orders), &orders[..50]).await?;
    trio.scene()
        .assert_clean(&Expected::acknowledged(orders))
        .await
}

#[tokio::test]
async fn a_consumer_killed_again_and_again_in_mid_load_counts_every_order_once()
-> anyhow::Result<()> {
    // Small batches: each kill meets one at some point of its transaction.
    let mut trio = Trio::plan().set("BATCH_RECORDS", 100).start().await?;
    let orders = orders(21);
    let loading = trio.loading(&orders::file(&orders)?, &[RATE]);
    for moment in moments(21, 4) {
        trio.applied_at_least(moment, PATIENCE).await;
        trio.consumers[0].kill().await?;
        assert!(
            trio.applied().await? < i64::try_from(ORDERS)?,
            "the kill came too late to be in mid-load"
        );
        trio.consumers[0].start()?;
    }
    loading.await??.accepted_all(ORDERS)?;
    assert_exact(&trio, orders).await
}

#[tokio::test]
async fn a_query_api_killed_in_mid_load_comes_back_with_the_same_totals() -> anyhow::Result<()> {
    let mut trio = Trio::start().await?;
    let orders = orders(22);
    let loading = trio.loading(&orders::file(&orders)?, &[RATE]);
    for moment in moments(22, 3) {
        trio.applied_at_least(moment, PATIENCE).await;
        trio.query_api.kill().await?;
        trio.query_api.start()?;
        trio.query_api.ready().await;
    }
    loading.await??.accepted_all(ORDERS)?;
    assert_exact(&trio, orders).await
}

#[tokio::test]
async fn a_postgres_that_crashes_in_mid_load_is_waited_for() -> anyhow::Result<()> {
    let server = OwnPostgres::start(&[]).await?;
    let mut trio = Trio::plan()
        .database(server.database().await)
        .start()
        .await?;
    let orders = orders(23);
    let loading = trio.loading(&orders::file(&orders)?, &[RATE]);
    for moment in moments(23, 2) {
        trio.applied_at_least(moment, PATIENCE).await;
        server.stop(Stop::Immediate).await?;
        server.start_again().await?;
    }
    loading.await??.accepted_all(ORDERS)?;
    trio.ready().await;
    assert_exact(&trio, orders).await
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_neither_repeated_nor_skipped() -> anyhow::Result<()> {
    for loss in [Loss::AfterTheAnswer, Loss::BeforeTheAnswer] {
        let database = lab::database().await;
        let proxy = Proxy::start(database.server_address()).await;
        let url = database.url_through(proxy.address());
        let plan = Trio::plan().database(database).consumers_database_url(url);
        let trio = plan.set("BATCH_RECORDS", 100).start().await?;
        let orders = orders(24);
        let loading = trio.loading(&orders::file(&orders)?, &[RATE]);
        trio.applied_at_least(200, PATIENCE).await;
        proxy.lose_answer_to(b"COMMIT", loss, 10);
        tokio::time::timeout(PATIENCE, proxy.answers_lost(10)).await?;
        loading.await??.accepted_all(ORDERS)?;
        assert_exact(&trio, orders).await?;
    }
    Ok(())
}
