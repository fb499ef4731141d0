use std::pin::pin;

use futures_util::{FutureExt, StreamExt};

use super::*;

fn with_room_for(capacity: usize) -> (Publisher, Events) {
    let live = Arc::new(Live::default());
    live.replace(Some(Analytics::default()));
    events(live, Currency::parse("USD").unwrap(), capacity)
}

fn seen(tick: Tick) -> Freshness {
    let seen = Seen::new(
        tick,
        Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
        Instant::now(),
        Arc::default(),
        Arc::default(),
    );
    Freshness {
        seen: Some(Arc::new(seen)),
        database: Database::Reachable,
        totals: Totals::Loaded,
    }
}

fn tick(number: usize) -> Tick {
    let touches = Touches::default();
    for _ in 0..number {
        touches.mark([], []);
    }
    touches.now()
}

fn text(bytes: Option<Option<Bytes>>) -> String {
    String::from_utf8(bytes.unwrap().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn who_is_slow_is_sent_the_newest_state_and_nothing_in_between() {
    let (mut publisher, events) = with_room_for(1);
    publisher.publish(&seen(tick(0)));
    let mut listener = pin!(events.listen(None).unwrap());
    assert!(text(listener.next().now_or_never()).contains("\"order_count\":0"));
    for dead_letters in 1..100 {
        publisher.live.advance(|all| all.add_dead_letters(1));
        publisher.publish(&seen(tick(dead_letters)));
    }
    assert!(text(listener.next().now_or_never()).contains("\"dead_letter_count\":99"));
    assert_eq!(listener.next().now_or_never(), None);
}

#[tokio::test]
async fn who_has_the_summary_is_sent_no_second_one() {
    let (mut publisher, events) = with_room_for(2);
    publisher.publish(&seen(tick(0)));
    let mut first = pin!(events.listen(None).unwrap());
    let sent = text(first.next().now_or_never());
    let id = sent.lines().find_map(|line| line.strip_prefix("id: "));
    let id = Bytes::from(id.unwrap().to_owned());
    let mut back = pin!(events.listen(Some(id)).unwrap());
    let sent = text(back.next().now_or_never());
    assert!(sent.starts_with("event: freshness\ndata: {\"as_of\":\"2026-01-01T00:00:00Z\""));
    // Nothing that counts has changed: a tick alone is no new summary.
    publisher.publish(&seen(tick(1)));
    assert!(text(first.next().now_or_never()).starts_with("event: freshness"));
}

#[tokio::test]
async fn there_is_room_again_when_a_listener_goes() {
    let (_publisher, events) = with_room_for(1);
    let listener = events.listen(None).unwrap();
    assert!(matches!(events.listen(None), Err(TooManyListeners)));
    drop(listener);
    assert!(events.listen(None).is_ok());
}

#[tokio::test]
async fn a_stream_ends_after_a_while_and_not_before() {
    let (mut publisher, events) = with_room_for(1);
    publisher.publish(&seen(tick(0)));
    let mut listener = events.listener(None).unwrap();
    let lasts = listener.ends_at - Instant::now();
    assert!(
        lasts > Duration::from_mins(14) && lasts <= Duration::from_mins(15),
        "{lasts:?}"
    );
    assert!(listener.next().await.is_some());
    publisher.publish(&seen(tick(1)));
    listener.ends_at = Instant::now();
    assert_eq!(listener.next().await, None);
}

#[tokio::test]
async fn who_comes_before_the_first_state_waits_for_it() {
    let (mut publisher, events) = with_room_for(1);
    let mut listener = pin!(events.listen(None).unwrap());
    assert_eq!(listener.next().now_or_never(), None);
    publisher.publish(&Freshness::default());
    let sent = text(listener.next().now_or_never());
    assert!(
        sent.contains("\"as_of\":null,\"database\":\"away\""),
        "{sent}"
    );
}

#[tokio::test]
async fn every_stream_ends_with_the_publisher() {
    let (mut publisher, events) = with_room_for(2);
    publisher.publish(&seen(tick(0)));
    let mut before = pin!(events.listen(None).unwrap());
    assert!(before.next().await.is_some());
    drop(publisher);
    assert_eq!(before.next().await, None);
}

#[test]
fn changes_are_spaced_and_silence_is_short() {
    let now = seen(tick(1));
    let last = |age: Duration, tick: Tick, database: Database| Last {
        at: Some(Instant::now() - age),
        tick: Some(tick),
        database: Some(database),
    };
    let moment = Duration::from_millis(1);
    assert!(Last::default().is_due(&now));
    assert!(!last(SPACING - moment * 50, tick(0), Database::Reachable).is_due(&now));
    assert!(last(SPACING, tick(0), Database::Reachable).is_due(&now));
    assert!(last(SPACING, tick(1), Database::Away).is_due(&now));
    assert!(!last(HEARTBEAT - SPACING, tick(1), Database::Reachable).is_due(&now));
    assert!(last(HEARTBEAT, tick(1), Database::Reachable).is_due(&now));
}

#[test]
fn the_example_is_an_event_and_the_state_behind_it() {
    let example = example();
    let data: Vec<_> = example
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str::<serde_json::Value>(json).unwrap())
        .collect();
    assert_eq!(data.len(), 2, "{example}");
    assert_eq!(data[0]["order_count"], 0);
    assert_eq!(data[1]["database"], "reachable");
}
