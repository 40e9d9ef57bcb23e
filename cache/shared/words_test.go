package shared

import (
	"strings"
	"testing"
)

// TestClusterInWords: what a node says of keys that are elsewhere is told in words, and nothing else is taken for that.
func TestClusterInWords(t *testing.T) {
	for text, want := range map[string]string{
		"MOVED 5906 10.0.0.2:7000": "is being moved", "ASK 5906 10.0.0.2:7000": "is being moved",
		"TRYAGAIN Multiple keys request during rehashing of slot":                                           "is being moved",
		"ERR Script attempted to access a non local key in a cluster node script: f00, on @user_script:10.": "is being moved",
		"CLUSTERDOWN Hash slot not served":                                                                  "not well", "ERR Can not execute a command while the cluster is down": "not well",
		"ERR unknown command 'MOVED'": "", "OOM command not allowed when used memory > 'maxmemory'.": "", "": "",
	} {
		err := ofCluster(text)
		if want == "" {
			if err != nil {
				t.Errorf("%q is taken for a word of a Cluster: %v", text, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v; want %q", text, err, want)
		}
	}
}
