#!/usr/bin/env bats
# Card data fails a build, wherever it comes from, and fails it again; nobody sees a number in full;
# what the recipe answers for by digest passes.

load lib
load tiny.bash

setup() {
	bats_require_minimum_version 1.5.0
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/cards.XXXXXX")"
	# the number of a card, which must not stand in this file
	card=45392$((77914860339))
	posmedia lock recipes/till.yaml
	succeeded
}

teardown() {
	rm -rf "$dir"
}

build() {
	posmedia build recipes/till.yaml -o "oci:$dir/out/till:1"
}

# A recipe that is another needs a lock that is.
relock() {
	posmedia lock recipes/till.yaml
	succeeded
}

not_shown() {
	[[ $output != *"$card"* && $stderr != *"$card"* ]]
	run ! grep -rF "$card" "$dir/out" "$dir/store/cache/looked"
}

@test "a number in an overlay, plain or packed, and again; away with it, and it is built" {
	printf 'name,card\nada,%s\n' "$card" >"$dir/overlay/etc/sales.csv"
	build
	refused 4 "card data in the image: /etc/sales.csv: pan"
	[ ! -e "$dir/out/till/index.json" ]
	not_shown
	build
	refused 4 "/etc/sales.csv: pan"
	gzip "$dir/overlay/etc/sales.csv"
	build
	refused 4 "/etc/sales.csv.gz: pan"
	rm "$dir/overlay/etc/sales.csv.gz"
	build
	succeeded
	# a file beside it that was clean is not looked into again, and a new one is
	printf 'name,card\nada,%s\n' "$card" >"$dir/overlay/etc/sales.csv"
	build
	refused 4 "/etc/sales.csv: pan"
}

@test "a number that the recipe answers for by digest, until its day" {
	printf 'name,card\nada,%s\n' "$card" >"$dir/overlay/etc/sales.csv"
	cat >>"$dir/recipes/till.yaml" <<-YAML
		hardening:
		  allow:
		    - {sha256: $(sha256sum <"$dir/overlay/etc/sales.csv" | head -c 64), class: pan,
		       reason: void numbers of the manual, until: 2099-01-01}
	YAML
	relock
	build
	succeeded
	sed -i 's/2099-01-01/2001-01-01/' "$dir/recipes/till.yaml"
	relock
	build
	refused 4 "/etc/sales.csv: pan"
	sed -i 's/class: pan/class: pin/' "$dir/recipes/till.yaml"
	build
	refused 3 "recipes/till.yaml:"
}

@test "a profile says which classes count, and from which severity on" {
	mkdir -p "$dir/recipes/profiles"
	cat >"$dir/recipes/profiles/cards.yaml" <<-YAML
		posmedia-profile: 1
		id: cards
		version: 1.0.0
		title: card data
		controls:
		  - id: CHD-01
		    title: No card numbers
		    severity: medium
		    sources: {pci-dss: ["3.2.1"]}
		    want:
		      - scan: {classes: [pan]}
		  - id: OCI-02
		    title: The image says what it starts
		    severity: high
		    sources: {pci-dss: ["2.2.4"]}
		    want:
		      - oci: {rule: start}
	YAML
	printf 'hardening: {profiles: [cards], fail-on: medium}\n' >>"$dir/recipes/till.yaml"
	printf 'run: {entrypoint: [/bin/till]}\n' >>"$dir/recipes/till.yaml"
	printf 'name,card\nada,%s\n' "$card" >"$dir/overlay/etc/sales.csv"
	relock
	build
	refused 4 "CHD-01"
	[[ $stderr == *"453927******0339"* ]]
	not_shown
	sed -i 's/fail-on: medium/fail-on: high/' "$dir/recipes/till.yaml"
	relock
	build
	succeeded
	[[ $stderr == *"control CHD-01 fails: /etc/sales.csv: 1 pan"* ]]
	# it is told again, though the file was looked into
	printf 'x\n' >"$dir/overlay/etc/other"
	build
	succeeded
	[[ $stderr == *"control CHD-01 fails: /etc/sales.csv: 1 pan"* ]]
	# of the image itself, before the layers are packed
	sed -i '/^run:/d' "$dir/recipes/till.yaml"
	relock
	build
	refused 4 "OCI-02"
	# and the labels name the profile
	printf 'run: {entrypoint: [/bin/till]}\n' >>"$dir/recipes/till.yaml"
	relock
	build
	succeeded
	skopeo inspect --config "oci:$dir/out/till:1" >"$dir/config"
	jq -e '.config.Labels."org.posmedia.profile.cards" | startswith("sha256:")' "$dir/config"
}
