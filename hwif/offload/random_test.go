package offload_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shunt-offload/shunt/hwif"
)

// TestRandomEvents plays random lines of a story over a handful of connections
// and holds the promises after each: never over capacity, every flow not in
// hardware has a reason, gauges are the listing's own sums; and whenever the
// device has answered everything, both rules of a connection are there or
// neither. In the end every connection closes and nothing is left.
func TestRandomEvents(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld()
		var played []string
		play := func(format string, args ...any) {
			line := fmt.Sprintf(format, args...)
			played = append(played, line)
			if err := w.command(strings.Fields(line)); err != nil {
				rt.Fatalf("%v\nafter:\n%s", err, strings.Join(played, "\n"))
			}
			if strings.Contains(w.out.String(), "NEVER SETTLES") {
				rt.Fatalf("never settles after:\n%s", strings.Join(played, "\n"))
			}
			w.out.Reset()
		}
		quiet := func() {
			// What failed is tried again after a second; a ghost that would
			// not leave shows in the next listing.
			w.refuse = nil
			play("apply")
			play("wait 2s")
			play("listed")
			for range 20 {
				if len(w.ops)+len(w.lookups)+len(w.preps) == 0 {
					break
				}
				play("auto")
				for _, q := range w.lookups {
					w.answer(q, 0, "")
				}
				clear(w.lookups)
				for _, p := range w.preps {
					w.prepared(p, "")
				}
				play("apply")
			}
			if err := pairs(w); err != nil {
				rt.Fatalf("%v\nafter:\n%s", err, strings.Join(played, "\n"))
			}
		}
		play("listed")
		play("synced")
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			step(rt, w, play)
			if rapid.IntRange(0, 5).Draw(rt, "quiet") == 0 {
				quiet()
			}
		}
		w.refuse = nil
		play("resume")
		play("synced")
		for port := 1; port <= ports; port++ {
			play("conn destroy tcp 10.0.0.1:%d > 192.0.2.1:80", port)
		}
		quiet()
		play("wait 20s")
		play("listed")
		quiet()
		if len(w.rules) != 0 {
			rt.Fatalf("%d rules left after every connection has ended, after:\n%s", len(w.rules), strings.Join(played, "\n"))
		}
		if n := w.eng.Stats().Tracked; n != 0 {
			rt.Fatalf("%d flows left, after:\n%s", n, strings.Join(played, "\n"))
		}
	})
}

const ports = 6

func step(rt *rapid.T, w *world, play func(string, ...any)) {
	port := rapid.IntRange(1, ports).Draw(rt, "port")
	tuple := fmt.Sprintf("tcp 10.0.0.1:%d > 192.0.2.1:80", port)
	pick := func(name string, words ...string) string { return rapid.SampledFrom(words).Draw(rt, name) }
	switch pick("step", "update", "update", "update", "new", "listed", "close", "destroy", "dirty", "apply", "apply",
		"answer", "answer", "prepared", "prepared", "count", "wait", "refuse", "forget", "relist", "loss", "synced",
		"operator", "port", "restart", "pause", "mode", "audit", "hop") {
	case "update":
		play("conn update %s id=%d mark=%d", tuple, rapid.IntRange(1, 2).Draw(rt, "id"), rapid.IntRange(0, 1).Draw(rt, "mark"))
	case "new":
		play("conn new %s status=8 state=SYN_SENT id=%d", tuple, rapid.IntRange(1, 2).Draw(rt, "id"))
	case "listed":
		play("conn listed %s packets=%d", tuple, rapid.IntRange(0, 9).Draw(rt, "packets"))
	case "close":
		play("conn update %s state=FIN_WAIT", tuple)
	case "destroy":
		play("conn destroy %s", tuple)
	case "dirty":
		play("dirty %s %d", pick("cause", "route_changed", "neighbour_changed", "link_down"), rapid.IntRange(0, ports).Draw(rt, "id"))
	case "apply":
		play("apply")
	case "answer":
		for id, q := range w.lookups {
			if rapid.Bool().Draw(rt, "no") {
				play("answer %d no_route", id)
			} else {
				play("answer %d", id)
			}
			_ = q
			break
		}
	case "prepared":
		for id := range w.preps {
			play("prepared %d%s", id, pick("err", "", "", " busy"))
			break
		}
	case "count":
		play("count %d", rapid.IntRange(0, 5).Draw(rt, "packets"))
	case "wait":
		play("wait %s", pick("for", "10ms", "2s", "11s", "40s"))
	case "refuse":
		play("refuse %s %s", pick("kind", "ok", "full", "busy", "unsupported", "other", "gone"), pick("kind", "ok", "full", "busy"))
	case "forget":
		play("forget-rules")
		play("wait 1ms")
		play("apply")
		play("wait 1ms")
		play("listed")
	case "relist":
		play("relisted")
	case "loss":
		play("loss %s", pick("source", "conntrack", "route"))
	case "synced":
		play("synced")
	case "operator":
		play("%s %s owner=ops lease=5s hold=5s", pick("verb", "pin", "unpin", "deny", "undeny", "evict"), tuple)
	case "port":
		play("port %s %s", pick("which", "lan", "wan"), pick("how", "up", "up", "down", "refused"))
	case "restart":
		w.refuse = nil
		play("restart")
		play("listed")
		play("synced")
	case "pause":
		play(pick("pause", "pause ops", "resume", "resume"))
	case "mode":
		play(pick("mode", "auto", "manual"))
	case "audit":
		play("listed")
	case "hop":
		play("hop %d", rapid.IntRange(2, 5).Draw(rt, "hop"))
	}
}

// pairs reports a connection of which one rule is in the device and the other
// is not, though nothing is on its way. Rules that the device forgot by itself
// count as absent until a listing shows it, so a half is looked for only among
// flows that the engine believes settled.
func pairs(w *world) error {
	dirs := map[uint64][2]bool{}
	for _, in := range w.rules {
		if c := in.Rule.Cookie; c != (hwif.Cookie{}) {
			d := dirs[c.Gen()]
			d[c.Dir()] = true
			dirs[c.Gen()] = d
		}
	}
	for gen, d := range dirs {
		if d[0] != d[1] {
			return fmt.Errorf("generation %d has its rules %v in hardware: half a connection", gen, d)
		}
	}
	return nil
}
