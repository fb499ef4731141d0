//! What the views print. Amounts are exact: strings, in the compatible shapes numbers with the exact digits.

use common::ids::{Currency, UserId};
use common::order::Order;
use common::time::Timestamp;
use utoipa::ToSchema;

#[derive(ToSchema)]
pub(super) struct OrdersPage {
    orders: Vec<Order>,
    /// Null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(ToSchema)]
pub(super) struct User {
    user_id: UserId,
    currencies: Vec<UserInCurrency>,
}

#[derive(ToSchema)]
struct UserInCurrency {
    currency: Currency,
    order_count: u64,
    total_amount: String,
    /// Half-even, 4 decimals.
    average_amount: String,
    first_order_at: Timestamp,
    last_order_at: Timestamp,
}

#[derive(ToSchema)]
pub(super) struct Top {
    currency: Currency,
    by: String,
    users: Vec<Ranked>,
}

#[derive(ToSchema)]
struct Ranked {
    user_id: UserId,
    order_count: u64,
    total_amount: String,
}

#[derive(ToSchema)]
pub(super) struct Anomalies {
    currency: Currency,
    sigma: f64,
    /// Of all, also of those beyond the limit.
    count: u64,
    users: Vec<Anomaly>,
}

#[derive(ToSchema)]
struct Anomaly {
    user_id: UserId,
    order_count: u64,
    total_amount: String,
    order_anomaly: bool,
    spending_anomaly: bool,
}

#[derive(ToSchema)]
pub(super) struct Summary {
    order_count: u64,
    user_count: u64,
    dead_letter_count: u64,
    #[schema(required)]
    last_order_at: Option<Timestamp>,
    currencies: Vec<SummaryInCurrency>,
}

#[derive(ToSchema)]
struct SummaryInCurrency {
    currency: Currency,
    order_count: u64,
    user_count: u64,
    total_amount: String,
}

#[derive(ToSchema)]
pub(super) struct Sales {
    currency: Currency,
    grain: String,
    #[schema(required)]
    from: Option<Timestamp>,
    #[schema(required)]
    to: Option<Timestamp>,
    buckets: Vec<Bucket>,
}

#[derive(ToSchema)]
struct Bucket {
    /// When it begins.
    bucket: Timestamp,
    order_count: u64,
    /// Lines, not pieces.
    item_count: u64,
    amount: String,
}

#[derive(ToSchema)]
pub(super) struct SeriesOfUser {
    user_id: UserId,
    currency: Currency,
    grain: String,
    #[schema(required)]
    from: Option<Timestamp>,
    #[schema(required)]
    to: Option<Timestamp>,
    buckets: Vec<BucketOfUser>,
}

#[derive(ToSchema)]
struct BucketOfUser {
    /// When it begins.
    bucket: Timestamp,
    order_count: u64,
    amount: String,
}

#[derive(ToSchema)]
pub(super) struct ActiveUsers {
    currency: Currency,
    grain: String,
    #[schema(required)]
    from: Option<Timestamp>,
    #[schema(required)]
    to: Option<Timestamp>,
    buckets: Vec<BucketOfUsers>,
}

#[derive(ToSchema)]
struct BucketOfUsers {
    /// When it begins.
    bucket: Timestamp,
    user_count: u64,
}

#[derive(ToSchema)]
pub(super) struct Lag {
    /// Records of all partitions whose end is known; null where that is none.
    #[schema(required)]
    lag: Option<u64>,
    /// The earliest of the partitions'.
    #[schema(required)]
    read_at: Option<Timestamp>,
    partitions: Vec<LagOfPartition>,
}

#[derive(ToSchema)]
struct LagOfPartition {
    group_id: String,
    topic: String,
    partition: i32,
    /// Everything before it is applied.
    next_offset: i64,
    /// Null, as what follows from it, until a consumer has told where the partition ends.
    #[schema(required)]
    end_offset: Option<i64>,
    #[schema(required)]
    lag: Option<u64>,
    #[schema(required)]
    read_at: Option<Timestamp>,
}

#[derive(ToSchema)]
pub(super) struct TotalOrders {
    user_id: UserId,
    total_orders: u64,
    message: String,
}

#[derive(ToSchema)]
pub(super) struct TotalSpendings {
    user_id: UserId,
    total_spent: f64,
    message: String,
}

#[derive(ToSchema)]
pub(super) struct TopUser {
    user_id: UserId,
    total_orders: u64,
    total_spent: f64,
}

#[derive(ToSchema)]
pub(super) struct CompatibleAnomaly {
    user_id: UserId,
    total_orders: u64,
    total_spent: f64,
    order_anomaly: bool,
    spending_anomaly: bool,
}
