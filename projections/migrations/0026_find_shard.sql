-- An account's shard follows from its id, as its partition does; so a reader who names an account asks one shard, and where the tables
-- are distributed one node. Views join what is of one account by its shard as well. They have the columns they had, and the version
-- before reads them by name.

-- The number of the shards: that of the partitions of the input topics.
CREATE FUNCTION projections.shards() RETURNS int LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    recorded int := (SELECT max(partitions) FROM meter.topics);
BEGIN
    RETURN coalesce(recorded, (SELECT count(*) FROM projections.cursors WHERE projection = 'balance'));
END
$$;
COMMENT ON FUNCTION projections.shards() IS 'as many as the input topics have partitions';

-- murmur2 as Kafka's Java client has it (schemas/topics.py), without the sign, modulo the number of shards. Arithmetic of 32 bits in
-- bigint: no product of two reaches 2^63, because the multiplier is below 2^31.
CREATE FUNCTION projections.shard_of(account text, shards int) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $$
DECLARE
    m CONSTANT bigint := 1540483477;
    mask CONSTANT bigint := 4294967295;
    bytes CONSTANT bytea := convert_to(account, 'UTF8');
    size CONSTANT int := length(bytes);
    h bigint := 2538058380 # size;
    k bigint;
    at int := 0;
BEGIN
    WHILE at + 4 <= size LOOP
        k := get_byte(bytes, at) + get_byte(bytes, at + 1) * 256 + get_byte(bytes, at + 2) * 65536
             + get_byte(bytes, at + 3) * 16777216::bigint;
        k := k * m & mask;
        k := (k # (k >> 24)) * m & mask;
        h := (h * m & mask) # k;
        at := at + 4;
    END LOOP;
    IF at < size THEN
        FOR place IN REVERSE size - at - 1 .. 0 LOOP
            h := h # (get_byte(bytes, at + place)::bigint << 8 * place);
        END LOOP;
        h := h * m & mask;
    END IF;
    h := (h # (h >> 13)) * m & mask;
    h := h # (h >> 15);
    RETURN (h & 2147483647) % shards;
END
$$;
COMMENT ON FUNCTION projections.shard_of(text, int) IS 'the shard of an account, of so many';

CREATE FUNCTION projections.balance(account text) RETURNS SETOF projections.balances
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $$
DECLARE
    place int := projections.shard_of(account, projections.shards());
BEGIN
    RETURN QUERY SELECT b.* FROM projections.balances b WHERE b.account_id = account AND b.shard = place;
END
$$;
COMMENT ON FUNCTION projections.balance(text) IS 'the rows of projections.balances of an account, found in its shard alone';

CREATE OR REPLACE VIEW projections.usage_by_day AS
SELECT u.account_id, u.day,
       CASE u.resource WHEN 1 THEN 'model_credits' WHEN 2 THEN 'tool_runs' END AS resource,
       CASE u.kind WHEN 1 THEN 'model_inference' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'custom_script'
                   WHEN 4 THEN 'tool_run' WHEN 14 THEN 'reversal' END AS kind,
       u.name, u.events, u.amount, u.changed_at, u.shard
FROM (
    SELECT s.account_id, (s.slot AT TIME ZONE interval '0')::date AS day, s.resource, s.kind, s.item AS name,
           sum(s.events)::bigint AS events, (sum(s.amount) * 0.000001)::numeric(38, 6) AS amount,
           max(s.changed_at) AS changed_at, b.shard
    FROM projections.balance_states b
    JOIN projections.cursors c ON c.shard = b.shard AND c.projection = 'usage'
    LEFT JOIN projections.usage_starts t ON t.shard = b.shard
    JOIN projections.usage_slots s ON s.shard = b.shard AND s.account_id = b.account_id AND s.resource = b.resource
    WHERE b.opened AND c.position >= coalesce(t.position, 0)
    GROUP BY 1, 2, 3, 4, 5, b.shard
    UNION ALL
    SELECT d.account_id, d.day, d.resource, d.type, d.name, d.events,
           (CASE d.type WHEN 14 THEN -d.amount ELSE d.amount END * 0.000001)::numeric(38, 6), d.changed_at, d.shard
    FROM projections.usage_days_before d
    JOIN projections.balance_states b ON b.shard = d.shard AND b.account_id = d.account_id AND b.resource = d.resource
    JOIN projections.usage_starts t ON t.shard = d.shard
    JOIN projections.cursors c ON c.shard = d.shard AND c.projection = 'usage'
    WHERE b.opened AND c.position < t.position
) AS u;

CREATE OR REPLACE VIEW projections.catalogue AS
WITH used AS NOT MATERIALIZED (
    SELECT *, CASE kind WHEN 1 THEN 'model' WHEN 2 THEN 'guardrail' WHEN 3 THEN 'script' WHEN 4 THEN 'tool' END AS kind_name
    FROM projections.used_items
)
SELECT i.account_id, i.kind, i.id, i.name, i.status, i.owner, i.type, coalesce(i.language, u.language) AS language,
       i.version, i.reason, i.deployed_at, coalesce(u.deployment, '') AS deployment, u.first_used, u.hardware,
       u.replicas, u.cpus, u.memory_gb, true AS told
FROM projections.items i
JOIN projections.account_states a ON a.shard = i.shard AND a.account_id = i.account_id AND a.opened_at IS NOT NULL
LEFT JOIN used u ON u.shard = i.shard AND u.account_id = i.account_id AND u.kind_name = i.kind AND u.item = i.id
UNION ALL
SELECT u.account_id, u.kind_name, u.item, u.item, NULL, NULL, NULL, u.language, NULL, NULL, NULL, u.deployment,
       u.first_used, u.hardware, u.replicas, u.cpus, u.memory_gb, false
FROM used u
JOIN projections.account_states a ON a.shard = u.shard AND a.account_id = u.account_id AND a.opened_at IS NOT NULL
WHERE NOT EXISTS (
    SELECT FROM projections.items i
    WHERE i.shard = u.shard AND i.account_id = u.account_id AND i.kind = u.kind_name AND i.id = u.item);

CREATE OR REPLACE VIEW projections.account_history AS
SELECT e.account_id, e.shard, e.position, e.recorded_at AS at, t.type, r.resource,
       (e.amount::numeric / 1000000)::numeric(20, 6) AS amount, e.name AS reason, e.data ->> 'reference' AS reference, e.source
FROM meter.events e
JOIN meter.event_types t ON t.code = e.type
JOIN projections.account_states a ON a.shard = e.shard AND a.account_id = e.account_id COLLATE "C" AND a.opened_at IS NOT NULL
LEFT JOIN meter.resources r ON r.code = e.resource
WHERE e.type IN (10, 11, 13, 14, 15, 17, 18);
COMMENT ON COLUMN projections.usage_by_day.shard IS 'the partition of the account''s events: where a look-up asks';
