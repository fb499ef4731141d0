//! `consumer verify --repair`: sums that were made wrong become right again, while a consumer adds to them.

use serde_json::{Value, json};

use crate::support::{PATIENCE, Setup};

fn order(id: &str, user: &str, created_at: &str) -> Value {
    json!({
        "order_id": id, "user_id": user, "currency": "EUR", "amount": "1.25", "created_at": created_at,
        "items": [{"sku": "s", "quantity": 1, "unit_price": "1.25"}, {"sku": "t", "quantity": 1, "unit_price": "0"}],
    })
}

/// Times, counts and money, too much and too little; rows that are missing and rows that are nobody's; an hour whose
/// difference is more than one of its rows holds.
const SPOIL: &str = "
    UPDATE user_stats SET order_count = order_count + 2, total_amount = total_amount + 5.0001,
                          first_order_at = '2000-01-01Z', last_order_at = '2100-01-01Z' WHERE user_id = 'u0';
    DELETE FROM user_stats WHERE user_id = 'u1';
    UPDATE user_stats SET total_amount = 0, first_order_at = last_order_at WHERE user_id = 'u2';
    INSERT INTO user_stats VALUES ('ghost', 'EUR', 3, 3, '2026-01-01Z', '2026-01-02Z'),
                                  ('nobody', 'EUR', 1, 1, '2026-01-01Z', '2026-01-01Z');
    UPDATE sales_hourly SET order_count = order_count + 1, item_count = 0, amount = amount + 1
     WHERE bucket = '2026-01-02T03:00Z';
    INSERT INTO sales_hourly VALUES ('2026-01-02T03:00Z', 'EUR', 9, 100, 100, 100);
    DELETE FROM sales_hourly WHERE bucket = '2026-01-02T04:00Z';
    INSERT INTO sales_hourly VALUES ('1999-01-01T00:00Z', 'EUR', 0, 1, 1, 1);";

