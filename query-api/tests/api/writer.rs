//! Writes orders as the consumer does: everything that belongs to a batch in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use common::ids::{Currency, OrderId};
use common::order::{CompleteOrder, ContentHash, Defaults, Order};
use common::time::Timestamp;
use lab::TestDatabase;
use serde_json::{Value, json};
use tokio_postgres::{Client, Transaction};

const TOPIC: &str = "orders";
const BLOCK: i64 = 10_000;

/// The only writer of a test's database.
pub(crate) struct Writer {
    client: Client,
    positions: BTreeMap<i32, (i64, i64)>,
    orders: usize,
}

/// What a batch is made of.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) partition: i32,
    pub(crate) orders: Vec<Value>,
    pub(crate) dead_letters: i32,
}

impl Writer {
    pub(crate) async fn new(database: &TestDatabase) -> Self {
        Self {
            client: database.client().await,
            positions: BTreeMap::new(),
            orders: 0,
        }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// As `/health` shows them.
    pub(crate) fn positions(&self) -> Value {
        let position = |(partition, (batch_no, next_offset)): (&i32, &(i64, i64))| {
            (
                format!("{TOPIC}/{partition}"),
                json!({"batch_no": batch_no, "next_offset": next_offset}),
            )
        };
        Value::Object(self.positions.iter().map(position).collect())
    }

    /// One batch on partition 0.
    pub(crate) async fn commit(&mut self, orders: &[Value]) {
        self.commit_batch(Batch {
            orders: orders.to_vec(),
            ..Batch::default()
        })
        .await;
    }

    pub(crate) async fn commit_batch(&mut self, batch: Batch) {
        let (batch_no, next_offset) = self.positions.entry(batch.partition).or_default();
        *batch_no += 1;
        *next_offset += i64::try_from(batch.orders.len()).unwrap() + i64::from(batch.dead_letters);
        let position = (*batch_no, *next_offset);
        let orders: Vec<CompleteOrder> = batch
            .orders
            .iter()
            .map(|order| {
                self.orders += 1;
                complete(order, self.orders)
            })
            .collect();
        let transaction = self.client.transaction().await.unwrap();
        write_position(&transaction, batch.partition, position).await;
        write_orders(&transaction, &orders).await;
        write_sums(&transaction, batch.partition, &orders).await;
        write_dead_letters(&transaction, &batch).await;
        write_batch(&transaction, &batch, position, &orders).await;
        transaction.commit().await.unwrap();
    }
}

fn complete(order: &Value, number: usize) -> CompleteOrder {
    let normalised = Order::parse(order.to_string().as_bytes(), Timestamp::MAX).unwrap();
    let defaults = Defaults {
        order_id: OrderId::parse(&format!("order-{number}")).unwrap(),
        created_at: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
        currency: Currency::parse("USD").unwrap(),
    };
    normalised.complete(defaults)
}

async fn write_position(
    transaction: &Transaction<'_>,
    partition: i32,
    (batch_no, next_offset): (i64, i64),
) {
    const SQL: &str = "
        INSERT INTO consumer_offsets (group_id, topic, partition, next_offset, batch_no, epoch, owner)
        VALUES ('tally', $1, $2, $3, $4, 1, 'test')
        ON CONFLICT (group_id, topic, partition) DO UPDATE SET next_offset = $3, batch_no = $4";
    transaction
        .execute(SQL, &[&TOPIC, &partition, &next_offset, &batch_no])
        .await
        .unwrap();
}

async fn write_orders(transaction: &Transaction<'_>, orders: &[CompleteOrder]) {
    const NEXT: &str = "SELECT nextval('order_blocks')";
    const ORDER: &str = "
        INSERT INTO orders (order_no, order_id, user_id, currency, amount, created_at, received_at, track_number,
                            content_hash, attributes)
        VALUES ($1, $2, $3, $4, $5, $6, now(), $7, $8, $9)";
    const ITEM: &str = "
        INSERT INTO order_items (order_no, line, sku, name, quantity, unit_price, total_price, attributes)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let block: i64 = transaction.query_one(NEXT, &[]).await.unwrap().get(0);
    for (order, order_no) in orders.iter().zip(block * BLOCK..) {
        let hash = ContentHash::of(order.order_id.as_str().as_bytes());
        let attributes = (!order.attributes.is_empty()).then_some(&order.attributes);
        transaction
            .execute(
                ORDER,
                &[
                    &order_no,
                    &order.order_id.as_str(),
                    &order.user_id.as_str(),
                    &order.currency.as_str(),
                    &order.amount,
                    &order.created_at,
                    &order.track_number,
                    &hash,
                    &attributes,
                ],
            )
            .await
            .unwrap();
        for (item, line) in order.items.iter().zip(0_i32..) {
            let attributes = (!item.attributes.is_empty()).then_some(&item.attributes);
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
                &order_no,
                &line,
                &item.sku,
                &item.name,
                &item.quantity,
                &item.unit_price,
                &item.total_price,
                &attributes,
            ];
            transaction.execute(ITEM, &values).await.unwrap();
        }
        write_parts(transaction, order_no, order).await;
    }
}

