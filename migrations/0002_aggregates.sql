-- Sums kept by the consumer in the transaction that writes the orders they count.

-- No index beside the key and room in every page: an update of a user's row stays in its page (a HOT update).
CREATE TABLE user_stats (
    user_id        text COLLATE "C" NOT NULL,
    currency       text COLLATE "C" NOT NULL,
    order_count    bigint      NOT NULL CHECK (order_count > 0),
    total_amount   numeric     NOT NULL CHECK (total_amount >= 0),
    first_order_at timestamptz NOT NULL,
    last_order_at  timestamptz NOT NULL CHECK (last_order_at >= first_order_at),
    PRIMARY KEY (user_id, currency)
) WITH (fillfactor = 60);

-- The Kafka partition is part of the key, so that workers on different partitions never update the same row.
CREATE TABLE sales_hourly (
    bucket      timestamptz NOT NULL CHECK (date_trunc('hour', bucket, 'UTC') = bucket),
    currency    text COLLATE "C" NOT NULL,
    partition   integer     NOT NULL,
    order_count bigint      NOT NULL CHECK (order_count > 0),
    item_count  bigint      NOT NULL CHECK (item_count >= 0),
    amount      numeric     NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (bucket, currency, partition)
) WITH (fillfactor = 60);

CREATE VIEW sales_daily AS
    SELECT date_trunc('day', bucket, 'UTC') AS bucket, currency,
           sum(order_count)::bigint AS order_count, sum(item_count)::bigint AS item_count, sum(amount) AS amount
      FROM sales_hourly GROUP BY 1, 2;
CREATE VIEW sales_monthly AS
    SELECT date_trunc('month', bucket, 'UTC') AS bucket, currency,
           sum(order_count)::bigint AS order_count, sum(item_count)::bigint AS item_count, sum(amount) AS amount
      FROM sales_hourly GROUP BY 1, 2;
CREATE VIEW sales_yearly AS
    SELECT date_trunc('year', bucket, 'UTC') AS bucket, currency,
           sum(order_count)::bigint AS order_count, sum(item_count)::bigint AS item_count, sum(amount) AS amount
      FROM sales_hourly GROUP BY 1, 2;
