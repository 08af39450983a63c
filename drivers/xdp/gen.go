package xdp

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -target bpfel -cc clang -go-package xdp -type rule_key -type rule_value -type rule_count -type port -type port_seen -type egress -type word -output-stem bpf_pipeline bpf bpf/pipeline.c -- -O2 -g -Wall -Werror -I/usr/include/x86_64-linux-gnu
