package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"
)

// shard appends the batches of one partition. Its memory is used again for each batch.
type shard struct {
	number            int32
	next              int64 // the offset that the database expects
	reader            reader
	accounts, sources hashes
	rows              []byte
	placed            []placed
	fold              *fold
}

func newShard(number int32, next int64, folds bool) *shard {
	s := &shard{number: number, next: next, accounts: hashes{}, sources: hashes{}}
	if folds {
		s.fold = newFold()
	}
	return s
}

// evidence is what did not become events, as columns.
type evidence struct {
	duplicateOffsets []int64
	duplicateIDs     []string
	offsets          []int64
	reasons, details []string
	keys, values     [][]byte
}

func (v *evidence) reject(record *kgo.Record, f *fault) {
	v.offsets = append(v.offsets, record.Offset)
	v.reasons, v.details = append(v.reasons, f.reason), append(v.details, f.detail)
	v.keys, v.values = append(v.keys, record.Key), append(v.values, record.Value)
}

// digest is what the chain covers of it.
func (v *evidence) digest() []byte {
	hash := sha256.New()
	for i, offset := range v.duplicateOffsets {
		fmt.Fprintf(hash, "%d %s\n", offset, v.duplicateIDs[i])
	}
	for i, offset := range v.offsets {
		fmt.Fprintf(hash, "%d %s %s %q %q\n", offset, v.reasons[i], v.details[i], v.keys[i], v.values[i])
	}
	return hash.Sum(nil)
}

// append takes one batch in, all of it in one transaction: the compare-and-set on the offset comes first.
func (s *shard) append(ctx context.Context, conn *pgx.Conn, records []*kgo.Record) error {
	recorded := time.Now().UTC().Truncate(time.Microsecond)
	found := s.parse(records, recorded)
	following := records[len(records)-1].Offset + 1
	position, batch, head, known, err := s.begin(ctx, conn, following)
	if err != nil {
		return err
	}
	last := s.settle(records, known, found, position)
	if last >= position {
		if _, err = conn.PgConn().CopyFrom(ctx, bytes.NewReader(append(s.rows, copyTrailer...)), copySQL); err != nil {
			return err
		}
	}
	crossed, err := s.keep(ctx, conn, found, recorded)
	if err != nil {
		return err
	}
	h := header{s.number, batch, position, last, s.next, following, int32(len(found.duplicateOffsets)), int32(len(found.offsets)), recorded}
	if err = s.seal(ctx, conn, h, head, found, crossed, following-s.next-int64(len(records))); err != nil {
		return err
	}
	s.next = following
	return nil
}

// parse judges all records and encodes the rows of the good ones.
func (s *shard) parse(records []*kgo.Record, recorded time.Time) *evidence {
	found := &evidence{}
	s.rows = append(s.rows[:0], copyHeader...)
	s.placed = s.placed[:0]
	if s.fold != nil {
		s.fold.reset()
	}
	since := recorded.Sub(epoch).Microseconds()
	var e event
	for _, record := range records {
		if f := s.reader.read(record.Key, record.Value, recorded, &e); f != nil {
			found.reject(record, f)
			continue
		}
		key, uuid := identify(&e, s.accounts, s.sources)
		var at placed
		s.rows, at = encodeRow(s.rows, &e, key, uuid, s.number, record.Offset, since)
		s.placed = append(s.placed, at)
		if s.fold != nil {
			s.fold.note(&e)
		}
	}
	return found
}

// content is what counts of an event when another comes with its identity.
type content struct {
	kind, resource int16
	amount         int64
	name           string
}

func (s *shard) begin(ctx context.Context, conn *pgx.Conn, following int64) (position, batch int64, head []byte, known map[identity]content, err error) {
	keys := make([][]byte, len(s.placed))
	for i := range s.placed {
		keys[i] = s.placed[i].key[:]
	}
	queue := &pgx.Batch{}
	queue.Queue("BEGIN")
	queue.Queue(advanceSQL, s.number, s.next, following)
	queue.Queue(knownSQL, s.number, keys)
	results := conn.SendBatch(ctx, queue)
	defer results.Close()
	if _, err = results.Exec(); err != nil {
		return
	}
	if err = results.QueryRow().Scan(&position, &batch, &head); err != nil {
		err = fmt.Errorf("shard %d is not at offset %d any more: %w", s.number, s.next, err)
		return
	}
	rows, err := results.Query()
	if err != nil {
		return
	}
	defer rows.Close()
	known = map[identity]content{}
	for rows.Next() {
		var key []byte
		var c content
		if err = rows.Scan(&key, &c.kind, &c.resource, &c.amount, &c.name); err != nil {
			return
		}
		known[identity(key)] = c
	}
	err = rows.Err()
	return
}

