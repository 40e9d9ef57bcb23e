package rest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kentongan/production"
)

// line is one entry of the log in words.
type line struct {
	at       production.Instant
	Clock    string
	Kind     string
	What     string
	Actual   string
	Limit    string
	Verdict  string // Lulus, Gagal, or empty
	Bad      bool
	Operator string
	Reviewer string
	Action   string // what was done about it, or why
	Note     string
}

// lines returns everything that was recorded about b, in the order of time; a step stands behind what it needed at the same
// moment. With sums the readings of probes are summed up
// by the hour.
func (l *DayLog) lines(b *LogBatch, sums bool) []line {
	w := logWriter{l: l, b: b, limits: l.Kitchen.Limits.OrDefaults()}
	w.readings(sums)
	for i := range b.Checks {
		w.check(&b.Checks[i])
	}
	for _, s := range b.Samples {
		what := "Sampel makanan"
		if s.Dish != "" {
			what += " – " + s.Dish
		}
		keep := "simpan sampai " + s.KeepUntil.Time().In(l.Kitchen.Zone.Location()).Format("02/01/2006 15:04")
		w.add(line{at: at(s.TakenAt, s.ReceivedAt, s.ClockOff), Kind: "Sampel", What: what, Actual: "disimpan", Limit: keep,
			Operator: s.TakenBy, Note: join(s.Place, late(false, s.ClockOff))})
	}
	for _, s := range b.Steps {
		note := ""
		if s.Override {
			note = "mulai sebelum pukul 00.00 dengan izin Kepala SPPG"
		}
		what := stepWords[s.To]
		if s.To == production.Cooking && w.cooked {
			what = "Kembalikan ke masak"
		}
		w.cooked = w.cooked || s.To == production.Cooking
		w.add(line{at: s.At, Kind: "Langkah", What: what, Operator: s.By, Action: s.Reason, Note: note})
	}
	for _, s := range b.Dispatches {
		actual := unknown
		if s.Portions != nil {
			actual = whole(s.Portions) + " porsi"
		}
		w.add(line{at: at(s.TakenAt, s.ReceivedAt, s.ClockOff), Kind: "Pengiriman", What: join("Dikirim", s.Destination), Actual: actual,
			Limit: "layak sampai " + w.clock(b.Production.ConsumeBy), Operator: s.By,
			Note: join(s.Vehicle, s.Notes, late(s.Late, s.ClockOff))})
	}
	for i := range b.Photos {
		p := &b.Photos[i]
		w.add(line{at: at(p.TakenAt, p.ReceivedAt, p.ClockOff), Kind: "Foto", What: cmp.Or(p.Note, "Foto"),
			Actual: "sidik " + p.Digest.String()[:12], Operator: p.TakenBy, Note: late(false, p.ClockOff)})
	}
	for i := range b.Alerts {
		w.alert(&b.Alerts[i])
	}
	for _, s := range b.Corrections {
		name := fieldWords[s.Field]
		if name == "" {
			name = s.Field
		}
		w.add(line{at: s.At, Kind: "Koreksi", What: name, Actual: s.Value, Operator: s.By, Action: s.Reason})
	}
	slices.SortStableFunc(w.out, func(x, y line) int { return cmp.Compare(x.at, y.at) })
	return w.out
}

// logWriter gathers the lines of one batch.
type logWriter struct {
	l      *DayLog
	b      *LogBatch
	limits production.Limits
	cooked bool
	out    []line
}

func (w *logWriter) clock(i production.Instant) string { return clock(i, w.l.Kitchen.Zone, w.l.Day) }

func (w *logWriter) add(n line) {
	n.Clock = w.clock(n.at)
	n.Operator = w.l.name(n.Operator)
	n.Reviewer = w.l.name(w.b.Reviewer)
	w.out = append(w.out, n)
}

// name returns the name of a person, or the id of one who is not in the list of staff.
func (l *DayLog) name(id string) string {
	if n := l.names[id]; n != "" {
		return n
	}
	return id
}

