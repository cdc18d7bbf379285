#!/usr/bin/env bats
# Everything that a run makes differently is planted by a package and by steps: it is gone from the
# image, or the image is refused. The table is posmedia-reproducible(7).

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/noise.XXXXXX")
	export dir
	tests/lib/apt-repo "$dir/repo" tiny >"$dir/repo.log"
	recipe noise 'packages: {install: [tiny-noise]}'
	build noise --store "$dir/store" >"$dir/noise.name" 2>"$dir/noise.log"
	mkdir "$dir/tree"
	unpack noise
}

teardown_file() {
	rm -rf "$dir"
}

# A recipe $1 on the small repository with the lines $2.
recipe() {
	mkdir -p "$dir/$1/recipes"
	cp "$dir/repo/key.gpg" "$dir/$1/"
	cat - <(echo "$2") >"$dir/$1/recipes/$1.yaml" <<-YAML
		posmedia: 1
		name: $1
		version: 1
		base: {apt: {suite: tiny, keyring: key.gpg, mirrors: ["file://$dir/repo/mirror"]}}
	YAML
}

build() {
	"$posmedia" lock "$dir/$1/recipes/$1.yaml" --store "$dir/store" >&2 &&
		"$posmedia" build "$dir/$1/recipes/$1.yaml" -o "oci:$dir/$1.oci:1" "${@:2}"
}

# Layers as tar lists them, all in one file, and as a tree.
unpack() {
	local m layer
	m=$(jq -r '.manifests[0].digest' "$dir/$1.oci/index.json" | cut -d: -f2)
	for layer in $(jq -r '.layers[].digest' "$dir/$1.oci/blobs/sha256/$m" | cut -d: -f2); do
		tar -C "$dir/tree" --no-same-owner -xzf "$dir/$1.oci/blobs/sha256/$layer"
		tar --utc --full-time -tvzf "$dir/$1.oci/blobs/sha256/$layer" >>"$dir/list"
	done
}

@test "every run plants something else, and gives the same digest" {
	# the log of the first run has the planted bytes no more than the image has
	mkdir "$dir/other"
	cp -r "$dir/noise" "$dir/other/noise"
	(umask 077 && TZ=Asia/Tokyo "$posmedia" build "$dir/other/noise/recipes/noise.yaml" \
		--store "$dir/store" --no-cache -o "oci:$dir/other/noise.oci:1") >"$dir/other.name"
	[ "$(sed 's/.*@//' "$dir/other.name")" = "$(sed 's/.*@//' "$dir/noise.name")" ]
}

@test "what was planted is gone; what programs want to find is empty" {
	[ "$(wc -l <"$dir/tree/var/lib/noise/planted")" -eq 33 ]
	local f
	while read -r f; do
		case $f in
		/etc/machine-id | /var/log/wtmp) [ -f "$dir/tree$f" ] && [ ! -s "$dir/tree$f" ] ;;
		*) [ ! -e "$dir/tree$f" ] ;;
		esac || { echo "$f"; false; }
	done <"$dir/tree/var/lib/noise/planted"
	[ ! -L "$dir/tree/etc/ssl/certs/12345678.0" ]
	for f in tmp var/tmp run; do
		[ -z "$(ls -A "$dir/tree/$f" 2>/dev/null)" ]
	done
}

@test "programs see one environment: clock, zone, locale, umask, host name" {
	local n=$dir/tree/var/lib/noise
	grep -qx SOURCE_DATE_EPOCH=1700000000 "$n/env"
	grep -qx TZ=UTC "$n/env"
	grep -qx LC_ALL=C "$n/env"
	[ "$(cat "$n/umask")" = 0022 ]
	[ "$(cat "$n/hostname")" = localhost ]
	run ! grep -E '^(hostname|resolv.conf|hosts)$' "$n/etc"
}

