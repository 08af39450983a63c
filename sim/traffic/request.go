package traffic

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Direction says which way the payload goes, as seen from the client.
type Direction string

const (
	Up   Direction = "up"   // client to server
	Down Direction = "down" // server to client
	Both Direction = "both"
)

// up and down report whether payload goes that way.
func (d Direction) up() bool   { return d == Up || d == Both }
func (d Direction) down() bool { return d == Down || d == Both }

// check names a direction that is none.
func (d Direction) check() error {
	if !d.up() && !d.down() {
		return fmt.Errorf("direction %q is unknown: use up, down or both", d)
	}
	return nil
}

// TCPRequest is what a client asks for: Bytes in each direction that is wanted.
type TCPRequest struct {
	Bytes     int64     `json:"bytes"`
	Direction Direction `json:"direction"`
	Rate      int64     `json:"rate,omitempty"` // bytes per second in each direction; 0 is as fast as it goes
	Seed      uint64    `json:"seed"`           // of the payload
}

func (r *TCPRequest) check() error {
	if r.Bytes < 0 || r.Rate < 0 {
		return fmt.Errorf("bytes %d and rate %d must not be negative", r.Bytes, r.Rate)
	}
	return r.Direction.check()
}

// UDPRequest is what a client asks for: a stream of datagrams in each direction
// that is wanted.
type UDPRequest struct {
	Datagrams int       `json:"datagrams"` // in each direction, at most 16 Mi
	Size      int       `json:"size"`      // bytes of UDP payload, 32..65507
	Rate      int       `json:"rate"`      // datagrams per second in each direction
	Direction Direction `json:"direction"`
	Seed      uint64    `json:"seed"`
}

// maxDatagrams bounds the receiver's memory: one bit per datagram.
const maxDatagrams = 16 << 20

func (r *UDPRequest) check() error {
	switch {
	case r.Datagrams < 1 || r.Datagrams > maxDatagrams:
		return fmt.Errorf("datagrams %d: use 1 to %d", r.Datagrams, maxDatagrams)
	case r.Size < headerLen || r.Size > 65507:
		return fmt.Errorf("size %d: use %d to 65507 bytes", r.Size, headerLen)
	case r.Rate < 1:
		return fmt.Errorf("rate %d: use one datagram per second or more", r.Rate)
	}
	return r.Direction.check()
}

// duration is how long a stream of the request takes.
func (r *UDPRequest) duration() time.Duration {
	return time.Duration(float64(r.Datagrams) / float64(r.Rate) * float64(time.Second))
}

// writeLine sends v as one line of JSON.
func writeLine(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// maxLine is longer than any request or report.
const maxLine = 4096

// readLine reads one line of JSON. r must buffer maxLine bytes or more.
func readLine(r *bufio.Reader, v any) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}
