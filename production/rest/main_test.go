package rest

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write testdata/openapi.json anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
