# shunt: what can be made. Everything here is a line or two; longer things are
# in scripts/.

GO ?= go
# Tools are pinned in tools/go.mod, so that they don't weigh on the module.
TOOL = $(GO) tool -modfile=tools/go.mod
# RACE=1 builds tests, and the programs that they start, with the race detector.
RACE ?=
FUZZTIME ?= 30s
# What test-vm runs: KERNELS="6.1 6.12", PKGS="./tc ./switchdev", RUN=TestX; V=1 shows all output.
# PROGRAMS are ours that the guest gets; PROGRAMS= leaves out all, for a quicker start.
KERNELS ?= 6.1 6.12
PROGRAMS ?= shuntd shuntctl shunt-demo shunt-bench
PKGS ?=
RUN ?=
V ?=
# What vm-shell boots.
KERNEL ?= 6.12

.DEFAULT_GOAL := help
.PHONY: help build demo test test-unit test-netns test-vm vm-shell demo-vm bench bench-forward bench-drop bench-observe bench-reroute bench-vm test-route test-route-vm generate generate-check lint fuzz clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

build: ## the programs, into bin/
	$(GO) build -o bin/ ./cmd/...

demo: ## see it work: a lab with real traffic (root), or the in-memory NIC (anyone)
	@scripts/packages.sh demo
	@$(MAKE) --no-print-directory build
	bin/shunt-demo

test: ## all tests that this machine allows, and which those were
	@GO='$(GO)' RACE='$(RACE)' scripts/test.sh unit netns vm

test-unit: ## tests that need no rights
	@GO='$(GO)' RACE='$(RACE)' scripts/test.sh unit

test-netns: ## tests with namespaces, XDP, conntrack and real traffic (root)
	@GO='$(GO)' RACE='$(RACE)' scripts/test.sh netns

test-vm: ## tests on stock Debian kernels in qemu, with the simnic card
	@scripts/packages.sh vm
	@$(GO) build -buildvcs=false -o bin/ ./cmd/shunt-vm
	@GO='$(GO)' bin/shunt-vm test --kernel '$(KERNELS)' --pkgs '$(PKGS)' --run '$(RUN)' --programs '$(PROGRAMS)' $(if $(V),--verbose)

vm-shell: ## a shell on such a kernel; exit ends it
	@scripts/packages.sh vm
	@$(GO) build -buildvcs=false -o bin/ ./cmd/shunt-vm
	@GO='$(GO)' bin/shunt-vm shell --kernel '$(KERNEL)' --programs '$(PROGRAMS)'

bench: ## figures: events per second, allocations per event, bytes per flow
	$(GO) run ./cmd/shunt-bench engine

bench-forward: build ## figure: small UDP frames by the emulated NIC against the kernel (root)
	@scripts/packages.sh demo
	bin/shunt-bench forward

bench-drop: build ## figure: CPU time of a dropped flow, by the ruleset against a drop rule in the emulated NIC (root)
	@scripts/packages.sh demo
	bin/shunt-bench drop

bench-observe: build ## figures: what being looked at costs the kernel's forwarding (root)
	@scripts/packages.sh demo
	bin/shunt-bench observe

bench-reroute: build ## figures: time from a route's change until 1, 1000 and 20000 flows of 100000 are out of the emulated NIC (root)
	@scripts/packages.sh demo
	bin/shunt-bench reroute

test-route: ## a network that changes at random, the NIC against the kernel: SEED=, STEPS= (1000), SETTLE= ms (root)
	@scripts/packages.sh test
	SEED='$(SEED)' STEPS='$(or $(STEPS),1000)' SETTLE='$(SETTLE)' $(GO) test -count=1 -tags netns -timeout 120m -v -run '^TestRandomNetwork$$' ./test

test-route-vm: ## the same through an emulated card, on a stock kernel in qemu, with routing domains (VRF): SEED=, STEPS= (40), BOND=1 for a bond in the place of the bridge
	@scripts/packages.sh vm
	@$(GO) build -buildvcs=false -o bin/ ./cmd/shunt-vm
	@GO='$(GO)' bin/shunt-vm test --kernel '$(KERNEL)' --pkgs ./test --run '^TestCardRandomNetwork$$' --programs 'shuntd shuntctl shunt-demo' --verbose --env SEED='$(SEED)' --env STEPS='$(STEPS)' --env SETTLE='$(SETTLE)' --env BOND='$(BOND)'

demo-vm: ## the demo through an emulated switchdev card, on a stock kernel in qemu
	@scripts/packages.sh vm
	@$(GO) build -buildvcs=false -o bin/ ./cmd/shunt-vm
	@GO='$(GO)' bin/shunt-vm run --kernel '$(KERNEL)' -- shunt-demo --card

bench-vm: ## figures: rules into, out of and counted in the simnic card, beside tc -batch, vishvananda/netlink and a replay
	@scripts/packages.sh vm
	@$(GO) build -buildvcs=false -o bin/ ./cmd/shunt-vm
	@GO='$(GO)' bin/shunt-vm run --kernel '$(KERNEL)' -- shunt-bench flower

generate: ## everything that is made from something else (needs clang; see scripts/packages.sh)
	$(GO) generate ./...

generate-check: generate ## fails when a committed file is not what generate makes
	@git diff --exit-code --stat -- '*.pb.go' '*_bpfel.go' '*_bpfel.o' || { echo 'generated files are not up to date: run make generate and commit'; exit 1; }

lint: ## formatting, go vet, golangci-lint
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo 'not formatted: run gofmt -w'; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags netns ./...
	$(GO) vet -tags vm ./...
	$(TOOL) golangci-lint run --build-tags netns,vm ./...

fuzz: ## each fuzz test for FUZZTIME (30s)
	@GO='$(GO)' FUZZTIME='$(FUZZTIME)' scripts/fuzz.sh

clean: ## what make made
	rm -rf bin
