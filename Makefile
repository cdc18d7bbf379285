# posmedia. `make demo` and `make check` are the two commands of the README; both install what they
# need. OUT moves everything a build makes; V=1 shows the commands.
OUT     ?= out
# one spelling, or the dependencies that a compiler wrote for another would not be known
override OUT := $(patsubst $(CURDIR)/%,%,$(abspath $(OUT)))
CC      ?= gcc
OPT     ?= -O2 -g
VARIANT ?=
JOBS    ?= $(shell nproc)
MAKEFLAGS += --no-print-directory
Q := $(if $(V),,@)

# The floor plan: builder/FLOORS lists the directories bottom first.
plan   := $(shell sed -e '/^\#/d' -e '/^$$/d' -e 's/  */:/g' builder/FLOORS)
field   = $(word $(2),$(subst :, ,$(1)))
DIRS   := $(foreach p,$(plan),$(call field,$(p),2))
comma  := ,
row     = $(firstword $(foreach p,$(plan),$(if $(filter $(1),$(call field,$(p),2)),$(p))))
peers   = $(filter-out -,$(subst $(comma), ,$(call field,$(call row,$(1)),3)))
pkgs    = $(filter-out -,$(subst $(comma), ,$(call field,$(call row,$(1)),5)))
# the directories on floors below a directory's, its peers and theirs: asked for often, found once
floor   = $(call field,$(call row,$(1)),1)
floors  = $(foreach p,$(plan),$(if $(filter $(1),$(call field,$(p),1)),$(call field,$(p),2)))
lower   = $(call floors,$(wordlist 1,$(call floor,$(1)),0 1 2 3 4 5 6 7 8 9))
reach1  = $(1) $(foreach d,$(1),$(call peers,$(d)))
$(foreach d,$(DIRS),$(eval reach_$(d) := $$(sort $$(call lower,$(d)) \
  $$(call reach1,$$(call reach1,$(d))))))
reach   = $(reach_$(1))
archive = $(foreach d,$(1),$(OUT)/lib/lib$(d).a)
libs    = -Wl,--start-group $(call archive,$(1)) -Wl,--end-group
ldlibs  = $(shell pkg-config --libs $(sort $(foreach d,$(1),$(call pkgs,$(d)))) 2>/dev/null)
ALLPKGS = $(sort $(foreach d,$(DIRS),$(call pkgs,$(d))))

W := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
     -Wvla -Wundef -Wformat=2 -Werror
HARD := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
ifeq ($(VARIANT),asan)
  OPT  := -O1 -g1
  HARD := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
