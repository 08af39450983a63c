package filter_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/shunt-offload/shunt/cmd/internal/rpc/filter"
	"github.com/shunt-offload/shunt/cmd/internal/rpc/rpctest"
	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/hwif/flow"
	"github.com/shunt-offload/shunt/hwif/offload"
)

var env = filter.Env{Port: func(name string) (hwif.Ifindex, bool) {
	return map[string]hwif.Ifindex{"lan": 11, "wan": 12}[name], name == "lan" || name == "wan"
}}

// sample is an active, pinned TCP flow from 10.0.0.1:4000 to 192.0.2.1:443,
// masqueraded as 198.51.100.7:1024, that was out once because of its route.
func sample() *offload.View {
	e := rpctest.Masqueraded(rpctest.Entry("tcp", "10.0.0.1:4000", "192.0.2.1:443"), netip.MustParseAddrPort("198.51.100.7:1024"))
	e.Mark = 0x1f
	return &offload.View{UID: 17, Entry: e, State: flow.StateActive, Pinned: true,
		Intent:    offload.Intent{Kind: offload.IntentPin, Owner: "alice"},
		HasRoutes: true, Routes: [2]flow.Route{{In: 11, Out: 12}, {In: 12, Out: 11}},
		Rules:   [2]offload.RuleState{offload.RuleInHW, offload.RuleInHW},
		History: []offload.Change{{Cause: flow.CauseIdle}, {Cause: flow.CauseRouteChanged}, {State: flow.StateActive}}}
}

// software is a UDP flow over IPv6 that the table has no room for.
func software() *offload.View {
	return &offload.View{UID: 18, Entry: rpctest.Entry("udp", "[2001:db8::1]:5000", "[2001:db8:1::2]:53"),
		State: flow.StateBackoff, Reasons: flow.Of(flow.TableFull, flow.Backoff)}
}

