-- Slots of usage, and used items with what they ran on, that differ from the log: in one statement, because the log is read once for both.
-- $1 shard int, $2 position bigint
WITH events AS (
    SELECT e.position, e.account_id COLLATE "C" AS account_id, e.resource, e.occurred_at, e.recorded_at, e.amount, e.type = {{usage.reversed.v1}} AS back,
           v.reverses IS NOT NULL AS linked,
           to_timestamp(floor(extract(epoch FROM e.occurred_at) / 900) * 900) AS slot,
           coalesce(o.type, e.type) AS kind, coalesce(o.name, e.name) COLLATE "C" AS item, coalesce(o.data, e.data) AS data
    FROM meter.events e
    LEFT JOIN meter.reversals v ON v.shard = e.shard AND v.position = e.position
    LEFT JOIN meter.events o ON o.shard = v.shard AND o.position = v.reverses
    WHERE e.shard = $1 AND e.position <= $2 AND e.type IN ({{usage}}, {{usage.reversed.v1}})
), read AS (
    SELECT position, account_id, resource, occurred_at, recorded_at, amount, back, linked, slot, kind, item,
           data -> 'deployment' AS deployment, data -> 'status' AS status, data ->> 'category' AS category,
           data -> 'input_tokens' AS tokens_in, data -> 'output_tokens' AS tokens_out, data -> 'seconds' AS seconds, data
    FROM events
    OFFSET 0  -- so that each field is looked for once in the data of an event
), said AS (
    -- Names as they are, numbers as their text: what it takes to be one is looked at below.
    SELECT position, account_id, resource, occurred_at, recorded_at, amount, back, linked, slot, kind, item,
           CASE WHEN json_typeof(deployment) = 'string' THEN deployment #>> '{}' END AS deployment,
           CASE WHEN json_typeof(status) = 'string' THEN status #>> '{}' END AS status,
           category,
           CASE WHEN json_typeof(tokens_in) = 'number' THEN tokens_in #>> '{}' END AS tokens_in,
           CASE WHEN json_typeof(tokens_out) = 'number' THEN tokens_out #>> '{}' END AS tokens_out,
           CASE WHEN json_typeof(seconds) = 'number' THEN seconds #>> '{}' END AS seconds,
           -- Whether usage says what it ran on. Where it does not, its text is looked at once.
           CASE WHEN back OR data::text !~ '"(hardware|replicas|cpus|memory_gb|language)"|\\' THEN false
                WHEN length(data::text) < 5000 AND data::text !~ '[eE][-+]?[0-9]{4}'  -- no number of so many digits is in it
                THEN coalesce(data -> 'hardware', data -> 'replicas', data -> 'cpus', data -> 'memory_gb', data -> 'language') IS NOT NULL
                ELSE EXISTS (
                    SELECT FROM json_each(data) AS f (key, value)
                    WHERE f.key IN ('hardware', 'replicas', 'cpus', 'memory_gb', 'language')
                      AND NOT EXISTS (  -- a number that Postgres has no type for, as below: the fold leaves the field out
                          SELECT FROM regexp_matches(regexp_replace(f.value::text, '"([^"\\]|\\.)*"', '', 'g'),
                                                     '([0-9]+)[.]?([0-9]*)(?:[eE]([-+]?[0-9]+))?', 'g') AS n (part)
                          WHERE CASE WHEN part[1] || part[2] !~ '[1-9]'  -- a nought, whose exponent may be great
                                     THEN length(part[2]) - coalesce(part[3], '0')::numeric > 16383 OR part[3]::numeric > 1073741823
                                     WHEN part[3] ~ '[1-9][0-9]{6}' THEN true
                                     ELSE length(part[2]) - coalesce(part[3], '0')::int > 16383
                                          OR length(ltrim(part[1] || part[2], '0')) - length(part[2]) + coalesce(part[3], '0')::int > 131072 END)
                ) END AS tells
    FROM read
    OFFSET 0  -- and each text is made once
), named AS (
    SELECT position, account_id, resource, occurred_at, recorded_at, amount, back, linked, slot, kind, item, tells,
           CASE WHEN deployment ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]' AND length(deployment) <= {{name_chars}}
                 AND deployment !~ '[\u0001-\u001f\u007f-\u009f]'
                THEN deployment ELSE '' END COLLATE "C" AS deployment,
           CASE WHEN status ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]' AND length(status) <= {{name_chars}}
                 AND status !~ '[\u0001-\u001f\u007f-\u009f]'
                THEN left(status, {{status_chars}}) ELSE '' END COLLATE "C" AS status,
           CASE WHEN category = ANY (ARRAY[{{categories}}]) THEN category ELSE '' END COLLATE "C" AS category,
           CASE WHEN back OR tokens_in IS NULL THEN NULL WHEN tokens_in ~ '^[0-9.]{1,16}$' THEN tokens_in::numeric ELSE long.numbers[1] END AS tokens_in,
           CASE WHEN back OR tokens_out IS NULL THEN NULL WHEN tokens_out ~ '^[0-9.]{1,16}$' THEN tokens_out::numeric ELSE long.numbers[2] END AS tokens_out,
           CASE WHEN back OR seconds IS NULL THEN NULL WHEN seconds ~ '^[0-9.]{1,16}$' THEN seconds::numeric ELSE long.numbers[3] END AS seconds
    FROM said
    CROSS JOIN LATERAL (
        -- Long ones and those with an exponent: null where Postgres has no type for one, with more than 16,383 decimals or 131,072 digits
        -- before them. The fold leaves such a field out as well. Postgres works this out where it is asked for, which is rare.
        SELECT (
            SELECT array_agg(CASE WHEN decimals - exponent <= 16383 AND digits - decimals + exponent <= 131072 THEN number::numeric END
                             ORDER BY place)
            FROM (
                SELECT place, number, length(ltrim(translate(mantissa, '-.', ''), '0')) AS digits,
                       length(split_part(mantissa, '.', 2)) AS decimals,
                       CASE WHEN exponent !~ '[1-9][0-9]{6}' THEN coalesce(nullif(exponent, ''), '0')::int END AS exponent
                FROM (
                    SELECT place, number, split_part(lower(number), 'e', 1) AS mantissa, split_part(lower(number), 'e', 2) AS exponent
                    FROM unnest(ARRAY[tokens_in, tokens_out, seconds]) WITH ORDINALITY AS n (number, place)
                ) AS parted
            ) AS measured
        ) AS numbers
    ) AS long
), crowded AS MATERIALIZED (
    -- Days of so many events that there may be names or pairs beyond. They are few, so what is beyond is looked up in a table of
    -- hashes, where a join may compare each with each.
    SELECT account_id, date(slot AT TIME ZONE 'UTC') AS day
    FROM named
    GROUP BY account_id, date(slot AT TIME ZONE 'UTC')
    HAVING count(*) > least({{day_names}}, {{day_deployments}})
), of_crowded AS MATERIALIZED (
    SELECT position, account_id, date(slot AT TIME ZONE 'UTC') AS day, kind, item, deployment, status
    FROM named
    WHERE (account_id, date(slot AT TIME ZONE 'UTC')) IN (SELECT c.account_id, c.day FROM crowded c)
), ranked AS (
    SELECT account_id, day, kind, item, rank() OVER (PARTITION BY account_id, day ORDER BY min(position)) > {{day_names}} AS beyond
    FROM of_crowded
    GROUP BY account_id, day, kind, item
), paired AS (
    SELECT account_id, day, kind, item, deployment, status,
           rank() OVER (PARTITION BY account_id, day ORDER BY min(position)) > {{day_deployments}} AS beyond
    FROM of_crowded
    WHERE deployment <> '' OR status <> ''
    GROUP BY account_id, day, kind, item, deployment, status
), judged AS MATERIALIZED (
    SELECT n.*,
           (n.account_id, date(n.slot AT TIME ZONE 'UTC'), n.kind, n.item)
               IN (SELECT r.account_id, r.day, r.kind, r.item FROM ranked r WHERE r.beyond) AS beyond,
           (n.account_id, date(n.slot AT TIME ZONE 'UTC'), n.kind, n.item, n.deployment, n.status)
               IN (SELECT p.account_id, p.day, p.kind, p.item, p.deployment, p.status FROM paired p WHERE p.beyond) AS shortened
    FROM named n
), known AS (
    SELECT n.account_id, n.resource, n.occurred_at, n.recorded_at, n.amount, n.back, n.linked, n.slot, n.kind,
           CASE WHEN n.beyond THEN '{{other_name}}' ELSE n.item END COLLATE "C" AS item,
           CASE WHEN n.beyond OR n.deployment = '' THEN '' WHEN n.shortened THEN '{{other_name}}' ELSE n.deployment
           END COLLATE "C" AS deployment,
           CASE WHEN n.beyond THEN '' ELSE n.category END COLLATE "C" AS category,
           CASE WHEN n.beyond OR n.status = '' THEN '' WHEN n.shortened THEN '{{other_name}}' ELSE n.status END COLLATE "C" AS status,
           n.tokens_in, n.tokens_out, n.seconds, CASE WHEN n.tells AND NOT n.beyond AND NOT n.shortened THEN n.position END AS told_at
    FROM judged n
), expected AS (
    SELECT account_id, slot, resource, kind, item, deployment, category, status,
           sum(CASE WHEN linked THEN 0 ELSE 1 END) AS events, sum(CASE WHEN back THEN -amount ELSE amount END) AS amount,
           sum(CASE WHEN tokens_in BETWEEN 0 AND {{most_tokens}} AND mod(tokens_in, 1) = 0 THEN tokens_in ELSE 0 END) AS tokens_in,
           sum(CASE WHEN tokens_out BETWEEN 0 AND {{most_tokens}} AND mod(tokens_out, 1) = 0 THEN tokens_out ELSE 0 END) AS tokens_out,
           sum(CASE WHEN seconds BETWEEN 0 AND {{most_seconds}} THEN round(seconds, 6) ELSE 0 END) AS seconds,
           max(occurred_at) AS last_used, max(recorded_at) AS changed_at, max(told_at) AS told_at
    FROM known
    GROUP BY account_id, slot, resource, kind, item, deployment, category, status
), stored AS (
    SELECT account_id, slot, resource, kind, item, deployment, category, status, events, amount, tokens_in, tokens_out, seconds,
           last_used, changed_at
    FROM projections.usage_slots
    WHERE shard = $1
), used AS (
    SELECT account_id, kind, item, deployment, min(slot) AS first_used, coalesce(max(told_at), 0) AS position
    FROM expected
    WHERE events > 0 AND kind IN ({{usage}})
    GROUP BY account_id, kind, item, deployment
), expected_items AS (
    SELECT u.account_id, u.kind, u.item, u.deployment, u.first_used, r.hardware, r.replicas, r.cpus, r.memory_gb, r.language, u.position
    FROM used u
    LEFT JOIN LATERAL (
        SELECT max(name) FILTER (WHERE field = 'hardware') AS hardware,
               max(number) FILTER (WHERE field = 'replicas' AND mod(number, 1) = 0)::int AS replicas,
               max(round(number, 6)) FILTER (WHERE field = 'cpus') AS cpus,
               max(round(number, 6)) FILTER (WHERE field = 'memory_gb') AS memory_gb,
               max(name) FILTER (WHERE field = 'language') AS language
        FROM (
            SELECT field,
                   CASE WHEN type = 'string' AND length(value) <= {{name_chars}} AND value !~ '[\u0001-\u001f\u007f-\u009f]'
                         AND value ~ '[^ \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]'
                        THEN value END COLLATE "C" AS name,
                   CASE WHEN part IS NULL THEN NULL
                        WHEN part[1] || part[2] !~ '[1-9]'
                        THEN CASE WHEN length(part[2]) - coalesce(part[3], '0')::numeric <= 16383
                                   AND coalesce(part[3], '0')::numeric <= 1073741823 THEN 0 END
                        WHEN part[3] ~ '[1-9][0-9]{6}' THEN NULL
                        WHEN length(part[2]) - coalesce(part[3], '0')::int > 16383
                          OR length(ltrim(part[1] || part[2], '0')) - length(part[2]) + coalesce(part[3], '0')::int > 131072 THEN NULL
                        WHEN value::numeric BETWEEN 0 AND {{most_size}} THEN value::numeric END AS number
            FROM (
                SELECT f.field, json_typeof(l.data -> f.field) AS type, l.data ->> f.field AS value
                FROM meter.events l
                CROSS JOIN unnest(ARRAY['hardware', 'replicas', 'cpus', 'memory_gb', 'language']) AS f (field)
                WHERE l.shard = $1 AND l.position = u.position
                OFFSET 0
            ) AS said
            LEFT JOIN LATERAL regexp_match(value, '^-?([0-9]+)[.]?([0-9]*)(?:[eE]([-+]?[0-9]+))?$') AS n (part) ON type = 'number'
        ) AS judged
    ) AS r ON u.position > 0
), stored_items AS (
    SELECT account_id, kind, item, deployment, first_used, hardware, replicas, cpus, memory_gb, language, position
    FROM projections.used_items
    WHERE shard = $1
)
(
    SELECT account_id,
           concat_ws(' ', slot, CASE resource WHEN {{model_credits}} THEN 'model_credits' ELSE 'tool_runs' END, item, deployment,
                     category, status) AS what,
           to_jsonb(s)::text AS stored, (to_jsonb(e) - 'told_at')::text AS log
    FROM stored s
    FULL JOIN expected e USING (account_id, slot, resource, kind, item, deployment, category, status)
    WHERE (s.events, s.amount, s.tokens_in, s.tokens_out, s.seconds, s.last_used, s.changed_at)
          IS DISTINCT FROM (e.events, e.amount, e.tokens_in, e.tokens_out, e.seconds, e.last_used, e.changed_at)
    ORDER BY 1, 2
)
UNION ALL
(
    SELECT account_id,
           concat_ws(' ', 'used', CASE kind WHEN {{usage.model_inference.v1}} THEN 'model' WHEN {{usage.guardrail.v1}} THEN 'guardrail'
                                            WHEN {{usage.custom_script.v1}} THEN 'script' ELSE 'tool' END, item, deployment) AS what,
           to_jsonb(s)::text AS stored, to_jsonb(e)::text AS log
    FROM stored_items s
    FULL JOIN expected_items e USING (account_id, kind, item, deployment)
    WHERE (s.first_used, s.hardware, s.replicas, s.cpus, s.memory_gb, s.language, s.position)
          IS DISTINCT FROM (e.first_used, e.hardware, e.replicas, e.cpus, e.memory_gb, e.language, e.position)
    ORDER BY 1, 2
)
