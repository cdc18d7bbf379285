#!/usr/bin/env bats
# The mirror of ledgers in a bucket of Debian's radosgw: several machines, several writers, a bucket
# that locks, one that cannot be reached, and one that knows more than the machine.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/transport

setup_file() {
	load ../system/lib
	load ../system/transport
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