func TestMatch(t *testing.T) {
	for text, want := range map[string][2]bool{ // sample, software
		"":                           {true, true},
		"  \t ":                      {true, true},
		"state=active":               {true, false},
		"state=active,backoff":       {true, true},
		"state!=active":              {false, true},
		"state!=active,backoff":      {false, false},
		"reason=table_full":          {false, true},
		"reason!=table_full":         {true, false},
		"cause=route_changed":        {true, false},
		"cause=idle":                 {false, false}, // the last one counts
		"proto=tcp":                  {true, false},
		"proto=17":                   {false, true},
		"family=ipv6":                {false, true},
		"src=10.0.0.0/8":             {true, false},
		"src=198.51.100.7":           {true, false}, // as the server sees it
		"dst=10.0.0.0/8":             {false, false},
		"dst=192.0.2.1":              {true, false},
		"addr=2001:db8::/32":         {false, true},
		"addr=::ffff:10.0.0.1":       {true, false},
		"src=0.0.0.0/0":              {true, false},
		"port=443":                   {true, false},
		"port=443,53":                {true, true},
		"sport=1024":                 {true, false},
		"sport=443":                  {false, false},
		"dport=400-500":              {true, false},
		"dport=0-65535":              {true, true},
		"zone=0":                     {true, true},
		"zone=7":                     {false, false},
		"nat=snat":                   {true, false},
		"nat=none":                   {false, true},
		"nat=any":                    {true, false},
		"nat=dnat":                   {false, false},
		"mark=0x1f":                  {true, false},
		"mark=0x10/0xf0":             {true, false},
		"mark=0":                     {false, true},
		"tcp=established":            {true, false},
		"tcp=ESTABLISHED":            {true, false},
		"rule=in_hw":                 {true, false},
		"rule=none":                  {false, true},
		"in=lan":                     {true, false},
		"out=12":                     {true, false},
		"via=99":                     {false, false},
		"device=0":                   {true, false},
		"device=1":                   {false, false},
		"owner=alice":                {true, false},
		"uid=18":                     {false, true},
		"pinned":                     {true, false},
		"!pinned":                    {false, true},
		"offloaded pinned proto=tcp": {true, false},
		"offloaded proto=udp":        {false, false},
		"routed":                     {true, false},
		"gone":                       {false, false},
		"denied":                     {false, false},
		"held":                       {false, false},
	} {
		f, err := filter.Parse(text, env)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for i, v := range []*offload.View{sample(), software()} {
			if got := f.Match(v); got != want[i] {
				t.Errorf("%q on flow %d is %v", text, v.UID, got)
			}
			if f.Never(v) && f.Match(v) {
				t.Errorf("%q on flow %d matches what it never can", text, v.UID)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]struct {
		column int
		says   string
	}{
		"stat=active":               {1, `unknown key "stat"; did you mean "state"?`},
		"proto=tcp  sate=active":    {12, `unknown key "sate"; did you mean "state"?`},
		"xyzzy":                     {1, `unknown key "xyzzy"; keys are state, reason`},
		"=active":                   {1, `unknown key ""`},
		"!=x":                       {1, `unknown key ""`},
		"!":                         {1, `unknown key ""`},
		"state":                     {1, `state needs a value; write state=active`},
		"state=":                    {7, `state has an empty value; write state=active`},
		"state=active,":             {14, `empty value`},
		"state=activ":               {7, `state: unknown word "activ"; did you mean "active"?`},
		"state=active,instaled":     {14, `did you mean "installed"?`},
		"reason=table":              {8, `did you mean "table_full"?`},
		"reason=zzzzzz":             {8, `words are disabled_by_policy`},
		"dst=10.0.0.1/8":            {5, `"10.0.0.1/8" has bits beyond its length; did you mean "10.0.0.0/8"?`},
		"dst=10.0.0":                {5, `"10.0.0" is no address`},
		"dst=10.0.0.0/33":           {5, `is no prefix`},
		"port=99999":                {6, `"99999" is no port or range; write 443 or 8000-8999`},
		"port=90-80":                {6, `upside down; did you mean "80-90"?`},
		"mark=0xff/0x0f":            {6, `can never match`},
		"in=eth7":                   {4, `no device has a port "eth7"`},
		"proto=tpc":                 {7, `did you mean "tcp"?`},
		"nat=yes":                   {5, `words are none, any, snat, dnat`},
		"pined":                     {1, `did you mean "pinned"?`},
		"straße=1 x=2":              {1, `unknown key "straße"`},
		"owner=straße stat=x":       {14, `did you mean "state"?`},
		"\xff":                      {1, "UTF-8"},
		strings.Repeat("x", 5000):   {4097, "longer than"},
		"uid=" + "-1":               {5, "is no uid"},
		"device=256":                {8, "no number from 0 to 255"},
		"state=active AND pinned":   {14, `unknown key "AND"`},
		"state==active":             {7, `unknown word "=active"; did you mean "active"?`},
		"port=" + manyValues(300):   {0, "more than 256 values"},
		"state=active | state=gone": {14, `unknown key "|"`},
	} {
		_, err := filter.Parse(text, env)
		var bad *filter.Error
		if !errors.As(err, &bad) {
			t.Errorf("%.40q: %v", text, err)
			continue
		}
		if want.column != 0 && bad.Column != want.column || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%.40q: column %d, %v\nwant column %d, %s", text, bad.Column, err, want.column, want.says)
		}
	}
}

func manyValues(n int) string { return strings.TrimSuffix(strings.Repeat("1,", n), ",") }

// TestHelp: every key and flag says what it is, and its example is right.
func TestHelp(t *testing.T) {
	for _, name := range append(filter.Keys(), filter.Flags()...) {
		help, example := filter.Help(name)
		if help == "" {
			t.Errorf("%s has no help", name)
		}
		e := strings.NewReplacer("eth0", "lan", "eth1", "wan").Replace(example)
		if _, err := filter.Parse(e, env); err != nil {
			t.Errorf("example of %s: %v", name, err)
		}
		for _, w := range filter.Words(name) {
			if _, err := filter.Parse(name+"="+w, env); err != nil {
				t.Errorf("word of %s: %v", name, err)
			}
		}
	}
}

// FuzzParse: no input makes it panic; errors point into the input; what was
// accepted can be evaluated, and negating all of one term's values turns it around.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "state=active", "state!=active,gone pinned", "dst=10.0.0.0/8 port=1-2", "mark=1/1 !routed", "owner=ä b=", "in=lan", "uid=18446744073709551615"} {
		f.Add(s)
	}
	views := []*offload.View{sample(), software(), {}}
	f.Fuzz(func(t *testing.T, s string) {
		flt, err := filter.Parse(s, env)
		var bad *filter.Error
		switch {
		case err != nil && !errors.As(err, &bad):
			t.Fatalf("error of type %T", err)
		case bad != nil && (bad.Column < 1 || bad.Column > len(s)+1 || strings.Contains(err.Error(), "\n") && !strings.Contains(s, "\n")):
			t.Fatalf("%q: column %d: %v", s, bad.Column, err)
		case err != nil:
			return
		}
		for _, v := range views {
			if flt.Never(v) && flt.Match(v) {
				t.Fatalf("%q matches what it never can", s)
			}
		}
		if fields := strings.Fields(s); len(fields) == 1 && strings.Count(s, "=") == 1 && !strings.Contains(s, "!=") {
			not, err := filter.Parse(strings.Replace(s, "=", "!=", 1), env)
			if err != nil {
				t.Fatalf("%q is right and its negation not: %v", s, err)
			}
			for _, v := range views {
				if flt.Match(v) == not.Match(v) {
					t.Fatalf("%q and its negation agree", s)
				}
			}
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	f, err := filter.Parse("state=active,installed proto=tcp dst=192.0.2.0/24 reason!=table_full pinned", env)
	if err != nil {
		b.Fatal(err)
	}
	v := sample()
	b.ReportAllocs()
	for b.Loop() {
		if !f.Match(v) {
			b.Fatal("no match")
		}
	}
}
