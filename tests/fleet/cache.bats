#!/usr/bin/env bats
# Stages that machines share, in Debian's docker-registry and in a bucket of its radosgw: what one
# has made no other makes again, nothing is used that no trusted key has signed, and two do not make
# the same at the same time. A machine is a store of its own.

# shellcheck disable=SC2030,SC2031 # each test is a shell of its own

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/tiny

setup_file() {
	load ../system/lib
	load ../system/tiny
	load shared
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/cache.XXXXXX")"
	export dir POSMEDIA_LEDGER=$dir/ledger
	chmod 755 "$dir"
	"$posmedia" key new "$dir/key"
	"$posmedia" key new "$dir/other"
	echo sesame >"$dir/passphrase"
	"$posmedia" key new "$dir/locked" --passphrase-file "$dir/passphrase"
	start_shared
}

teardown_file() {
	load ../system/lib
	load shared
	stop_shared
}

setup() {
	rm -rf "$dir/out" "$dir"/store* "$dir"/recipes/*.lock "$dir"/recipes/n*.yaml "$dir/marks"
	mkdir "$dir/marks"
	bucket=cache-$BATS_TEST_NUMBER
	s3 PUT "$bucket" -f >/dev/null
}

s3() {
	local method=$1 path=$2 body=/dev/null
	shift 2
	[ "${1-}" != @ ] || { body=$2 && shift 2; }
	curl -s --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame -X "$method" "$@" \
		-H "x-amz-content-sha256: $(sha256sum <"$body" | cut -c 1-64)" \
		--data-binary "@$body" "$AWS_ENDPOINT_URL/$path"
}

keys_in_bucket() {
	s3 GET "$bucket?list-type=2" | grep -o '<Key>[^<]*' | cut -c6- |
		grep "^v2/stages/$1" || true
}

# A recipe with a step that takes so many seconds.
recipe() {
	sed -e "s/name: till/name: $1/" "$dir/recipes/till.yaml" >"$dir/recipes/$1.yaml"
	echo "steps: [{name: work, run: [/bin/sh, -c, \"sleep $2; rm -f /etc/issue;" \
		"echo $1 >/etc/$1; ln /etc/$1 /etc/$1.2\"], writes: [/etc]}]" \
		>>"$dir/recipes/$1.yaml"
	[ -e "$dir/recipes/$1.lock" ] || "$posmedia" lock "$dir/recipes/$1.yaml" \
		--store "$dir/store" >/dev/null
}

# Builds recipe $1 on machine $2: sets status, output and stderr.
build() {
	local name=$1 machine=$2
	shift 2
	posmedia build "recipes/$name.yaml" --store "$dir/store.$machine" --json \
		-o "oci:$dir/out/$machine:1" "$@"
}

said() {
	jq -r "$1" <<<"$output"
}

trusting() {
	shared=(--cache "$place" --cache-pub "$dir/key.pub" --cache-key "$dir/key")
}

shares() {
	local digest
	trusting
	recipe n1 0
	build n1 a "${shared[@]}"
	succeeded
	[ "$(said '."stages-run" > 4')" = true ]
	digest=$(said .digest)
	build n1 b "${shared[@]}"
	succeeded
	[ "$(said '[."stages-run", ."stages-shared" > 4] | join(" ")')" = '0 true' ]
	[ "$(said .digest)" = "$digest" ]
	# without a cache the same comes out
	build n1 c
	succeeded
	[ "$(said .digest)" = "$digest" ]
	# another step on what is shared below it
	sed -i 's/echo n1 >/echo n1 again >/' "$dir/recipes/n1.yaml"
	posmedia lock recipes/n1.yaml
	build n1 d --cache "$place" --cache-pub key.pub
	succeeded
	[ "$(said '."stages-shared" >= 2')" = true ]
	[ "$(said '."stages-run" >= 1')" = true ]
}

@test "a registry: what one machine has made no other makes again" {
	place=docker://$registry/stages
	shares
}

@test "a bucket: what one machine has made no other makes again" {
	place=s3://$bucket/stages
	shares
	[ -n "$(keys_in_bucket stages)" ]
	[ -z "$(keys_in_bucket claims)" ]
}

@test "what a step takes away, and what it captures, is shared as it is" {
	place=s3://$bucket/stages
	trusting
	recipe n1 0
	sed -i 's/echo n1 >/rm -r \/etc\/tiny; mkdir \/etc\/tiny; head -c 9 \/dev\/urandom >/
		s/writes:/capture: true, &/' "$dir/recipes/n1.yaml"
	posmedia lock recipes/n1.yaml
	build n1 a "${shared[@]}"
	succeeded
	digest=$(said .digest)
	build n1 b "${shared[@]}"
	succeeded
	[ "$(said '[.digest, ."stages-run"] | join(" ")')" = "$digest 0" ]
	# captured anew, that is what is shared from then on
	build n1 a "${shared[@]}" --recapture work
	succeeded
	again=$(said .digest)
	[ "$again" != "$digest" ]
	build n1 f "${shared[@]}"
	succeeded
	[ "$(said '[.digest, ."stages-run"] | join(" ")')" = "$again 0" ]
	# it is this machine's capture too: without its stages and the cache it is unpacked
	rm -r "$dir/store.b/cache/stages"
	build n1 b -o "oci:$dir/out/e:1"
	succeeded
	[ "$(said .digest)" = "$digest" ]
}

@test "a key that nobody trusts, and one that is locked" {
	place=s3://$bucket/stages
	recipe n1 0
	build n1 a --cache "$place" --cache-key other
	succeeded
	digest=$(said .digest)
	build n1 b --cache "$place" --cache-pub key.pub --cache-key key
	succeeded
	[ "$(said '[.digest, ."stages-shared"] | join(" ")')" = "$digest 0" ]
	build n1 c --cache "$place" --cache-pub other.pub
	succeeded
	[ "$(said '[.digest, ."stages-run"] | join(" ")')" = "$digest 0" ]
	build n1 d --cache "$place" --cache-key locked
	refused 4 passphrase
	build n1 d --cache "$place" --cache-key locked --cache-passphrase-file passphrase
	succeeded
	build n1 e --cache "$place"
	refused 2 "nobody's stages"
	build n1 e --cache oci:x --cache-pub key.pub
	refused 2 'wants docker://HOST/REPO or s3://BUCKET/PREFIX'
	build n1 e --cache-pub key.pub
	refused 2 '--cache-pub wants --cache'
}

# Builds on a machine of its own: nothing of the entry is used, which is said, and what comes out
# is right.
unused() {
	build n1 "$1" --cache "$place" --cache-pub key.pub
	succeeded
	[ "$(said .digest)" = "$digest" ]
	[ "$(said '."stages-shared"')" -lt "$all" ]
	[[ $stderr == *"$2"* ]] || { echo "$stderr"; false; }
}

@test "a blob or a record that is not what was signed is not used" {
	place=s3://$bucket/stages
	trusting
	recipe n1 0
	build n1 a "${shared[@]}"
	succeeded
	digest=$(said .digest)
	build n1 b "${shared[@]}"
	all=$(said '."stages-shared"')
	mapfile -t records < <(keys_in_bucket stages/)
	[ "${#records[@]}" = "$all" ]
	mkdir "$dir/kept"
	for i in "${!records[@]}"; do
		s3 GET "$bucket/${records[i]}" >"$dir/kept/$i"
	done
	# a record of another stage
	put_all() {
		for i in "${!records[@]}"; do
			s3 PUT "$bucket/${records[i]}" @ "$1" >/dev/null
		done
	}
	put_all "$dir/kept/0"
	unused c1 'it is the record of another stage'
	# signed by another key, as if it were by this one
	build n1 d --cache "$place" --cache-key other
	succeeded
	for i in "${!records[@]}"; do
		other=$(keys_in_bucket stages/ | grep -F "${records[i]%-*}" |
			grep -vFx "${records[i]}")
		s3 GET "$bucket/$other" >"$dir/forged"
		s3 PUT "$bucket/${records[i]}" @ "$dir/forged" >/dev/null
	done
	unused c2 'signature'
	# no signature at all, no JSON, and too large
	jq -c 'del(.signatures)' "$dir/kept/0" >"$dir/forged"
	put_all "$dir/forged"
	unused c3 'not an envelope of one signature'
	head -c 100 /dev/urandom >"$dir/forged"
	put_all "$dir/forged"
	unused c4 'attestation'
	head -c 5000000 /dev/zero >"$dir/forged"
	put_all "$dir/forged"
	unused c5 'its record is too large'
	# records that are good, of blobs that are not
	for i in "${!records[@]}"; do
		s3 PUT "$bucket/${records[i]}" @ "$dir/kept/$i" >/dev/null
		blob=v2/stages/blobs/$(payload "$i" '.predicate.blob | sub(":"; "%3A")')
		s3 GET "$bucket/$blob" >"$dir/forged"
		flip "$dir/forged" 40
		s3 PUT "$bucket/$blob" @ "$dir/forged" >/dev/null
	done
	unused c6 'blob sha256:'
	for i in "${!records[@]}"; do
		blob=v2/stages/blobs/$(payload "$i" '.predicate.blob | sub(":"; "%3A")')
		s3 GET "$bucket/$blob" >"$dir/forged"
		echo more >>"$dir/forged"
		s3 PUT "$bucket/$blob" @ "$dir/forged" >/dev/null
	done
	unused c7 'blob sha256:'
	for i in "${!records[@]}"; do
		s3 DELETE "$bucket/v2/stages/blobs/$(payload "$i" \
			'.predicate.blob | sub(":"; "%3A")')"
	done
	unused c8 '404'
	# who may write mends it
	build n1 c9 "${shared[@]}"
	succeeded
	build n1 c10 "${shared[@]}"
	succeeded
	[ "$(said '[.digest, ."stages-run"] | join(" ")')" = "$digest 0" ]
}

payload() {
	jq -r .payload "$dir/kept/$1" | base64 -d | jq -r "$2"
}

@test "a registry whose blob is another: not used" {
	place=docker://$registry/tampered
	trusting
	recipe n1 0
	build n1 a "${shared[@]}"
	succeeded
	digest=$(said .digest)
	build n1 b "${shared[@]}"
	all=$(said '."stages-shared"')
	for blob in "$dir/registry/data"/docker/registry/v2/blobs/sha256/*/*/data; do
		[ "$(head -c 4 "$blob" | xxd -p)" != 28b52ffd ] || flip "$blob" 20
	done
	unused c ': '
}

