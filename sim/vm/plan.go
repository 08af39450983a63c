package vm

// PlanFile is where init finds its Plan.
const PlanFile = "/plan.json"

// Mark begins a line of init's own on the serial port: Mark, a word, its values.
const Mark = "\x01shunt-vm "

// Words of init. Values follow, separated by spaces.
const (
	WordReady = "ready" // the machine is up
	WordBegin = "begin" // a suite begins: package
	WordEnd   = "end"   // a suite has ended: package, exit code, seconds
	WordLeft  = "left"  // what the suite left behind: package, text
	WordFail  = "fail"  // init cannot go on: text
	WordDone  = "done"  // everything has run: exit code
)

// Plan is what the guest is to do. One of Suites, Command and Shell is set.
type Plan struct {
	Release string   // of the kernel; tests find it in SHUNT_VM_RELEASE
	Modules []string // paths, in the order in which they are loaded
	Suites  []Suite
	Env     []string // KEY=VALUE, for all that is run
	Run     string   // pattern for -test.run, empty for each suite's own
	Command []string // is run in /root
	Shell   bool
	Rows    int // of the terminal, for a shell
	Cols    int
}

// Suite is one package's tests.
type Suite struct {
	Package string // "./tc"
	Binary  string // path in the guest
	Dir     string // working directory in the guest
	Only    string // pattern for -test.run: its tests that want the guest; empty for all
	Limit   int    // seconds that it may take
	Silent  int    // seconds that it may say nothing
}
