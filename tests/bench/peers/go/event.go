package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

const (
	micro      = 1_000_000
	maxUsage   = 10_000_000 * micro
	maxText    = 1024
	maxID      = 128
	maxAhead   = time.Hour
	maxBehind  = 400 * 24 * time.Hour
	credits    = 1
	toolRuns   = 2
	inference  = 1
	guardrail  = 2
	script     = 3
	toolRun    = 4
	unsetMoney = -1
)

// event is a usage event that keeps every rule; its texts live until the next record is read.
type event struct {
	id, account, source, name, data, extensions []byte
	deployment, category, status                []byte
	kind, resource                              int16
	amount, micros, tokensIn, tokensOut         int64 // micro-units; microseconds since 2000
}

// fault is why a record becomes a rejection.
type fault struct{ reason, detail string }

func faulty(reason, format string, values ...any) *fault {
	return &fault{reason, fmt.Sprintf(format, values...)}
}

// reader reads one record at a time into the same memory.
type reader struct {
	parser    fastjson.Parser
	data, ext []byte
}

// read judges a record: structured CloudEvents of the four kinds of usage. It fills `e`, or says the fault.
func (r *reader) read(key, value []byte, now time.Time, e *event) *fault {
	if !utf8.Valid(value) || bytes.Contains(value, []byte(`\u0000`)) {
		return faulty("invalid_text", "not UTF-8, or a NUL in it")
	}
	root, err := r.parser.ParseBytes(value)
	if err != nil {
		return faulty("invalid_json", "%v", err)
	}
	object, err := root.Object()
	if err != nil {
		return faulty("not_cloudevents", "the value is JSON, but not an object")
	}
	var version, kind, subject, moment []byte
	var data *fastjson.Value
	*e = event{}
	r.ext = r.ext[:0]
	object.Visit(func(name []byte, v *fastjson.Value) {
		switch string(name) {
		case "specversion":
			version, _ = v.StringBytes()
		case "id":
			e.id, _ = v.StringBytes()
		case "source":
			e.source, _ = v.StringBytes()
		case "type":
			kind, _ = v.StringBytes()
		case "subject":
			subject, _ = v.StringBytes()
		case "time":
			moment, _ = v.StringBytes()
		case "data":
			data = v
		case "datacontenttype":
		default:
			r.extend(name, v)
		}
	})
	if string(version) != "1.0" {
		return faulty("not_cloudevents", `specversion is not "1.0"`)
	}
	if !isID(e.id) {
		return faulty("invalid_id", "id is not 1 to 128 printable ASCII characters")
	}
	if len(e.source) == 0 || len(e.source) > maxText {
		return faulty("invalid_source", "source is missing or too long")
	}
	if !isAccount(subject) {
		return faulty("invalid_subject", "subject is no account id")
	}
	if len(key) > 0 && !bytes.Equal(key, subject) {
		return faulty("key_mismatch", "key %q, subject %q", key, subject)
	}
	e.account = subject
	if f := readTime(moment, now, e); f != nil {
		return f
	}
	if len(r.ext) > 0 {
		r.ext = append(r.ext, '}')
		e.extensions = r.ext
	}
	return r.readData(string(kind), data, e)
}

// extend keeps an attribute beyond the core as JSON.
func (r *reader) extend(name []byte, v *fastjson.Value) {
	if len(r.ext) == 0 {
		r.ext = append(r.ext, '{')
	} else {
		r.ext = append(r.ext, ',')
	}
	r.ext = append(append(append(r.ext, '"'), name...), '"', ':')
	r.ext = v.MarshalTo(r.ext)
}

var kinds = map[string]struct {
	code, resource int16
	name           string
}{
	"usage.model_inference.v1": {inference, credits, "model"},
	"usage.guardrail.v1":       {guardrail, credits, "guardrail"},
	"usage.custom_script.v1":   {script, credits, "script"},
	"usage.tool_run.v1":        {toolRun, toolRuns, "tool"},
}