@test "a place that cannot be reached fails no build" {
	recipe n1 0
	build n1 a --cache docker://127.0.0.1:9/stages --cache-pub key.pub --cache-key key
	succeeded
	[[ $stderr == *'it is not used any more in this build'* ]]
	place=s3://$bucket/x
	trusting
	AWS_ENDPOINT_URL=http://127.0.0.1:9 build n1 b "${shared[@]}"
	succeeded
	AWS_SECRET_ACCESS_KEY=wrong build n1 c "${shared[@]}"
	succeeded
	[ "$(said '."stages-run" > 4')" = true ]
}

@test "two machines at once: the second waits, and takes what the first has made" {
	place=s3://$bucket/stages
	trusting
	recipe n1 4
	"$posmedia" build "$dir/recipes/n1.yaml" --store "$dir/store.a" -o "oci:$dir/out/a:1" \
		"${shared[@]}" >"$dir/a.out" 2>"$dir/a.err" 3>&- &
	wait_for 30 step_runs
	build n1 b "${shared[@]}"
	succeeded
	[ "$(said '."stages-run"')" = 0 ] || [ "$(said '."stages-run"')" -lt 5 ]
	[[ $stderr == *'step work: '*'is at work on it; waits'* ]]
	[[ $stderr != *'step work: nothing like it'* ]]
	wait
	[ "$(said .digest)" = "$(grep -o 'sha256:.*' "$dir/a.out")" ]
	[ -z "$(keys_in_bucket claims)" ]
}

