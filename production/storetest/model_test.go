package storetest_test

import (
	"testing"

	"kentongan/production/storetest"
)

func TestModel(t *testing.T) {
	storetest.Run(t, func(testing.TB) storetest.Database {
		m := storetest.NewModel()
		return storetest.Database{Open: func(testing.TB) storetest.Store { return m.Node() }}
	})
}
