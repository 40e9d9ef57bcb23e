package rows_test

import (
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"kentongan/production"
	"kentongan/production/internal/rows"
)

// TestStoredForm has rows as they lie in databases: whoever changes what is written must still read these.
func TestStoredForm(t *testing.T) {
	portions, temperature, cost := 0, production.Celsius(-5), production.Rupiah(math.MaxInt64)
	for _, c := range []struct {
		name, stored string
		value, empty any
	}{
		{
			"Production",
			`{"id":"b","sppgId":"k","source":"SERVICE","batchNumber":"BATCH-20261126-0001","productionDate":"2026-11-26","plannedPortions":1,"actualPortions":0,` +
				`"assistantCooks":[],"status":"PLANNED","statusSince":1,"wave":1,"controlMode":"TIME","dishes":[{"name":"n","cold":true,"cookedAt":-1,"coreTempC":-5}],` +
				`"actualCost":9223372036854775807,"targetTemperature":750,"version":1}`,
			production.Production{
				ID: "b", Tenant: "k", Source: production.OwnRecord, BatchNumber: "BATCH-20261126-0001", Day: "2026-11-26", PlannedPortions: 1, ActualPortions: &portions,
				AssistantCooks: []string{}, Status: production.Planned, StatusSince: 1, Wave: 1, ControlMode: production.ControlTime,
				Dishes: []production.Dish{{Name: "n", Cold: true, Cooked: -1, CoreTemp: &temperature}}, ActualCost: &cost, TargetTemperature: 750, Version: 1,
			},
			&production.Production{},
		},
		{
			"Alert",
			`{"id":"a","sppgId":"k","code":"EAT_BY","severity":"HIGH","status":"OPEN","productionId":"b","batchNumber":"n","message":{"id":"i","en":"e"},"value":0.1,` +
				`"limit":75,"unit":"°C","raisedAt":1,"risenAt":2,"acknowledgedAt":3,"acknowledgedBy":"x","resolvedAt":4,"resolvedBy":"y","correctiveAction":"z",` +
				`"escalations":5,"escalatedAt":6,"nextEscalation":7}`,
			production.Alert{
				ID: "a", Tenant: "k", Code: production.EatBy, Severity: production.High, Status: production.AlertOpen, ProductionID: "b", BatchNumber: "n",
				Message: production.Words{ID: "i", EN: "e"}, Value: 0.1, Limit: 75, Unit: "°C", RaisedAt: 1, RisenAt: 2, AcknowledgedAt: 3, AcknowledgedBy: "x",
				ResolvedAt: 4, ResolvedBy: "y", CorrectiveAction: "z", Escalations: 5, EscalatedAt: 6, NextEscalation: 7,
			},
			&production.Alert{},
		},
		{
			"Kitchen",
			`{"sppgId":"k","certificates":[{"kind":"SLHS","number":"1"}],"limits":{"coreMinC":755}}`,
			production.Kitchen{ID: "k", Certificates: []production.Certificate{{Kind: "SLHS", Number: "1"}}, Limits: production.Limits{CoreMinC: new(production.Celsius(755))}},
			&production.Kitchen{},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := rows.Encode(c.value)
			if err != nil || string(got) != c.stored {
				t.Errorf("got  %s, %v\nwant %s", got, err, c.stored)
			}
			if err := rows.Decode([]byte(c.stored), c.empty); err != nil {
				t.Fatal(err)
			}
			if back := reflect.ValueOf(c.empty).Elem().Interface(); !reflect.DeepEqual(back, c.value) {
				t.Errorf("got  %+v\nwant %+v", back, c.value)
			}
		})
	}
}

// TestOddValuesComeBack has values that the rules would never let through: what a store has accepted it must be able to read.
func TestOddValuesComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := production.Reading{
			ID: rapid.String().Draw(t, "id"), Kind: production.ReadingKind(rapid.String().Draw(t, "kind")),
			Celsius: production.Celsius(rapid.Int32().Draw(t, "celsius")), TakenAt: production.Instant(rapid.Int64().Draw(t, "taken")),
		}
		day := production.Production{Day: production.Day(rapid.String().Draw(t, "day")), WasteAmount: new(production.Kilograms(rapid.Int32().Draw(t, "waste")))}
		var got production.Reading
		roundTrip(t, want, &got)
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		var back production.Production
		roundTrip(t, day, &back)
		if !reflect.DeepEqual(back, day) {
			t.Errorf("got %+v, want %+v", back, day)
		}
	})
}

func roundTrip(t *rapid.T, from, to any) {
	doc, err := rows.Encode(from)
	if err == nil {
		err = rows.Decode(doc, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, v := range []any{production.Reading{ID: "\xff"}, production.Alert{Value: math.NaN()}} {
		if got, err := rows.Encode(v); err == nil {
			t.Errorf("%+v became %s", v, got)
		}
	}
}

func TestNumber(t *testing.T) {
	for number, want := range map[string]int{
		"BATCH-20261126-0001": 1, "BATCH-20261126-9999": 9999, "BATCH-20261126-10000": 10000, "BATCH-20261126-": 0, "BATCH-20261126-+1": 0, "": 0,
		"BATCH-20261127-0001": 0, "BATCH-20261126-0001-X": 0, "batch-20261126-0001": 0, "BATCH-20261126-1234567890": 0, "KLOTER 7": 0,
	} {
		if got := rows.Number(&production.Production{Day: "2026-11-26", BatchNumber: number}); got != want {
			t.Errorf("%q: got %d, want %d", number, got, want)
		}
	}
}

// BenchmarkDecode is what each batch of a list costs beside the database.
func BenchmarkDecode(b *testing.B) {
	cost, at := production.Rupiah(8000), production.Instant(1_795_669_200_123)
	doc, err := rows.Encode(production.Production{
		ID: "01994c1e-0000-7000-8000-000000000001", Tenant: "clx0k1tchen0000000000001", MenuName: "Nasi Ayam", BatchNumber: "BATCH-20261126-0001", Day: "2026-11-26",
		Status: production.Cooking, Dishes: []production.Dish{{Name: "Nasi", Cooked: at}, {Name: "Ayam"}, {Name: "Sayur"}}, PlannedStart: at, PlannedEnd: at, ActualCost: &cost,
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var p production.Production
		if err := rows.Decode(doc, &p); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(doc)))
}
