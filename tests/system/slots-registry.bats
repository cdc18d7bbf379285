#!/usr/bin/env bats
# A medium in a registry, and updates of a disk with two slots from there: what is fetched, by the
# registry's own count, and what happens when it is not what was signed.

bats_require_minimum_version 1.5.0
load lib
load slots

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/slots-registry.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	(cd "$dir" && "$posmedia" key new k && "$posmedia" key new other) >/dev/null 2>&1
	slots_pair
	start_registry "$dir/registry"
	export registry registry_pid
	"$posmedia" push "$dir/new" "docker://$registry/pos/till:2" >"$dir/pushed"
}

teardown_file() {
	stop_registry
	rm -rf "$dir"
}

setup() {
	cp --sparse=always "$dir/old" "$dir/disk"
}

update() {
	run --separate-stderr "$posmedia" machine update "$@" --disk "$dir/disk"
}

says() {
	[ "$status" -eq "$1" ] && [[ $output$'\n'$stderr == *"$2"* ]] && return
	echo "wanted $1 and $2, got $status: $output $stderr"
	return 1
}

is_old() {
	slots_is_old "$dir/old" "$dir/disk"
}

is_new() {
	"$posmedia" machine status --disk "$dir/disk" | grep -qx 'next start: b'
	is_root_of "$dir/disk" b "$dir/new"
	cmp <(part "$dir/new" boot-a) <(part "$dir/disk" boot-b)
}

# The digest of a layer of the artifact, and the registry's file of it.
layer() {
	curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
		"http://$registry/v2/pos/till/manifests/2" |
		jq -r --arg t "$1" '.layers[] |
			select(.annotations["org.opencontainers.image.title"] == $t).digest'
}

