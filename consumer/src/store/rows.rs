//! The rows of new orders, of what belongs to them, and of dead letters.

use common::ids::{Currency, OrderId, Partition};
use common::order::{Attributes, CompleteItem, Delivery, Payment};
use deadpool_postgres::Transaction;
use postgres_types::Type;

use super::copy::Rows;
use super::error::{Part, StoreError};
use crate::dead_letters::DeadLetter;
use crate::decode::ReceivedOrder;

/// A new order under the number that its rows share.
#[derive(Clone, Copy)]
pub(super) struct NumberedOrder<'b> {
    pub(super) order_no: i64,
    pub(super) received: &'b ReceivedOrder,
}

const INT4: Type = Type::INT4;
const INT8: Type = Type::INT8;
const TEXT: Type = Type::TEXT;
const BYTEA: Type = Type::BYTEA;
const JSONB: Type = Type::JSONB;
const NUMERIC: Type = Type::NUMERIC;
const TIMESTAMPTZ: Type = Type::TIMESTAMPTZ;

/// Most orders have none: a NULL is a bit.
fn stored(attributes: &Attributes) -> Option<&Attributes> {
    (!attributes.is_empty()).then_some(attributes)
}

pub(super) async fn copy_new_orders(
    tx: &Transaction<'_>,
    orders: &[NumberedOrder<'_>],
) -> Result<(), StoreError> {
    copy_orders(tx, orders).await?;
    copy_items(tx, orders).await?;
    copy_deliveries(tx, orders).await?;
    copy_payments(tx, orders).await
}

/// In the order of their ids, so that two transactions that carry the same new ids meet instead of deadlocking.
async fn copy_orders(tx: &Transaction<'_>, orders: &[NumberedOrder<'_>]) -> Result<(), StoreError> {
    const SQL: &str = "
        COPY orders (order_no, order_id, user_id, currency, amount, created_at, received_at, track_number,
                     content_hash, attributes)
        FROM STDIN (FORMAT binary)";
    let mut sorted = orders.to_vec();
    sorted.sort_unstable_by_key(|order| order.received.order.order_id.as_str());
    let types = [
        INT8,
        TEXT,
        TEXT,
        TEXT,
        NUMERIC,
        TIMESTAMPTZ,
        TIMESTAMPTZ,
        TEXT,
        BYTEA,
        JSONB,
    ];
    let mut rows = Rows::new(types);
    for NumberedOrder { order_no, received } in &sorted {
        let order = &received.order;
        rows.push([
            order_no,
            &order.order_id.as_str(),
            &order.user_id.as_str(),
            &order.currency.as_str(),
            &order.amount,
            &order.created_at,
            &received.received_at,
            &order.track_number,
            &received.content_hash,
            &stored(&order.attributes),
        ]);
    }
    rows.send(tx, Part::Orders, SQL).await
}

async fn copy_items(tx: &Transaction<'_>, orders: &[NumberedOrder<'_>]) -> Result<(), StoreError> {
    const SQL: &str = "
        COPY order_items (order_no, line, sku, name, quantity, unit_price, total_price, attributes)
        FROM STDIN (FORMAT binary)";
    let mut rows = Rows::new([INT8, INT4, TEXT, TEXT, INT4, NUMERIC, NUMERIC, JSONB]);
    for NumberedOrder { order_no, received } in orders {
        for (item, line) in received.order.items.iter().zip(0_i32..) {
            let CompleteItem {
                sku,
                name,
                quantity,
                unit_price,
                total_price,
                attributes,
            } = item;
            rows.push([
                order_no,
                &line,
                sku,
                name,
                quantity,
                unit_price,
                total_price,
                &stored(attributes),
            ]);
        }
    }
    rows.send(tx, Part::Orders, SQL).await
}

async fn copy_deliveries(
    tx: &Transaction<'_>,
    orders: &[NumberedOrder<'_>],
) -> Result<(), StoreError> {
    const SQL: &str = "
        COPY deliveries (order_no, name, phone, zip, city, address, region, email, attributes)
        FROM STDIN (FORMAT binary)";
    let mut rows = Rows::new([INT8, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, JSONB]);
    for NumberedOrder { order_no, received } in orders {
        let Some(delivery) = &received.order.delivery else {
            continue;
        };
        let Delivery {
            name,
            phone,
            zip,
            city,
            address,
            region,
            email,
            attributes,
        } = delivery;
        rows.push([
            order_no,
            name,
            phone,
            zip,
            city,
            address,
            region,
            email,
            &stored(attributes),
        ]);
    }
    rows.send(tx, Part::Orders, SQL).await
}

async fn copy_payments(
    tx: &Transaction<'_>,
    orders: &[NumberedOrder<'_>],
) -> Result<(), StoreError> {
    const SQL: &str = "
        COPY payments (order_no, transaction, request_id, currency, provider, amount, payment_dt, bank,
                       delivery_cost, goods_total, custom_fee, attributes)
        FROM STDIN (FORMAT binary)";
    let types = [
        INT8, TEXT, TEXT, TEXT, TEXT, NUMERIC, INT8, TEXT, NUMERIC, NUMERIC, NUMERIC, JSONB,
    ];
    let mut rows = Rows::new(types);
    for NumberedOrder { order_no, received } in orders {
        let Some(payment) = &received.order.payment else {
            continue;
        };
        let Payment {
            transaction,
            request_id,
            currency,
            provider,
            amount,
            payment_dt,
            bank,
            delivery_cost,
            goods_total,
            custom_fee,
            attributes,
        } = payment;
        rows.push([
            order_no,
            transaction,
            request_id,
            &currency.as_ref().map(Currency::as_str),
            provider,
            amount,
            payment_dt,
            bank,
            delivery_cost,
            goods_total,
            custom_fee,
            &stored(attributes),
        ]);
    }
    rows.send(tx, Part::Orders, SQL).await
}

pub(super) async fn copy_dead_letters(
    tx: &Transaction<'_>,
    group_id: &str,
    topic: &str,
    partition: Partition,
    dead_letters: &[&DeadLetter],
) -> Result<(), StoreError> {
    const SQL: &str = r#"
        COPY dead_letters (group_id, topic, partition, "offset", record_timestamp, reason, detail, order_id, key, value,
                           headers)
        FROM STDIN (FORMAT binary)"#;
    let types = [
        TEXT,
        TEXT,
        INT4,
        INT8,
        TIMESTAMPTZ,
        TEXT,
        TEXT,
        TEXT,
        BYTEA,
        BYTEA,
        Type::BYTEA_ARRAY,
    ];
    let mut rows = Rows::new(types);
    for letter in dead_letters {
        let headers: Vec<Option<&[u8]>> = letter
            .headers
            .iter()
            .flat_map(|(name, value)| [Some(name.as_slice()), value.as_deref()])
            .collect();
        rows.push([
            &group_id,
            &topic,
            &partition.0,
            &letter.offset.0,
            &letter.record_timestamp,
            &letter.reason.as_str(),
            &letter.detail,
            &letter.order_id.as_ref().map(OrderId::as_str),
            &letter.key,
            &letter.value,
            &headers,
        ]);
    }
    rows.send(tx, Part::Bookkeeping, SQL).await
}
