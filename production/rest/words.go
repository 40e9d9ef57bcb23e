package rest

import (
	"strconv"
	"strings"

	"kentongan/production"
)

// The words of the printed log and of its CSV, in Indonesian: who inspects a kitchen reads no English.

var statusWords = map[production.Status]string{
	production.Planned: "Direncanakan", production.Preparing: "Persiapan", production.Cooking: "Memasak",
	production.QualityCheck: "Pemeriksaan Kualitas", production.Completed: "Selesai", production.Cancelled: "Dibatalkan",
}

var stepWords = map[production.Status]string{
	production.Preparing: "Mulai persiapan", production.Cooking: "Mulai memasak", production.QualityCheck: "Cek kualitas",
	production.Completed: "Dilepas (selesai)", production.Cancelled: "Dibatalkan",
}

var checkWords = map[production.CheckType]string{
	production.Hygiene: "Kebersihan", production.Temperature: "Suhu", production.Taste: "Rasa", production.Appearance: "Penampilan",
	production.Safety: "Keamanan",
}

var readingWords = map[production.ReadingKind]string{
	production.Core: "Suhu inti", production.HotHold: "Suhu penyimpanan panas", production.ColdHold: "Suhu penyimpanan dingin",
	production.Ambient: "Suhu ruang",
}

var severityWords = map[production.Severity]string{
	production.Low: "Rendah", production.Medium: "Sedang", production.High: "Tinggi", production.Critical: "Kritis",
}

var alertWords = map[production.AlertStatus]string{
	production.AlertOpen: "terbuka", production.AlertAcknowledged: "diketahui", production.AlertResolved: "selesai",
	production.AlertAutoResolved: "selesai sendiri",
}

var modeWords = map[production.ControlMode]string{
	production.ControlTime: "waktu (4 jam)", production.ControlHot: "panas", production.ControlCold: "dingin",
}

var fieldWords = map[string]string{
	"actualPortions": "Porsi jadi", "plannedPortions": "Porsi rencana", "actualCost": "Biaya aktual", "estimatedCost": "Perkiraan biaya",
	"costPerPortion": "Biaya per porsi",
	"wasteAmount":    "Limbah", "wasteNotes": "Catatan limbah", "notes": "Catatan",
	"headCook": "Juru masak utama",
	"menuId":   "Menu", "programId": "Program", "targetGroup": "Kelompok sasaran", "cookedAt": "Waktu matang",
	"dispatchedAt":      "Waktu kirim",
	"sampleTakenAt":     "Waktu sampel",
	"actualTemperature": "Suhu inti",
}

// unknown is what is printed for what nobody knows; it is never 0.
const unknown = "–"

// decimal is a number as Indonesians write it: 1.234,5.
func decimal(f float64, digits int) string {
	text := strconv.FormatFloat(f, 'f', digits, 64)
	whole, part, _ := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	var b strings.Builder
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte('.')
		}
		b.WriteRune(digit)
	}
	if part != "" {
		return sign + b.String() + "," + part
	}
	return sign + b.String()
}

// shortest is decimal with as many digits, up to two, as it takes.
func shortest(f float64) string {
	text := decimal(f, 2)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ",")
}

func degrees(c production.Celsius) string { return decimal(float64(c)/10, 1) + " °C" }

func whole(n *int) string {
	if n == nil {
		return unknown
	}
	return decimal(float64(*n), 0)
}

func rupiah(r *production.Rupiah) string {
	if r == nil {
		return unknown
	}
	return "Rp " + decimal(float64(*r), 0)
}

// rate is a share with its counts: 9 dari 10.
func rate(r production.Rate) string {
	if r.Of == 0 {
		return unknown
	}
	return strconv.Itoa(r.Count) + " dari " + strconv.Itoa(r.Of)
}

var months = []string{
	"", "Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli", "Agustus", "September", "Oktober", "November", "Desember",
}

var weekdays = []string{"Minggu", "Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu"}

// longDay is a day in words: Kamis, 26 November 2026.
func longDay(d production.Day) string {
	t := d.Start(production.WIB).Time().In(production.WIB.Location())
	return weekdays[t.Weekday()] + ", " + strconv.Itoa(t.Day()) + " " + months[t.Month()] + " " + strconv.Itoa(t.Year())
}

// clock is an instant on the wall of the kitchen. One of another day than d says so.
func clock(i production.Instant, z production.Zone, d production.Day) string {
	if !i.Known() {
		return unknown
	}
	t := i.Time().In(z.Location())
	if production.DayOf(i, z) != d {
		return t.Format("02/01 15:04")
	}
	return t.Format("15:04")
}