# What is compiled by a variant for itself: of the program with crash points, what has some. The
# rest is the plain program's, which is made first.
OWN := %
ifeq ($(VARIANT),faults)
  OPT   := -O1
  HARD  += -DPOSMEDIA_FAULTS
  OWN   := $(shell grep -lE '"base/fault[.]h"|POSMEDIA_FAULTS' builder/*/*.c)
  PLAIN := $(if $(filter %/faults,$(OUT)),$(OUT:%/faults=%),$(OUT)/plain)
$(PLAIN)/obj/%.o: plain ;
endif
ifeq ($(VARIANT),fuzz)
  OPT  := -O1 -g
  HARD := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all \
          -fno-omit-frame-pointer
endif
# a fuzz target runs by libFuzzer, or gives its corpus to the same parser once
FUZZ_MAIN := $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer,tests/fuzz/replay.c)
VERSION := 0.1.0
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -DPOSMEDIA_VERSION='"$(VERSION)"' -Ibuilder -MMD -MP $(W) \
             $(OPT) $(HARD) -ffile-prefix-map=$(CURDIR)=. $(CFLAGS)
# the program knows itself by its build-id: build/looked.c
ALL_LDFLAGS = $(HARD) $(if $(VARIANT),,-pie) -Wl,--as-needed,-z,relro,-z,now,--build-id=sha1 \
              -pthread $(LDFLAGS)
# Unit tests are many and run once: of their own text, though not of what they link, soon compiled
# is better than fast, and of two linkers the one that is quicker.
TEST_CFLAGS = $(filter-out -D_FORTIFY_SOURCE=%,$(subst $(OPT),-O0 -g1,$(ALL_CFLAGS)))
TEST_LDFLAGS := $(ALL_LDFLAGS) $(if $(shell command -v ld.gold),-fuse-ld=gold)
# but for one that visits millions of states
$(OUT)/test/cutover-model: TEST_CFLAGS = $(filter-out -D_FORTIFY_SOURCE=%,$(ALL_CFLAGS))

MACHINE := $(OUT)/machine
all: $(OUT)/posmedia $(MACHINE)/usr/bin/posmedia

# A change of flags or compiler rebuilds everything.
STAMP := $(OUT)/obj/flags
FLAGS := $(subst ','\'',$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS))
$(shell mkdir -p $(OUT)/obj; echo '$(FLAGS)' | cmp -s - $(STAMP) || echo '$(FLAGS)' > $(STAMP))

$(OUT)/obj/%.o: builder/%.c $(STAMP)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

# What a step is shown in place of systemctl and mount: static, since the tree that it runs in has
# libraries of its own or none, and of plain flags, since a sanitizer would want some too.
SHIM := $(OUT)/shim
SHIM_C := $(filter-out %/image.c,$(wildcard builder/shim/*.c)) $(wildcard builder/base/*.c) \
          $(filter-out $(addprefix %/,par.c behind.c ahead.c self.c chain.c),\
            $(wildcard builder/sys/*.c))
$(SHIM): $(SHIM_C) $(wildcard builder/shim/*.h builder/base/*.h builder/sys/*.h) $(STAMP)
	@mkdir -p $(@D); echo "  LD    $@"
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -Ibuilder $(W) -O2 -ffunction-sections -static \
	  -Wl,--gc-sections,--build-id=none -s $(SHIM_C) -o $@
$(OUT)/obj/shim/image.o: $(SHIM)
$(OUT)/obj/shim/image.o: ALL_CFLAGS += -DSHIM_FILE='"$(SHIM)"'

# What installs and starts machines, in their initial file systems: static for the same reasons.
INSTALLER := $(OUT)/installer
INSTALLER_C := $(filter-out %/image.c,$(wildcard builder/installer/*.c)) \
               $(wildcard builder/base/*.c) builder/form/hex.c \
               $(addprefix builder/sys/,fs.c root.c path.c disk.c clock.c gpt.c)
$(INSTALLER): $(INSTALLER_C) $(STAMP) \
  $(wildcard builder/installer/*.h builder/base/*.h builder/form/*.h builder/sys/*.h)
	@mkdir -p $(@D); echo "  LD    $@"
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -Ibuilder $(W) -O2 -ffunction-sections -static \
	  -Wl,--gc-sections,--build-id=none -s $(INSTALLER_C) -lcrypto -o $@
$(OUT)/obj/installer/image.o: $(INSTALLER)
$(OUT)/obj/installer/image.o: ALL_CFLAGS += -DINSTALLER_FILE='"$(INSTALLER)"'

# What a cutover runs on the old server: several parts, one text.
AGENT := $(OUT)/agent.pl
AGENT_PL := $(patsubst %,builder/cutover/agent_%.pl,base look list near fence lease back try boot \
  serve)
$(AGENT): $(AGENT_PL)
	@mkdir -p $(@D); echo "  CAT   $@"
	$(Q)cat $^ >$@.new && mv $@.new $@
$(OUT)/obj/cutover/agent.o: $(AGENT)
$(OUT)/obj/cutover/agent.o: ALL_CFLAGS += -DAGENT_FILE='"$(AGENT)"'

sources = $(sort $(wildcard builder/$(1)/*.c))
objects = $(patsubst builder/%.c,$(OUT)/obj/%.o,$(filter $(OWN),$(call sources,$(1)))) \
          $(patsubst builder/%.c,$(PLAIN)/obj/%.o,$(filter-out $(OWN),$(call sources,$(1))))

define DIR
$(OUT)/lib/lib$(1).a: $(call objects,$(1))
	@mkdir -p $$(@D); rm -f $$@; $(AR) rcsD $$@ $$^
# a unit test is tests/unit/DIR-thing.c and links DIR, its peers and what lies below: nothing above
$(OUT)/test/$(1)-%: tests/unit/$(1)-%.c $(STAMP) $(call archive,$(call reach,$(1)))
	@mkdir -p $$(@D); echo "  LD    $$@"
	$(Q)$(CC) $$(TEST_CFLAGS) -MF $$@.d $$< $(call libs,$(call reach,$(1))) $(TEST_LDFLAGS) \
	  $$(call ldlibs,$(call reach,$(1))) -lcmocka -o $$@
$(OUT)/test/fuzz-$(1)-%: tests/fuzz/$(1)-%.c $(filter %.c,$(FUZZ_MAIN)) $(STAMP) \
  $(call archive,$(call reach,$(1)))
	@mkdir -p $$(@D); echo "  LD    $$@"
	$(Q)$(CC) $(ALL_CFLAGS) -Itests/fuzz -MF $$@.d $$< $(FUZZ_MAIN) \
	  $(call libs,$(call reach,$(1))) $(TEST_LDFLAGS) $$(call ldlibs,$(call reach,$(1))) -o $$@
endef
$(foreach d,$(DIRS),$(eval $(call DIR,$(d))))

$(OUT)/posmedia: $(call objects,cli) $(call archive,$(filter-out cli,$(DIRS)))
	@echo "  LD    $@"
	$(Q)$(CC) $(filter %.o,$^) $(call libs,$(filter-out cli,$(DIRS))) $(ALL_LDFLAGS) \
	  $(call ldlibs,$(DIRS)) -o $@

# What a machine has of it, to be updated by (recipes/base/machine-updates.yaml): one verb, and no
# library but those that it takes. Of our own files only what that verb needs is linked.
$(OUT)/obj/machine/verbs.o: builder/cli/verbs.c builder/cli/verb.h $(STAMP)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -DPOSMEDIA_MACHINE -c $< -o $@
$(MACHINE)/usr/bin/posmedia: $(OUT)/obj/machine/verbs.o $(OUT)/posmedia
	@mkdir -p $(@D); echo "  LD    $@"
	$(Q)rm -f $(OUT)/obj/machine/cli.a
	$(Q)$(AR) rcsD $(OUT)/obj/machine/cli.a $(filter-out %/main.o %/verbs.o,$(call objects,cli))
	$(Q)$(CC) $(filter %/main.o,$(call objects,cli)) $< -Wl,--start-group \
	  $(OUT)/obj/machine/cli.a $(call archive,$(filter-out cli,$(DIRS))) -Wl,--end-group \
	  $(ALL_LDFLAGS) -s $(call ldlibs,$(DIRS)) -o $@

plain:
	$(Q)$(MAKE) OUT=$(PLAIN) VARIANT= all

UNIT := $(patsubst tests/unit/%.c,$(OUT)/test/%,$(sort $(wildcard tests/unit/*.c)))
unit-programs: $(UNIT) fuzz-programs $(OUT)/bench/tree $(OUT)/test/fault-shim.so
FUZZ := $(patsubst tests/fuzz/%.c,$(OUT)/test/fuzz-%,$(sort $(wildcard tests/fuzz/*-*.c)))
fuzz-programs: $(FUZZ)

# What `make bench` packs a tree with: archive/ and what lies below, as for its unit tests.
$(OUT)/bench/pack: tests/bench/pack.c $(STAMP) $(call archive,$(call reach,archive))
	@mkdir -p $(@D); echo "  LD    $@"
	$(Q)$(CC) $(ALL_CFLAGS) -MF $@.d $< $(call libs,$(call reach,archive)) $(ALL_LDFLAGS) \
	  $(call ldlibs,$(call reach,archive)) -o $@

# What `make bench-ledger` appends with.
$(OUT)/bench/append: tests/bench/append.c $(STAMP) $(call archive,$(call reach,ledger))
	@mkdir -p $(@D); echo "  LD    $@"
	$(Q)$(CC) $(ALL_CFLAGS) -MF $@.d $< $(call libs,$(call reach,ledger)) $(ALL_LDFLAGS) \
	  $(call ldlibs,$(call reach,ledger)) -o $@

# What `make bench-restore` and the tests of restore make: a shop's data, and a day's change of it.
$(OUT)/bench/tree: $(wildcard tests/bench/tree*.[ch]) $(STAMP)
	@mkdir -p $(@D); echo "  LD    $@"
	$(Q)$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(filter %.c,$^) $(ALL_LDFLAGS) -o $@

# What makes calls of a program go wrong in tests/lib/restore-runs.
$(OUT)/test/fault-shim.so: tests/lib/fault-shim.c $(STAMP)
	@mkdir -p $(@D); echo "  LD    $@"
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror -fPIC -shared $< -o $@

deps:
	$(Q)tests/lib/need builder/DEPENDS
deps-check: deps
	$(Q)tests/lib/need tests/DEPENDS

demo: deps
	$(Q)$(MAKE) -j$(JOBS) all
	$(Q)OUT=$(OUT) tests/lib/demo

# All that is C, read by clang with every warning, and nothing made of it: many files by one
# process, since most of the work for one is to start. ccache would see the first of them only.
syntax:
	$(Q)ls builder/*/*.c tests/unit/*.c tests/fuzz/*.c | sed 's/^/-Xclang /' | \
	  CCACHE_DISABLE=1 xargs -n 80 -P $(JOBS) $(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) \
	  -Itests/fuzz -DSHIM_FILE='"/dev/null"' -DAGENT_FILE='"/dev/null"' \
	  -DINSTALLER_FILE='"/dev/null"' \
	  -fsyntax-only tests/fuzz/replay.c

# Compiles too: what does not compile is a failed test, and the tally is the last line all the same.
check: deps-check
	$(Q)OUT=$(OUT) JOBS=$(JOBS) tests/lib/check $(ONLY)

# Two hosts, a link and people who buy: minutes of waiting, too long for every check. Then as many
# cutovers with a fault each, and how long one without takes.
CUTOVER_RUNS ?= 560
check-cutover: deps-check
	$(Q)$(MAKE) -j$(JOBS) all
	$(Q)OUT=$(OUT) bats tests/cutover
	$(Q)tests/lib/cutover-runs $(OUT) $(CUTOVER_RUNS) 2026 6
	$(Q)OUT=$(OUT) tests/bench/cutover

# Machines in QEMU: minutes for each start where the processor does not help.
check-media: deps-check
	$(Q)tests/lib/need tests/media/DEPENDS
	$(Q)$(MAKE) -j$(JOBS) all
	$(Q)OUT=$(OUT) bats tests/media

# A night on clusters: Slurm for real, Kubernetes as far as its client goes.
check-fleet: deps-check
	$(Q)tests/lib/need tests/fleet/DEPENDS
	$(Q)$(MAKE) -j$(JOBS) all
	$(Q)OUT=$(OUT) bats tests/fleet

# What we write, read by programs of others that are too large for every check.
check-interop: deps-check
	$(Q)tests/lib/need tests/interop/DEPENDS
	$(Q)$(MAKE) -j$(JOBS) all
	$(Q)OUT=$(OUT) bats tests/interop

lint:
	$(Q)tests/lint/all

readme:
	$(Q)tests/lint/floors --write

bench: deps-check
	$(Q)tests/lib/need tests/bench/DEPENDS
	$(Q)$(MAKE) -j$(JOBS) all $(OUT)/bench/pack
	$(Q)OUT=$(OUT) tests/bench/run
	$(Q)OUT=$(OUT) tests/bench/dnf
	$(Q)OUT=$(OUT) tests/bench/match

# What one bench of tests/bench needs beside the programs of all.
NEED_audit = tests/interop/DEPENDS
NEED_fleet = tests/fleet/DEPENDS
NEED_media = tests/bench/DEPENDS-media
ALSO_ledger = $(OUT)/bench/append
ALSO_restore = $(OUT)/bench/tree

bench-%: tests/bench/% deps-check
	$(Q)for f in tests/bench/DEPENDS $(NEED_$*); do tests/lib/need $$f || exit 1; done
	$(Q)$(MAKE) -j$(JOBS) all $(ALSO_$*)
	$(Q)OUT=$(OUT) $<

# FAULT_RUNS runs of push, pull and copy through a proxy that does what servers must not, and of
# restores and snapshots that are killed or meet disks that do; where radosgw is installed, a fifth
# as many of a bucket too.
FAULT_RUNS ?= 1000
check-faults: deps-check
	$(Q)$(MAKE) -j$(JOBS) all
	$(Q)tests/lib/fault-runs $(OUT)/posmedia $(FAULT_RUNS) 2026 16
	$(Q)$(MAKE) -j$(JOBS) OUT=$(OUT)/faults VARIANT=faults all
	$(Q)$(MAKE) $(OUT)/bench/tree $(OUT)/test/fault-shim.so
	$(Q)tests/lib/restore-runs $(OUT) $(FAULT_RUNS) 2026 4
	$(Q)OUT=$(OUT) bats tests/nightly
	$(Q)! command -v radosgw >/dev/null || \
	  tests/lib/fault-runs $(OUT)/posmedia $$(($(FAULT_RUNS) / 5)) 2026 6 s3

# Each target for FUZZ_SECONDS, on what make check replays and what earlier runs found.
fuzz: deps-check
	$(Q)$(MAKE) -j$(JOBS) OUT=$(OUT)/fuzzing VARIANT=fuzz CC=clang fuzz-programs
	$(Q)OUT=$(OUT)/fuzzing JOBS=$(JOBS) tests/fuzz/run $(ONLY)

# An ordinary user's trees hold files of subordinate ids, which only a namespace of his removes.
clean:
	rm -rf $(OUT) 2>/dev/null || unshare --map-auto --map-root-user rm -rf $(OUT)

-include $(shell find $(OUT)/obj $(OUT)/test -name '*.d' 2>/dev/null)
.PHONY: all plain syntax unit-programs fuzz-programs fuzz deps deps-check demo check check-interop \
	lint readme bench check-cutover check-fleet check-media check-faults clean
