use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::ids::OrderId;
use tokio::sync::Notify;

use super::*;

const CAPACITY: u64 = 1 << 20;

fn cache() -> (Arc<Cache>, Arc<Touches>) {
    let touches = Arc::new(Touches::default());
    (
        Arc::new(Cache::new(CAPACITY, Arc::clone(&touches))),
        touches,
    )
}

fn orders_of(user_id: &str) -> Key {
    Key::OrdersOfUser {
        user_id: UserId::parse(user_id).unwrap(),
        limit: 50,
    }
}

fn order(order_id: &str) -> Key {
    Key::Order(OrderId::parse(order_id).unwrap())
}

async fn ask(cache: &Cache, key: &Key, body: &str) -> (String, Origin) {
    let load = || async { Ok::<_, ()>(body.as_bytes().to_vec()) };
    let (answer, origin) = cache.answer(key, cache.now(), load).await.unwrap();
    (String::from_utf8(answer.body.to_vec()).unwrap(), origin)
}

#[tokio::test]
async fn an_answer_is_kept_until_its_subject_is_touched() {
    let (cache, touches) = cache();
    let key = orders_of("a");
    assert_eq!(ask(&cache, &key, "1").await, ("1".into(), Origin::Load));
    assert_eq!(ask(&cache, &key, "2").await, ("1".into(), Origin::Cache));
    touches.mark(["a"], []);
    assert_eq!(ask(&cache, &key, "3").await, ("3".into(), Origin::Load));
    assert_eq!(ask(&cache, &key, "4").await, ("3".into(), Origin::Cache));
}

/// As it is where moka's upkeep stands still for a moment.
#[tokio::test]
async fn a_look_up_that_was_not_ready_is_begun_again() {
    let (cache, touches) = cache();
    let key = orders_of("a");
    let again = async |body: &str| {
        let load = || async { Ok::<_, ()>(body.as_bytes().to_vec()) };
        let asked = cache.look_or_load(None, &key, cache.now(), load).await;
        let (answer, origin) = asked.unwrap();
        (String::from_utf8(answer.body.to_vec()).unwrap(), origin)
    };
    assert_eq!(again("1").await, ("1".into(), Origin::Load));
    assert_eq!(again("2").await, ("1".into(), Origin::Cache));
    touches.mark(["a"], []);
    assert_eq!(again("3").await, ("3".into(), Origin::Load));
}

/// Retention takes orders away: nothing is constant.
#[tokio::test]
async fn an_order_is_kept_until_its_user_is_touched_or_a_gap() {
    let (cache, touches) = cache();
    let user_id = UserId::parse("u").unwrap();
    let ask = async |body: &str| {
        let load = || async {
            Ok::<_, ()>(Loaded {
                body: body.as_bytes().to_vec(),
                user: Some(cache.slot(&user_id)),
            })
        };
        let asked = cache.answer(&order("o"), cache.now(), load).await;
        String::from_utf8(asked.unwrap().0.body.to_vec()).unwrap()
    };
    assert_eq!(ask("1").await, "1");
    let other = ["a", "b"]
        .into_iter()
        .find(|other| touches.slot(other) != touches.slot("u"));
    touches.mark(other, []);
    assert_eq!(ask("2").await, "1");
    touches.mark(["u"], []);
    assert_eq!(ask("3").await, "3");
    touches.forget();
    assert_eq!(ask("4").await, "4");
}

