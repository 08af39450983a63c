package vm

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestListen(t *testing.T) {
	res, readied := &Result{Code: -1}, false
	var lines []string
	listen(strings.NewReader(Mark+"ready \r\nhello\r\nno end"+Mark+"done 3\n"), Options{Lines: func(l string) { lines = append(lines, l) }},
		func() { t.Error("killed") }, func() { readied = true }, res)
	if !readied || res.Code != 3 || res.Fault != "" {
		t.Errorf("ready %v, code %d, fault %q", readied, res.Code, res.Fault)
	}
	if want := []string{Mark + "ready ", "hello", "no end" + Mark + "done 3"}; !slices.Equal(lines, want) {
		t.Errorf("lines %q, want %q", lines, want)
	}
}

func TestListenFail(t *testing.T) {
	res := &Result{Code: -1}
	listen(strings.NewReader(Mark+"fail mount /proc: no such device\n"), Options{}, func() {}, func() {}, res)
	if res.Fault != "mount /proc: no such device" || res.Code != -1 {
		t.Errorf("fault %q, code %d", res.Fault, res.Code)
	}
}

// TestListenSilent: a guest that falls silent is killed, and its last words told.
func TestListenSilent(t *testing.T) {
	r, w := io.Pipe()
	go func() { _, _ = io.WriteString(w, "=== RUN   TestHang\n") }()
	res, done := &Result{Code: -1}, make(chan struct{})
	go func() {
		defer close(done)
		listen(r, Options{Silent: 50 * time.Millisecond}, func() { _ = w.Close() }, func() {}, res)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("waits for ever")
	}
	if !strings.Contains(res.Fault, "nothing was said") || !strings.Contains(res.Fault, "TestHang") {
		t.Errorf("fault %q", res.Fault)
	}
}
