#!/usr/bin/env bats
# Stages are keyed by what those below made: what comes out the same makes nothing run, what is
# damaged is found, and packages are decompressed once. On images of a few packages of our own.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/stages.XXXXXX")
	export POSMEDIA_STORE=$dir/store
	tests/lib/apt-repo "$dir/repo" tiny
	mkdir -p "$dir/recipes" "$dir/overlay/etc"
	cp "$dir/repo/key.gpg" "$dir/key.gpg"
	echo one >"$dir/overlay/etc/motd"
	recipe 'echo made >/opt/made'
}

teardown() {
	rm -rf "$dir"
}

# A recipe with two steps, the first of which runs the given shell text, and its lock.
recipe() {
	cat >"$dir/recipes/tiny.yaml" <<-YAML
		posmedia: 1
		name: tiny
		version: 1
		base: {apt: {suite: tiny, keyring: key.gpg, mirrors: ["file://$dir/repo/mirror"]}}
		packages: {install: [tiny-app]}
		overlays: [{from: overlay, to: /}]
		steps:
		  - {name: first, run: [sh, -c, "mkdir /opt; $1"], writes: [/opt]}
		  - {name: second, run: [sh, -c, "cat /opt/made >/opt/second"], writes: [/opt]}
		hardening: {profiles: []}
	YAML
	in_dir lock recipes/tiny.yaml
	[ "$status" -eq 0 ] || { echo "$stderr" && false; }
}

in_dir() {
	run --separate-stderr env -C "$dir" "$posmedia" "$@"
}

