#!/usr/bin/env bats
# The mirror of ledgers in a bucket of Debian's radosgw: several machines, several writers, a bucket
# that locks, one that cannot be reached, and one that knows more than the machine.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/transport

setup_file() {
	load ../system/lib
	load ../system/transport
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	dir=$(mktemp -d /var/tmp/posmedia-ledger.XXXXXX)
	port=$(free_port)
	export dir port POSMEDIA_STORE=$dir/store
	export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=sesame-sesame
	export AWS_EC2_METADATA_DISABLED=true
	AWS_ENDPOINT_URL=$(tests/interop/radosgw "$dir/rgw" "$port")
	export AWS_ENDPOINT_URL
}

teardown_file() {
	[ ! -e "$dir/rgw/pids" ] || xargs kill <"$dir/rgw/pids" 2>/dev/null || true
	sleep 1
	rm -rf "$dir"
}

setup() {
	work=$dir/$BATS_TEST_NUMBER
	bucket=ledger-$BATS_TEST_NUMBER
	mkdir "$work"
	s3 PUT "$bucket" -f -H 'x-amz-bucket-object-lock-enabled: true'
}

# A request by a stranger: curl.
s3() {
	local method=$1 path=$2
	shift 2
	curl -s --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame -X "$method" "$@" \
		-H "x-amz-content-sha256: $(printf '' | sha256sum | cut -c 1-64)" \
		"$AWS_ENDPOINT_URL/$path"
}

# One event, of machine $1: making a key called $2.
note() {
	run --separate-stderr "$posmedia" key new "$work/$2" --ledger "$work/$1"
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
}

ledger() {
	run --separate-stderr "$posmedia" report ledger "$@"
}

keys_in_bucket() {
	s3 GET "$bucket?list-type=2" | grep -o '<Key>[^<]*' | cut -c6-
}

@test "several machines and writers into one bucket, which locks what it has" {
	for m in a b; do
		ledger --ledger "$work/$m" --mirror-to "s3://$bucket/all/" --lock 1
		[ "$status" -eq 0 ]
	done
	for i in 1 2 3 4 5; do
		mkdir "$work/k$i"
		"$posmedia" key new "$work/k$i/a" --ledger "$work/a" &
		mkdir "$work/l$i"
		"$posmedia" key new "$work/l$i/b" --ledger "$work/b" &
	done
	wait
	ledger --verify --ledger "$work/a" --ledger "$work/b" --ledger "s3://$bucket/all" --json
	[ "$(jq -c 'map(.lines)' <<<"$output")" = '[6,6,6,6]' ]
	[ "$(jq 'map(.last) | unique | length' <<<"$output")" -eq 2 ]
	run -0 "$posmedia" report sql "SELECT count(*) FROM event WHERE kind = 'key'" \
		--ledger "s3://$bucket/all"
	[ "${lines[1]}" = 10 ]
	key=$(keys_in_bucket | head -1)
	version=$(s3 GET "$bucket?versions=" | grep -o '<VersionId>[^<]*' | head -1 | cut -c12-)
	[ "$(s3 DELETE "$bucket/$key?versionId=$version" -o /dev/null -w '%{http_code}')" = 403 ]
}

@test "a bucket that cannot be reached gets the lines later" {
	ledger --ledger "$work/a" --mirror-to "s3://$bucket/p"
	AWS_ENDPOINT_URL=http://127.0.0.1:9 note a k1
	[[ $stderr == *'it gets the lines later'* ]]
	AWS_ENDPOINT_URL=http://127.0.0.1:9 note a k2
	[ -z "$(keys_in_bucket)" ]
	AWS_ENDPOINT_URL=http://127.0.0.1:9 ledger --ledger "$work/a" --mirror
	[ "$status" -eq 5 ]
	ledger --ledger "$work/a" --mirror
	[ "$output" = "$work/a: 3 lines sent" ]
	note a k3
	# what was sent is found there when nothing says so here
	rm "$work/a/mirror.sent"
	note a k4
	ledger --verify --ledger "$work/a" --ledger "s3://$bucket/p" --json
	[ "$(jq -c 'map(.lines)' <<<"$output")" = '[5,5]' ]
}

