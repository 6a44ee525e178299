-- Where ranges end so that none ends between an opening and the free grants that the meter stored behind it: one grant
-- for each resource at most.
-- $1 shards int[], $2 upto bigint[]
SELECT r.shard, r.upto + (
    SELECT count(*)
    FROM meter.events f
    WHERE f.shard = r.shard /*citus AND f.shard = $1[1] */ AND f.position > r.upto AND f.position <= r.upto + (SELECT count(*) FROM meter.resources)
      AND f.type = {{credits.granted.v1}} AND f.source = {{own_source}}
      -- None but free grants in between.
      AND NOT EXISTS (
          SELECT FROM meter.events o
          WHERE o.shard = r.shard /*citus AND o.shard = $1[1] */ AND o.position > r.upto AND o.position < f.position
            AND (o.type <> {{credits.granted.v1}} OR o.source <> {{own_source}}))
) AS upto
FROM unnest($1::int[], $2::bigint[]) AS r (shard, upto)
