// Package config is shuntd's configuration: one YAML file, read strictly.
//
// default.yaml holds every key with its default and the reason for it. It is
// what Default parses and what "shuntd --print-config" prints, so that the
// numbers, their explanation and the file that an operator starts from cannot
// drift apart.
//
// A file is read in three steps, and each names the key, the line and the
// column of what it refuses: shape (unknown keys, wrong kinds of values), then
// ranges, then contradictions between keys. Nothing is guessed, and a refused
// file changes nothing.
//
// The package knows no other package of shunt: values are plain, and package
// daemon turns them into everybody's options. A Config is not changed after it
// was loaded.
package config
