//! From rows to values. A row that breaks a rule of the domain is an error, never repaired.

use common::ids::{Currency, OrderId, UserId};
use common::money::Amount;
use common::order::{Attributes, Delivery, Item, Order, Payment};
use common::time::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::RepoError;
use super::orders::{OrderNo, StoredOrder};
use crate::analytics::{Hour, SalesRow, UserStats};

pub(super) fn order_id(text: &str) -> Result<OrderId, RepoError> {
    OrderId::parse(text).map_err(corrupt)
}

pub(super) fn currency(text: &str) -> Result<Currency, RepoError> {
    Currency::parse(text).map_err(corrupt)
}

pub(super) fn corrupt(error: impl std::fmt::Display) -> RepoError {
    RepoError::Corrupt(error.to_string())
}

/// Reads a row's columns from left to right.
struct Columns<'a> {
    row: &'a Row,
    next: usize,
}

impl<'a> Columns<'a> {
    fn next<T: FromSql<'a>>(&mut self) -> Result<T, RepoError> {
        let index = self.next;
        self.next += 1;
        self.row.try_get(index).map_err(corrupt)
    }

    fn count(&mut self) -> Result<u64, RepoError> {
        u64::try_from(self.next::<i64>()?).map_err(corrupt)
    }

    fn attributes(&mut self) -> Result<Attributes, RepoError> {
        Ok(self.next::<Option<Attributes>>()?.unwrap_or_default())
    }

    /// A column of order_items; NULL where the order has none.
    fn list<T: FromSql<'a>>(&mut self) -> Result<Vec<T>, RepoError> {
        Ok(self.next::<Option<Vec<T>>>()?.unwrap_or_default())
    }
}

/// Reads what `select_orders!` selects.
pub(super) fn order(row: &Row) -> Result<StoredOrder, RepoError> {
    let mut columns = Columns { row, next: 0 };
    let order_no = OrderNo(columns.next()?);
    let order_id = order_id(columns.next()?)?;
    let user_id = UserId::parse(columns.next()?).map_err(corrupt)?;
    let created_at: Timestamp = columns.next()?;
    let currency = currency(columns.next()?)?;
    let amount: Amount = columns.next()?;
    let track_number = columns.next()?;
    let attributes = columns.attributes()?;
    let items = items(&mut columns)?;
    let delivery = delivery(&mut columns)?;
    let payment = payment(&mut columns)?;
    let order = Order {
        order_id: Some(order_id),
        user_id,
        created_at: Some(created_at),
        currency: Some(currency),
        amount: Some(amount),
        items,
        delivery,
        payment,
        track_number,
        attributes,
    };
    Ok(StoredOrder {
        order_no,
        created_at,
        order,
    })
}

fn items(columns: &mut Columns<'_>) -> Result<Vec<Item>, RepoError> {
    let mut skus = columns.list::<Option<String>>()?.into_iter();
    let mut names = columns.list::<Option<String>>()?.into_iter();
    let quantities = columns.list::<i32>()?;
    let mut unit_prices = columns.list::<Option<Amount>>()?.into_iter();
    let mut total_prices = columns.list::<Amount>()?.into_iter();
    let mut attributes = columns.list::<Option<Attributes>>()?.into_iter();
    let item = |quantity| Item {
        sku: skus.next().flatten(),
        name: names.next().flatten(),
        quantity: Some(quantity),
        unit_price: unit_prices.next().flatten(),
        total_price: total_prices.next(),
        attributes: attributes.next().flatten().unwrap_or_default(),
    };
    Ok(quantities.into_iter().map(item).collect())
}

fn delivery(columns: &mut Columns<'_>) -> Result<Option<Delivery>, RepoError> {
    let exists: bool = columns.next()?;
    let delivery = Delivery {
        name: columns.next()?,
        phone: columns.next()?,
        zip: columns.next()?,
        city: columns.next()?,
        address: columns.next()?,
        region: columns.next()?,
        email: columns.next()?,
        attributes: columns.attributes()?,
    };
    Ok(exists.then_some(delivery))
}

fn payment(columns: &mut Columns<'_>) -> Result<Option<Payment>, RepoError> {
    let exists: bool = columns.next()?;
    let payment = Payment {
        transaction: columns.next()?,
        request_id: columns.next()?,
        currency: columns.next::<Option<&str>>()?.map(currency).transpose()?,
        provider: columns.next()?,
        amount: columns.next()?,
        payment_dt: columns.next()?,
        bank: columns.next()?,
        delivery_cost: columns.next()?,
        goods_total: columns.next()?,
        custom_fee: columns.next()?,
        attributes: columns.attributes()?,
    };
    Ok(exists.then_some(payment))
}

/// Reads user_id, currency, order_count, total_amount, first_order_at, last_order_at.
pub(super) fn user_stats(row: &Row) -> Result<(&str, Currency, UserStats), RepoError> {
    let mut columns = Columns { row, next: 0 };
    let user_id = columns.next()?;
    let currency = currency(columns.next()?)?;
    let stats = UserStats {
        order_count: columns.count()?,
        total_amount: columns.next()?,
        first_order_at: columns.next()?,
        last_order_at: columns.next()?,
    };
    Ok((user_id, currency, stats))
}

/// Reads bucket, currency, order_count, item_count, amount.
pub(super) fn sales(row: &Row) -> Result<(Hour, Currency, SalesRow), RepoError> {
    let mut columns = Columns { row, next: 0 };
    let hour = Hour::of(columns.next()?);
    let currency = currency(columns.next()?)?;
    let sales = SalesRow {
        order_count: columns.count()?,
        item_count: columns.count()?,
        amount: columns.next()?,
    };
    Ok((hour, currency, sales))
}
