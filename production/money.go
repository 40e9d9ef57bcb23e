package production

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// moneyNames are the JSON names of what only MaySeeMoney may see, wherever they stand.
var moneyNames = []string{"estimatedCost", "actualCost", "costPerPortion", "costVariance", "efficiencyScore", "overallRating"}

// costAlertNames are what an alert about costs has found.
var costAlertNames = []string{"value", "limit", "unit"}

// mayHoldMoney reports whether payload has to be read to know. A name can be written with escapes.
func mayHoldMoney(payload []byte) bool {
	if bytes.IndexByte(payload, '\\') >= 0 || bytes.Contains(payload, []byte(CostOver)) {
		return true
	}
	return slices.ContainsFunc(moneyNames, func(name string) bool { return bytes.Contains(payload, []byte(name)) })
}

// WithoutMoney returns payload, one JSON text of ours or of the app's, without what only MaySeeMoney may see. It returns
// payload itself if there is nothing to take out, and nil if payload is no JSON: then nobody knows what is in it.
func WithoutMoney(payload []byte) []byte {
	if !mayHoldMoney(payload) {
		return payload
	}
	s := stripper{
		dec: jsontext.NewDecoder(bytes.NewReader(payload), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
		out: make([]byte, 0, len(payload)+1),
	}
	if err := s.value(); err != nil {
		return nil
	}
	if _, err := s.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil
	}
	if !s.taken {
		return payload
	}
	return s.out
}

// stripper copies JSON and leaves money out. Members and elements are written with a comma behind them; the last one is taken
// back at the end, so that leaving one out never touches another one.
type stripper struct {
	dec   *jsontext.Decoder
	out   []byte
	taken bool // something was left out
}

func (s *stripper) value() error {
	switch s.dec.PeekKind() {
	case '{':
		return s.object()
	case '[':
		return s.array()
	default:
		v, err := s.dec.ReadValue()
		s.out = append(s.out, v...)
		return err
	}
}

func (s *stripper) array() error {
	if _, err := s.dec.ReadToken(); err != nil {
		return err
	}
	s.out = append(s.out, '[')
	for s.dec.PeekKind() != ']' {
		if err := s.value(); err != nil {
			return err
		}
		s.out = append(s.out, ',')
	}
	return s.end(']')
}

func (s *stripper) end(with byte) error {
	_, err := s.dec.ReadToken()
	s.out = append(bytes.TrimSuffix(s.out, []byte{','}), with)
	return err
}

// object copies one object. An alert about costs shows only at its code, which may come behind its numbers: they are cut out in
// the end.
func (s *stripper) object() error {
	if _, err := s.dec.ReadToken(); err != nil {
		return err
	}
	s.out = append(s.out, '{')
	var costs [][2]int // where its numbers stand in out
	aboutCosts := false
	for s.dec.PeekKind() != '}' {
		begin := len(s.out)
		raw, err := s.dec.ReadValue()
		if err != nil {
			return err
		}
		s.out = append(append(s.out, raw...), ':')
		name := unquoted(raw)
		if slices.Contains(moneyNames, name) {
			s.taken, s.out = true, s.out[:begin]
			if err := s.dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		from := len(s.out)
		if err := s.value(); err != nil {
			return err
		}
		if name == "code" && unquoted(s.out[from:]) == string(CostOver) {
			aboutCosts = true
		}
		s.out = append(s.out, ',')
		if slices.Contains(costAlertNames, name) {
			costs = append(costs, [2]int{begin, len(s.out)})
		}
	}
	if aboutCosts {
		for _, at := range slices.Backward(costs) {
			s.taken = true
			s.out = slices.Delete(s.out, at[0], at[1])
		}
	}
	return s.end('}')
}

// unquoted returns the text of a JSON string, or "" for any other value.
func unquoted(raw []byte) string {
	if len(raw) == 0 || raw[0] != '"' {
		return ""
	}
	text, err := jsontext.AppendUnquote(nil, raw)
	if err != nil && len(text) == 0 {
		return ""
	}
	return string(text)
}

// For returns p as r may see it.
func (p Production) For(r Role) Production {
	if !r.May(MaySeeMoney) {
		p.EstimatedCost, p.ActualCost, p.CostPerPortion = nil, nil, nil
	}
	return p
}

// For returns c as r may see it.
func (c Correction) For(r Role) Correction {
	if slices.Contains(moneyNames, c.Field) && !r.May(MaySeeMoney) {
		c.Value = ""
	}
	return c
}

// For returns a as r may see it: what an alert about costs found is money.
func (a Alert) For(r Role) Alert {
	if a.Code == CostOver && !r.May(MaySeeMoney) {
		a.Value, a.Limit, a.Unit = 0, 0, ""
	}
	return a
}

// For returns r as a role may see it.
func (r Result) For(role Role) Result {
	r.Production = r.Production.For(role)
	if r.Alert != nil {
		a := r.Alert.For(role)
		r.Alert = &a
	}
	return r
}

// For returns e as r may see it. Its hash is still that of the whole entry: only who may see money can check it.
func (e AuditEntry) For(r Role) AuditEntry {
	if r.May(MaySeeMoney) || len(e.Detail) == 0 {
		return e
	}
	e.Detail = WithoutMoney(e.Detail)
	named := func(n string) bool { return bytes.Contains(e.Detail, []byte(n)) }
	if e.Action == (Correct{}).verb() && slices.ContainsFunc(moneyNames, named) {
		e.Detail = nil
	}
	return e
}
