package main

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

const fetchBytes = 4 << 20 // of a partition, packed: some batches

// work appends the records of every shard that is this worker's, from the stored offsets on.
func work(ctx context.Context, opts options, number int) error {
	conn, err := pgx.Connect(ctx, opts.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	// Else a statement with thousands of parameters is planned anew each time.
	if _, err = conn.Exec(ctx, "SET plan_cache_mode = force_generic_plan"); err != nil {
		return err
	}
	shards, starts := map[int32]*shard{}, map[int32]kgo.Offset{}
	for n := number; n < opts.partitions; n += opts.workers {
		var next int64
		if err = conn.QueryRow(ctx, "SELECT usage_offset FROM peer.shards WHERE shard = $1", n).Scan(&next); err != nil {
			return err
		}
		shards[int32(n)] = newShard(int32(n), next, opts.fold)
		starts[int32(n)] = kgo.NewOffset().At(next)
	}
	if len(shards) == 0 {
		return nil
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(opts.bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{opts.topic: starts}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxPartitionBytes(fetchBytes),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err = fetches.Err(); err != nil {
			return err
		}
		fetches.EachPartition(func(part kgo.FetchTopicPartition) {
			if err == nil {
				err = appendAll(ctx, conn, shards[part.Partition], part.Records, opts.batch)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func appendAll(ctx context.Context, conn *pgx.Conn, to *shard, records []*kgo.Record, most int) error {
	for len(records) > 0 {
		size := min(most, len(records))
		if err := to.append(ctx, conn, records[:size]); err != nil {
			return err
		}
		records = records[size:]
	}
	return nil
}
