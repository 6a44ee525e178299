-- Balances of which nothing but the consumption changed.
-- $1 accounts text[], $2 resources smallint[], $3 consumed text[], $4 positions bigint[], $5 as_of timestamptz[],
-- $6 shards int[]
UPDATE projections.balance_states s
SET consumed = n.consumed::numeric, position = n.position, as_of = n.as_of
FROM unnest($1::text[], $2::smallint[], $3::text[], $4::bigint[], $5::timestamptz[],
            $6::int[])
     AS n (account_id, resource, consumed, position, as_of, shard)
WHERE s.account_id = n.account_id AND s.resource = n.resource AND s.shard = n.shard /*citus AND s.shard = $6[1] */
