package offload_test

import (
	"strings"
	"testing"
)

// TestDropsApart: what drop rules count is dropped, and not forwarded.
func TestDropsApart(t *testing.T) {
	w := newWorld()
	for _, line := range []string{
		"auto", "synced", "listed", "marks drop=0x4",
		"conn update udp 10.0.0.1:4000 > 192.0.2.1:80 mark=4", "count 5",
		"conn update udp 10.0.0.2:4000 > 192.0.2.1:80", "count 3",
		"conn update udp 10.0.0.1:4000 > 192.0.2.1:80 mark=0", // the last counts come with the removal
	} {
		if err := w.command(strings.Fields(line)); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	st := w.eng.Stats()
	if st.NICDrops.Packets != 2*(5+3) || st.NICPath.Packets != 2*3 {
		t.Errorf("dropped %v, forwarded %v", st.NICDrops, st.NICPath)
	}
	if st.NICDrops.Bytes == 0 {
		t.Error("no bytes were dropped")
	}
}