@test "shadow's days are not after the image's own" {
	[ "$(cat "$dir/tree/etc/shadow")" = "root:*:$((1700000000 / 86400)):0:99999:7:::" ]
}

@test "times, owners, modes and order in the tar" {
	grep -q '2023-11-14 22:13:20 var/lib/noise/now$' "$dir/list"
	grep -q '2001-02-03 00:00:00 var/lib/noise/then$' "$dir/list"
	grep -q '^drwxrwsr-t 0/0 .* var/lib/noise/dir/$' "$dir/list"
	# numbers, no names
	run ! grep -Ev '^[^ ]+ +[0-9]+/[0-9]+ ' "$dir/list"
	local layer
	for layer in "$dir"/noise.oci/blobs/sha256/*; do
		[ "$(head -c 2 "$layer" | od -An -tx1)" = ' 1f 8b' ] || continue
		tar -tzf "$layer" | sed 's,/$,,' >"$dir/names"
		LC_ALL=C sort -c "$dir/names"
		# no time and no name in the header, the same system everywhere
		[ "$(head -c 10 "$layer" | od -An -tx1)" = ' 1f 8b 08 00 00 00 00 00 00 ff' ] ||
			{ head -c 10 "$layer" | od -An -tx1; false; }
	done
}

@test "a step that writes down the kernel it ran on is refused, with file and step" {
	recipe kernel 'packages: {install: [tiny-app]}
steps:
  - name: stamp
    run: [sh, -c, "mkdir -p /opt; cat /proc/sys/kernel/osrelease >/opt/built-on"]
    writes: [/opt]'
	run --separate-stderr build kernel --store "$dir/store"
	echo "$stderr"
	[ "$status" -eq 4 ]
	[[ $stderr == *"/opt/built-on: the release of the running kernel, "*"(step stamp)"* ]]
	[ ! -e "$dir/kernel.oci" ]
}

@test "secrets by a step and by an overlay are refused, with who brought them" {
	# shellcheck disable=SC2016 # for the shell inside
	recipe secret 'packages: {install: [tiny-app]}
overlays: [{from: tree, to: /srv}]
steps:
  - name: keygen
    run:
      - sh
      - -c
      - mkdir -p /opt; r=QQPQYRZ9GX8QQPQYRZ9GX8QQPQYRZ9; echo AGE-SECRET-KEY-1$r$r >/opt/deploy
    writes: [/opt]'
	mkdir -p "$dir/secret/tree"
	openssl genpkey -algorithm ED25519 -outform DER -out "$dir/secret/tree/any.bin"
	run --separate-stderr build secret --store "$dir/store"
	echo "$stderr"
	[ "$status" -eq 4 ]
	[[ $stderr == *"/opt/deploy: private key of age (step keygen)"* ]]
	[[ $stderr == *"/srv/any.bin: private key (overlay tree)"* ]]
	[ ! -e "$dir/secret.oci" ]
}

@test "a secret among the files that the image would carry is refused" {
	recipe inputs 'packages: {install: [tiny-app]}
hardening: {profiles: [tiny]}'
	mkdir "$dir/inputs/recipes/profiles"
	cat >"$dir/inputs/recipes/profiles/tiny.yaml" <<-'YAML'
		posmedia-profile: 1
		id: tiny
		version: 1.0.0
		title: Tiny
		controls:
		  - id: MODE-1
		    title: The configuration is not writable by others
		    severity: high
		    sources: {pa-dss: ["1.1"]}
		    want:
		      - mode: {paths: [/etc/tiny.conf], max: "0644"}
	YAML
	openssl genpkey -algorithm ED25519 -out "$dir/inputs/recipes/profiles/mislaid.yaml"
	run --separate-stderr build inputs --store "$dir/store"
	echo "$stderr"
	[ "$status" -eq 4 ]
	[[ $stderr == *"/usr/share/posmedia/project/recipes/profiles/mislaid.yaml: private key"* ]]
	[ ! -e "$dir/inputs.oci" ]
}
