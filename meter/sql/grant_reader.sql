-- credit_reader sees the read models' views and nothing else.
DO $$
BEGIN
    GRANT USAGE ON SCHEMA projections TO credit_reader;
    GRANT SELECT ON projections.balances, projections.usage_by_day, projections.accounts, projections.exhausted
        TO credit_reader;
    GRANT EXECUTE ON FUNCTION projections.balance(text), projections.shard_of(text, int), projections.shards() TO credit_reader;
END
$$
