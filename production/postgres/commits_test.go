package postgres_test

import (
	"fmt"

	"kentongan/production"
	"kentongan/tenant"
)

const (
	kitchen = tenant.ID("clx0k1tchen0000000000001")
	noon    = production.Instant(1_795_669_200_123)
)

// plan returns the commit that plans batch id of kitchen t with number n of its day, with an event, an audit entry and a key.
func plan(t tenant.ID, id string, n int) production.Commit {
	return told(production.Batch{
		Production: production.Production{
			ID: id, Tenant: t, BatchNumber: fmt.Sprintf("BATCH-20261126-%04d", n), Day: "2026-11-26", MenuName: "Nasi kuning",
			Status: production.Planned, PlannedPortions: 1500, PlannedStart: noon, PlannedEnd: noon + 3_600_000, CreatedAt: noon,
		},
		NextLook: noon,
	})
}

// next returns the commit that changes b.
func next(b production.Batch) production.Commit {
	b.Production.Version++
	return told(b)
}

func told(b production.Batch) production.Commit {
	base := b.Revision
	b.Revision++
	p := &b.Production
	id := fmt.Sprintf("%s.%d", p.ID, b.Revision)
	return production.Commit{
		Tenant: p.Tenant, Batch: &b, Base: base,
		Events: []production.Event{{
			ID: id + ".0", Tenant: p.Tenant, Channel: production.UpdatesChannel, ProductionID: p.ID, Version: p.Version, At: noon,
			Payload: fmt.Appendf(nil, `{"type":"production_update","productionId":%q,"data":{"progress":%d},"timestamp":%d,"updatedBy":"u"}`, p.ID, p.Progress, noon),
		}},
		Audit:    []production.AuditEntry{{Tenant: p.Tenant, At: noon, User: "u", Action: "update", ProductionID: p.ID, Version: p.Version}},
		Remember: &production.Remembered{Key: id, At: noon, Result: []byte(`{}`)},
	}
}
