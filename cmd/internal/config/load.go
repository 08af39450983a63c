package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// DefaultPath is read when no --config is given; it may be missing.
const DefaultPath = "/etc/shunt/shuntd.yaml"

// maxFile is the most bytes that a configuration can sensibly have; a path that
// points at a device or a log is refused by it.
const maxFile = 1 << 20

// File is a file as it was read, kept to point into it.
type File struct {
	path string
	src  []byte
	at   map[string]position // key → where its value stands
}

// Load reads path over the defaults. An empty path means DefaultPath, or the
// defaults alone where that does not exist. The result has not been checked:
// flags may still change it.
func Load(path string) (*Config, *File, error) {
	c := Default()
	optional := path == ""
	if optional {
		path = DefaultPath
	}
	src, err := os.ReadFile(path)
	switch {
	case optional && errors.Is(err, fs.ErrNotExist):
		return c, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("read configuration: %w", err)
	case len(src) > maxFile:
		return nil, nil, fmt.Errorf("read configuration: %s has %d bytes, more than any configuration needs (%d)", path, len(src), maxFile)
	}
	f, err := c.mergeFile(path, src)
	if err != nil {
		return nil, nil, err
	}
	return c, f, nil
}

// Parse reads src, named name in errors, over the defaults.
func Parse(name string, src []byte) (*Config, *File, error) {
	c := Default()
	f, err := c.mergeFile(name, src)
	if err != nil {
		return nil, nil, err
	}
	return c, f, nil
}

func (c *Config) merge(name string, src []byte) error {
	_, err := c.mergeFile(name, src)
	return err
}

// mergeFile sets what src says and leaves the rest. After an error c is of no use.
func (c *Config) mergeFile(name string, src []byte) (*File, error) {
	doc, err := parser.ParseBytes(src, 0)
	if err != nil {
		return nil, syntax(name, err)
	}
	f := &File{path: name, src: src, at: map[string]position{}}
	if len(doc.Docs) > 1 {
		return nil, &Error{File: name, Text: fmt.Sprintf("holds %d YAML documents; a configuration is one", len(doc.Docs))}
	}
	if len(doc.Docs) == 0 || doc.Docs[0].Body == nil || doc.Docs[0].Body.Type() == ast.NullType {
		return f, nil // empty, or comments alone: the defaults
	}
	if errs := f.shape(doc.Docs[0].Body); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if err := yaml.UnmarshalWithOptions(src, c, yaml.Strict()); err != nil {
		return nil, syntax(name, err)
	}
	return f, nil
}

// Text is the configuration as YAML, with every key and without comments.
func (c *Config) Text() (string, error) {
	b, err := yaml.MarshalWithOptions(c, yaml.IndentSequence(true))
	if err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return string(b), nil
}
