package simnic

import (
	"fmt"
	"os"
	"strings"
)

// PortStats is what became of the frames of one port: Rx of them came from behind
// it. Tx are what the kernel sent to it.
type PortStats struct{ Rx, Hit, Drop, Trap, Miss, Tx uint64 }

// Stats is what a card counts.
type Stats struct {
	Ports      map[string]PortStats // by the name that the port has now
	Used, Size uint64               // of the table, in rules
}

// Stats reads the card's counters.
func (c *Card) Stats() (Stats, error) {
	text, err := os.ReadFile(c.path("stats"))
	if err != nil {
		return Stats{}, err
	}
	return parseStats(string(text))
}

func parseStats(text string) (Stats, error) {
	s := Stats{Ports: map[string]PortStats{}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, rest, _ := strings.Cut(line, " ")
		if name == "table" {
			if _, err := fmt.Sscanf(rest, "used=%d size=%d", &s.Used, &s.Size); err != nil {
				return s, fmt.Errorf("stats line %q: %w", line, err)
			}
			continue
		}
		var p PortStats
		if _, err := fmt.Sscanf(rest, "rx=%d hit=%d drop=%d trap=%d miss=%d tx=%d", &p.Rx, &p.Hit, &p.Drop, &p.Trap, &p.Miss, &p.Tx); err != nil {
			return s, fmt.Errorf("stats line %q: %w", line, err)
		}
		s.Ports[name] = p
	}
	return s, nil
}

// Rule is one rule in the card's hardware, as the module prints it.
type Rule struct {
	Port, Cookie, Acts string
	Prio               uint
	Packets, Bytes     uint64
}

// Rules reads the hardware's table.
func (c *Card) Rules() ([]Rule, error) {
	text, err := os.ReadFile(c.path("rules"))
	if err != nil {
		return nil, err
	}
	var out []Rule
	for line := range strings.Lines(string(text)) {
		var r Rule
		for _, word := range strings.Fields(line) {
			key, v, _ := strings.Cut(word, "=")
			var err error
			switch key {
			case "port":
				r.Port = v
			case "cookie":
				r.Cookie = v
			case "acts":
				r.Acts = v
			case "prio":
				_, err = fmt.Sscan(v, &r.Prio)
			case "packets":
				_, err = fmt.Sscan(v, &r.Packets)
			case "bytes":
				_, err = fmt.Sscan(v, &r.Bytes)
			}
			if err != nil {
				return nil, fmt.Errorf("rules line %q: %w", line, err)
			}
		}
		out = append(out, r)
	}
	return out, nil
}
