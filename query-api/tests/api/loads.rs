//! Loads that are held up, with the real tables and the real feed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::ids::{OrderId, UserId};
use common::time::Timestamp;
use lab::TestDatabase;
use query_api::analytics::Live;
use query_api::cache::{Cache, Key, Origin};
use query_api::feed::Feed;
use query_api::freshness::{Freshness, FreshnessReceiver};
use query_api::repo::{OrderNo, Repo, RepoError};
use query_api::touches::{Tick, Touches};
use query_api::views::OrdersPage;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::app::waits_for_a_lock;
use crate::writer::Writer;

/// The parts of the service between the tables and HTTP.
struct Parts {
    cache: Arc<Cache>,
    repo: Repo,
    freshness: FreshnessReceiver,
    _stops_with_it: DropGuard,
}

impl Parts {
    fn start(database: &TestDatabase) -> Self {
        let touches = Arc::new(Touches::default());
        let cache = Arc::new(Cache::new(1 << 20, Arc::clone(&touches)));
        let (publish, freshness) = watch::channel(Freshness::default());
        let feed = Feed::new(
            database.config(),
            Arc::new(Live::default()),
            touches,
            Arc::clone(&cache),
            publish,
        );
        let stop = CancellationToken::new();
        tokio::spawn(feed.run(stop.clone()));
        let repo = Repo::new(database.config(), 2, Duration::from_secs(5)).unwrap();
        Self {
            cache,
            repo,
            freshness,
            _stops_with_it: stop.drop_guard(),
        }
    }

    /// The tick of the first look that is later than `before`.
    async fn tick_after(&mut self, before: Option<Tick>) -> Tick {
        let later = |freshness: &Freshness| {
            freshness
                .seen
                .as_ref()
                .is_some_and(|seen| before.is_none_or(|before| seen.tick > before))
        };
        let freshness = self.freshness.wait_for(later).await.unwrap();
        freshness.seen.as_ref().unwrap().tick
    }
}

const LIMIT: u16 = 50;

async fn read_page(repo: &Repo, user_id: &UserId) -> Result<Vec<u8>, RepoError> {
    let mut page = OrdersPage::of_user(LIMIT);
    let rows = page.rows_to_read();
    let newest = (Timestamp::MAX, OrderNo::MAX);
    repo.orders_of_user(user_id, newest, rows, |stored| page.take(stored))
        .await?;
    Ok(page.into_json())
}

fn length(page: &Bytes) -> usize {
    let page: Value = serde_json::from_slice(page).unwrap();
    page["orders"].as_array().unwrap().len()
}

/// Read, commit, store: the load is held between the first and the last.
#[tokio::test]
async fn a_load_held_open_across_a_commit_plants_nothing() {
    let database = lab::database().await;
    let mut writer = Writer::new(&database).await;
    let order = json!({"user_id": "u", "amount": 1});
    writer.commit(std::slice::from_ref(&order)).await;
    let mut parts = Parts::start(&database);
    let before = parts.tick_after(None).await;
    let user_id = UserId::parse("u").unwrap();
    let key = Key::OrdersOfUser {
        user_id: user_id.clone(),
        limit: LIMIT,
    };

    let (has_read, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let held = {
        let (cache, repo) = (Arc::clone(&parts.cache), parts.repo.clone());
        let (key, user_id) = (key.clone(), user_id.clone());
        let (has_read, go_on) = (Arc::clone(&has_read), Arc::clone(&go_on));
        tokio::spawn(async move {
            let load = || async {
                let page = read_page(&repo, &user_id).await;
                has_read.notify_one();
                go_on.notified().await;
                page
            };
            cache.answer(&key, before, load).await.unwrap().0.body
        })
    };
    has_read.notified().await;
    writer.commit(&[order]).await;
    let now = parts.tick_after(Some(before)).await;
    go_on.notify_one();
    assert_eq!(
        length(&held.await.unwrap()),
        1,
        "it began before the commit"
    );

    let load = || read_page(&parts.repo, &user_id);
    let (answer, _) = parts.cache.answer(&key, now, load).await.unwrap();
    assert_eq!(length(&answer.body), 2);
    let (answer, origin) = parts.cache.answer(&key, now, load).await.unwrap();
    assert_eq!((length(&answer.body), origin), (2, Origin::Cache));
}

/// One statement is held up; whoever asks meanwhile shares the next ones.
#[tokio::test]
async fn of_those_who_share_a_look_up_each_gets_his_own_order() {
    const ORDERS: usize = 40;
    let database = lab::database().await;
    let mut writer = Writer::new(&database).await;
    let mut orders: Vec<Value> = (0..ORDERS)
        .map(|number| json!({"order_id": format!("o{number}"), "user_id": "u", "amount": number}))
        .collect();
    orders[9]["delivery"] = json!({"city": "Kiryat Mozkin"});
    writer.commit(&orders).await;
    let mut client = database.client().await;
    let unreadable = "UPDATE orders SET amount = 'NaN' WHERE order_id = 'o7'";
    client.batch_execute(unreadable).await.unwrap();
    // As where a stored value is damaged: PostgreSQL itself fails at that row.
    let damaged = "ALTER TABLE deliveries RENAME TO intact;
                   CREATE VIEW deliveries AS SELECT * FROM intact WHERE 1 / (order_no - order_no) IS NOT NULL";
    client.batch_execute(damaged).await.unwrap();
    // Of two connections one is for lists.
    let repo = Repo::new(database.config(), 2, Duration::from_secs(5)).unwrap();
    let ask = |id: String| {
        let repo = repo.clone();
        tokio::spawn(async move {
            let answer = repo.order(&OrderId::parse(&id).unwrap()).await;
            (id, answer)
        })
    };
    let blocking = client.transaction().await.unwrap();
    let lock = "LOCK TABLE order_items IN ACCESS EXCLUSIVE MODE";
    blocking.batch_execute(lock).await.unwrap();
    let first = ask("o0".into());
    waits_for_a_lock(&database).await;
    let mut others: Vec<_> = (1..ORDERS)
        .map(|number| ask(format!("o{number}")))
        .collect();
    // One of them twice, and one that does not exist.
    others.extend([ask("o1".into()), ask("nobody".into())]);
    // One that goes away before it was answered.
    ask("o2".into()).abort();
    blocking.commit().await.unwrap();

    for asked in std::iter::once(first).chain(others) {
        let (id, answer) = asked.await.unwrap();
        match id.as_str() {
            "o7" => assert!(matches!(answer, Err(RepoError::Corrupt(_))), "{answer:?}"),
            "o9" => assert!(
                matches!(answer, Err(RepoError::Unavailable(_))),
                "{answer:?}"
            ),
            "nobody" => assert!(answer.unwrap().is_none()),
            _ => {
                let order = answer.unwrap().expect("it is there");
                assert_eq!(order.order_id.as_ref().map(OrderId::as_str), Some(&*id));
                assert_eq!(
                    order.amount.unwrap().to_string(),
                    format!("{}.00", &id[1..])
                );
            }
        }
    }
}
