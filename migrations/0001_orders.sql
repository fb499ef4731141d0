-- Orders and what belongs to them. One consumer transaction writes a batch's rows into all four tables.

-- order_no comes in blocks of 10,000 (the most orders one batch may hold): a batch takes one number from here
-- and numbers its orders itself, so that children can be copied without reading ids back.
CREATE SEQUENCE order_blocks AS bigint;

CREATE TABLE orders (
    order_no     bigint         PRIMARY KEY,
    order_id     text COLLATE "C" NOT NULL CONSTRAINT orders_order_id_key UNIQUE,
    user_id      text COLLATE "C" NOT NULL,
    currency     text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount       numeric(19, 4) NOT NULL CHECK (amount >= 0),
    created_at   timestamptz    NOT NULL CHECK (created_at >= '1970-01-01T00:00:00Z'),
    received_at  timestamptz    NOT NULL,
    track_number text,
    content_hash bytea          NOT NULL CHECK (length(content_hash) = 16),
    attributes   jsonb
);
CREATE INDEX orders_by_user ON orders (user_id, created_at DESC, order_no DESC);

-- The children's foreign keys are declared and not enforced: parent and children are written by one transaction of
-- the only writer, enforcing them nearly doubles the cost of a write, and `consumer verify` looks for orphans.
CREATE TABLE order_items (
    order_no    bigint         NOT NULL,
    line        integer        NOT NULL CHECK (line >= 0),
    sku         text,
    name        text,
    quantity    integer        NOT NULL CHECK (quantity >= 1),
    unit_price  numeric(19, 4) CHECK (unit_price >= 0),
    total_price numeric(19, 4) NOT NULL CHECK (total_price >= 0),
    attributes  jsonb,
    PRIMARY KEY (order_no, line),
    FOREIGN KEY (order_no) REFERENCES orders NOT ENFORCED,
    CHECK (sku IS NOT NULL OR name IS NOT NULL)
);

CREATE TABLE deliveries (
    order_no   bigint PRIMARY KEY,
    name       text,
    phone      text,
    zip        text,
    city       text,
    address    text,
    region     text,
    email      text,
    attributes jsonb,
    FOREIGN KEY (order_no) REFERENCES orders NOT ENFORCED
);

CREATE TABLE payments (
    order_no      bigint PRIMARY KEY,
    transaction   text,
    request_id    text,
    currency      text COLLATE "C" CHECK (currency ~ '^[A-Z]{3}$'),
    provider      text,
    amount        numeric(19, 4) CHECK (amount >= 0),
    payment_dt    bigint,
    bank          text,
    delivery_cost numeric(19, 4) CHECK (delivery_cost >= 0),
    goods_total   numeric(19, 4) CHECK (goods_total >= 0),
    custom_fee    numeric(19, 4) CHECK (custom_fee >= 0),
    attributes    jsonb,
    FOREIGN KEY (order_no) REFERENCES orders NOT ENFORCED
);

-- What remains of an order that retention removed: enough to keep every total, and to block a second count.
CREATE TABLE purged_orders (
    order_id     text COLLATE "C" PRIMARY KEY,
    content_hash bytea          NOT NULL CHECK (length(content_hash) = 16),
    user_id      text COLLATE "C" NOT NULL,
    currency     text COLLATE "C" NOT NULL,
    amount       numeric(19, 4) NOT NULL,
    item_count   integer        NOT NULL,
    created_at   timestamptz    NOT NULL,
    purged_at    timestamptz    NOT NULL DEFAULT now()
);