async fn publish(setup: &Setup, orders: impl IntoIterator<Item = Value>) {
    let partitions = setup.group.topic.partitions();
    let placed = orders.into_iter().zip((0..partitions).cycle());
    setup
        .publish_all(placed.map(|(order, partition)| (partition, order)))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_counts_what_was_committed_between_its_snapshot_and_its_writing() {
    let setup = Setup::new(2).await;
    let member = setup.member(&[]);
    publish(
        &setup,
        (0..40).map(|id| {
            let time = format!("2026-01-02T0{}:{:02}:00Z", 3 + id % 3, id);
            order(&format!("o{id}"), &format!("u{}", id % 5), &time)
        }),
    )
    .await;
    setup.applied().await;
    setup.client.batch_execute(SPOIL).await.expect("spoilt");
    let spoilt = setup.run("consumer", &["verify"]).await;
    assert_eq!(spoilt.code, Some(1), "{}", spoilt.stdout);

    // The repair has its snapshot and waits for the first position, as it would for a batch in flight.
    let holder = setup.group.database.client().await;
    holder
        .batch_execute("BEGIN; SELECT FROM consumer_offsets WHERE partition = 0 FOR UPDATE")
        .await
        .expect("held");
    let late = async {
        lab::eventually(PATIENCE, async || {
            let waiting = setup
                .count(
                    "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND application_name = 'tally-operator'
                        AND wait_event_type = 'Lock'",
                )
                .await;
            if waiting == 1 {
                Ok(())
            } else {
                Err("the repair does not wait")
            }
        })
        .await;
        let second = setup.run("consumer", &["verify", "--repair"]).await;
        assert_eq!(second.code, Some(1));
        assert!(
            second.stderr.contains("another repair"),
            "{}",
            second.stderr
        );
        // Every key that is wrong is added to.
        let late = [
            ("u0", "2026-01-02T03:00:01Z"),
            ("u0", "2026-01-03T00:00:00Z"),
            ("u1", "2026-01-02T04:59:00Z"),
            ("u2", "2026-01-01T00:00:00Z"),
            ("ghost", "1999-01-01T00:30:00Z"),
            ("new", "2026-01-02T03:59:00Z"),
        ];
        let late = (0..)
            .zip(late)
            .map(|(id, (user, time))| (1, order(&format!("late{id}"), user, time)));
        setup.publish_all(late).await;
        lab::eventually(PATIENCE, async || match setup.positions().await.get(&1) {
            Some(26) => Ok(()),
            position => Err(format!("partition 1 is at {position:?}")),
        })
        .await;
        holder.batch_execute("COMMIT").await.expect("released");
    };
    let (repaired, ()) = tokio::join!(setup.run("consumer", &["verify", "--repair"]), late);
    let printed = repaired.ok();
    for difference in [
        "repaired: user u0 in EUR: 10 orders, 15.0001 stored; the orders say 8, 10.00",
        "repaired: user u1 in EUR: 0 orders, 0.00 stored; the orders say 8, 10.00",
        "repaired: user nobody in EUR: 1 orders, 1.00 stored; the orders say 0, 0.00",
        "repaired: hour 1999-01-01T00:00:00Z in EUR: stored 1 orders, 1 items, 1.00; the orders say 0 orders, 0 items, 0.00",
    ] {
        assert!(printed.contains(difference), "{difference}\n{printed}");
    }
    assert!(
        printed.contains("\nEUR: 46 orders of 7 users, 57.50\nevery sum"),
        "{printed}"
    );
    member.stop().await;
    setup.run("consumer", &["verify"]).await.ok();
    setup.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repairs_in_the_middle_of_a_flood_of_orders_leave_every_sum_right() {
    let setup = Setup::new(3).await;
    let member = setup.member(&["--batch-records", "20"]);
    for round in 0..4 {
        publish(
            &setup,
            (0..600).map(|id| {
                let time = format!("2026-01-02T0{}:{:02}:00Z", 3 + id % 3, id % 60);
                order(&format!("o{round}-{id}"), &format!("u{}", id % 7), &time)
            }),
        )
        .await;
        // Again each round; what was inserted once may be there still.
        for statement in SPOIL
            .split_inclusive(';')
            .filter(|sql| !sql.contains("INSERT"))
        {
            setup.client.batch_execute(statement).await.expect("spoilt");
        }
        setup.run("consumer", &["verify", "--repair"]).await.ok();
    }
    setup.applied().await;
    member.stop().await;
    setup.run("consumer", &["verify"]).await.ok();
    setup.assert_consistent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_without_their_order_are_reported_and_left_alone() {
    let setup = Setup::new(1).await;
    publish(&setup, [order("o1", "u", "2026-01-02T03:00:00Z")]).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    setup
        .rows("INSERT INTO payments (order_no) VALUES (-1)")
        .await;
    setup.rows("UPDATE user_stats SET order_count = 7").await;
    let repaired = setup.run("consumer", &["verify", "--repair"]).await;
    assert_eq!(repaired.code, Some(1), "{}", repaired.stderr);
    assert!(
        repaired
            .stdout
            .contains("payments: 1 rows belong to no order"),
        "{}",
        repaired.stdout
    );
    assert!(
        repaired.stdout.contains("repaired: user u"),
        "{}",
        repaired.stdout
    );
    assert_eq!(setup.count("SELECT order_count FROM user_stats").await, 1);
    assert_eq!(setup.count("SELECT count(*) FROM payments").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_amount_is_named_and_once_its_row_is_gone_it_is_repaired() {
    let setup = Setup::new(1).await;
    let orders = [("o1", "u1"), ("o2", "u2"), ("o3", "u3")];
    let orders = orders.map(|(id, user)| order(id, user, "2026-01-02T03:00:00Z"));
    publish(&setup, orders).await;
    let member = setup.member(&[]);
    setup.applied().await;
    let spoil = "UPDATE user_stats SET total_amount = 'NaN' WHERE user_id = 'u1';
                 UPDATE user_stats SET total_amount = 1.00001 WHERE user_id = 'u2';
                 UPDATE sales_hourly SET amount = 'Infinity'";
    setup.client.batch_execute(spoil).await.expect("spoilt");
    let verified = setup.run("consumer", &["verify"]).await;
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    for row in [
        "user u1 in EUR: NaN is no amount of money",
        "user u2 in EUR: 1.00001 is no amount of money",
        "hour 2026-01-02T03:00:00Z in EUR of partition 0: Infinity is no amount of money",
        "3 sums are not",
    ] {
        assert!(verified.stdout.contains(row), "{row}\n{}", verified.stdout);
    }
    let left = setup.run("consumer", &["verify", "--repair"]).await;
    assert_eq!(left.code, Some(1), "{}", left.stderr);
    let gone = "DELETE FROM user_stats WHERE user_id <> 'u3'; DELETE FROM sales_hourly";
    setup.client.batch_execute(gone).await.expect("deleted");
    setup.run("consumer", &["verify", "--repair"]).await.ok();

    // An order that is none spoils its user's and its hour's recomputation, and no other.
    setup
        .rows("UPDATE orders SET amount = 'NaN' WHERE order_id = 'o3' RETURNING 1")
        .await;
    let verified = setup.run("consumer", &["verify"]).await;
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    assert!(
        verified
            .stdout
            .starts_with("order o3: NaN is no amount of money\n1 sums"),
        "{}",
        verified.stdout
    );
    member.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_finds_the_times_of_purged_orders_and_leaves_a_record() {
    let setup = Setup::new(1).await;
    let times = [
        "2026-01-02T03:00:00Z",
        "2026-01-02T04:00:00Z",
        "2026-01-02T05:00:00Z",
    ];
    let ids = ["o1", "o2", "o3"];
    let mut orders: Vec<_> = ids
        .iter()
        .zip(times)
        .map(|(id, time)| order(id, "u", time))
        .collect();
    // In another currency, and earlier than all.
    let mut other = order("o4", "u", "2026-01-01T00:00:00Z");
    other["currency"] = json!("USD");
    orders.push(other);
    publish(&setup, orders).await;
    let member = setup.member(&[]);
    setup.applied().await;
    member.stop().await;
    let purge = "
        INSERT INTO purged_orders SELECT order_id, content_hash, user_id, currency, amount, 2, created_at FROM orders
         WHERE order_id IN ('o1', 'o3');
        DELETE FROM order_items USING orders WHERE orders.order_no = order_items.order_no AND order_id IN ('o1', 'o3');
        DELETE FROM orders WHERE order_id IN ('o1', 'o3');
        UPDATE user_stats SET first_order_at = '2026-01-02T04:00Z', last_order_at = '2026-01-02T04:00Z'";
    setup.client.batch_execute(purge).await.expect("purged");
    let repaired = setup.run("consumer", &["verify", "--repair"]).await.ok();
    assert!(repaired.contains("repaired: user u in EUR"), "{repaired}");
    let kept = setup
        .rows("SELECT first_order_at::text, last_order_at::text FROM user_stats ORDER BY currency")
        .await;
    let kept: Vec<(String, String)> = kept.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert!(
        kept[0].0.contains("03:00:00") && kept[0].1.contains("05:00:00"),
        "{kept:?}"
    );
    assert!(
        kept[1].0.contains("2026-01-01") && kept[1].0 == kept[1].1,
        "{kept:?}"
    );
    let recorded = setup
        .rows("SELECT repaired_by, differences FROM repairs")
        .await;
    assert_eq!(recorded.len(), 1, "one transaction");
    assert_eq!(recorded[0].get::<_, String>(0), "tally");
    let differences: Vec<String> = recorded[0].get(1);
    assert_eq!(differences.len(), 2, "{differences:?}");
    assert!(
        differences
            .iter()
            .all(|difference| repaired.contains(difference)),
        "{differences:?}\n{repaired}"
    );
}