#[tokio::test]
async fn many_who_miss_at_once_load_once() {
    let (cache, _) = cache();
    let (loads, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let askers: Vec<_> = (0..50)
        .map(|_| {
            let (cache, loads, gate) = (Arc::clone(&cache), Arc::clone(&loads), Arc::clone(&gate));
            tokio::spawn(async move {
                let load = || async {
                    loads.fetch_add(1, Ordering::SeqCst);
                    gate.notified().await;
                    Ok::<_, ()>(b"1".to_vec())
                };
                cache
                    .answer(&orders_of("a"), cache.now(), load)
                    .await
                    .unwrap()
                    .1
            })
        })
        .collect();
    while loads.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    gate.notify_one();
    let mut loaded = 0;
    for asker in askers {
        loaded += usize::from(asker.await.unwrap() == Origin::Load);
    }
    assert_eq!((loaded, loads.load(Ordering::SeqCst)), (1, 1));
}

/// The race that a cache which is told of changes loses: read, change, store.
#[tokio::test]
async fn a_load_that_read_before_a_change_plants_nothing() {
    let (cache, touches) = cache();
    let stored = Arc::new(Mutex::new("old"));
    let (read, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let before = cache.now();
    let slow = {
        let (cache, stored, read, go_on) = (
            Arc::clone(&cache),
            Arc::clone(&stored),
            Arc::clone(&read),
            Arc::clone(&go_on),
        );
        tokio::spawn(async move {
            let load = || async {
                let value = *stored.lock().unwrap();
                read.notify_one();
                go_on.notified().await;
                Ok::<_, ()>(value.as_bytes().to_vec())
            };
            cache
                .answer(&orders_of("a"), before, load)
                .await
                .unwrap()
                .0
                .body
        })
    };
    read.notified().await;
    *stored.lock().unwrap() = "new";
    touches.mark(["a"], []);
    // Who asks now has seen the change, and joins the load that has not.
    let late = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move { ask(&cache, &orders_of("a"), "new").await.0 })
    };
    tokio::task::yield_now().await;
    go_on.notify_one();
    assert_eq!(
        slow.await.unwrap(),
        "old",
        "who began before the change may see what was before it"
    );
    assert_eq!(late.await.unwrap(), "new");
    assert_eq!(
        ask(&cache, &orders_of("a"), "never loaded").await,
        ("new".into(), Origin::Cache)
    );
}

#[tokio::test]
async fn a_warm_up_that_read_before_a_change_plants_nothing() {
    let (cache, touches) = cache();
    let noted = cache.now();
    touches.mark(["a"], []);
    cache.keep(orders_of("a"), b"old".to_vec(), noted).await;
    cache
        .keep(orders_of("b"), b"untouched".to_vec(), noted)
        .await;
    assert_eq!(ask(&cache, &orders_of("a"), "new").await.0, "new");
    assert_eq!(ask(&cache, &orders_of("b"), "new").await.0, "untouched");
}

#[tokio::test]
async fn who_keeps_meeting_changes_is_answered_all_the_same() {
    let (cache, touches) = cache();
    for turn in 0..20 {
        let load = || async {
            touches.mark(["a"], []);
            Ok::<_, ()>(turn.to_string().into_bytes())
        };
        let (answer, origin) = cache
            .answer(&orders_of("a"), cache.now(), load)
            .await
            .unwrap();
        assert_eq!(
            (answer.body.as_ref(), origin),
            (turn.to_string().as_bytes(), Origin::Load)
        );
    }
}

#[tokio::test]
async fn what_is_not_found_is_asked_again() {
    let (cache, _) = cache();
    let unknown = cache
        .answer(&order("o"), cache.now(), || async {
            Err::<Vec<u8>, _>("unknown")
        })
        .await;
    assert_eq!(unknown.unwrap_err().error, "unknown");
    assert_eq!(
        ask(&cache, &order("o"), "here").await,
        ("here".into(), Origin::Load)
    );
}

#[tokio::test]
async fn the_cache_stays_within_its_bytes() {
    let (cache, _) = cache();
    for number in 0..5_000 {
        cache
            .keep(order(&format!("o{number}")), vec![b'x'; 2_000], cache.now())
            .await;
    }
    cache.answers.run_pending_tasks().await;
    let bytes = cache.weighted_bytes();
    assert!(bytes <= CAPACITY && bytes > CAPACITY / 2, "{bytes}");
}

/// Not to be there is an answer too, and may be as old.
#[tokio::test]
async fn who_has_seen_a_change_is_not_told_that_there_was_nothing_before_it() {
    let (cache, touches) = cache();
    let (read, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let before = cache.now();
    let early = {
        let (cache, read, go_on) = (Arc::clone(&cache), Arc::clone(&read), Arc::clone(&go_on));
        tokio::spawn(async move {
            let load = || async {
                read.notify_one();
                go_on.notified().await;
                Err::<Vec<u8>, _>("unknown")
            };
            cache.answer(&order("o"), before, load).await.is_err()
        })
    };
    read.notified().await;
    let seen = touches.mark(["a"], []);
    let late = {
        let cache = Arc::clone(&cache);
        tokio::spawn(async move {
            let load = || async { Ok::<_, &str>(b"here".to_vec()) };
            cache.answer(&order("o"), seen, load).await.unwrap().0.body
        })
    };
    tokio::task::yield_now().await;
    go_on.notify_one();
    assert!(early.await.unwrap());
    assert_eq!(late.await.unwrap(), "here");
}