// readings adds the temperatures.
func (w *logWriter) readings(sums bool) {
	corrected := map[string]bool{}
	for i := range w.b.Readings {
		corrected[w.b.Readings[i].Corrects] = true
	}
	hours := map[string]*probeHour{} // by what is measured: several probes tell by turns
	for i := range w.b.Readings {
		r := &w.b.Readings[i]
		if sums && r.Source == production.Probe && !corrected[r.ID] {
			key := string(r.Kind) + r.Dish
			if h := hours[key]; h == nil || r.At()-h.first.At() >= production.Instant(time.Hour.Milliseconds()) {
				w.hour(h)
				hours[key] = &probeHour{first: r}
			}
			hours[key].add(r)
			continue
		}
		note := late(r.Late, r.ClockOff)
		if corrected[r.ID] {
			note = join("sudah dikoreksi", note)
		}
		if r.Corrects != "" {
			note = join("koreksi dari catatan sebelumnya", note)
		}
		limit, ok := w.bound(r)
		w.add(line{at: r.At(), Kind: "Suhu", What: subject(r), Actual: degrees(r.Celsius), Limit: limit, Verdict: verdict(ok),
			Bad: ok != nil && !*ok, Operator: r.TakenBy, Note: note})
	}
	for _, h := range hours { // lines are sorted afterwards
		w.hour(h)
	}
}

// probeHour is what a probe told within an hour about one thing.
type probeHour struct {
	first     *production.Reading
	low, high production.Celsius
	n         int
}

func (h *probeHour) add(r *production.Reading) {
	if h.n == 0 {
		h.low, h.high = r.Celsius, r.Celsius
	}
	h.low, h.high, h.n = min(h.low, r.Celsius), max(h.high, r.Celsius), h.n+1
}

func (w *logWriter) hour(h *probeHour) {
	if h == nil {
		return
	}
	limit, ok := w.bound(h.first)
	for _, c := range []production.Celsius{h.low, h.high} {
		r := *h.first
		r.Celsius = c
		if _, fine := w.bound(&r); fine != nil && !*fine {
			ok = fine
		}
	}
	w.add(line{at: h.first.At(), Kind: "Suhu", What: subject(h.first) + " (sensor)",
		Actual: decimal(float64(h.low)/10, 1) + " – " + degrees(h.high), Limit: limit, Verdict: verdict(ok), Bad: ok != nil && !*ok,
		Operator: h.first.TakenBy, Note: strconv.Itoa(h.n) + " bacaan"})
}

func subject(r *production.Reading) string {
	if r.Dish == "" {
		return readingWords[r.Kind]
	}
	return readingWords[r.Kind] + " – " + r.Dish
}

// bound returns what a reading should be and whether it is; nil: nothing is asked of it.
func (w *logWriter) bound(r *production.Reading) (limit string, ok *bool) {
	fine := func(b bool) *bool { return &b }
	switch r.Kind {
	case production.Core:
		for _, d := range w.b.Production.Dishes {
			if d.Name == r.Dish && d.Cold {
				return "≤ " + degrees(*w.limits.ColdHoldMaxC), fine(r.Celsius <= *w.limits.ColdHoldMaxC)
			}
		}
		return "≥ " + degrees(*w.limits.CoreMinC), fine(r.Celsius >= *w.limits.CoreMinC)
	case production.HotHold:
		return "≥ " + degrees(*w.limits.HotHoldMinC), fine(r.Celsius >= *w.limits.HotHoldMinC)
	case production.ColdHold:
		return "≤ " + degrees(*w.limits.ColdHoldMaxC), fine(r.Celsius <= *w.limits.ColdHoldMaxC)
	default:
		return "", nil
	}
}

func verdict(ok *bool) string {
	switch {
	case ok == nil:
		return ""
	case *ok:
		return "Lulus"
	default:
		return "Gagal"
	}
}