async fn write_parts(transaction: &Transaction<'_>, order_no: i64, order: &CompleteOrder) {
    const DELIVERY: &str = "
        INSERT INTO deliveries (order_no, name, phone, zip, city, address, region, email, attributes)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    const PAYMENT: &str = "
        INSERT INTO payments (order_no, transaction, request_id, currency, provider, amount, payment_dt, bank,
                              delivery_cost, goods_total, custom_fee, attributes)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    if let Some(to) = &order.delivery {
        let attributes = (!to.attributes.is_empty()).then_some(&to.attributes);
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
            &order_no,
            &to.name,
            &to.phone,
            &to.zip,
            &to.city,
            &to.address,
            &to.region,
            &to.email,
            &attributes,
        ];
        transaction.execute(DELIVERY, &values).await.unwrap();
    }
    if let Some(payment) = &order.payment {
        let attributes = (!payment.attributes.is_empty()).then_some(&payment.attributes);
        let currency = payment.currency.map(|currency| currency.to_string());
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 12] = [
            &order_no,
            &payment.transaction,
            &payment.request_id,
            &currency,
            &payment.provider,
            &payment.amount,
            &payment.payment_dt,
            &payment.bank,
            &payment.delivery_cost,
            &payment.goods_total,
            &payment.custom_fee,
            &attributes,
        ];
        transaction.execute(PAYMENT, &values).await.unwrap();
    }
}

async fn write_sums(transaction: &Transaction<'_>, partition: i32, orders: &[CompleteOrder]) {
    const STATS: &str = "
        INSERT INTO user_stats (user_id, currency, order_count, total_amount, first_order_at, last_order_at)
        VALUES ($1, $2, 1, $3, $4, $4)
        ON CONFLICT (user_id, currency) DO UPDATE
           SET order_count = user_stats.order_count + 1, total_amount = user_stats.total_amount + $3,
               first_order_at = least(user_stats.first_order_at, $4),
               last_order_at = greatest(user_stats.last_order_at, $4)";
    const SALES: &str = "
        INSERT INTO sales_hourly (bucket, currency, partition, order_count, item_count, amount)
        VALUES ($1, $2, $3, 1, $4, $5)
        ON CONFLICT (bucket, currency, partition) DO UPDATE
           SET order_count = sales_hourly.order_count + 1, item_count = sales_hourly.item_count + $4,
               amount = sales_hourly.amount + $5";
    for order in orders {
        let (user_id, currency) = (order.user_id.as_str(), order.currency.as_str());
        transaction
            .execute(
                STATS,
                &[&user_id, &currency, &order.amount, &order.created_at],
            )
            .await
            .unwrap();
        let items = i64::try_from(order.items.len()).unwrap();
        let hour = order.created_at.hour();
        transaction
            .execute(
                SALES,
                &[&hour, &currency, &partition, &items, &order.amount],
            )
            .await
            .unwrap();
    }
}

async fn write_dead_letters(transaction: &Transaction<'_>, batch: &Batch) {
    const SQL: &str = "
        INSERT INTO dead_letters (group_id, topic, partition, \"offset\", reason, detail, headers)
        VALUES ('tally', $1, $2, $3, 'invalid', 'test', '{}')";
    for offset in 0..i64::from(batch.dead_letters) {
        transaction
            .execute(SQL, &[&TOPIC, &batch.partition, &offset])
            .await
            .unwrap();
    }
}

async fn write_batch(
    transaction: &Transaction<'_>,
    batch: &Batch,
    (batch_no, next_offset): (i64, i64),
    orders: &[CompleteOrder],
) {
    const SQL: &str = "
        INSERT INTO applied_batches (group_id, topic, partition, batch_no, next_offset, user_ids, buckets,
                                     dead_letter_count)
        VALUES ('tally', $1, $2, $3, $4, $5, $6, $7)";
    let user_ids: BTreeSet<&str> = orders.iter().map(|order| order.user_id.as_str()).collect();
    let buckets: BTreeSet<Timestamp> = orders.iter().map(|order| order.created_at.hour()).collect();
    let (user_ids, buckets) = (Vec::from_iter(user_ids), Vec::from_iter(buckets));
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
        &TOPIC,
        &batch.partition,
        &batch_no,
        &next_offset,
        &user_ids,
        &buckets,
        &batch.dead_letters,
    ];
    transaction.execute(SQL, &values).await.unwrap();
}
