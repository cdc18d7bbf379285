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

# No blob of the store has the number, nor does anything that others may read.
not_stored() {
	local file
	find "$dir/store/blobs" "$dir/store/tmp" -type f >"$dir/blobs"
	[ -s "$dir/blobs" ]
	while read -r file; do
		! zcat -f "$file" | grep -qaF "$card" || { echo "$file" && return 1; }
	done <"$dir/blobs"
}

@test "what is refused is in no blob of the store, and what was built before stays" {
	printf 'name,card\nada,%s\n' "$card" >"$dir/overlay/etc/sales.csv"
	build
	refused 4 "/etc/sales.csv: pan"
	not_stored
	no_traces
	rm "$dir/overlay/etc/sales.csv"
	build
	succeeded
	find "$dir/store/blobs" -type f | sort >"$dir/before"
	run ! grep -v '^-rw-r--r--' <(find "$dir/store/blobs" -type f -printf '%M %p\n')
	[ -n "$(ls "$dir/store/cache/layers")" ]
	printf 'layers: {compression: both}\n' >>"$dir/recipes/till.yaml"
	printf 'name,card\nada,%s\n' "$card" >"$dir/overlay/etc/sales.csv"
	relock
	build
	refused 4 "/etc/sales.csv: pan"
	not_stored
	[ -z "$(comm -13 <(find "$dir/store/blobs" -type f | sort) "$dir/before")" ]
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

# A profile that knows packages' files by their lists, with the controls of standard input.
profile() {
	mkdir -p "$dir/recipes/profiles"
	{
		cat <<-'YAML'
			posmedia-profile: 1
			id: cards
			version: 1.0.0
			title: card data
			controls:
			  - id: FIL-13
			    title: Files of packages
			    severity: high
			    sources: {pci-dss: ["11.5.2"]}
			    want:
			      - package-files:
			          paths: [/usr/share]
			          allow: ["/usr/share/posmedia/**"]
		YAML
		cat
	} >"$dir/recipes/profiles/cards.yaml"
}

# In the tree $1 a list of a package that nobody installed, with all files below the one named $2.
list_as_package() {
	local info=$1/var/lib/dpkg/info
	mkdir -p "$info"
	(cd "$1" && find "$2" -type f -exec md5sum '{}' +) >"$info/evil.md5sums"
	{
		echo /.
		sed 's|^[^ ]*  |/|' "$info/evil.md5sums"
	} >"$info/evil.list"
}

@test "a list of packages' files that lies in the tree excuses nothing that others brought" {
	profile <<-'YAML'
		  - id: CHD-01
		    title: No card numbers
		    severity: high
		    sources: {pci-dss: ["3.2.1"]}
		    want:
		      - scan: {classes: [pan]}
	YAML
	mkdir -p "$dir/overlay/usr/share/evil"
	printf 'name,card\nada,%s\n' "$card" >"$dir/overlay/usr/share/evil/sales.csv"
	list_as_package "$dir/overlay" usr/share/evil
	posmedia audit dir:overlay --profile recipes/profiles/cards.yaml
	[[ $output == *"/usr/share/evil/sales.csv: 1 pan"* ]]
	refused 4 "CHD-01"
	printf 'hardening: {profiles: [cards]}\n' >>"$dir/recipes/till.yaml"
	relock
	build
	refused 4 "CHD-01"
	[[ $stderr == *"/usr/share/evil/sales.csv: 1 pan"* ]]
}

@test "what no control judges, the build itself refuses" {
	printf 'name,card\nada,%s\n' "$card" >"$dir/overlay/etc/sales.csv"
	profile <<-'YAML'
		  - id: CHD-02
		    title: Neither tracks nor, in archives, card numbers
		    severity: high
		    sources: {pci-dss: ["3.3.1.1"]}
		    want:
		      - scan: {classes: [track1, track2]}
		      - scan: {classes: [pan], packed: true}
		  - id: CHD-01
		    title: No card numbers beside what is not there
		    severity: low
		    sources: {pci-dss: ["3.2.1"]}
		    when: {package: tiny-none}
		    want:
		      - scan: {classes: [pan]}
	YAML
	printf 'hardening: {profiles: [cards]}\n' >>"$dir/recipes/till.yaml"
	relock
	build
	refused 4 "card data in the image: /etc/sales.csv: pan"
	# of a control that applies its severity counts
	sed -i 's/tiny-none/tiny-app/' "$dir/recipes/profiles/cards.yaml"
	build
	succeeded
	[[ $stderr == *"control CHD-01 fails: /etc/sales.csv: 1 pan"* ]]
}

@test "an image's own recipe excuses what it brings when a key or the caller vouches for it" {
	mkdir -p "$dir/overlay/usr/share/till" "$dir/overlay/usr/local/share/ca-certificates"
	echo x >"$dir/overlay/usr/share/till/help"
	openssl req -x509 -newkey ed25519 -nodes -keyout /dev/null -subj /CN=ours \
		-out "$dir/overlay/usr/local/share/ca-certificates/ours.crt" 2>/dev/null
	build
	succeeded
	profile <<-'YAML'
		  - id: CRT-01
		    title: Authorities
		    severity: high
		    sources: {pci-dss: ["4.2.1"]}
		    want:
		      - certificates:
		          bundles: [/etc/ssl/certs/ca-certificates.crt]
		          sources: ["/usr/share/ca-certificates/**/*.crt"]
		          local: ["/usr/local/share/ca-certificates/*.crt"]
	YAML
	local by=--profile=recipes/profiles/cards.yaml
	posmedia key new k --uid test
	posmedia audit oci:out/till:1 "$by" --key k.pub
	refused 4 "FIL-13"
	[[ $output == *"/usr/share/till/help: is of no package, but of the recipe inside"* ]]
	[[ $output == *"/ours.crt: an authority that the recipe does not bring, but of"* ]]
	posmedia audit oci:out/till:1 "$by" --recipe recipes/till.yaml
	[[ $output != *"/usr/share/till/help"* && $output != *"ours.crt"* ]]
	posmedia sign oci:out/till:1 --key k --identity shop.test/till:1
	succeeded
	posmedia audit oci:out/till:1 "$by"
	[[ $output == *"/usr/share/till/help: is of no package, but of"* ]]
	posmedia audit oci:out/till:1 "$by" --key k.pub
	[[ $output != *"/usr/share/till/help"* && $output != *"ours.crt"* ]]
}