// settle drops repeats and reused ids from the rows and numbers the rest; it returns the last position given.
func (s *shard) settle(records []*kgo.Record, known map[identity]content, found *evidence, position int64) int64 {
	first := records[0].Offset
	at := len(copyHeader)
	seen := make(map[identity]int, len(s.placed)) // where the first of an identity stands
	for i := range s.placed {
		row := &s.placed[i]
		stored, isKnown := known[row.key]
		earlier, isSeen := seen[row.key]
		if isSeen {
			e := &s.placed[earlier]
			stored = content{e.kind, e.resource, e.amount, string(s.rows[e.nameStart:e.nameEnd])}
		}
		if isKnown || isSeen {
			s.drop(row, stored, records, first, found)
			continue
		}
		setPosition(s.rows[row.start:], position)
		if s.fold != nil {
			s.fold.count(i, position)
		}
		at = s.move(row, at)
		seen[row.key] = i
		position++
	}
	s.rows = s.rows[:at]
	return position - 1
}

// move closes the gap that dropped rows have left before this one.
func (s *shard) move(row *placed, to int) int {
	if back := row.start - to; back > 0 {
		copy(s.rows[to:], s.rows[row.start:row.end])
		row.start, row.end, row.nameStart, row.nameEnd = to, row.end-back, row.nameStart-back, row.nameEnd-back
	}
	return row.end
}

func (s *shard) drop(row *placed, stored content, records []*kgo.Record, first int64, found *evidence) {
	name := string(s.rows[row.nameStart:row.nameEnd])
	record := findRecord(records, row.offset, first)
	id := readID(record.Value)
	if (content{row.kind, row.resource, row.amount, name}) == stored {
		found.duplicateOffsets = append(found.duplicateOffsets, row.offset)
		found.duplicateIDs = append(found.duplicateIDs, id)
		return
	}
	found.reject(record, faulty("id_reused", "id %q belongs to type %d, %d of resource %d, %q", id, stored.kind, stored.amount, stored.resource, stored.name))
}

// findRecord finds a record by its offset; offsets may have gaps.
func findRecord(records []*kgo.Record, offset, first int64) *kgo.Record {
	at := min(int(offset-first), len(records)-1)
	for records[at].Offset > offset {
		at--
	}
	return records[at]
}

// keep writes what did not become events and, with a fold, balances and usage; it returns the lines that were crossed.
func (s *shard) keep(ctx context.Context, conn *pgx.Conn, found *evidence, recorded time.Time) (*crossings, error) {
	queue := &pgx.Batch{}
	if len(found.duplicateOffsets) > 0 {
		queue.Queue(duplicatesSQL, s.number, usageTopic, recorded, found.duplicateOffsets, found.duplicateIDs)
	}
	if len(found.offsets) > 0 {
		queue.Queue(rejectionsSQL, s.number, usageTopic, recorded, found.offsets, found.reasons, found.details, found.keys, found.values)
	}
	crossed := &crossings{}
	if s.fold != nil {
		s.fold.queue(queue, s.number, recorded, crossed)
	}
	if queue.Len() == 0 {
		return crossed, nil
	}
	return crossed, conn.SendBatch(ctx, queue).Close()
}

// header is what a batch says of itself; all of it is in the hash.
type header struct {
	Shard                        int32
	Batch, First, Last, From, To int64
	Duplicates, Rejected         int32
	Recorded                     time.Time
}

func (h header) bytes() []byte {
	to := binary.BigEndian.AppendUint32(nil, uint32(h.Shard))
	for _, value := range []int64{h.Batch, h.First, h.Last, h.From, h.To, int64(h.Duplicates), int64(h.Rejected), h.Recorded.UnixMicro()} {
		to = binary.BigEndian.AppendUint64(to, uint64(value))
	}
	return to
}

// seal chains the batch to the one before it, and commits.
func (s *shard) seal(ctx context.Context, conn *pgx.Conn, h header, head []byte, found *evidence, crossed *crossings, gaps int64) error {
	evidence := found.digest()
	hash := sha256.New()
	for _, part := range [][]byte{head, h.bytes(), evidence, s.rows[len(copyHeader):]} {
		hash.Write(part)
	}
	queue := &pgx.Batch{}
	crossed.queue(queue, h.Shard, h.Recorded)
	queue.Queue(sealSQL, h.Shard, h.Batch, h.First, h.Last, h.From, h.To, h.Last-h.First+1, h.Duplicates, h.Rejected, gaps,
		h.Recorded, head, hash.Sum(nil), evidence)
	queue.Queue("COMMIT")
	return conn.SendBatch(ctx, queue).Close()
}
