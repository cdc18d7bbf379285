#!/usr/bin/env bats
# A night that is killed at any moment, and the one after it: no tag that is half there, no line of
# the ledger that is lost, nothing built twice. KILLS moments, the same ones for the same SEED.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/tiny

setup_file() {
	load ../system/lib
	load ../system/tiny
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/kills.XXXXXX")"
	export dir POSMEDIA_STORE
	SOURCE_DATE_EPOCH=1780000000 "$posmedia" key new "$dir/key"
	start_registry "$dir/registry"
	export registry registry_pid SOURCE_DATE_EPOCH=1790000000
}

teardown_file() {
	stop_registry
	rm -rf "$dir"
}

# What a whole night left, after one that died: $1 says of which.
whole() {
	local tag
	[ "$("$posmedia" tags "docker://$registry/$repository" | xargs)" = '1 1-20260921' ] ||
		{ echo "$1: $("$posmedia" tags "docker://$registry/$repository")"; return 1; }
	for tag in 1 1-20260921; do
		"$posmedia" verify "docker://$registry/$repository:$tag" --key "$dir/key.pub" \
			>"$dir/verified" || { echo "$1: $tag"; return 1; }
	done
	"$posmedia" report ledger --verify --ledger "$dir/ledger" >"$dir/chain"
	# of all that were told at most one has built, and the image, its signature, its push and
	# what became of the recipe are noted
	[ "$(jq -s 'map(select(.kind == "build" and (.fields."stages-run" > 0))) | length' \
		"$dir"/ledger/*.jsonl)" -le 1 ] || { echo "$1: built twice"; return 1; }
	[ "$(jq -r 'select(.kind == "nightly" and .fields.outcome == "failed" | not) | .kind' \
		"$dir"/ledger/*.jsonl | sort -u | xargs)" = 'build nightly push segment sign' ] ||
		{ echo "$1: $(jq -c '[.kind, .fields.outcome]' "$dir"/ledger/*.jsonl)"; return 1; }
}

@test "killed at any moment, a night is ended by the next: once, and whole" {
	local kills=${KILLS:-24} seed=${SEED:-2026} n ms took night died=0
	for ((n = 0; n <= kills; n++)); do
		rm -rf "$dir/out" "$dir/store" "$dir/ledger" "$dir"/recipes/*.lock
		repository=killed$n
		cat >"$dir/night.yaml" <<-YAML
			posmedia: 1
			name: shops
			recipes: [recipes/till.yaml]
			sign: {key: key}
			push: docker://$registry/$repository
		YAML
		took=${took:-$(date +%s%3N)}
		env -C "$dir" "$posmedia" nightly night.yaml >"$dir/said" 2>&1 3>&- &
		night=$!
		if [ "$n" -eq 0 ]; then
			# how long a whole one takes says what the moments are
			wait "$night"
			took=$(($(date +%s%3N) - took))
			whole "whole night"
			continue
		fi
		ms=$(perl -e 'srand($ARGV[0]); print int(rand($ARGV[1]))' "$((seed + n))" "$took")
		perl -e 'select undef, undef, undef, $ARGV[0] / 1000' "$ms"
		kill -9 "$night" 2>/dev/null && died=$((died + 1))
		wait "$night" || true
		posmedia nightly night.yaml --json
		[ "$status" -eq 0 ] || { echo "kill $n at $ms ms: $stderr"; false; }
		whole "kill $n at $ms of $took ms"
	done
	echo "# $died of $kills nights were killed, of $took ms" >&3
	[ "$died" -ge $((kills * 3 / 4)) ]
}
