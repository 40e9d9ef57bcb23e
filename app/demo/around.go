package demo

import (
	"fmt"
	"time"

	"kentongan/tenant"
)

// What happens around the batches: stores, drivers, and the platform.

// stock is the data of an inventory update.
type stock struct {
	ItemName     string  `json:"itemName"`
	CurrentStock float64 `json:"currentStock"`
	MinStock     float64 `json:"minStock"`
	Unit         string  `json:"unit"`
}

// inventory takes the rice of the batch out of the store.
func (b *batch) inventory() {
	b.say("inventory:updates", notice{
		Type: "inventory_update", InventoryID: "inv_" + string(b.k.ID) + "_beras", Timestamp: b.now.UnixMilli(), UpdatedBy: b.k.crew.head,
		Data: stock{"Beras", tenth(200 + 300*b.rng.Float64()), 150, "kg"},
	})
}

// delivery is the data of a distribution update.
type delivery struct {
	ProductionID  string     `json:"productionId"`
	BatchNumber   string     `json:"batchNumber"`
	Status        string     `json:"status"`
	Portions      int        `json:"portions"`
	DepartureTime *time.Time `json:"departureTime,omitempty"`
	ArrivalTime   *time.Time `json:"arrivalTime,omitempty"`
}

// dispatch drives the trays to the schools.
func (b *batch) dispatch() {
	id := b.newID("dist")
	left := b.now.UTC()
	d := delivery{b.id, b.number, "DEPARTED", b.portions, &left, nil}
	b.change(b.k.crew.driver, changes{DispatchedAt: &left})
	b.sayDelivery(id, d)
	b.wait(checkingSeconds)
	there := b.now.UTC()
	d.Status, d.ArrivalTime = "DELIVERED", &there
	b.sayDelivery(id, d)
}

func (b *batch) sayDelivery(id string, d delivery) {
	b.say("distribution:updates", notice{
		Type: "distribution_update", DistributionID: id, Timestamp: b.now.UnixMilli(), UpdatedBy: b.k.crew.driver, Data: d,
	})
}

var announcements = []words{
	{"Pemeliharaan sistem terjadwal malam ini pukul 23.00 WIB.", "Scheduled maintenance tonight at 23:00 WIB."},
	{"Peringatan cuaca: hujan lebat, sesuaikan jadwal pengiriman.", "Weather warning: heavy rain, adjust delivery times."},
	{"Pengingat: laporan harian dikirim sebelum pukul 17.00.", "Reminder: send the daily report before 17:00."},
}

// announce is the nth word of the platform to all kitchens.
func announce(n int, at time.Time) event {
	a := alert{
		ID: fmt.Sprintf("system_%d_%d", at.Unix(), n), Code: "SYSTEM", Severity: low, Status: open,
		Message: announcements[n%len(announcements)], RaisedAt: at.UnixMilli(),
	}
	return event{at: at, message: Message{
		Channel: named(tenant.Global, "system-alert"),
		Data:    encode(notice{Type: "system_alert", Alert: &a, Timestamp: at.UnixMilli()}),
	}}
}
