# posmedia. `make demo` and `make check` are the two commands of the README; both install what they
# need. OUT moves everything a build makes; V=1 shows the commands.
OUT     ?= out
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
# the directories on floors below a directory's, its peers and theirs
lower   = $(foreach p,$(plan),$(if $(shell [ $(call field,$(p),1) -lt $(call field,$(call row,$(1)),1) ] && echo y),$(call field,$(p),2)))
reach   = $(sort $(1) $(call lower,$(1)) $(call peers,$(1)) $(foreach d,$(call peers,$(1)),$(call peers,$(d))))
libs    = -Wl,--start-group $(foreach d,$(1),$(OUT)/lib/lib$(d).a) -Wl,--end-group
ldlibs  = $(shell pkg-config --libs $(sort $(foreach d,$(1),$(call pkgs,$(d)))) 2>/dev/null)
ALLPKGS = $(sort $(foreach d,$(DIRS),$(call pkgs,$(d))))

W := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
     -Wvla -Wundef -Wformat=2 -Werror
HARD := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
ifeq ($(VARIANT),asan)
  OPT  := -O1 -g
  HARD := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ifeq ($(VARIANT),faults)
  HARD += -DPOSMEDIA_FAULTS
endif
VERSION := 0.1.0
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -DPOSMEDIA_VERSION='"$(VERSION)"' -Ibuilder -MMD -MP $(W) \
             $(OPT) $(HARD) -ffile-prefix-map=$(CURDIR)=. $(CFLAGS)
ALL_LDFLAGS = $(HARD) $(if $(VARIANT),,-pie) -Wl,-z,relro,-z,now -pthread $(LDFLAGS)

all: $(OUT)/posmedia

# A change of flags or compiler rebuilds everything.
STAMP := $(OUT)/obj/flags
FLAGS := $(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS)
$(shell mkdir -p $(OUT)/obj; echo '$(subst ','\'',$(FLAGS))' | cmp -s - $(STAMP) || echo '$(subst ','\'',$(FLAGS))' > $(STAMP))

$(OUT)/obj/%.o: builder/%.c $(STAMP)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(Q)$(CC) $(ALL_CFLAGS) -c $< -o $@

define DIR
$(OUT)/lib/lib$(1).a: $(patsubst builder/%.c,$(OUT)/obj/%.o,$(sort $(wildcard builder/$(1)/*.c)))
	@mkdir -p $$(@D); rm -f $$@; $(AR) rcsD $$@ $$^
# a unit test is tests/unit/DIR-thing.c and links DIR, its peers and what lies below: nothing above
$(OUT)/test/$(1)-%: tests/unit/$(1)-%.c $(STAMP) $(foreach d,$(call reach,$(1)),$(OUT)/lib/lib$(d).a)
	@mkdir -p $$(@D); echo "  LD    $$@"
	$(Q)$(CC) $(ALL_CFLAGS) -MF $$@.d $$< $(call libs,$(call reach,$(1))) $(ALL_LDFLAGS) \
	  $$(call ldlibs,$(call reach,$(1))) -lcmocka -o $$@
endef
$(foreach d,$(DIRS),$(eval $(call DIR,$(d))))

$(OUT)/posmedia: $(patsubst builder/cli/%.c,$(OUT)/obj/cli/%.o,$(wildcard builder/cli/*.c)) \
                 $(foreach d,$(filter-out cli,$(DIRS)),$(OUT)/lib/lib$(d).a)
	@echo "  LD    $@"
	$(Q)$(CC) $(filter %.o,$^) $(call libs,$(filter-out cli,$(DIRS))) $(ALL_LDFLAGS) \
	  $(call ldlibs,$(DIRS)) -o $@

UNIT := $(patsubst tests/unit/%.c,$(OUT)/test/%,$(sort $(wildcard tests/unit/*.c)))
unit-programs: $(UNIT)

deps:
	$(Q)tests/lib/need builder/DEPENDS
deps-check: deps
	$(Q)tests/lib/need tests/DEPENDS

demo: deps
	$(Q)$(MAKE) -j$(JOBS) all
	$(Q)tests/lib/demo $(OUT)/posmedia

check: deps-check
	$(Q)$(MAKE) -j$(JOBS) all unit-programs
	$(Q)tests/lib/check

lint:
	$(Q)tests/lint/all

bench: deps-check
	$(Q)$(MAKE) -j$(JOBS) all
	$(Q)tests/bench/run

clean:
	rm -rf $(OUT)

-include $(shell find $(OUT)/obj $(OUT)/test -name '*.d' 2>/dev/null)
.PHONY: all unit-programs deps deps-check demo check lint bench clean
