-- The consumer's position, what it set aside, and what it tells the query API.

-- The truth about how far a partition was applied; Kafka's committed offsets only follow it.
CREATE TABLE consumer_offsets (
    group_id           text COLLATE "C" NOT NULL,
    topic              text COLLATE "C" NOT NULL,
    partition          integer     NOT NULL CHECK (partition >= 0),
    next_offset        bigint      NOT NULL CHECK (next_offset >= 0),
    batch_no           bigint      NOT NULL DEFAULT 0,
    epoch              bigint      NOT NULL,  -- grows with every claim: a writer with an older one is fenced
    owner              text        NOT NULL,
    last_record_offset bigint,                -- the newest record below next_offset, and its fingerprint:
    last_record_hash   bytea,                 -- a topic that was recreated holds another record there, or none
    claimed_at         timestamptz NOT NULL DEFAULT now(),
    committed_at       timestamptz,
    PRIMARY KEY (group_id, topic, partition),
    CHECK ((last_record_offset IS NULL) = (last_record_hash IS NULL)),
    CHECK (last_record_offset < next_offset)
) WITH (fillfactor = 20);

-- The broker's end offset as last seen by the partition's owner, for lag.
CREATE TABLE consumer_progress (
    group_id   text COLLATE "C" NOT NULL,
    topic      text COLLATE "C" NOT NULL,
    partition  integer     NOT NULL,
    end_offset bigint      NOT NULL,
    read_at    timestamptz NOT NULL,
    PRIMARY KEY (group_id, topic, partition)
) WITH (fillfactor = 20);

-- The change feed: one row a committed batch. batch_no is contiguous per partition, so that a reader sees a gap.
CREATE TABLE applied_batches (
    group_id          text COLLATE "C" NOT NULL,
    topic             text COLLATE "C" NOT NULL,
    partition         integer       NOT NULL,
    batch_no          bigint        NOT NULL,
    next_offset       bigint        NOT NULL,
    user_ids          text[]        NOT NULL,  -- whose statistics and orders the batch touched
    buckets           timestamptz[] NOT NULL,  -- which rows of sales_hourly
    dead_letter_count integer       NOT NULL,  -- how many dead letters it added (negative: removed)
    applied_at        timestamptz   NOT NULL DEFAULT now(),
    PRIMARY KEY (group_id, topic, partition, batch_no)
);
CREATE INDEX applied_batches_by_age ON applied_batches (applied_at);

-- Records that could not become orders: the original bytes, where they came from, and why.
CREATE TABLE dead_letters (
    dead_letter_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id         text COLLATE "C" NOT NULL,
    topic            text COLLATE "C" NOT NULL,
    partition        integer     NOT NULL,
    "offset"         bigint      NOT NULL,
    record_timestamp timestamptz,
    reason           text        NOT NULL CHECK (reason IN ('undecodable', 'invalid', 'conflict', 'refused')),
    detail           text        NOT NULL,    -- escaped ASCII
    order_id         text COLLATE "C",        -- where the record could be read that far
    key              bytea,
    value            bytea,
    headers          bytea[]     NOT NULL,    -- name, value, name, value, …; a null value is NULL
    recorded_at      timestamptz NOT NULL DEFAULT now(),
    replayed_at      timestamptz
);
CREATE INDEX dead_letters_by_position ON dead_letters (topic, partition, "offset");
CREATE INDEX dead_letters_by_order_id ON dead_letters (order_id) WHERE order_id IS NOT NULL;
