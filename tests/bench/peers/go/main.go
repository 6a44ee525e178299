// Command peer is a plain consumer that keeps the promises of the meter: the benchmark holds the services against it.
//
//	peer setup               make the schema `peer` in a database of the project
//	peer run [-fold]         take the usage topic in until SIGTERM; with -fold with balances, usage and notices
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5"
)

type options struct {
	dsn, bootstrap, topic      string
	partitions, workers, batch int
	fold                       bool
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("say what to do: setup or run")
	}
	opts, flags := options{}, flag.NewFlagSet("peer", flag.ContinueOnError)
	flags.StringVar(&opts.dsn, "dsn", "", "address of the database")
	flags.StringVar(&opts.bootstrap, "bootstrap", "", "address of Kafka")
	flags.StringVar(&opts.topic, "topic", "metering.usage", "usage topic as the broker has it")
	flags.IntVar(&opts.partitions, "partitions", 12, "partitions of the topic, which are the shards")
	flags.IntVar(&opts.workers, "workers", 4, "goroutines that append; each has its own shards and connection")
	flags.IntVar(&opts.batch, "batch", 10_000, "most records of one shard in one transaction")
	flags.BoolVar(&opts.fold, "fold", false, "also balances, usage and notices, in the same transaction")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch arguments[0] {
	case "setup":
		return setUp(ctx, opts)
	case "run":
		return consume(ctx, opts)
	}
	return fmt.Errorf("%q is neither setup nor run", arguments[0])
}

func setUp(ctx context.Context, opts options) error {
	conn, err := pgx.Connect(ctx, opts.dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(ctx, fmt.Sprintf(setupSQL, opts.partitions))
	return err
}

// consume runs the workers until one fails or the signal comes.
func consume(ctx context.Context, opts options) error {
	debug.SetGCPercent(400) // batches are garbage all at once: fewer collections, some more memory
	working, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var group sync.WaitGroup
	for number := range opts.workers {
		group.Go(func() {
			if err := work(working, opts, number); err != nil && working.Err() == nil {
				fail(err)
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil // it was asked to stop
	}
	return context.Cause(working)
}
