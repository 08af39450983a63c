package hwif_test

import (
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

func TestPortReaches(t *testing.T) {
	p := hwif.Port{Ifindex: 1}
	if !p.Reaches(2) || !p.Reaches(1) {
		t.Error("nil Joins means every port")
	}
	p.Joins = []hwif.Ifindex{}
	if p.Reaches(2) {
		t.Error("empty Joins means none")
	}
	p.Joins = []hwif.Ifindex{3}
	if p.Reaches(2) || !p.Reaches(3) {
		t.Error("Joins names the ports")
	}
}

func TestPortSame(t *testing.T) {
	base := hwif.Port{Ifindex: 1, Name: "a", MTU: 1500, Up: true}
	for name, change := range map[string]func(*hwif.Port){
		"ifindex": func(p *hwif.Port) { p.Ifindex++ }, "name": func(p *hwif.Port) { p.Name = "b" },
		"kind": func(p *hwif.Port) { p.Kind = hwif.PortVF }, "MAC": func(p *hwif.Port) { p.MAC[0] = 2 },
		"MTU": func(p *hwif.Port) { p.MTU-- }, "state": func(p *hwif.Port) { p.Up = false },
		"refusal": func(p *hwif.Port) { p.Refused = "no" }, "no joins": func(p *hwif.Port) { p.Joins = []hwif.Ifindex{} },
		"joins": func(p *hwif.Port) { p.Joins = []hwif.Ifindex{2} },
	} {
		q := base
		change(&q)
		if base.Same(&q) || q.Same(&base) {
			t.Errorf("another %s goes unnoticed", name)
		}
	}
	q := base
	q.Device = 3
	if !base.Same(&q) {
		t.Error("the device's number is no difference")
	}
}
