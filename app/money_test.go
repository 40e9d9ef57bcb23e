package app

import (
	"encoding/json"
	"reflect"
	"testing"

	"kentongan/config"
	"kentongan/production"
)

// TestSocketsHideWhatRecordsHide compares what is left out on the sockets by default with what REST leaves out of the same payloads: a
// field that one of them forgets would leak there.
func TestSocketsHideWhatRecordsHide(t *testing.T) {
	cfg, err := config.Load(config.Input{})
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := moneyFields(cfg.Channels.MoneyFields)
	if err != nil {
		t.Fatal(err)
	}
	cost := production.Rupiah(7)
	full, err := json.Marshal(production.Production{ID: "p1", EstimatedCost: &cost, ActualCost: &cost, CostPerPortion: &cost})
	if err != nil {
		t.Fatal(err)
	}
	kpis, err := json.Marshal(production.KPIs{})
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{
		`{"type":"production_created","productionId":"p1","data":` + string(full) + `}`, string(kpis),
		`{"type":"production_update","data":{"status":"COOKING","actualCost":1,"changes":[{"costPerPortion":2,"a":1}]}}`,
		`{"type":"production_alert","alert":{"id":"a","code":"COST_OVER","severity":"HIGH","value":27.5,"limit":25,"unit":"%","status":"OPEN"}}`,
		`{"type":"production_alert","alert":{"id":"a","code":"WASTE_HIGH","severity":"HIGH","value":31,"limit":30,"unit":"kg"}}`,
		`{"data":{"costVariance":1,"efficiencyScore":2,"overallRating":3,"estimatedCost":4,"x":5}}`, `{"act\u0075alCost":1,"b":2}`, `[1,"two",{}]`,
	} {
		var sockets, records any
		if err := json.Unmarshal(hidden.Without([]byte(payload)), &sockets); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(production.WithoutMoney([]byte(payload)), &records); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(sockets, records) {
			t.Errorf("of %s the sockets show %v, and REST %v", payload, sockets, records)
		}
	}
}