@test "what the machine has lost or changed since is found in the bucket" {
	ledger --ledger "$work/a" --mirror-to "s3://$bucket/p"
	note a k1
	cp -r "$work/a" "$work/before"
	note a k2
	# all of the directory as it was, head and all: only the bucket knows
	cp -r "$work/before" "$work/c"
	ledger --verify --ledger "$work/c"
	[ "$status" -eq 0 ]
	ledger --verify --ledger "$work/c" --ledger "s3://$bucket/p"
	[ "$status" -eq 4 ]
	[[ $stderr == *'has lines up to 3'*'and the ledger here 2'* ]]
	ledger --ledger "$work/c" --mirror
	[ "$status" -eq 4 ]
	run --separate-stderr "$posmedia" key new "$work/k3" --ledger "$work/c"
	[ "$status" -eq 4 ]
	[[ $stderr == *'has other lines than 3'* ]]
}

@test "a kill at each step of a mirror, with a segment that begins: the bucket catches up" {
	local n was
	perl -e 'my $x = "x" x 4000; print "2026-10-01T00:00:00Z\tnote\t-\t{\"x\":\"$x\"}\n"
		for 1 .. 2100' | tests/lib/make-ledger "$work/full" --per 10000
	was=$(wc -l <"$work/full/00000001.jsonl")
	for ((n = 1; ; n++)); do
		[ "$n" -lt 100 ]
		rm -rf "$work/l" "$work"/k*
		cp -r "$work/full" "$work/l"
		ledger --ledger "$work/l" --mirror-to "s3://$bucket/at$n"
		run env POSMEDIA_DIE_AT="$n" "$OUT/faults/posmedia" key new "$work/k" \
			--ledger "$work/l"
		[ "$status" -ne 0 ] || break
		[ "$status" -eq 86 ] || { echo "step $n: $output"; false; }
		note l k2
		ledger --verify --ledger "$work/l" --ledger "s3://$bucket/at$n" --json
		[ "$status" -eq 0 ] || { echo "step $n: $stderr"; false; }
		jq -e --argjson was "$was" '.[0].lines == .[1].lines and .[0].last == .[1].last and
			.[0].lines >= $was + 2' <<<"$output" || { echo "step $n: $output"; false; }
	done
	echo "# $n steps" >&3
	[ "$n" -gt 8 ]
	ledger --verify --ledger "$work/l" --ledger "s3://$bucket/at$n" --json
	jq -e '.[0].last == .[1].last and .[0].segments == 2' <<<"$output"
}

unreachable() {
	! curl -s "$AWS_ENDPOINT_URL/" -o /dev/null
}

@test "a radosgw that is down for a while: work goes on, and the ledger catches up" {
	local n pid
	ledger --ledger "$work/a" --mirror-to "s3://$bucket/p" --lock 1
	note a k0
	# the last that was started is the gateway itself
	pid=$(tail -n 1 "$dir/rgw/pids")
	kill "$pid"
	wait_for 30 unreachable
	for n in 1 2 3 4 5; do
		note a "k$n"
		[[ $stderr == *later* ]]
	done
	ledger --verify --ledger "$work/a"
	[ "$status" -eq 0 ]
	env CEPH_CONF="$dir/rgw/ceph.conf" radosgw -n client.rgw -f >>"$dir/rgw/run.log" 2>&1 3>&- &
	echo $! >>"$dir/rgw/pids"
	wait_for 60 curl -sf "$AWS_ENDPOINT_URL/" -o /dev/null
	ledger --ledger "$work/a" --mirror
	[ "$output" = "$work/a: 5 lines sent" ]
	ledger --verify --ledger "$work/a" --ledger "s3://$bucket/p" --json
	[ "$(jq -c 'map(.lines)' <<<"$output")" = '[7,7]' ]
}
