package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"kentongan/internal/nap"
	"kentongan/production"
	"kentongan/realtime"
	"kentongan/tenant"
)

// What happens around the batches is no matter of the production service: stores, drivers, and the platform. Here it is
// published as the app does it.

// crew are the users who enter things.
type crew struct {
	head, cook, nutritionist, driver string
}

func (c crew) roles() map[string]production.Role {
	return map[string]production.Role{
		c.head: production.Head, c.cook: production.KitchenStaff, c.nutritionist: production.Nutritionist,
		c.driver: production.Distribution,
	}
}

// say publishes one message of the app. One that is lost because the engine is out is lost for the real app, too.
func (d *demo) say(ctx context.Context, t tenant.ID, channel string, payload map[string]any) error {
	payload["timestamp"] = time.Now().UnixMilli()
	data, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if err := d.publish(ctx, realtime.Channel{Tenant: t, Name: channel}, data); err != nil && ctx.Err() == nil {
		d.opts.Log.DebugContext(ctx, "a message of the demo is lost", "channel", channel, "err", err)
	}
	return nil
}

// inventory takes the rice of the batch out of the store.
func (b *batch) inventory(ctx context.Context) error {
	return b.say(ctx, b.k.ID, "inventory:updates", map[string]any{
		"type": "inventory_update", "inventoryId": "inv_" + string(b.k.ID) + "_beras", "updatedBy": b.k.crew.head,
		"data": map[string]any{"itemName": "Beras", "currentStock": 200 + b.rng.IntN(300), "minStock": 150, "unit": "kg"},
	})
}

// deliver tells of the drive to the schools.
func (b *batch) deliver(ctx context.Context) error {
	return b.say(ctx, b.k.ID, "distribution:updates", map[string]any{
		"type": "distribution_update", "distributionId": "dist_" + b.p.ID, "updatedBy": b.k.crew.driver,
		"data": map[string]any{
			"productionId": b.p.ID, "batchNumber": b.p.BatchNumber, "status": "DEPARTED", "portions": b.p.ActualPortions,
			"departureTime": b.p.Dispatched,
		},
	})
}

var announcements = []production.Words{
	{ID: "Pemeliharaan sistem terjadwal malam ini pukul 23.00 WIB.", EN: "Scheduled maintenance tonight at 23:00 WIB."},
	{ID: "Peringatan cuaca: hujan lebat, sesuaikan jadwal pengiriman.", EN: "Weather warning: heavy rain, adjust delivery times."},
	{ID: "Pengingat: laporan harian dikirim sebelum pukul 17.00.", EN: "Reminder: send the daily report before 17:00."},
}

// announce has the platform say something to all kitchens now and then.
func (d *demo) announce(ctx context.Context) {
	for n, wait := 0, announceEvery/4; nap.For(ctx, wait); n, wait = n+1, announceEvery {
		now := time.Now().UnixMilli()
		_ = d.say(ctx, tenant.Global, "system-alert", map[string]any{ // it always encodes
			"type": "system_alert", "alert": map[string]any{
				"id": fmt.Sprintf("system_%d_%d", now, n), "code": "SYSTEM", "severity": production.Low, "status": production.AlertOpen,
				"message": announcements[n%len(announcements)], "raisedAt": now,
			},
		})
	}
}
