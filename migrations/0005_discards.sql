-- Dead letters deleted by `consumer dead-letters discard`: with this every record that was read is still accounted for.
CREATE TABLE dead_letter_discards (
    discard_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id     text COLLATE "C" NOT NULL,
    topic        text COLLATE "C" NOT NULL,
    partition    integer     NOT NULL,
    offsets      bigint[]    NOT NULL,  -- of the records whose dead letters went
    letter_count integer     NOT NULL GENERATED ALWAYS AS (cardinality(offsets)) STORED,
    selection    text        NOT NULL,  -- what was asked for, as escaped text
    discarded_by text        NOT NULL DEFAULT current_user,
    discarded_at timestamptz NOT NULL DEFAULT now()
);
