package rest

import (
	"encoding/base64"
	"strconv"
	"strings"

	"kentongan/production"
)

// A cursor says where the next page of a list begins: the values of the last entry, so that what is added or removed meanwhile
// moves nothing. It is opaque to clients, carries no right, and is checked like any input.

const maxCursor = 512

func cursor(kind string, parts ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(kind + "\x00" + strings.Join(parts, "\x00")))
}

var errCursor = invalid("query.cursor", "is none of this list: take it from the field next of the page before, or leave it out")

func parseCursor(kind, text string, parts int) ([]string, error) {
	if len(text) > maxCursor {
		return nil, errCursor
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errCursor
	}
	got := strings.Split(string(raw), "\x00")
	if len(got) != parts+1 || got[0] != kind {
		return nil, errCursor
	}
	return got[1:], nil
}

func batchCursor(p production.BatchPlace) string {
	return cursor("b", string(p.Day), strconv.FormatInt(int64(p.PlannedStart), 10), p.ID)
}

// parseBatchCursor returns nil for the empty text: from the start.
func parseBatchCursor(text string) (*production.BatchPlace, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // from the start is no place
	}
	parts, err := parseCursor("b", text, 3)
	if err != nil {
		return nil, err
	}
	d, err := production.ParseDay(parts[0])
	if err != nil {
		return nil, errCursor
	}
	start, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || !plainID(parts[2]) {
		return nil, errCursor
	}
	return &production.BatchPlace{Day: d, PlannedStart: production.Instant(start), ID: parts[2]}, nil
}

func alertCursor(p production.AlertPlace) string {
	return cursor("a", strconv.FormatInt(int64(p.RaisedAt), 10), p.ID)
}

// parseAlertCursor returns nil for the empty text: from the newest.
func parseAlertCursor(text string) (*production.AlertPlace, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // from the newest is no place
	}
	parts, err := parseCursor("a", text, 2)
	if err != nil {
		return nil, err
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || !plainID(parts[1]) {
		return nil, errCursor
	}
	return &production.AlertPlace{RaisedAt: production.Instant(at), ID: parts[1]}, nil
}

// plainID reports whether s can be an id: apps make their own, so nearly everything that prints can.
func plainID(s string) bool {
	return s != "" && len(s) <= 128 && strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '�' }) < 0
}