stored() {
	local hex
	hex=$(layer "$1")
	hex=${hex#sha256:}
	echo "$dir/registry/data/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
}

# How many bytes the registry has sent, by its log, since that was so long.
sent() {
	tail -c "+$(($1 + 1))" "$dir/registry/log" |
		perl -ne '$n += $1 if m{"GET \S+ HTTP/1.1" \d+ (\d+) }; END { print $n + 0 }'
}

@test "only what is new is fetched, and it is what an update of the file writes" {
	local before fetched size
	before=$(stat -c %s "$dir/registry/log")
	update "docker://$registry/pos/till:2" --key "$dir/k.pub" --json
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	is_new
	fetched=$(jq .fetched <<<"$output")
	# and its answer to GET /v2/, of 2 bytes
	[ "$(sent "$before")" -eq $((fetched + 2)) ]
	size=$(jq '.predicate.verity.blocks * 4096' "$dir/new.medium.json")
	[ "$(jq .copied <<<"$output")" -gt 4000000 ]
	# what says what it is, and the hashes of the root, 1 MiB each; of the file system with the
	# kernel the blocks of 1 MiB that differ; and the new file
	[ "$fetched" -lt 5000000 ] || { echo "$output of $size"; false; }
	cmp "$dir/disk" <(cp --sparse=always "$dir/old" "$dir/file" &&
		"$posmedia" machine update "$dir/new" --key "$dir/k.pub" --disk "$dir/file" \
			>/dev/null && cat "$dir/file")
	update "docker://$registry/pos/till:2" --key "$dir/k.pub"
	says 0 'is there already'
	[ -z "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'posmedia-??????' -newer "$dir/disk")" ]
}

@test "a push of what is there sends nothing, and one of what was changed is refused" {
	run --separate-stderr "$posmedia" push "$dir/new" "docker://$registry/pos/till:2" --json
	[ "$(jq -c '[.blobs, .bytes]' <<<"$output")" = '[0,0]' ]
	cp --sparse=always "$dir/new" "$dir/changed"
	cp "$dir/new.medium.json" "$dir/changed.medium.json"
	flip "$dir/changed" $(($(of_partition "$dir/new" root-a start) + 70000))
	run --separate-stderr "$posmedia" push "$dir/changed" "docker://$registry/pos/till:3"
	says 4 'not as its manifest says'
	run --separate-stderr "$posmedia" push "$dir/k" "docker://$registry/pos/till:3"
	says 2 'k.medium.json'
}

@test "a layout has the same, of the file or of the registry, and a disk is updated by it" {
	"$posmedia" copy "$dir/new" "oci:$dir/stick:2"
	"$posmedia" copy "docker://$registry/pos/till:2" "oci:$dir/stick2:2"
	cmp <(jq '.manifests[0].digest' "$dir/stick/index.json") \
		<(jq '.manifests[0].digest' "$dir/stick2/index.json")
	update "oci:$dir/stick2:2" --key "$dir/k.pub"
	says 0 'read back'
	is_new
}

@test "by whom it is signed counts before anything is written" {
	update "docker://$registry/pos/till:2"
	says 2 'wants a --key or a --policy'
	update "docker://$registry/pos/till:2" --key "$dir/other.pub"
	says 4 'medium.json'
	printf '%s\n' 'posmedia: 1' repositories: '  - match: localhost/till' \
		'    keys: [other.pub]' >"$dir/policy.yaml"
	update "docker://$registry/pos/till:2" --policy "$dir/policy.yaml"
	says 4 'policy.yaml:3'
	cmp "$dir/old" "$dir/disk"
	sed -i 's/other.pub/k.pub/' "$dir/policy.yaml"
	update "docker://$registry/pos/till:2" --policy "$dir/policy.yaml"
	says 0 'read back'
	is_new
}

@test "what is not there, or is something else" {
	update "docker://$registry/pos/till" --key "$dir/k.pub"
	says 2 'neither tag nor digest'
	update "docker://$registry/pos/till:7" --key "$dir/k.pub"
	says 5 'there is no such thing'
	"$posmedia" push "oci:$dir/image" "docker://$registry/pos/image:1" >/dev/null
	update "docker://$registry/pos/image:1" --key "$dir/k.pub"
	says 2 'is no medium'
	cmp "$dir/old" "$dir/disk"
}

# One byte of the registry's file, there and back.
spoiled() { # LAYER BYTE COMMAND...
	local file at=$2
	file=$(stored "$1")
	shift 2
	flip "$file" "$at"
	"$@" || true
	flip "$file" "$at"
}

@test "a registry with other bytes than were signed leaves the old system" {
	local what at
	for what in medium.json medium.json.pgp state boot-a root-a verity-a; do
		case $what in
		root-a) part "$dir/new" root-a >"$dir/r" &&
			at=$(dump.erofs -e --path=/usr/bin/till "$dir/r" |
				sed -nE 's|^ *0: .* : *([0-9]+)[.][.].*|\1|p') ;;
		boot-a) at=$(part "$dir/new" boot-a | grep -abo 'linux /vmlinuz' | cut -d: -f1) ;;
		verity-a) at=5000 ;;
		state) at=$((524288 + 100)) ;;
		*) at=100 ;;
		esac
		cp --sparse=always "$dir/old" "$dir/disk"
		spoiled "$what" "$at" update "docker://$registry/pos/till:2" --key "$dir/k.pub"
		echo "$what: $status $stderr"
		[ "$status" -eq 4 ]
		is_old
	done
	update "docker://$registry/pos/till:2" --key "$dir/k.pub"
	is_new
}

@test "a registry that sends other parts than it was asked for is refused" {
	local port
	coproc PROXY { tests/lib/fault-proxy "$registry" 7 range 2>"$dir/faults" 3>&-; }
	read -r port <&"${PROXY[0]}"
	update "docker://127.0.0.1:$port/pos/till:2" --key "$dir/k.pub"
	says 5 'got other bytes than were asked for'
	is_old
	eval "exec ${PROXY[1]}>&-"
	wait "$PROXY_PID" || true
}
