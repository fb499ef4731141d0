-- For questions about periods: who ordered in them, and what one user ordered when.

-- Orders arrive about in the order of their times, so that a summary of each range of pages finds a period; it costs a
-- write next to nothing, where a tree by time would cost as much as the one by user.
CREATE INDEX orders_by_time ON orders USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX purged_orders_by_time ON purged_orders USING brin (created_at) WITH (pages_per_range = 32, autosummarize = on);
CREATE INDEX purged_orders_by_user ON purged_orders (user_id, created_at);
