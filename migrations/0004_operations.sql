-- What operators did by hand.

-- Positions set by `consumer offsets set`: the only way in which one may decrease.
CREATE TABLE offset_changes (
    change_no   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id    text COLLATE "C" NOT NULL,
    topic       text COLLATE "C" NOT NULL,
    partition   integer     NOT NULL,
    from_offset bigint      NOT NULL,
    to_offset   bigint      NOT NULL,
    changed_by  text        NOT NULL DEFAULT current_user,
    changed_at  timestamptz NOT NULL DEFAULT now()
);
