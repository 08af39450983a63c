package hwif_test

import (
	"errors"
	"testing"

	"github.com/shunt-offload/shunt/hwif"
)

func everything() hwif.Caps {
	return hwif.Caps{Driver: "test", Fields: hwif.FieldsOf(hwif.Fields()...), Actions: hwif.ActionsOf(hwif.ActionKinds()...), Batch: 1}
}

// TestCheckLacks: for each field and action of a rule, a device without it says no
// and names it.
func TestCheckLacks(t *testing.T) {
	r := flowRule()
	if c := everything(); c.Check(&r) != nil {
		t.Fatalf("a device that can do everything refuses: %v", c.Check(&r))
	}
	want := func(c hwif.Caps, name string, lacks bool) {
		t.Helper()
		err := c.Check(&r)
		if !lacks {
			if err != nil {
				t.Errorf("without %s, which the rule has not: %v", name, err)
			}
			return
		}
		var e *hwif.Error
		if !errors.As(err, &e) || e.Kind != hwif.KindUnsupported || e.Field != name || e.Cookie != r.Cookie || e.Device != "test" {
			t.Errorf("without %s: %v", name, err)
		}
	}
	for _, f := range hwif.Fields() {
		c := everything()
		c.Fields = c.Fields.Without(f)
		want(c, f.String(), r.Match.Fields.Has(f))
	}
	for _, a := range hwif.ActionKinds() {
		c := everything()
		c.Actions = c.Actions.Without(a)
		want(c, a.String(), r.Actions.Set.Has(a))
	}
}

func TestCheckNonsense(t *testing.T) {
	for field, spoil := range map[string]func(r *hwif.Rule){
		"cookie":          func(r *hwif.Rule) { r.Cookie = hwif.Cookie{1} },
		"in_port":         func(r *hwif.Rule) { r.Match.InPort = 0 },
		"eth_type":        func(r *hwif.Rule) { r.Match.Family = hwif.FamilyNone },
		"vlan_id":         func(r *hwif.Rule) { r.Match.VLAN = 4095 },
		"verdict":         func(r *hwif.Rule) { r.Actions.Set |= hwif.ActionsOf(hwif.ActDrop) },
		"mirred redirect": func(r *hwif.Rule) { r.Actions.OutPort = 0 },
		"set eth dst":     func(r *hwif.Rule) { r.Actions.EthDst = hwif.MAC{1} },
		"set eth src":     func(r *hwif.Rule) { r.Actions.EthSrc = hwif.MAC{} },
		"vlan push":       func(r *hwif.Rule) { r.Actions.VLAN = 0 },
		"vlan pop":        func(r *hwif.Rule) { r.Match.VLAN = 0 },
	} {
		r, c := flowRule(), everything()
		spoil(&r)
		var e *hwif.Error
		if err := c.Check(&r); !errors.As(err, &e) || e.Kind != hwif.KindInvalid || e.Field != field || e.Text == "" {
			t.Errorf("%s: %v", field, err)
		}
	}
	r, c := flowRule(), everything()
	r.Actions.Set = r.Actions.Set.Without(hwif.ActRedirect)
	if err := c.Check(&r); hwif.KindOf(err) != hwif.KindInvalid {
		t.Errorf("no verdict: %v", err)
	}
}
