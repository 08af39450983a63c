package switchdev

import (
	"fmt"

	"github.com/shunt-offload/shunt/hwif"
	"github.com/shunt-offload/shunt/switchdev/wire"
)

// sight is what was read, message by message, before it is joined. Its owner
// may change it; what build makes of it is never changed.
type sight struct {
	devs     map[Handle]dev
	ports    map[portKey]wire.Port
	links    map[hwif.Ifindex]Link
	offload  map[hwif.Ifindex]TCOffload // of ports that were asked
	silent   map[hwif.Ifindex]error     // of ports that gave no answer to that
	drivers  map[Handle]string          // of devices without devlink info
	problems []error
	before   map[Handle]dev // what an earlier look found, nil for the first
}

// dev is what one device said of itself.
type dev struct {
	state     wire.Dev
	eswitch   wire.Eswitch
	info      wire.Info
	noEswitch bool
	health    []Reporter
}

type portKey struct {
	dev   Handle
	index uint32
}

func newSight() *sight {
	return &sight{devs: map[Handle]dev{}, ports: map[portKey]wire.Port{}, links: map[hwif.Ifindex]Link{},
		offload: map[hwif.Ifindex]TCOffload{}, silent: map[hwif.Ifindex]error{}, drivers: map[Handle]string{}}
}

func (s *sight) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Errorf(format, args...))
}

// complete reports whether every interface that a port names is listed.
func (s *sight) complete() bool {
	for _, p := range s.ports {
		if _, ok := s.links[p.Ifindex]; p.Ifindex != 0 && !ok {
			return false
		}
	}
	return true
}

// report keeps a reporter, newer than what is known of it. A message that was
// under way while the reporters were listed is older: counters only grow.
func (s *sight) report(h Handle, r Reporter) {
	d, ok := s.devs[h]
	if !ok {
		return
	}
	list := make([]Reporter, len(d.health), len(d.health)+1)
	copy(list, d.health)
	d.health = list
	s.devs[h] = d
	for i, was := range list {
		if was.Key() == r.Key() {
			if r.Errors >= was.Errors && r.Recoveries >= was.Recoveries {
				list[i] = r
			}
			return
		}
	}
	d.health = append(list, r)
	s.devs[h] = d
}

// forget drops an interface.
func (s *sight) forget(i hwif.Ifindex) {
	delete(s.links, i)
	s.ask(i)
}

// ask makes readOffload ask about an interface again.
func (s *sight) ask(i hwif.Ifindex) {
	delete(s.offload, i)
	delete(s.silent, i)
}
