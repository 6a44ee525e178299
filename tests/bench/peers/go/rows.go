package main

import (
	"crypto/sha256"
	"encoding/binary"
)

const (
	usageTopic = "metering.usage" // as it stands in identities, without a prefix
	keyBytes   = 32
	columns    = 16
	mostKept   = 10_000
)

var (
	copyHeader  = append([]byte("PGCOPY\n\xff\r\n\x00"), make([]byte, 8)...)
	copyTrailer = []byte{0xff, 0xff}
	null        = []byte{0xff, 0xff, 0xff, 0xff}
)

type identity [keyBytes]byte

// hashes remembers the halves of identities, because accounts and sources repeat.
type hashes map[string][16]byte

func (h hashes) of(text []byte, prefix string) [16]byte {
	if found, ok := h[string(text)]; ok {
		return found
	}
	if len(h) >= mostKept {
		clear(h)
	}
	digest := sha256.Sum256(append([]byte(prefix), text...))
	half := [16]byte(digest[:16])
	h[string(text)] = half
	return half
}

// identify gives the identity of an event (topic, account, source, id), and whether the id is a UUID.
func identify(e *event, accounts, sources hashes) (key identity, uuid bool) {
	if uuidBytes(e.id, key[:16]) {
		account, source := accounts.of(e.account, usageTopic+"\x00"), sources.of(e.source, "")
		for i := range 16 {
			key[16+i] = account[i] ^ source[i]
		}
		return key, true
	}
	clear(key[:])
	text := append([]byte(usageTopic+"\x00"), e.account...)
	text = append(append(text, 0), e.source...)
	text = append(append(text, 0), e.id...)
	digest := sha256.Sum256(text)
	copy(key[6:], digest[:26])
	return key, false
}

// placed is where a row lies in the stream, and what is compared with another event of its identity.
type placed struct {
	key                identity
	start, end         int
	nameStart, nameEnd int
	kind, resource     int16
	amount             int64
	offset             int64
}

// encodeRow appends a row of binary COPY in the columns of meter.events; the position is written when it is known.
func encodeRow(to []byte, e *event, key identity, uuid bool, shard int32, offset, recorded int64) ([]byte, placed) {
	at := placed{key: key, start: len(to), kind: e.kind, resource: e.resource, amount: e.amount, offset: offset}
	to = binary.BigEndian.AppendUint16(to, columns)
	for _, value := range [5]int64{0, e.amount, offset, e.micros, recorded} {
		to = binary.BigEndian.AppendUint32(to, 8)
		to = binary.BigEndian.AppendUint64(to, uint64(value))
	}
	to = append(to, null...) // event_id
	to = binary.BigEndian.AppendUint32(to, 4)
	to = binary.BigEndian.AppendUint32(to, uint32(shard))
	for _, value := range [2]int16{e.kind, e.resource} {
		to = binary.BigEndian.AppendUint32(to, 2)
		to = binary.BigEndian.AppendUint16(to, uint16(value))
	}
	to = appendText(to, e.account)
	to = appendText(to, e.name)
	at.nameEnd = len(to)
	at.nameStart = at.nameEnd - len(e.name)
	to = appendText(to, e.source)
	to = appendText(to, e.data)
	to = appendOptional(to, e.extensions)
	if uuid {
		to = append(to, null...)
	} else {
		to = appendText(to, e.id)
	}
	to = appendText(to, key[:])
	at.end = len(to)
	return to, at
}

func appendText(to, text []byte) []byte {
	return append(binary.BigEndian.AppendUint32(to, uint32(len(text))), text...)
}

func appendOptional(to, text []byte) []byte {
	if text == nil {
		return append(to, null...)
	}
	return appendText(to, text)
}

// setPosition writes the position into a row that was encoded before it was known.
func setPosition(row []byte, position int64) {
	binary.BigEndian.PutUint64(row[6:], uint64(position))
}
