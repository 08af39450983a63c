package switchdev

import (
	"fmt"
	"strings"
)

// String is for logs: "bond0.5: p0 vlan 5, p1 vlan 5 (backup); bond0 active-backup".
func (s *Stack) String() string {
	if s.Refused.Code != RefusedNot {
		return fmt.Sprintf("%s: %s", s.Name, s.Refused)
	}
	var legs []string
	for i := range s.Legs {
		legs = append(legs, s.Legs[i].String())
	}
	out := s.Name + ": " + strings.Join(legs, ", ")
	if s.Bond != nil {
		out += fmt.Sprintf("; %s %s", s.Bond.Name, s.Bond.Mode)
	}
	return out
}

// String is the interface, its tags, and what is wrong with it.
func (l *Leg) String() string {
	out := l.Name
	for _, t := range l.Tags {
		out += " " + t.String()
	}
	if l.Backup {
		out += " (backup)"
	}
	if l.Refused.Code != RefusedNot {
		out += " (" + l.Refused.String() + ")"
	}
	return out
}

func (t Tag) String() string {
	if t.Proto == 0x8100 { // ETH_P_8021Q
		return fmt.Sprintf("vlan %d", t.ID)
	}
	return fmt.Sprintf("vlan %d proto 0x%04x", t.ID, t.Proto)
}
