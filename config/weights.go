package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kentongan/tenant"
)

// MaxWeight bounds the weights of kitchens: whoever counts for more than a hundred others is better off with a node of his own.
const MaxWeight = 100

// WeightOf returns how large the share of a kitchen is where several wait, compared with the 1 of those that are not named.
func (e *Edge) WeightOf(t tenant.ID) int { return max(1, e.TenantWeights[t]) }

// tenantWeights is a list of kitchens that count for more than one.
type tenantWeights struct{}

func (tenantWeights) takes() string {
	return fmt.Sprintf("list of `tenant:weight`, weights from 1 to %d", MaxWeight)
}

func (tenantWeights) split(s string) []string { return splitList(s) }

func (tenantWeights) set(d *draft, items []string) error {
	var wrong many
	weights := map[tenant.ID]int{}
	for _, item := range items {
		t, weight, err := parseWeight(item)
		if _, twice := weights[t]; err == nil && twice {
			err = fmt.Errorf("names %s twice; write each kitchen once", quote(string(t)))
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		weights[t] = weight
	}
	if len(wrong) > 0 {
		return wrong
	}
	d.Edge.TenantWeights = weights
	return nil
}

func (tenantWeights) show(d *draft) []string {
	var lines []string
	for _, t := range slices.Sorted(maps.Keys(d.Edge.TenantWeights)) {
		lines = append(lines, fmt.Sprintf("%s:%d", t, d.Edge.TenantWeights[t]))
	}
	return lines
}

// parseWeight reads one entry.
func parseWeight(item string) (tenant.ID, int, error) {
	name, text, ok := strings.Cut(item, ":")
	if !ok {
		return tenant.Global, 0, fmt.Errorf("has an entry %s without a weight; write tenant:weight", quote(item))
	}
	t, err := tenant.Parse(name)
	if err != nil {
		return tenant.Global, 0, fmt.Errorf("has an entry %s without a tenant; an id is 1 to 64 of A-Z a-z 0-9 _ -", quote(item))
	}
	weight, err := strconv.Atoi(text)
	if err != nil || weight < 1 || weight > MaxWeight {
		return tenant.Global, 0, fmt.Errorf("has a bad weight in %s; write a whole number from 1 to %d", quote(item), MaxWeight)
	}
	return t, weight, nil
}