func (r *reader) readData(kind string, data *fastjson.Value, e *event) *fault {
	known, ok := kinds[kind]
	if !ok {
		return faulty("unknown_type", "type %q", kind)
	}
	if data == nil || data.Type() != fastjson.TypeObject {
		return faulty("invalid_data", "data is missing or no object")
	}
	e.kind, e.resource, e.amount = known.code, known.resource, unsetMoney
	if e.kind == toolRun {
		e.amount = micro // one run, unless it says more
	}
	object, _ := data.Object()
	object.Visit(func(name []byte, v *fastjson.Value) { e.take(known.name, name, v) })
	if e.amount < 0 || e.amount > maxUsage {
		return faulty("invalid_amount", "the amount is missing, negative, too large or not exact")
	}
	if len(bytes.TrimSpace(e.name)) == 0 {
		return faulty("invalid_data", "%s is missing or blank", known.name)
	}
	r.data = data.MarshalTo(r.data[:0])
	e.data = r.data
	return nil
}

// take reads one member of the data. What is for information and cannot be read is left out.
func (e *event) take(called string, name []byte, v *fastjson.Value) {
	switch string(name) {
	case called:
		e.name, _ = v.StringBytes()
	case "credits":
		if e.resource == credits {
			e.amount = readAmount(numberText(v))
		}
	case "runs":
		if e.resource == toolRuns {
			runs := readAmount(numberText(v))
			if runs%micro != 0 || runs < micro {
				runs = unsetMoney
			}
			e.amount = runs
		}
	case "deployment":
		e.deployment, _ = v.StringBytes()
	case "category":
		e.category, _ = v.StringBytes()
	case "status":
		e.status, _ = v.StringBytes()
	case "input_tokens":
		e.tokensIn, _ = v.Int64()
	case "output_tokens":
		e.tokensOut, _ = v.Int64()
	}
}

func numberText(v *fastjson.Value) []byte {
	if text, err := v.StringBytes(); err == nil {
		return text
	}
	if v.Type() == fastjson.TypeNumber {
		return v.MarshalTo(nil)
	}
	return nil
}

// readAmount gives micro-units of a decimal text with at most six decimals that are not zero; -1 where it is none.
func readAmount(text []byte) int64 {
	whole, decimals, point := bytes.Cut(text, []byte{'.'})
	decimals = bytes.TrimRight(decimals, "0")
	if len(whole) == 0 || len(whole) > 12 || len(decimals) > 6 || (point && len(text) == len(whole)+1) {
		return unsetMoney
	}
	var amount int64
	for _, part := range [2][]byte{whole, decimals} {
		for _, digit := range part {
			if digit < '0' || digit > '9' {
				return unsetMoney
			}
			amount = amount*10 + int64(digit-'0')
		}
	}
	for range 6 - len(decimals) {
		amount *= 10
	}
	return amount
}

func isID(id []byte) bool {
	if len(id) == 0 || len(id) > maxID {
		return false
	}
	solid := false
	for _, c := range id {
		if c < ' ' || c > '~' {
			return false
		}
		solid = solid || c != ' '
	}
	return solid
}

func isAccount(id []byte) bool {
	for _, c := range id {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == ':', c == '@', c == '-':
		default:
			return false
		}
	}
	return len(id) > 0 && len(id) <= maxID
}

var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func readTime(text []byte, now time.Time, e *event) *fault {
	moment, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return faulty("invalid_time", "time is no RFC 3339 date and time")
	}
	if moment.Sub(now) > maxAhead {
		return faulty("time_ahead", "time is %v ahead", moment.Sub(now))
	}
	if now.Sub(moment) > maxBehind {
		return faulty("time_behind", "time is %v behind", now.Sub(moment))
	}
	e.micros = moment.Sub(epoch).Microseconds()
	return nil
}

// uuidBytes writes the 16 bytes of a UUID in any case; false where the id is another text, or has no time.
func uuidBytes(id, to []byte) bool {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return false
	}
	if string(id[:14]) == "00000000-0000-" {
		return false
	}
	at := 0
	for _, part := range [5][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		n, err := hex.Decode(to[at:], id[part[0]:part[1]])
		if err != nil {
			return false
		}
		at += n
	}
	return true
}
