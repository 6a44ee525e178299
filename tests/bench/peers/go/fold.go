package main

import (
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/valyala/fastjson"
)

const secondsOfDay = 86_400

// texts keeps one string for each text, because they repeat.
type texts map[string]string

func (t texts) of(text []byte) string {
	if found, ok := t[string(text)]; ok {
		return found
	}
	if len(t) >= mostKept {
		clear(t)
	}
	found := string(text)
	t[found] = found
	return found
}

type balanceKey struct {
	account  string
	resource int16
}

type balanceSum struct{ amount, position int64 }

type usageKey struct {
	account                            string
	day                                int32 // since 2000, UTC
	resource, kind                     int16
	item, deployment, category, status string
}

type usageSum struct{ events, amount, tokensIn, tokensOut, last int64 }

// noted is what the fold needs of an event, until it is known whether the event counts.
type noted struct {
	key                                 usageKey
	amount, tokensIn, tokensOut, micros int64
}

// fold adds up one batch by balance and by line of usage.
type fold struct {
	texts    texts
	noted    []noted
	balances map[balanceKey]balanceSum
	usage    map[usageKey]usageSum
}

func newFold() *fold {
	return &fold{texts: texts{}, balances: map[balanceKey]balanceSum{}, usage: map[usageKey]usageSum{}}
}

func (f *fold) reset() {
	f.noted = f.noted[:0]
	clear(f.balances)
	clear(f.usage)
}

func (f *fold) note(e *event) {
	key := usageKey{
		account: f.texts.of(e.account), day: int32(e.micros / (secondsOfDay * micro)), resource: e.resource, kind: e.kind,
		item: f.texts.of(e.name), deployment: f.texts.of(e.deployment), category: f.texts.of(e.category), status: f.texts.of(e.status),
	}
	f.noted = append(f.noted, noted{key, e.amount, e.tokensIn, e.tokensOut, e.micros})
}

// count adds the event that was noted as number `at` of the batch.
func (f *fold) count(at int, position int64) {
	n := &f.noted[at]
	balance := balanceKey{n.key.account, n.key.resource}
	f.balances[balance] = balanceSum{f.balances[balance].amount + n.amount, position}
	sum := f.usage[n.key]
	f.usage[n.key] = usageSum{
		sum.events + 1, sum.amount + n.amount, sum.tokensIn + n.tokensIn, sum.tokensOut + n.tokensOut, max(sum.last, n.micros),
	}
}

func (f *fold) queue(queue *pgx.Batch, shard int32, recorded time.Time, crossed *crossings) {
	if len(f.balances) == 0 {
		return
	}
	f.queueBalances(queue, shard, recorded, crossed)
	f.queueUsage(queue, shard)
}

func (f *fold) queueBalances(queue *pgx.Batch, shard int32, recorded time.Time, crossed *crossings) {
	size := len(f.balances)
	accounts, resources := make([]string, 0, size), make([]int16, 0, size)
	amounts, positions := make([]int64, 0, size), make([]int64, 0, size)
	for key, sum := range f.balances {
		accounts, resources = append(accounts, key.account), append(resources, key.resource)
		amounts, positions = append(amounts, sum.amount), append(positions, sum.position)
	}
	queue.Queue(balancesSQL, shard, recorded, accounts, resources, amounts, positions).Query(crossed.read)
}

func (f *fold) queueUsage(queue *pgx.Batch, shard int32) {
	size := len(f.usage)
	accounts, days := make([]string, 0, size), make([]time.Time, 0, size)
	resources, kinds := make([]int16, 0, size), make([]int16, 0, size)
	items, deployments := make([]string, 0, size), make([]string, 0, size)
	categories, statuses := make([]string, 0, size), make([]string, 0, size)
	events, amounts := make([]int64, 0, size), make([]int64, 0, size)
	in, out, last := make([]int64, 0, size), make([]int64, 0, size), make([]time.Time, 0, size)
	for key, sum := range f.usage {
		accounts, days = append(accounts, key.account), append(days, epoch.AddDate(0, 0, int(key.day)))
		resources, kinds = append(resources, key.resource), append(kinds, key.kind)
		items, deployments = append(items, key.item), append(deployments, key.deployment)
		categories, statuses = append(categories, key.category), append(statuses, key.status)
		events, amounts = append(events, sum.events), append(amounts, sum.amount)
		in, out = append(in, sum.tokensIn), append(out, sum.tokensOut)
		last = append(last, epoch.Add(time.Duration(sum.last)*time.Microsecond))
	}
	queue.Queue(usageSQL, shard, accounts, days, resources, kinds, items, deployments, categories, statuses, events, amounts, in, out, last)
}

// The lines of each channel; a banner also stands at 100 %.
var lines = map[string][]int16{"banner": {20, 50, 70, 80, 90, 100}, "email": {50, 70, 80, 90}}

var resourceNames = map[int16]string{credits: "model_credits", toolRuns: "tool_runs"}

// crossings are the lines that balances reached with a batch, as columns.
type crossings struct {
	accounts, resources, channels    []string
	epochs                           []int32
	thresholds                       []int16
	highest                          []bool
	allocations, consumed, positions []int64
}

// read compares each balance with what it was before.
func (c *crossings) read(rows pgx.Rows) error {
	for rows.Next() {
		var account string
		var resource int16
		var epoch int32
		var allocation, consumed, amount, position int64
		if err := rows.Scan(&account, &resource, &epoch, &allocation, &consumed, &amount, &position); err != nil {
			return err
		}
		for channel, all := range lines {
			last := -1
			for _, line := range all {
				goal := int64(line) * allocation
				if (consumed-amount)*100 < goal && goal <= consumed*100 {
					c.add(account, resourceNames[resource], channel, epoch, line, allocation, consumed, position)
					last = len(c.highest) - 1
				}
			}
			if last >= 0 {
				c.highest[last] = true
			}
		}
	}
	return rows.Err()
}

func (c *crossings) add(account, resource, channel string, epoch int32, line int16, allocation, consumed, position int64) {
	c.accounts, c.resources = append(c.accounts, account), append(c.resources, resource)
	c.channels, c.epochs = append(c.channels, channel), append(c.epochs, epoch)
	c.thresholds, c.highest = append(c.thresholds, line), append(c.highest, false)
	c.allocations, c.consumed = append(c.allocations, allocation), append(c.consumed, consumed)
	c.positions = append(c.positions, position)
}

func (c *crossings) queue(queue *pgx.Batch, shard int32, recorded time.Time) {
	if len(c.accounts) > 0 {
		queue.Queue(noticesSQL, shard, recorded, c.accounts, c.resources, c.epochs, c.channels, c.thresholds, c.highest,
			c.allocations, c.consumed, c.positions)
	}
}

// readID is for records that are rare: repeats and reused ids.
func readID(value []byte) string {
	return fastjson.GetString(value, "id")
}
