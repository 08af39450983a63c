package observe

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -go-package observe -type direction -type tuple -type entry -type tally -type report -type seen -output-stem bpf_observe bpf bpf/observe.c -- -O2 -g -mcpu=v3 -Wall -Werror -I/usr/include/x86_64-linux-gnu
