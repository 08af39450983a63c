package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// output is the value of --output.
type output string

const (
	asTable output = "table"
	asWide  output = "wide"
	asJSON  output = "json"
)

var outputs = []string{string(asTable), string(asWide), string(asJSON)}

func (o *output) String() string {
	if *o == "" {
		return string(asTable)
	}
	return string(*o)
}

// Set refuses what is no format.
func (o *output) Set(s string) error {
	if !slices.Contains(outputs, s) {
		return fmt.Errorf("%q is no format; use %s", s, strings.Join(outputs, ", "))
	}
	*o = output(s)
	return nil
}

// Type is for the help.
func (o *output) Type() string { return "format" }

// printJSON writes a message on one line, with the names of the .proto file.
// protojson varies its white space on purpose, so that nobody compares it;
// scripts do, and Compact makes it one form.
func printJSON(w io.Writer, m proto.Message) error {
	raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	line.WriteByte('\n')
	_, err = line.WriteTo(w)
	return err
}
