package config

import (
	"time"
)

// Config is everything that shuntd can be told. default.yaml says what each
// member means, its unit and why its default is what it is.
type Config struct {
	NIC       NIC       `yaml:"nic"`
	Policy    Policy    `yaml:"policy"`
	Conntrack Conntrack `yaml:"conntrack"`
	Route     Route     `yaml:"route"`
	API       API       `yaml:"api"`
	Metrics   Metrics   `yaml:"metrics"`
	Log       Log       `yaml:"log"`
	OnExit    string    `yaml:"on_exit"`
}

// NIC is the device and its ports.
type NIC struct {
	Driver   string            `yaml:"driver"`
	Ports    []string          `yaml:"ports"`
	Rules    int               `yaml:"rules"`
	Count    time.Duration     `yaml:"count"`
	Settings map[string]string `yaml:"settings"`
}

// Policy says which flows are worth a slot and for how long.
type Policy struct {
	Name          string        `yaml:"name"`
	MinPackets    uint64        `yaml:"min_packets"`
	MinAge        time.Duration `yaml:"min_age"`
	Ceiling       int           `yaml:"ceiling"`
	Life          time.Duration `yaml:"life"`
	Untracked     string        `yaml:"untracked"`
	UntrackedLife time.Duration `yaml:"untracked_life"`
	MarkOffload   uint32        `yaml:"mark_offload"`
	MarkNever     uint32        `yaml:"mark_never"`
	MarkDrop      uint32        `yaml:"mark_drop"`
	DropPackets   int           `yaml:"drop_packets"`
	DropLife      time.Duration `yaml:"drop_life"`
	DropCeiling   int           `yaml:"drop_ceiling"`
	Ruleset       string        `yaml:"ruleset"`
	Idle          time.Duration `yaml:"idle"`
}

// Watching names the keys that are set and have no effect unless packets are seen.
func (p *Policy) Watching() []string {
	var keys []string
	if p.Untracked != "off" {
		keys = append(keys, "policy.untracked")
	}
	if p.DropPackets > 0 {
		keys = append(keys, "policy.drop_packets")
	}
	return keys
}

// Conntrack is how the kernel's connections are followed.
type Conntrack struct {
	Events        bool          `yaml:"events"`
	Acct          bool          `yaml:"acct"`
	ReceiveBuffer int           `yaml:"receive_buffer"`
	Relist        time.Duration `yaml:"relist"`
}

// Route is how routes are learnt and kept true.
type Route struct {
	Observer        string        `yaml:"observer"`
	Recheck         time.Duration `yaml:"recheck"`
	MarkIsConntrack bool          `yaml:"mark_is_conntrack"`
}

// API is where clients are served.
type API struct {
	Socket string `yaml:"socket"`
	Group  string `yaml:"group"`
	TCP    string `yaml:"tcp"`
}

// Metrics is where Prometheus scrapes.
type Metrics struct {
	Listen string `yaml:"listen"`
}

// Log is what is written to standard error.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// The words of on_exit.
const (
	Flush = "flush"
	Keep  = "keep"
)
