package rest

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/url"
	"time"

	"kentongan/production"
)

//go:embed daylog.html
var pageText string

//go:embed daylog.css
var pageStyle string

// pageTemplate is the printed log.
var pageTemplate = template.Must(template.New("daylog").Parse(pageText))

// pagePolicy lets a browser use the page's own style and the photos of this server, and nothing else: what people typed
// into the kitchen's tablets stands in the page.
var pagePolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; img-src 'self'; " +
	"style-src 'sha256-" + styleHash() + "'"

func styleHash() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sheet is what the template needs.
type sheet struct {
	Style   template.CSS
	Kitchen string
	Tenant  string
	Day     string
	Zone    string
	MadeAt  string
	MadeBy  string
	Costs   bool // an extract of costs
	Facts   []fact
	Batches []sheetBatch
	Alerts  []line // of the kitchen itself
	Seq     int64
	Hash    string
}

// fact is a word and its value.
type fact struct {
	Word, Value string
	Bad         bool
}

type sheetBatch struct {
	Number, Menu, Status string
	Bad                  bool // cancelled
	Facts                []fact
	Lines                []line
	Photos               []sheetPhoto
	Reason               string
}

// sheetPhoto is a photo under the lines of its batch.
type sheetPhoto struct {
	Source, Caption string
	Width, Height   int
}

// photos returns what is shown of the photos of b.
func (l *DayLog) photos(b *LogBatch) []sheetPhoto {
	var out []sheetPhoto
	for i := range b.Photos {
		p := &b.Photos[i]
		source := "/api/productions/" + url.PathEscape(p.ProductionID) + "/photos/" + url.PathEscape(p.ID)
		if l.visited {
			source += "?tenant=" + url.QueryEscape(string(l.Kitchen.ID))
		}
		out = append(out, sheetPhoto{source, join(l.clockOf(p), l.name(p.TakenBy), p.Note), p.Width, p.Height})
	}
	return out
}

func (l *DayLog) clockOf(p *production.Photo) string {
	return clock(at(p.TakenAt, p.ReceivedAt, p.ClockOff), l.Kitchen.Zone, l.Day)
}

// page is the log as a page in Indonesian, to print on A4.
func (l *DayLog) page() *fileOutput {
	zone := l.Kitchen.Zone.Location()
	made := l.MadeAt.Time().In(zone)
	s := sheet{
		Style:   template.CSS(pageStyle), //nolint:gosec // our own file
		Kitchen: l.Kitchen.Name, Tenant: string(l.Kitchen.ID), Day: longDay(l.Day), Zone: made.Format("MST"),
		MadeAt: made.Format("02/01/2006 15:04 MST"), MadeBy: l.name(l.MadeBy), Costs: l.Extract != "", Seq: l.AuditSeq, Facts: l.facts(),
	}
	if l.AuditSeq > 0 {
		s.Hash = l.Audit.String()
	}
	if s.Kitchen == "" {
		s.Kitchen = "SPPG " + s.Tenant
	}
	for i := range l.Batches {
		b := &l.Batches[i]
		p := &b.Production
		s.Batches = append(s.Batches, sheetBatch{
			Number: p.BatchNumber, Menu: p.MenuName, Status: statusWords[p.Status], Bad: p.Status == production.Cancelled,
			Facts: l.batchFacts(b), Lines: l.lines(b, true), Photos: l.photos(b), Reason: p.RejectionReason,
		})
	}
	own := logWriter{l: l, b: &LogBatch{}, limits: l.Kitchen.Limits.OrDefaults()}
	for i := range l.Alerts {
		own.alert(&l.Alerts[i])
	}
	s.Alerts = own.out
	var buf bytes.Buffer
	if err := pageTemplate.Execute(&buf, s); err != nil {
		panic("rest: " + err.Error()) // it is ours, and a buffer takes everything
	}
	return &fileOutput{ContentType: mediaHTML + "; charset=utf-8", Policy: pagePolicy, Body: buf.Bytes()}
}

// facts sum up the day.
func (l *DayLog) facts() []fact {
	u := l.Summary
	planned, actual := u.PlannedPortions, u.ActualPortions
	made := unknown
	if u.Yield.Count > 0 {
		made = whole(&actual)
	}
	out := []fact{
		{"Batch", whole(&u.Batches), false},
		{"Porsi rencana", whole(&planned), false},
		{"Porsi jadi", made, false},
		{"Pemeriksaan lulus", rate(u.ChecksPassed), u.ChecksPassed.Count < u.ChecksPassed.Of},
		{"Lulus tanpa ulang", rate(u.FirstPass), false},
		{"Tepat waktu", rate(u.OnTime), false},
		{"Dikirim dengan sisa ≥ 60 menit", rate(u.DispatchedInTime), u.DispatchedInTime.Count < u.DispatchedInTime.Of},
	}
	if u.CostPerPortion.Value != nil {
		out = append(out, fact{"Biaya per porsi", "Rp " + decimal(*u.CostPerPortion.Value, 0), false})
	}
	return out
}

// batchFacts stand above the lines of a batch.
func (l *DayLog) batchFacts(b *LogBatch) []fact {
	p := &b.Production
	z, d := l.Kitchen.Zone, l.Day
	left := unknown
	if b.KPIs.MinutesLeft != nil {
		left = shortest(*b.KPIs.MinutesLeft) + " menit"
	}
	temp := unknown
	if p.ActualTemperature != nil {
		temp = degrees(*p.ActualTemperature)
	}
	waste := unknown
	if p.WasteAmount != nil {
		waste = decimal(float64(*p.WasteAmount)/10, 1) + " kg"
	}
	planned := p.PlannedPortions
	ended := "Dilepas oleh"
	if p.Status == production.Cancelled {
		ended = "Dibatalkan oleh"
	}
	out := []fact{
		{"Gelombang", decimal(float64(p.Wave), 0), false},
		{"Sasaran", dash(p.TargetGroup), false},
		{"Juru masak utama", dash(l.name(p.HeadCook)), false},
		{ended, dash(l.name(b.Reviewer)), false},
		{"Porsi jadi / rencana", whole(p.ActualPortions) + " / " + whole(&planned), false},
		{"Mulai persiapan", clock(p.ActualStart, z, d), false},
		{"Mulai memasak", clock(p.CookingStarted, z, d), false},
		{"Matang", clock(p.Cooked, z, d), false},
		{"Layak sampai pukul", clock(p.ConsumeBy, z, d), false},
		{"Selesai", clock(p.ActualEnd, z, d), false},
		{"Dikirim", clock(p.Dispatched, z, d), false},
		{"Sisa waktu saat dikirim", left, b.KPIs.MinutesLeft != nil && *b.KPIs.MinutesLeft < time.Hour.Minutes()},
		{"Suhu inti terakhir", temp, p.ActualTemperature != nil && *p.ActualTemperature < p.TargetTemperature},
		{"Kendali", modeWords[p.ControlMode], false},
		{"Masak ulang", decimal(float64(p.ReworkCount), 0), p.ReworkCount > 0},
		{"Limbah", waste, false},
	}
	if p.ActualCost != nil || p.EstimatedCost != nil {
		out = append(out, fact{"Biaya / perkiraan", rupiah(p.ActualCost) + " / " + rupiah(p.EstimatedCost), false},
			fact{"Biaya per porsi", rupiah(p.CostPerPortion), false})
	}
	return out
}

func dash(s string) string {
	if s == "" {
		return unknown
	}
	return s
}