build() {
	in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1" "$@"
	echo "$stderr"
	[ "$status" -eq 0 ]
	digest=${output##*@}
}

plan() {
	in_dir plan recipes/tiny.yaml "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}

# The profile p, with the controls from standard input.
profile() {
	mkdir "$dir/recipes/profiles"
	{
		printf 'posmedia-profile: 1\nid: p\nversion: 1.0.0\ntitle: some\ncontrols:\n'
		cat
	} >"$dir/recipes/profiles/p.yaml"
}

# The stage directory whose tree has the file.
stage_with() {
	local d
	for d in "$POSMEDIA_STORE"/cache/stages/*; do
		[ ! -e "$d/tree/$1" ] || echo "$d"
	done
}

@test "a step that comes out as before makes nothing run" {
	build
	was=$digest
	recipe "echo 'made' >/opt/made"
	plan
	[[ $output =~ base\ +cached ]]
	[[ $output =~ step\ first\ +will\ run: ]]
	[[ $output =~ step\ second\ +may\ run:.*\(not\ if\ that\ comes\ out\ as\ before\) ]]
	build
	[[ $stderr == *"step first:"* ]]
	[[ $stderr != *"step second:"* && $stderr != *"posmedia: config:"* ]]
	# the image says what it was made from
	[ "$(grep -o 'layer [a-z]*: [0-9]* entries' <<<"$stderr" | cut -d: -f1)" = \
		"layer config" ]
	[ "$digest" != "$was" ] # the image names its recipe and lock
	plan --json
	[ "$(jq -r '[.stages[].state] | unique | join(" ")' <<<"$output")" = cached ]
}

@test "a step that comes out otherwise makes what stands on it run" {
	build
	recipe 'echo other >/opt/made'
	build
	[[ $stderr == *"step first:"*"step second: a stage below it changes"*"config:"* ]]
	[[ $stderr == *"layer os-1: unchanged"* ]]
}

@test "only a stage whose inputs are known has a key" {
	plan --json
	[ "$(jq -r '.stages[0].state' <<<"$output")" = run ]
	[[ $(jq -r '.stages[0].key' <<<"$output") == sha256:* ]]
	[ "$(jq -r '.stages[1].key' <<<"$output")" = null ]
	build
	plan --json
	[ "$(jq '[.stages[] | select(.key == null)] | length' <<<"$output")" -eq 0 ]
}

@test "the cache of stages may go: the image is up to date all the same" {
	build
	was=$digest
	rm -rf "$POSMEDIA_STORE/cache/stages"
	plan
	[[ $output =~ image\ +cached ]]
	build
	[[ $stderr == *"it was up to date"* ]]
	[ "$digest" = "$was" ]
}

@test "a flipped bit in a cached tree is found and everything runs again" {
	build
	was=$digest
	flip "$(stage_with usr/bin/tiny-app)/tree/usr/bin/tiny-app"
	rm -rf "$POSMEDIA_STORE"/cache/layers "$POSMEDIA_STORE"/cache/images "$dir/out"
	build
	[[ $stderr == *"usr/bin/tiny-app is not what was written"*"all stages run again"* ]]
	[ "$digest" = "$was" ]
}

@test "a damaged record of a tree is found as well" {
	build
	was=$digest
	flip "$(stage_with usr/bin/tiny-app)/contents"
	rm -rf "$POSMEDIA_STORE"/cache/images "$dir/out"
	build
	[[ $stderr == *"the record of stage base is damaged"*"all stages run again"* ]]
	[ "$digest" = "$was" ]
}

@test "a step that comes out differently each time is told of" {
	recipe 'cat /proc/sys/kernel/random/uuid >/opt/made'
	build
	build --no-cache
	[[ $stderr == *"step first made something else than the last time"*"not reproducible"* ]]
}

@test "two builds of a step that is never the same: each image is of one run" {
	recipe 'cat /proc/sys/kernel/random/uuid >/opt/made; ls -R /usr /etc >/dev/null'
	for i in 1 2; do
		env -C "$dir" "$posmedia" build recipes/tiny.yaml -q -o "oci:$dir/out.$i:1" \
			>"$dir/name.$i" 2>"$dir/err.$i" 3>&- &
	done
	wait
	for i in 1 2; do
		[ -s "$dir/name.$i" ] || { cat "$dir/err.$i"; false; }
		umoci unpack --image "$dir/out.$i:1" "$dir/tree.$i"
		cmp "$dir/tree.$i/rootfs/opt/made" "$dir/tree.$i/rootfs/opt/second"
	done
	# what is cached goes together as well
	rm -rf "$POSMEDIA_STORE/cache/images"
	build
	rm -rf "$dir/tree.1"
	umoci unpack --image "$dir/out/tiny:1" "$dir/tree.1"
	cmp "$dir/tree.1/rootfs/opt/made" "$dir/tree.1/rootfs/opt/second"
}

@test "stages of another start of the machine are made again, by two at once" {
	build
	was=$digest
	for d in "$POSMEDIA_STORE"/cache/stages/*; do
		echo other >"$d/boot"
	done
	rm -rf "$POSMEDIA_STORE/cache/images"
	for i in 1 2; do
		env -C "$dir" "$posmedia" build recipes/tiny.yaml -q -o "oci:$dir/out.$i:1" \
			>"$dir/name.$i" 2>"$dir/err.$i" 3>&- &
	done
	wait
	for i in 1 2; do
		grep -q "$was" "$dir/name.$i" || { cat "$dir/err.$i"; false; }
	done
}

@test "decompressed packages do not pile up" {
	build
	old=$(printf '%064d.%064d' 1 2)
	truncate -s 5G "$POSMEDIA_STORE/cache/debs/$old"
	touch -d '2 days ago' "$POSMEDIA_STORE/cache/debs/$old"
	build --no-cache
	[ ! -e "$POSMEDIA_STORE/cache/debs/$old" ]
	[ "$(find "$POSMEDIA_STORE/cache/debs" -type f | wc -l)" -eq 3 ]
}

@test "packages are decompressed once, and a damaged copy is made again" {
	build
	[ "$(find "$POSMEDIA_STORE/cache/debs" -type f | wc -l)" -eq 3 ]
	was=$digest
	for deb in "$POSMEDIA_STORE"/cache/debs/*; do
		[ "$(sha256sum <"$deb" | cut -c1-64)" = "${deb##*.}" ]
		flip "$deb"
	done
	build --no-cache
	[ "$digest" = "$was" ]
	for deb in "$POSMEDIA_STORE"/cache/debs/*; do
		[ "$(sha256sum <"$deb" | cut -c1-64)" = "${deb##*.}" ]
	done
	build --no-cache
	[ "$digest" = "$was" ]
	rm -rf "$POSMEDIA_STORE/cache/debs"
	echo no >"$POSMEDIA_STORE/cache/debs" # no directory: a build says so and does not go on
	in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1" --no-cache
	[ "$status" -eq 1 ]
	[[ $stderr == *cache/debs* ]]
}

@test "a test that says what it reads runs again when that changes, or a program" {
	cat >>"$dir/recipes/tiny.yaml" <<-'YAML'
		tests:
		  - name: motd
		    run: [sh, -c, "echo saw; read a </etc/motd; echo $a; [ $a = one ]"]
		    reads: [/etc/motd]
		  - {name: any, run: [sh, -c, "echo any"]}
	YAML
	in_dir lock recipes/tiny.yaml
	build
	[[ $stderr == *"test motd: passed"* && $stderr != *"as before"* ]]
	echo x >"$dir/overlay/etc/other"
	rm "$dir/out/tiny.logs/1/test-motd.log"
	build
	[[ $stderr == *"test motd: passed as before"*"test any: passed"* ]]
	[ "$(cat "$dir/out/tiny.logs/1/test-motd.log")" = $'saw\none' ]
	mkdir -p "$dir/overlay/usr/bin"
	echo x >"$dir/overlay/usr/bin/program"
	build
	[[ $stderr == *"test motd: passed"* && $stderr != *"as before"* ]]
	echo two >"$dir/overlay/etc/motd"
	in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1"
	[ "$status" -eq 6 ]
	[[ $stderr == *"test motd: exit status 1"* ]]
	# what failed is no pass, and what passed before is not forgotten
	in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1"
	[ "$status" -eq 6 ]
	echo one >"$dir/overlay/etc/motd"
	rm "$dir/overlay/etc/other"
	build
	[[ $stderr == *"test motd: passed as before"* ]]
	build --no-cache
	[[ $stderr == *"test motd: passed"* && $stderr != *"as before"* ]]
}

@test "what was refused is refused again, though its stages are kept" {
	local key
	key=$(openssl genpkey -algorithm ed25519)
	echo "$key" >"$dir/overlay/etc/host.key"
	for _ in 1 2 3; do
		in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1"
		[ "$status" -eq 4 ]
		echo "$stderr"
		[[ $stderr == *"/etc/host.key: private key (overlay overlay)"* ]]
	done
	[ ! -e "$dir/out/tiny" ]
	rm "$dir/overlay/etc/host.key"
	build
	run ! grep -F "$dir" /proc/self/mountinfo
}

@test "a control that comes later is asked of an image that stays as it is" {
	profile <<-'YAML'
		  - id: MOT-01
		    title: A message
		    severity: high
		    sources: {pci-dss: ["2.2.4"]}
		    want:
		      - mode: {paths: [/etc/motd], max: "0644"}
	YAML
	sed -i 's/profiles: \[\]/profiles: [p]/' "$dir/recipes/tiny.yaml"
	in_dir lock recipes/tiny.yaml
	build
	sed -i 's/"0644"/"0600"/; s/severity: high/&\n    fix: false/' \
		"$dir/recipes/profiles/p.yaml"
	in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1"
	echo "$stderr"
	[ "$status" -eq 4 ]
	[[ $stderr == *MOT-01* ]]
}

@test "what a waiver lets pass is refused once it ended, each time" {
	local today=$((EPOCHSECONDS - EPOCHSECONDS % 86400)) until
	until=$(date -u -d "@$today" +%F)
	profile <<-'YAML'
		  - id: MOT-01
		    title: A message
		    severity: high
		    sources: {pci-dss: ["2.2.4"]}
		    fix: false
		    want:
		      - mode: {paths: [/etc/motd], max: "0600"}
		  - id: OCI-01
		    title: A user
		    severity: high
		    sources: {pci-dss: ["2.2.4"]}
		    want:
		      - oci: {rule: start}
	YAML
	cat >>"$dir/recipes/tiny.yaml" <<-YAML
		hardening:
		  profiles: [p]
		  waivers:
		    - {control: MOT-01, reason: a test, by: nobody, until: $until}
		    - {control: OCI-01, reason: a test, by: nobody, until: $until}
	YAML
	sed -i '/profiles: \[\]/d' "$dir/recipes/tiny.yaml"
	in_dir lock recipes/tiny.yaml
	build
	[[ $stderr != *"up to date"* ]]
	for _ in 1 2 3; do
		SOURCE_DATE_EPOCH=$((today + 86400)) \
			in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1"
		echo "$stderr"
		[ "$status" -eq 4 ]
		[[ $stderr == *MOT-01* ]]
	done
	# of the image itself, when the tree is well
	sed -i 's/"0600"/"0644"/' "$dir/recipes/profiles/p.yaml"
	build
	for _ in 1 2; do
		SOURCE_DATE_EPOCH=$((today + 86400)) \
			in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1"
		echo "$stderr"
		[ "$status" -eq 4 ]
		[[ $stderr == *OCI-01* ]]
	done
}

@test "a test runs again when its file behind a link changed, or its own program" {
	mkdir -p "$dir/overlay/data" "$dir/overlay/opt2"
	echo good >"$dir/overlay/data/x"
	ln -s data/x "$dir/overlay/conf"
	printf '#!/bin/sh\nexit 0\n' >"$dir/overlay/opt2/check"
	chmod 755 "$dir/overlay/opt2/check"
	cat >>"$dir/recipes/tiny.yaml" <<-'YAML'
		tests:
		  - name: link
		    run: [sh, -c, "read a </conf; [ $a = good ]"]
		    reads: [/conf]
		  - {name: own, run: [/opt2/check], reads: [/etc/motd]}
	YAML
	in_dir lock recipes/tiny.yaml
	build
	echo bad >"$dir/overlay/data/x"
	in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1"
	[ "$status" -eq 6 ]
	[[ $stderr == *"test link: exit status 1"* ]]
	echo good >"$dir/overlay/data/x"
	printf '#!/bin/sh\nexit 3\n' >"$dir/overlay/opt2/check"
	in_dir build recipes/tiny.yaml -o "oci:$dir/out/tiny:1"
	[ "$status" -eq 6 ]
	[[ $stderr == *"test own: exit status 3"* ]]
}