func (w *logWriter) check(c *production.Check) {
	limit := c.ExpectedValue
	if limit == "" {
		switch c.Type {
		case production.Hygiene:
			limit = "nilai ≥ " + whole(w.limits.HygieneMinScore)
		case production.Temperature:
			limit = "≥ " + degrees(*w.limits.CoreMinC)
		case production.Taste, production.Appearance:
			limit = "≥ " + whole(w.limits.SensoryMinRating) + " dari 5"
		case production.Safety:
			limit = "semua negatif"
		}
	}
	actual := c.ActualValue
	switch {
	case c.Score != nil:
		actual = join(actual, "nilai "+whole(c.Score))
	case c.Rating != nil:
		actual = join(actual, whole(c.Rating)+" dari 5")
	case c.Celsius != nil:
		actual = join(actual, degrees(*c.Celsius))
	}
	note := join(c.Notes, late(c.Late, c.ClockOff))
	if !c.Passed {
		note = join("tingkat: "+severityWords[c.Severity], note)
	}
	w.add(line{at: c.At(), Kind: "Pemeriksaan", What: checkWords[c.Type] + " – " + c.Parameter, Actual: actual, Limit: limit,
		Verdict: verdict(&c.Passed), Bad: !c.Passed, Operator: c.CheckedBy, Action: join(c.ActionTaken, c.Recommendations), Note: note})
}

func (w *logWriter) alert(al *production.Alert) {
	actual, limit := "", ""
	if al.Unit != "" {
		unit := al.Unit
		if unit == "min" {
			unit = "menit"
		}
		actual, limit = shortest(al.Value)+" "+unit, shortest(al.Limit)+" "+unit
	}
	note := "tingkat: " + severityWords[al.Severity] + "; " + alertWords[al.Status]
	if al.AcknowledgedAt.Known() {
		note += fmt.Sprintf("; diketahui %s oleh %s", w.clock(al.AcknowledgedAt), w.l.name(al.AcknowledgedBy))
	}
	if al.ResolvedAt.Known() && al.ResolvedBy != "" {
		note += fmt.Sprintf("; diselesaikan %s", w.clock(al.ResolvedAt))
	}
	who := al.ResolvedBy
	if who == "" {
		who = al.AcknowledgedBy
	}
	w.add(line{at: al.RaisedAt, Kind: "Peringatan", What: al.Message.ID, Actual: actual, Limit: limit,
		Bad: al.Severity.Rank() >= production.High.Rank(), Operator: who, Action: al.CorrectiveAction, Note: note})
}

// at is the instant that the rules go by, as [production.Reading.At].
func at(taken, received production.Instant, clockOff bool) production.Instant {
	return (&production.Reading{TakenAt: taken, ReceivedAt: received, ClockOff: clockOff}).At()
}

func late(isLate, clockOff bool) string {
	switch {
	case isLate && clockOff:
		return "terlambat dicatat; jam perangkat salah"
	case isLate:
		return "terlambat dicatat"
	case clockOff:
		return "jam perangkat salah"
	default:
		return ""
	}
}

// join returns the parts that are not empty with "; " between them.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" }), "; ")
}

// table is the log as CSV.
func (l *DayLog) table() [][]string {
	out := [][]string{{
		"tanggal", "nomor_batch", "menu", "waktu", "jenis", "uraian", "nilai", "batas", "hasil", "petugas", "pemeriksa",
		"tindakan", "keterangan",
	}}
	zone := l.Kitchen.Zone.Location()
	for i := range l.Batches {
		b := &l.Batches[i]
		for _, n := range l.lines(b, false) {
			out = append(out, []string{
				string(l.Day), b.Production.BatchNumber, b.Production.MenuName, n.at.Time().In(zone).Format(time.RFC3339), n.Kind,
				n.What, n.Actual, n.Limit, n.Verdict, n.Operator, n.Reviewer, n.Action, n.Note,
			})
		}
		if l.Extract != "" {
			out = append(out, []string{
				string(l.Day), b.Production.BatchNumber, b.Production.MenuName, "", "Biaya", statusWords[b.Production.Status],
				rupiah(b.Production.ActualCost), rupiah(b.Production.EstimatedCost), "", "", "", "",
				"per porsi: " + rupiah(b.Production.CostPerPortion),
			})
		}
	}
	return out
}
