-- Sums that `consumer verify --repair` made right: one row for each of its transactions.
CREATE TABLE repairs (
    repair_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    differences text[]      NOT NULL,  -- what was stored and what the orders said, as `verify` prints it
    repaired_by text        NOT NULL DEFAULT current_user,
    repaired_at timestamptz NOT NULL DEFAULT now()
);
