-- Each state of a balance that was published, kept: whoever asks which lines of other thresholds would have been reached, and when,
-- is answered by the very states that the notifier was told. Their number is bounded by epochs and whole percents.
--
-- It begins with this migration: what was published before is not filled in, because a fold of the whole log in large pieces
-- would give other times. The version before writes nothing here: what it publishes while it still runs is missing.
CREATE TABLE projections.exhaustion_steps (
    shard int NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    resource smallint NOT NULL,
    position bigint NOT NULL,
    epoch int NOT NULL,
    allocation numeric NOT NULL,
    consumed numeric NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (shard, account_id, resource, position)
);
COMMENT ON COLUMN projections.exhaustion_steps.allocation IS 'micro-units, of the epoch';
COMMENT ON COLUMN projections.exhaustion_steps.consumed IS 'micro-units of this allocation';
COMMENT ON COLUMN projections.exhaustion_steps.at IS 'when the newest event in it was recorded';

CREATE VIEW projections.exhaustion_history AS
SELECT h.account_id, CASE h.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource, h.position, h.epoch,
       (h.allocation * 0.000001)::numeric(38, 6) AS allocation, (h.consumed * 0.000001)::numeric(38, 6) AS consumed, h.at
FROM projections.balance_states b
JOIN projections.exhaustion_steps h ON h.shard = b.shard AND h.account_id = b.account_id AND h.resource = b.resource;
COMMENT ON VIEW projections.exhaustion_history IS
    'each state of a balance that was published: a change of the whole percent, of the epoch, or of what is allowed';
