package redis

import (
	"errors"
	"testing"
)

func TestCheckSchema(t *testing.T) {
	for written, fine := range map[string]bool{
		"": true, "0.9": true, "1.0": true, "1.99": true, "2.0": false, "10.3": false, "99999999999999999999.0": false, "fresh": false, "2": false,
		"-1.0": false, "1.": false, "1.0.0": false, "1.0 ": false,
	} {
		if err := checkSchema(written); fine != (err == nil) || err != nil && !errors.Is(err, errNewer) {
			t.Errorf("%q: %v", written, err)
		}
	}
}