step_runs() {
	pgrep -f "sleep [0-9]; rm -f /etc/issue"
}

@test "a machine that dies in the middle of a step: another takes its claim over" {
	place=s3://$bucket/stages
	trusting
	shared+=(--cache-lease 3)
	recipe n1 8
	"$posmedia" build "$dir/recipes/n1.yaml" --store "$dir/store.a" -o "oci:$dir/out/a:1" \
		"${shared[@]}" >"$dir/a.out" 2>"$dir/a.err" 3>&- &
	wait_for 30 step_runs
	# as long as it lives the claim is kept up: more than one lease later it is still there
	sleep 4
	claim=$(keys_in_bucket claims)
	[ "$(s3 GET "$bucket/$claim" | jq '.renewed > 0')" = true ]
	kill -9 $!
	wait || true
	recipe n1 8
	build n1 b "${shared[@]}"
	succeeded
	[[ $stderr == *'is at work on it; waits'*'takes over what'*'left'* ]]
	[ -z "$(keys_in_bucket claims)" ]
	! pgrep -f "$dir/out/a" || return 1
	# what lies under a claim's name and is none holds nobody up
	key=$(basename "$claim")
	echo nonsense >"$dir/forged"
	s3 PUT "$bucket/v2/stages/claims/$key" @ "$dir/forged" >/dev/null
	for k in $(keys_in_bucket stages/); do
		s3 DELETE "$bucket/$k"
	done
	build n1 c "${shared[@]}"
	succeeded
	[[ $stderr == *'takes over what'*'left'* ]]
}

# A process and all that it has started.
tree_of() {
	local child
	echo "$1"
	for child in $(pgrep -P "$1"); do
		tree_of "$child"
	done
}

@test "a machine that stood still: it takes what another has made of the step meanwhile" {
	place=s3://$bucket/stages
	trusting
	shared+=(--cache-lease 3)
	recipe n1 4
	sed -i 's/echo n1 >/head -c 9 \/dev\/urandom >/' "$dir/recipes/n1.yaml"
	posmedia lock recipes/n1.yaml
	"$posmedia" build "$dir/recipes/n1.yaml" --store "$dir/store.a" -o "oci:$dir/out/a:1" \
		"${shared[@]}" >"$dir/a.out" 2>"$dir/a.err" 3>&- &
	first=$!
	wait_for 30 step_runs
	mapfile -t still < <(tree_of "$first")
	kill -STOP "${still[@]}"
	build n1 b "${shared[@]}"
	kill -CONT "${still[@]}"
	succeeded
	[[ $stderr == *'takes over what'*'left'* ]]
	digest=$(said .digest)
	wait "$first"
	grep -q 'step work is not reproducible: another machine has made and shared' "$dir/a.err"
	[ "$(grep -o 'sha256:.*' "$dir/a.out")" = "$digest" ]
	# and has it from then on, as all others have
	for machine in a c; do
		build n1 $machine "${shared[@]}"
		succeeded
		[ "$(said '[.digest, ."stages-run"] | join(" ")')" = "$digest 0" ]
	done
}
