//! Orders with everything that belongs to them, each by one statement: one snapshot, so that no order is ever read
//! without its items.

use std::ops::ControlFlow;

use common::ids::{OrderId, UserId};
use common::order::Order;
use common::time::Timestamp;
use tokio_postgres::types::ToSql;

use super::rows;
use super::{Repo, RepoError};

/// The number an order was stored under; later batches have larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderNo(pub i64);

impl OrderNo {
    /// Larger than any that is given out.
    pub const MAX: Self = Self(i64::MAX);
}

/// An order and its number; every field of the order but the truly optional ones is there.
#[derive(Debug, Clone)]
pub struct StoredOrder {
    pub order_no: OrderNo,
    pub created_at: Timestamp,
    pub order: Order,
}

/// The columns of orders, items, delivery and payment, in the order in which [`rows::order`] reads them; `$page` is the
/// part that says which orders.
macro_rules! select_orders {
    ($page:literal, $order:literal) => {
        concat!(
            "SELECT o.order_no, o.order_id, o.user_id, o.created_at, o.currency, o.amount, o.track_number, o.attributes,
                    i.skus, i.names, i.quantities, i.unit_prices, i.total_prices, i.attributes,
                    d.order_no IS NOT NULL, d.name, d.phone, d.zip, d.city, d.address, d.region, d.email, d.attributes,
                    p.order_no IS NOT NULL, p.transaction, p.request_id, p.currency, p.provider, p.amount, p.payment_dt,
                    p.bank, p.delivery_cost, p.goods_total, p.custom_fee, p.attributes
               FROM (SELECT order_no, order_id, user_id, created_at, currency, amount, track_number, attributes
                       FROM orders ", $page, ") AS o
               LEFT JOIN LATERAL
                    (SELECT array_agg(sku ORDER BY line) AS skus, array_agg(name ORDER BY line) AS names,
                            array_agg(quantity ORDER BY line) AS quantities,
                            array_agg(unit_price ORDER BY line) AS unit_prices,
                            array_agg(total_price ORDER BY line) AS total_prices,
                            array_agg(attributes ORDER BY line) AS attributes
                       FROM order_items WHERE order_no = o.order_no) AS i ON true
               LEFT JOIN deliveries AS d ON d.order_no = o.order_no
               LEFT JOIN payments AS p ON p.order_no = o.order_no ",
            $order
        )
    };
}

/// The order with the id `$1`.
pub const ORDER_BY_ID: &str = select_orders!("WHERE order_id = $1", "");
/// The orders with the ids of `$1`, in any order.
pub(super) const ORDERS_BY_ID: &str = select_orders!("WHERE order_id = ANY($1)", "");

impl Repo {
    /// # Errors
    /// See [`RepoError`].
    pub async fn order(&self, order_id: &OrderId) -> Result<Option<Order>, RepoError> {
        self.look_ups.order(order_id).await
    }

    /// Which of these orders are there.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn existing(&self, order_ids: &[OrderId]) -> Result<Vec<OrderId>, RepoError> {
        const SQL: &str = "SELECT order_id FROM orders WHERE order_id = ANY($1)";
        let ids: Vec<&str> = order_ids.iter().map(OrderId::as_str).collect();
        let rows = self.connections.rows(SQL, &[&ids]).await?;
        rows.iter()
            .map(|row| rows::order_id(row.try_get(0)?))
            .collect()
    }

    /// A user's orders, newest first, from the one after (`created_at`, `order_no`) on. Each goes to `take`, until that
    /// has had enough.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn orders_of_user(
        &self,
        user_id: &UserId,
        (created_at, order_no): (Timestamp, OrderNo),
        limit: i64,
        take: impl FnMut(StoredOrder) -> ControlFlow<()>,
    ) -> Result<(), RepoError> {
        const SQL: &str = select_orders!(
            "WHERE user_id = $1 AND (created_at, order_no) < ($2, $3)
             ORDER BY created_at DESC, order_no DESC LIMIT $4",
            "ORDER BY o.created_at DESC, o.order_no DESC"
        );
        self.each(
            SQL,
            &[&user_id.as_str(), &created_at, &order_no.0, &limit],
            take,
        )
        .await
    }

    /// The orders that were stored last, from the one before `order_no` on. Each goes to `take`, until that has had
    /// enough.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn newest_orders(
        &self,
        order_no: OrderNo,
        limit: i64,
        take: impl FnMut(StoredOrder) -> ControlFlow<()>,
    ) -> Result<(), RepoError> {
        const SQL: &str = select_orders!(
            "WHERE order_no < $1 ORDER BY order_no DESC LIMIT $2",
            "ORDER BY o.order_no DESC"
        );
        self.each(SQL, &[&order_no.0, &limit], take).await
    }

    /// The numbers of the orders that were stored last, the last one first.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn newest_order_numbers(&self, limit: i64) -> Result<Vec<OrderNo>, RepoError> {
        const SQL: &str = "SELECT order_no FROM orders ORDER BY order_no DESC LIMIT $1";
        let rows = self.connections.rows(SQL, &[&limit]).await?;
        rows.iter()
            .map(|row| Ok(OrderNo(row.try_get(0)?)))
            .collect()
    }

    /// These orders, in any order. Each goes to `take`, until that has had enough.
    ///
    /// # Errors
    /// See [`RepoError`].
    pub async fn orders_by_number(
        &self,
        numbers: &[OrderNo],
        take: impl FnMut(StoredOrder) -> ControlFlow<()>,
    ) -> Result<(), RepoError> {
        const SQL: &str = select_orders!("WHERE order_no = ANY($1)", "");
        let numbers: Vec<i64> = numbers.iter().map(|number| number.0).collect();
        self.each(SQL, &[&numbers], take).await
    }

    async fn each(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        mut take: impl FnMut(StoredOrder) -> ControlFlow<()>,
    ) -> Result<(), RepoError> {
        self.connections
            .each(sql, parameters, |row| Ok(take(rows::order(row)?)))
            .await
    }
}
