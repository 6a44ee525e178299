-- Add the usage of ranges to its slots, to the days and months of the accounts that are added up already, and to the items that were
-- used; or only collect the slots for a rebuild, which judges their names when it has all of them. Returns how many events it added.
-- A reversal that the meter links to the usage it takes back is taken from the line of that usage, in a slot of its own time;
-- one of before these links has a line of its own.
-- Of an account and day of UTC the first {{day_names}} names by position have lines; what is used of others goes to the line "{{other_name}}".
-- Of all its names together the first {{day_deployments}} pairs of deployment and status have lines; others are "{{other_name}}" in them.
-- $1 shards int[], $2 after bigint[], $3 upto bigint[], $4 only collect boolean,
-- $5 careful boolean (data may hold numbers that Postgres has no type for: dearer)
WITH ranged AS (
    SELECT e.*, e.type AS kind, e.name AS item, true AS used, true AS counts, e.amount AS signed, e.data AS said
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    -- LATERAL with OFFSET 0 keeps to the primary key: else statistics of a large log lead to reading all of it.
    CROSS JOIN LATERAL (
        SELECT shard, account_id, occurred_at, recorded_at, resource, type, name, data, amount, position
        FROM meter.events l
        WHERE l.shard = r.shard /*citus AND l.shard = $1[1] */ AND l.position > r.after AND l.position <= r.upto
          AND l.type BETWEEN {{first_usage}} AND {{last_usage}}
        OFFSET 0
    ) AS e
    UNION ALL
    -- Reversals apart: to look for what it reverses with each event costs more than to read the range twice.
    SELECT e.*, coalesce(o.type, e.type), coalesce(o.name, e.name), false, o.type IS NULL, -e.amount, coalesce(o.data, e.data)
    FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS r (shard, after, upto)
    CROSS JOIN LATERAL (
        SELECT shard, account_id, occurred_at, recorded_at, resource, type, name, data, amount, position
        FROM meter.events l
        WHERE l.shard = r.shard /*citus AND l.shard = $1[1] */ AND l.position > r.after AND l.position <= r.upto
          AND l.type = {{usage.reversed.v1}}
        OFFSET 0
    ) AS e
    LEFT JOIN LATERAL (
        SELECT u.type, u.name, u.data
        FROM meter.reversals v
        JOIN meter.events u ON u.shard = v.shard AND u.position = v.reverses
        WHERE v.shard = e.shard /*citus AND v.shard = $1[1] AND u.shard = $1[1] */ AND v.position = e.position
        OFFSET 0
    ) AS o ON true
), events AS (
    SELECT shard, account_id COLLATE "C" AS account_id, date_bin('15 minutes', occurred_at, timestamptz '2000-01-01 00:00:00Z') AS slot,
           resource, kind, item COLLATE "C" AS item, used, counts, signed AS amount, position, occurred_at, recorded_at,
           fields -> 'deployment' AS deployment, fields ->> 'category' AS category, fields -> 'status' AS status,
           fields -> 'input_tokens' AS tokens_in, fields -> 'output_tokens' AS tokens_out, fields -> 'seconds' AS seconds,
           fields ?| ARRAY['hardware', 'replicas', 'cpus', 'memory_gb', 'language'] AS tells,
           xid '0' AS unordered
    FROM (
        SELECT *, CASE WHEN $5 THEN projections.read_object(said) ELSE said::jsonb END AS fields
        FROM ranged
        OFFSET 0  -- so that data are read once for each event, not once for each field
    ) AS r
    OFFSET 0  -- and each field once: the functions below are written out where they are called, with their arguments
), said AS MATERIALIZED (
    SELECT shard, account_id, slot, resource, kind, item,
           coalesce(projections.read_text(deployment, {{name_chars}}), '') COLLATE "C" AS deployment,
           CASE WHEN category IN ({{categories}}) THEN category ELSE '' END COLLATE "C" AS category,
           left(coalesce(projections.read_text(status, {{name_chars}}), ''), {{status_chars}}) COLLATE "C" AS status,
           count(*) FILTER (WHERE counts) AS events, sum(amount) AS amount,
           coalesce(sum(projections.read_whole(tokens_in, {{most_tokens}})) FILTER (WHERE used), 0) AS tokens_in,
           coalesce(sum(projections.read_whole(tokens_out, {{most_tokens}})) FILTER (WHERE used), 0) AS tokens_out,
           coalesce(sum(round(projections.read_number(seconds, {{most_seconds}}), 6)) FILTER (WHERE used), 0) AS seconds,
           max(occurred_at) AS last_used, max(recorded_at) AS changed_at,
           max(position) FILTER (WHERE used AND tells) AS told_at,
           min(position) AS first_at
    FROM events
    -- By a hash: `unordered` is the same for all, and of a type that nothing can be sorted by. The plan is made for a handful of events, and
    -- would sort all of a piece by nine columns: reading 51,000 events takes a sixth longer then.
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, unordered
), many AS MATERIALIZED (
    -- Days of accounts with more than 100 lines, or with as many beside what is added now. Names of others are fewer than have
    -- room, so nobody looks for them: that is most accounts on most days. `noted`: the names so far are in day_names, all of them.
    SELECT d.shard, d.account_id, d.day, k.noted IS NOT NULL AS noted
    FROM (
        SELECT shard, account_id, (slot AT TIME ZONE 'UTC')::date AS day, count(*) AS lines
        FROM said
        WHERE NOT $4
        GROUP BY 1, 2, 3
    ) AS d
    LEFT JOIN LATERAL (
        SELECT true AS noted FROM projections.day_names n
        WHERE n.shard = d.shard /*citus AND n.shard = $1[1] */ AND n.account_id = d.account_id AND n.day = d.day
        LIMIT 1
    ) AS k ON true
    LEFT JOIN LATERAL (
        SELECT count(*) AS lines
        FROM (
            SELECT FROM projections.usage_slots s
            WHERE k.noted IS NULL AND s.shard = d.shard /*citus AND s.shard = $1[1] */ AND s.account_id = d.account_id
              AND s.slot >= d.day::timestamp AT TIME ZONE 'UTC' AND s.slot < (d.day + 1)::timestamp AT TIME ZONE 'UTC'
            LIMIT 100
        ) AS s
    ) AS l ON true
    WHERE k.noted OR d.lines + l.lines > 100
), names AS MATERIALIZED (
    -- Those of these days that are added now, and, where they are not noted yet, those of the lines that the day has: before all others.
    -- A name with a deployment or status is noted beside the names, with its kind below 0: it is counted by itself.
    SELECT s.*, (s.shard, s.account_id, s.day) IN (SELECT m.shard, m.account_id, m.day FROM many m WHERE m.noted) AS noted
    FROM (
        SELECT shard, account_id, (slot AT TIME ZONE 'UTC')::date AS day, kind, item, deployment, status, first_at FROM said
    ) AS s
    WHERE ((s.shard, s.account_id, s.day) IN (SELECT m.shard, m.account_id, m.day FROM many m)) IS TRUE  -- or it is a join, see below
    UNION ALL
    SELECT m.shard, m.account_id, m.day, s.kind, s.item, s.deployment, s.status, 0, false
    FROM many m
    CROSS JOIN LATERAL (
        SELECT DISTINCT s.kind, s.item, s.deployment, s.status
        FROM projections.usage_slots s
        WHERE s.shard = m.shard /*citus AND s.shard = $1[1] */ AND s.account_id = m.account_id
          AND s.slot >= m.day::timestamp AT TIME ZONE 'UTC' AND s.slot < (m.day + 1)::timestamp AT TIME ZONE 'UTC'
    ) AS s
    WHERE NOT m.noted
), new_names AS MATERIALIZED (
    -- Names of a day that are not noted yet, numbered by position. Each name is looked for along the key, whatever statistics say.
    SELECT n.shard, n.account_id, n.day, n.kind, n.item,
           row_number() OVER (PARTITION BY n.shard, n.account_id, n.day, n.kind > 0 ORDER BY n.first_at) AS number
    FROM (
        SELECT shard, account_id, day, kind, item, min(first_at) AS first_at, noted
        FROM names
        GROUP BY shard, account_id, day, kind, item, noted
        UNION ALL
        SELECT shard, account_id, day, (-kind)::smallint, concat_ws(E'\x1f', item, deployment, status), min(first_at), noted
        FROM names
        WHERE deployment <> '' OR status <> ''
        GROUP BY 1, 2, 3, 4, 5, 7
    ) AS n
    LEFT JOIN LATERAL (
        SELECT true AS known FROM projections.day_names k
        WHERE n.noted AND k.shard = n.shard /*citus AND k.shard = $1[1] */ AND k.account_id = n.account_id AND k.day = n.day AND k.kind = n.kind
          AND k.item = n.item
        OFFSET 0
    ) AS k ON true
    WHERE k.known IS NULL
), counted_names AS MATERIALIZED (
    -- How many the day has already, asked once for each day.
    SELECT n.*,
           CASE WHEN n.number = 1 THEN
               (SELECT count(*) FROM projections.day_names k
                WHERE k.shard = n.shard /*citus AND k.shard = $1[1] */
                  AND k.account_id = n.account_id AND k.day = n.day AND k.kind BETWEEN r.lowest AND r.highest)
           END AS names,
           r.most
    FROM new_names n
    JOIN (VALUES (true, 1::smallint, 32767::smallint, {{day_names}}), (false, (-32768)::smallint, (-1)::smallint, {{day_deployments}}))
        AS r (is_name, lowest, highest, most) ON r.is_name = (n.kind > 0)
), judged_names AS MATERIALIZED (
    SELECT shard, account_id, day, kind, item,
           max(names) OVER (PARTITION BY shard, account_id, day, kind > 0) + number <= most AS fits
    FROM counted_names
), added_names AS (
    INSERT INTO projections.day_names (shard, account_id, day, kind, item)
    SELECT shard, account_id, day, kind, item FROM judged_names WHERE fits
), judged AS MATERIALIZED (
    -- No join: it is planned for a handful of rows and may compare each with each, which takes a minute for a large piece.
    SELECT s.*,
           (s.shard, s.account_id, (s.slot AT TIME ZONE 'UTC')::date, s.kind, s.item)
               IN (SELECT n.shard, n.account_id, n.day, n.kind, n.item FROM judged_names n WHERE NOT n.fits) AS is_beyond,
           (s.deployment <> '' OR s.status <> '')
           AND (s.shard, s.account_id, (s.slot AT TIME ZONE 'UTC')::date, (-s.kind)::smallint,
                concat_ws(E'\x1f', s.item, s.deployment, s.status))
               IN (SELECT n.shard, n.account_id, n.day, n.kind, n.item FROM judged_names n WHERE NOT n.fits) AS is_shortened
    FROM said s
    WHERE NOT $4
), slots AS MATERIALIZED (
    SELECT shard, account_id, slot, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
           seconds, last_used, changed_at, told_at
    FROM judged
    WHERE NOT is_beyond AND NOT is_shortened AND '{{other_name}}' NOT IN (item, deployment, status)
    UNION ALL
    SELECT shard, account_id, slot, resource, kind, CASE WHEN is_beyond THEN '{{other_name}}' ELSE item END COLLATE "C",
           CASE WHEN is_beyond OR deployment = '' THEN '' WHEN is_shortened THEN '{{other_name}}' ELSE deployment END COLLATE "C",
           CASE WHEN is_beyond THEN '' ELSE category END COLLATE "C",
           CASE WHEN is_beyond OR status = '' THEN '' WHEN is_shortened THEN '{{other_name}}' ELSE status END COLLATE "C",
           sum(events)::bigint, sum(amount), sum(tokens_in), sum(tokens_out), sum(seconds), max(last_used), max(changed_at),
           max(told_at) FILTER (WHERE NOT is_beyond AND NOT is_shortened)
    FROM judged
    WHERE is_beyond OR is_shortened OR '{{other_name}}' IN (item, deployment, status)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
), collected AS (
    INSERT INTO projections.rebuilt_slots (
        shard, account_id, slot, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used, changed_at, told_at, first_at)
    SELECT shard, account_id, slot, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
           seconds, last_used, changed_at, told_at, first_at
    FROM said
    WHERE $4
), added_slots AS (
    INSERT INTO projections.usage_slots AS s (
        shard, account_id, slot, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used, changed_at)
    SELECT shard, account_id, slot, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
           seconds, last_used, changed_at
    FROM slots
    ORDER BY shard, account_id, slot, resource, kind, item, deployment, category, status  -- along the index: less work
    ON CONFLICT (shard, account_id, slot, resource, kind, item, deployment, category, status) DO UPDATE
    SET events = s.events + excluded.events, amount = s.amount + excluded.amount,
        tokens_in = s.tokens_in + excluded.tokens_in, tokens_out = s.tokens_out + excluded.tokens_out,
        seconds = s.seconds + excluded.seconds, last_used = greatest(s.last_used, excluded.last_used),
        changed_at = greatest(s.changed_at, excluded.changed_at)
), days AS MATERIALIZED (
    -- Of days that were added up already: usually nothing. No zone is a day from UTC: most slots are seen to be later at once.
    SELECT u.shard, u.account_id, (u.slot AT TIME ZONE coalesce(z.time_zone, 'UTC'))::date AS day, u.resource, u.kind, u.item,
           u.deployment, u.category, u.status, sum(u.events) AS events, sum(u.amount) AS amount, sum(u.tokens_in) AS tokens_in,
           sum(u.tokens_out) AS tokens_out, sum(u.seconds) AS seconds, max(u.last_used) AS last_used
    FROM slots u
    JOIN projections.usage_days_summed p ON p.shard = u.shard /*citus AND p.shard = $1[1] */
    LEFT JOIN LATERAL (
        SELECT time_zone FROM projections.usage_zones z WHERE z.shard = u.shard /*citus AND z.shard = $1[1] */ AND z.account_id = u.account_id OFFSET 0
    ) AS z ON true
    WHERE u.slot < (CASE WHEN u.account_id <= p.upto THEN p.target ELSE p.summed END + 1)::timestamp AT TIME ZONE 'UTC'
      AND (u.slot AT TIME ZONE coalesce(z.time_zone, 'UTC'))::date < CASE WHEN u.account_id <= p.upto THEN p.target ELSE p.summed END
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
), added_days AS (
    INSERT INTO projections.usage_totals AS t (
        shard, account_id, day, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used)
    SELECT shard, account_id, day, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
           seconds, last_used
    FROM days
    ON CONFLICT (shard, account_id, day, resource, kind, item, deployment, category, status) DO UPDATE
    SET events = t.events + excluded.events, amount = t.amount + excluded.amount,
        tokens_in = t.tokens_in + excluded.tokens_in, tokens_out = t.tokens_out + excluded.tokens_out,
        seconds = t.seconds + excluded.seconds, last_used = greatest(t.last_used, excluded.last_used)
), late AS MATERIALIZED (
    -- Of months that were summed up already: usually nothing.
    SELECT d.*
    FROM days d
    JOIN projections.usage_summed p ON p.shard = d.shard /*citus AND p.shard = $1[1] */
    WHERE d.day < CASE WHEN d.account_id <= p.upto THEN p.target ELSE p.summed END
), added_months AS (
    INSERT INTO projections.usage_months AS t (
        shard, account_id, month, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out,
        seconds, last_used)
    SELECT shard, account_id, date_trunc('month', day)::date, resource, kind, item, deployment, category, status, sum(events),
           sum(amount), sum(tokens_in), sum(tokens_out), sum(seconds), max(last_used)
    FROM late
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ON CONFLICT (shard, account_id, month, resource, kind, item, deployment, category, status) DO UPDATE
    SET events = t.events + excluded.events, amount = t.amount + excluded.amount,
        tokens_in = t.tokens_in + excluded.tokens_in, tokens_out = t.tokens_out + excluded.tokens_out,
        seconds = t.seconds + excluded.seconds, last_used = greatest(t.last_used, excluded.last_used)
), added_day_kinds AS (
    INSERT INTO projections.usage_day_kinds AS t (shard, account_id, day, resource, kind, amount)
    SELECT shard, account_id, day, resource, kind, sum(amount)
    FROM late
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (shard, account_id, day, resource, kind) DO UPDATE SET amount = t.amount + excluded.amount
), items AS (
    SELECT shard, account_id, kind, item, deployment, min(slot) AS first_used, max(told_at) AS told_at
    FROM slots
    WHERE events > 0 AND kind <= {{last_usage}}
    GROUP BY shard, account_id, kind, item, deployment
), added_items AS (
    INSERT INTO projections.used_items AS k (
        shard, account_id, kind, item, deployment, first_used, hardware, replicas, cpus, memory_gb, language, position)
    SELECT i.shard, i.account_id, i.kind, i.item, i.deployment, i.first_used,
           projections.read_text(e.data -> 'hardware', {{name_chars}}),
           projections.read_whole(e.data -> 'replicas', {{most_size}})::int,
           round(projections.read_number(e.data -> 'cpus', {{most_size}}), 6),
           round(projections.read_number(e.data -> 'memory_gb', {{most_size}}), 6),
           projections.read_text(e.data -> 'language', {{name_chars}}), coalesce(i.told_at, 0)
    FROM items i
    LEFT JOIN LATERAL (
        SELECT first_used FROM projections.used_items u
        WHERE u.shard = i.shard /*citus AND u.shard = $1[1] */ AND u.account_id = i.account_id AND u.kind = i.kind AND u.item = i.item
          AND u.deployment = i.deployment
        OFFSET 0
    ) AS k ON true
    LEFT JOIN LATERAL (
        SELECT CASE WHEN $5 THEN projections.read_object(l.data) ELSE l.data::jsonb END AS data
        FROM meter.events l
        WHERE l.shard = i.shard /*citus AND l.shard = $1[1] */ AND l.position = i.told_at
        OFFSET 0
    ) AS e ON i.told_at IS NOT NULL
    WHERE k.first_used IS NULL OR i.first_used < k.first_used OR i.told_at IS NOT NULL
    ORDER BY i.shard, i.account_id, i.kind, i.item, i.deployment  -- along the index, as above
    ON CONFLICT (shard, account_id, kind, item, deployment) DO UPDATE
    SET first_used = least(k.first_used, excluded.first_used), position = greatest(k.position, excluded.position),
        hardware = CASE WHEN excluded.position > k.position THEN excluded.hardware ELSE k.hardware END,
        replicas = CASE WHEN excluded.position > k.position THEN excluded.replicas ELSE k.replicas END,
        cpus = CASE WHEN excluded.position > k.position THEN excluded.cpus ELSE k.cpus END,
        memory_gb = CASE WHEN excluded.position > k.position THEN excluded.memory_gb ELSE k.memory_gb END,
        language = CASE WHEN excluded.position > k.position THEN excluded.language ELSE k.language END
)
SELECT coalesce(sum(events), 0)::bigint FROM slots
