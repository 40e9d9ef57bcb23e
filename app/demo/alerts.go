package demo

// severity is how bad an alert is.
type severity string

const (
	low      severity = "LOW"
	medium   severity = "MEDIUM"
	high     severity = "HIGH"
	critical severity = "CRITICAL"
)

// alertStatus is where an alert stands.
type alertStatus string

const (
	open         alertStatus = "OPEN"
	acknowledged alertStatus = "ACKNOWLEDGED"
	resolved     alertStatus = "RESOLVED"
	autoResolved alertStatus = "AUTO_RESOLVED"
)

// trouble is what goes wrong in a batch, by the code of its alert.
type trouble string

const (
	nothing       trouble = ""
	startLate     trouble = "START_LATE"
	noReading     trouble = "NO_READING"
	coreTempLow   trouble = "CORE_TEMP_LOW"
	sampleMissing trouble = "SAMPLE_MISSING"
	yieldLow      trouble = "YIELD_LOW"
	wasteHigh     trouble = "WASTE_HIGH"
	qcFailed      trouble = "QC_FAILED"
)

// rule says how an alert looks.
type rule struct {
	severity severity
	message  words
	action   string // what a person does about it; empty: it clears by itself
}

var rules = map[trouble]rule{
	startLate:     {medium, words{"Terlambat mulai", "Late start"}, ""},
	noReading:     {low, words{"Suhu belum dicatat", "No temperature recorded"}, ""},
	coreTempLow:   {high, words{"Suhu inti kurang", "Core temperature too low"}, "Masakan dipanaskan kembali sampai di atas 75 °C."},
	sampleMissing: {medium, words{"Sampel belum disimpan", "No sample kept"}, ""},
	yieldLow:      {medium, words{"Porsi kurang", "Too few portions"}, "Porsi tambahan dimasak untuk kekurangannya."},
	wasteHigh:     {medium, words{"Limbah tinggi", "Much waste"}, "Takaran bahan diperiksa bersama juru masak."},
	qcFailed: {critical, words{"Pemeriksaan gagal", "Quality check failed"}, "Batch dimusnahkan, pemasok ditahan, " +
		"dinas kesehatan diberi tahu."},
}

// likelihood of each trouble, out of likelihoodSum. Most batches have none.
var likelihood = []struct {
	trouble trouble
	weight  int
}{{nothing, 10}, {startLate, 2}, {noReading, 2}, {coreTempLow, 3}, {sampleMissing, 2}, {yieldLow, 2}, {wasteHigh, 2}, {qcFailed, 1}}

const likelihoodSum = 24

func (b *batch) pickTrouble() trouble {
	n := b.rng.IntN(likelihoodSum)
	for _, l := range likelihood {
		if n -= l.weight; n < 0 {
			return l.trouble
		}
	}
	return nothing
}

// raise opens an alert. A batch has one at a time.
func (b *batch) raise(t trouble, value, limit float64, unit string) {
	r := rules[t]
	b.alert = &alert{
		ID: b.newID("alert"), Code: string(t), Severity: r.severity, Status: open, ProductionID: b.id, BatchNumber: b.number,
		Message: r.message, Value: value, Limit: limit, Unit: unit, RaisedAt: b.now.UnixMilli(),
	}
	b.sayAlert()
	if r.severity == high || r.severity == critical {
		b.say("notifications", notice{
			Type: "notification", NotificationID: b.newID("notif"), Timestamp: b.now.UnixMilli(),
			Data: notification{Title: r.message.ID, Message: b.number + ": " + r.message.ID, Severity: r.severity, ProductionID: b.id},
		})
	}
}

// notification is the data of a notice on the notifications channel.
type notification struct {
	Title        string   `json:"title"`
	Message      string   `json:"message"`
	Severity     severity `json:"severity"`
	ProductionID string   `json:"productionId"`
}

// acknowledge says that a person has seen the alert.
func (b *batch) acknowledge() {
	b.alert.Status, b.alert.AcknowledgedAt, b.alert.AcknowledgedBy = acknowledged, b.now.UnixMilli(), b.k.crew.head
	b.sayAlert()
}

// settle ends the alert of the batch, if it has one: by itself, or by a person with a corrective action.
func (b *batch) settle() {
	if b.alert == nil {
		return
	}
	b.alert.Status, b.alert.ResolvedAt = autoResolved, b.now.UnixMilli()
	if r := rules[trouble(b.alert.Code)]; r.action != "" {
		b.alert.Status, b.alert.ResolvedBy, b.alert.CorrectiveAction = resolved, b.k.crew.head, r.action
	}
	b.sayAlert()
	b.alert = nil
}

func (b *batch) sayAlert() {
	b.say("production:alerts", alertMessage{"production_alert", b.id, *b.alert, b.now.UnixMilli()})
}
