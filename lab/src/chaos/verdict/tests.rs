//! A verdict that cannot be guilty proves nothing: each violation is planted here and has to be named.

use serde_json::json;

use super::*;
use crate::orders::Orders;

fn record(offset: i64, order_id: &str, edition: Option<u64>) -> StoredRecord {
    let mut value = json!({"order_id": order_id, "user_id": "u", "amount": "1.00"});
    if let Some(edition) = edition {
        value["attributes"] = json!({EDITION: edition});
    }
    StoredRecord {
        partition: 0,
        offset,
        timestamp: None,
        key: None,
        value: Some(value.to_string().into_bytes()),
        headers: Vec::new(),
    }
}

/// An order, the same once more, the same with other content, and one more order.
fn contents() -> Contents {
    Contents::of(&[
        record(0, "o1", None),
        record(1, "o1", None),
        record(2, "o1", Some(1)),
        record(3, "o2", Some(1)),
    ])
}

fn receipt(order_id: &str, edition: u64, offset: i64) -> Receipt {
    Receipt {
        order_id: order_id.to_owned(),
        edition,
        partition: 0,
        offset,
    }
}

fn stored(editions: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let editions = editions.iter();
    editions
        .map(|(order_id, edition)| ((*order_id).to_owned(), *edition))
        .collect()
}

#[test]
fn an_acknowledged_record_that_is_not_where_the_answer_said_is_lost() {
    let there = [
        receipt("o1", 0, 1),
        receipt("o1", 1, 2),
        receipt("o2", 1, 3),
    ];
    assert_eq!(contents().lost(&there), Vec::<String>::new());
    for elsewhere in [
        receipt("o3", 0, 0),
        receipt("o1", 0, 4),
        receipt("o1", 0, 2),
        receipt("o2", 0, 3),
    ] {
        let lost = contents().lost(std::slice::from_ref(&elsewhere));
        assert_eq!(lost.len(), 1, "{elsewhere:?}");
        assert!(
            lost[0].contains("acknowledged and not in the topic"),
            "{lost:?}"
        );
    }
}

#[test]
fn the_content_that_came_first_stands_or_the_verdict_says_so() {
    let right = stored(&[("o1", 0), ("o2", 1)]);
    assert_eq!(contents().usurped(&right), Vec::<String>::new());
    for (wrong, named) in [
        (stored(&[("o1", 1), ("o2", 1)]), "order o1: content Some(1)"),
        (stored(&[("o1", 0)]), "order o2: content None"),
    ] {
        let usurped = contents().usurped(&wrong);
        assert_eq!(usurped.len(), 1, "{usurped:?}");
        assert!(usurped[0].contains(named), "{usurped:?}");
    }
}

#[test]
fn a_record_with_other_content_than_what_stands_must_be_a_dead_letter() {
    let right = stored(&[("o1", 0), ("o2", 1)]);
    assert_eq!(contents().conflicts(&right), BTreeSet::from([(0, 2)]));
    let usurped = stored(&[("o1", 1), ("o2", 1)]);
    assert_eq!(
        contents().conflicts(&usurped),
        BTreeSet::from([(0, 0), (0, 1)])
    );
}

#[test]
fn a_process_that_held_more_than_its_bound_is_named() {
    assert_eq!(beyond("consumer-1", 150 * 1024 * 1024, 150), None);
    let named = beyond("consumer-1", 150 * 1024 * 1024 + 1, 150);
    assert_eq!(
        named.as_deref(),
        Some("consumer-1 held 151 MiB, its bound is 150")
    );
}

#[test]
fn answers_are_compared_from_all_of_a_clients_time_and_with_the_content_that_stands() {
    let mut book = Book::default();
    let orders: Vec<TestOrder> = Orders::seeded(5).take(1_000).collect();
    for order in &orders {
        book.enter(order.clone());
    }
    let mut editions: BTreeMap<String, u64> = orders
        .iter()
        .map(|order| (order.order_id.clone(), 0))
        .collect();
    let (never_landed, usurped) = (&orders[0].order_id, &orders[999].order_id);
    editions.remove(never_landed);
    editions.insert(usurped.clone(), 3);
    let compared = compared(&book, &editions);
    let place = |order: &TestOrder| {
        orders
            .iter()
            .position(|sent| sent.order_id == order.order_id)
    };
    let places: Vec<usize> = compared.iter().filter_map(place).collect();
    let (earlier, last) = places.split_at(places.len() - COMPARED);
    assert_eq!(last, Vec::from_iter(1_000 - COMPARED..1_000));
    assert!(
        earlier.len() > COMPARED / 2 && earlier[0] == 1,
        "{earlier:?}"
    );
    for (at, before) in earlier[1..].iter().zip(earlier) {
        assert!(at - before <= 1_000 / COMPARED, "{earlier:?}");
    }
    let last = compared.last().expect("there are some");
    assert_eq!(last.canonical["attributes"][EDITION], 3);
}

#[test]
fn what_was_acknowledged_must_be_stored_and_what_was_left_open_may_be() {
    let mut book = Book::default();
    let [first, second] = [0, 1].map(|skip| Orders::seeded(6).nth(skip).expect("endless"));
    book.enter(first.clone());
    book.enter(second.clone());
    let entry = book
        .orders
        .get_mut(&second.order_id)
        .expect("it was entered");
    entry.acknowledged = true;
    let expected = expected(vec![book]);
    let ids = |orders: &[TestOrder]| {
        let ids = orders.iter().map(|order| order.order_id.clone());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&expected.acknowledged), [second.order_id]);
    assert_eq!(ids(&expected.unknown), [first.order_id]);
}
