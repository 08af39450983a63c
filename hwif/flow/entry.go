package flow

// Status bits of a conntrack entry (CTA_STATUS, enum ip_conntrack_status).
const (
	StatusExpected     uint32 = 1 << 0
	StatusSeenReply    uint32 = 1 << 1
	StatusAssured      uint32 = 1 << 2
	StatusConfirmed    uint32 = 1 << 3
	StatusSrcNAT       uint32 = 1 << 4
	StatusDstNAT       uint32 = 1 << 5
	StatusSeqAdjust    uint32 = 1 << 6
	StatusSrcNATDone   uint32 = 1 << 7
	StatusDstNATDone   uint32 = 1 << 8
	StatusDying        uint32 = 1 << 9
	StatusFixedTimeout uint32 = 1 << 10
	StatusTemplate     uint32 = 1 << 11
	StatusNATClash     uint32 = 1 << 12 // shares its bit with UNTRACKED
	StatusHelper       uint32 = 1 << 13
	StatusOffload      uint32 = 1 << 14
	StatusHWOffload    uint32 = 1 << 15
)

// TCPState is conntrack's state of a TCP connection (CTA_PROTOINFO_TCP_STATE).
type TCPState uint8

const (
	TCPNone TCPState = iota
	TCPSynSent
	TCPSynRecv
	TCPEstablished
	TCPFinWait
	TCPCloseWait
	TCPLastAck
	TCPTimeWait
	TCPClose
	TCPSynSent2
)

var tcpStateNames = [...]string{
	"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT",
	"LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
}

func (s TCPState) String() string {
	if int(s) < len(tcpStateNames) {
		return tcpStateNames[s]
	}
	return "UNKNOWN"
}

// Has says which optional members of an Entry the kernel sent.
type Has uint16

const (
	HasTCP      Has = 1 << iota // TCPState and TCPFlags
	HasTimeout                  // Timeout
	HasMark                     // Mark
	HasCounters                 // Packets and Bytes
	HasHelp                     // CTA_HELP was present
	HasSeqAdj                   // CTA_SEQ_ADJ_* was present
	HasSynproxy                 // CTA_SYNPROXY was present
	HasStart                    // Start
)

// Entry is one conntrack entry as a message told it. No pointer inside.
type Entry struct {
	Orig, Reply Tuple
	Packets     [2]uint64 // by Dir, what the kernel saw; nf_conntrack_acct
	Bytes       [2]uint64 // by Dir, L3 bytes
	Start       uint64    // CTA_TIMESTAMP_START, ns since the epoch
	Status      uint32    // IPS_*
	ID          uint32    // CTA_ID; not a generation number, the kernel reuses it
	Mark        uint32
	Timeout     uint32 // seconds left
	Has         Has
	TCPState    TCPState
	TCPFlags    [2]uint8 // by Dir, CTA_PROTOINFO_TCP_FLAGS
}

// Tuple gives the direction's tuple.
func (e *Entry) Tuple(d Dir) Tuple {
	if d == Reply {
		return e.Reply
	}
	return e.Orig
}

// NAT reports which parts the kernel rewrites, comparing the tuples: the NAT
// status bits may be set for a mapping that changes nothing.
func (e *Entry) NAT() (snat, dnat bool) {
	o, r := e.Orig, e.Reply
	return r.Dst != o.Src || r.DstPort != o.SrcPort, r.Src != o.Dst || r.SrcPort != o.DstPort
}
