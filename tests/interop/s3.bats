#!/usr/bin/env bats
# A bucket that is a registry, on Debian's radosgw with a cluster behind it: what we write, read by
# Debian's skopeo and podman; conditions, parts, locks, clocks.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/transport

setup_file() {
	load ../system/lib
	load ../system/transport
	dir=$(mktemp -d /var/tmp/posmedia-s3.XXXXXX)
	port=$(free_port)
	export dir port POSMEDIA_STORE=$dir/store
	export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=sesame-sesame
	export AWS_EC2_METADATA_DISABLED=true
	AWS_ENDPOINT_URL=$(tests/interop/radosgw "$dir/rgw" "$port")
	export AWS_ENDPOINT_URL
	bucket images
	allow_all images
	"$posmedia" key new "$dir/key"
	digest=$(tests/lib/make-layout "$dir/image" 1 first 300000 12000000)
	site=images.s3.test:$port
	export digest site
	"$posmedia" sign "oci:$dir/image:1" --key "$dir/key" --identity "$site/pos/a:1"
	add_referrer "$dir/image" "$digest" one
	"$posmedia" push "oci:$dir/image:1" s3://images/pos/a:1
	echo "127.0.0.1 localhost images.s3.test" >"$dir/hosts"
	mkdir "$dir/registries.d"
	cat >"$dir/registries.d/pos.yaml" <<-YAML
		docker:
		  $site/pos:
		    lookaside: http://$site/lookaside
	YAML
	policy "$dir/key.gpg" >"$dir/policy.json"
	"$posmedia" key new "$dir/other"
	policy "$dir/other.gpg" >"$dir/policy-other.json"
}

teardown_file() {
	[ ! -e "$dir/rgw/pids" ] || xargs kill <"$dir/rgw/pids" 2>/dev/null || true
	end_served
	sleep 1
	rm -rf "$dir"
}

setup() {
	work=$dir/$BATS_TEST_NUMBER
	mkdir "$work"
}

# A request by a stranger: curl.
s3() {
	local method=$1 path=$2 sum
	shift 2
	sum=$(printf %s "${body-}" | sha256sum | cut -c 1-64)
	curl -s --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame -X "$method" "$@" \
		-H "x-amz-content-sha256: $sum" ${body:+--data-binary "$body"} \
		"$AWS_ENDPOINT_URL/$path"
}

bucket() {
	s3 PUT "$@" -f
}

# Whoever asks may read, and may know what is not there.
allow_all() {
	local body
	body=$(jq -nc --arg b "$1" '{Version: "2012-10-17", Statement: [{Effect: "Allow",
		Principal: "*", Action: ["s3:GetObject", "s3:ListBucket"],
		Resource: ["arn:aws:s3:::\($b)", "arn:aws:s3:::\($b)/*"]}]}')
	s3 PUT "$1?policy=" -f
}

policy() {
	jq -n --arg scope "$site/pos" --arg key "$1" '{default: [{type: "reject"}],
		transports: {docker: {($scope): [
			{type: "signedBy", keyType: "GPGKeys", keyPath: $key}]}}}'
}

# Runs a program to which the bucket's name is this machine.
at_site() {
	# shellcheck disable=SC2016 # expanded inside
	HOME=$work unshare --mount sh -c 'mount --bind "$0" /etc/hosts && exec "$@"' \
		"$dir/hosts" "$@" 3>&-
}

json() {
	run --separate-stderr "$posmedia" "$@" --json
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
}

@test "what is pushed comes back, and a second push moves nothing" {
	json pull s3://images/pos/a:1 "oci:$work/got:1"
	"$posmedia" verify "oci:$work/got:1" --key "$dir/key.pub" --identity "$site/pos/a:1"
	[ "$(referrers "$work/got" "$digest")" = one ]
	json push "oci:$dir/image:1" s3://images/pos/a:1
	[ "$(jq .bytes <<<"$output")" = 0 ]
}

@test "skopeo pulls from the bucket and verifies, and refuses another key" {
	run at_site skopeo --policy "$dir/policy.json" --registries.d "$dir/registries.d" copy -q \
		--preserve-digests --remove-signatures --src-tls-verify=false \
		"docker://$site/pos/a:1" "oci:$work/got:1"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ "$(jq -r '.manifests[0].digest' "$work/got/index.json")" = "$digest" ]
	run at_site skopeo --policy "$dir/policy-other.json" --registries.d "$dir/registries.d" \
		copy -q --remove-signatures --src-tls-verify=false "docker://$site/pos/a:1" \
		"oci:$work/other:1"
	[ "$status" -ne 0 ]
	[[ $output == *'Source image rejected'* ]]
	run at_site skopeo list-tags --tls-verify=false "docker://$site/pos/a"
	[[ $output == *'"1"'* ]]
}

@test "podman pulls from the bucket and verifies, and refuses another key" {
	mkdir -p "$work/.config/containers" "$work/root"
	cp -r "$dir/registries.d" "$work/.config/containers/"
	echo hello >"$work/root/file"
	tar -C "$work/root" -cf "$work/layer" .
	tests/lib/make-layout "$work/i" 1 podman "@$work/layer"
	"$posmedia" sign "oci:$work/i:1" --key "$dir/key" --identity "$site/pos/p:1"
	json push "oci:$work/i:1" s3://images/pos/p:1
	start_engine "$work/engine"
	for key in policy-other policy; do
		run at_site podman --root "$work/engine/root" --runroot "$work/engine/run" pull -q \
			--tls-verify=false --signature-policy "$dir/$key.json" \
			"docker://$site/pos/p:1"
		[ "$key" = policy ] || [[ $output == *'Source image rejected'* ]]
	done
	stop_engine
	[ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "who sign at the same time all have it there" {
	local n
	json push "oci:$dir/image:1" s3://images/race/a:1
	for n in two three four five; do
		cp -r "$dir/image" "$work/$n"
		add_referrer "$work/$n" "$digest" "$n"
		"$posmedia" key new "$work/$n.key"
		"$posmedia" sign "oci:$work/$n:1" --key "$work/$n.key" --identity "$site/race/a:1"
		"$posmedia" push "oci:$work/$n:1" s3://images/race/a:1 >"$work/$n.out" 2>&1 &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n" || { cat "$work"/*.out; false; }
	done
	json pull s3://images/race/a:1 "oci:$work/got:1"
	[ "$(referrers "$work/got" "$digest" | sort | tr '\n' ' ')" = 'five four one three two ' ]
	for n in two three four five; do
		"$posmedia" verify "oci:$work/got:1" --key "$work/$n.key.pub" \
			--identity "$site/race/a:1"
	done
	s3 GET 'images?list-type=2&prefix=lookaside%2Frace%2Fa' >"$work/list"
	[ "$(grep -o '<Key>' "$work/list" | wc -l)" = 5 ]
}

# How many parts of a blob are there.
parts_of() {
	id=$(s3 GET "images?prefix=v2%2Fparts%2F&uploads=" | grep -o '<UploadId>[^<]*' | tail -n 1 |
		cut -d '>' -f 2)
	s3 GET "images/v2/parts/blobs/sha256%3A$1?uploadId=$id" | grep -o '<PartNumber>' |
		wc -l
}

more_parts() {
	[ "$(parts_of "$1")" -gt "$2" ]
}

@test "an upload that was killed goes on with the parts that are there" {
	local pid layer parts=0
	tests/lib/make-layout "$work/i" 1 parts 300000000
	layer=$(find "$work/i/blobs" -size +100M -printf '%f')
	for _ in 1 2 3; do
		"$posmedia" push "oci:$work/i:1" s3://images/parts:1 --part-size 5M --parallel 1 \
			>"$work/out" 2>&1 3>&- &
		pid=$!
		wait_for 30 more_parts "$layer" "$parts"
		kill -9 "$pid"
		wait "$pid" || true
		parts=$(parts_of "$layer")
		[ "$(s3 GET 'images/v2/parts/manifests/1' -o /dev/null -w '%{http_code}')" = 404 ]
	done
	json push "oci:$work/i:1" s3://images/parts:1 --part-size 5M
	[ "$(jq .bytes_resumed <<<"$output")" -ge $((parts * 5242880)) ]
	json pull s3://images/parts:1 "oci:$work/got:1"
}

@test "what is locked cannot be removed, and may be pushed again" {
	s3 PUT locked -f -H 'x-amz-bucket-object-lock-enabled: true'
	json push "oci:$dir/image:1" s3://locked/pos/a:1 --lock 1
	json push "oci:$dir/image:1" s3://locked/pos/a:1 --lock 1
	local version
	version=$(s3 GET "locked?prefix=v2%2Fpos%2Fa%2Fmanifests%2Fsha256&versions=" |
		grep -o '<VersionId>[^<]*' | head -n 1 | cut -d '>' -f 2)
	[ -n "$version" ]
	[ "$(s3 DELETE "locked/v2/pos/a/manifests/$digest?versionId=$version" -o /dev/null \
		-w '%{http_code}')" = 403 ]
	json pull "s3://locked/pos/a:1" "oci:$work/got:1"
}

# Until when the largest blob is locked, seconds.
locked_until() {
	local layer
	layer=$(find "$dir/image/blobs" -size +10M -printf '%f')
	date -d "$(s3 GET "locked/v2/$1/blobs/sha256%3A$layer?retention=" |
		grep -o '<RetainUntilDate>[^<]*' | cut -d '>' -f 2)" +%s
}

@test "a lock is renewed by a push, and never made shorter" {
	local first longer
	s3 PUT locked -f -H 'x-amz-bucket-object-lock-enabled: true' || true
	json push "oci:$dir/image:1" s3://locked/renewed:1 --lock 1
	first=$(locked_until renewed)
	json push "oci:$dir/image:1" s3://locked/renewed:1 --lock 3
	longer=$(locked_until renewed)
	[ $((longer - first)) -gt $((2 * 86400 - 60)) ]
	json push "oci:$dir/image:1" s3://locked/renewed:1 --lock 1
	[ "$(locked_until renewed)" -ge "$longer" ]
}

@test "forty pushes, pulls and copies through a proxy that spoils them: none is lost" {
	run tests/lib/fault-runs "$posmedia" 40 11 6 s3
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ ${lines[-1]} == '40 runs, '*' 0 lost '* ]]
}

@test "a clock that is wrong by an hour is told, and does not matter" {
	run faketime -f +1h "$posmedia" pull s3://images/pos/a:1 "oci:$work/got:1"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ $output == *"clock and the server's differ"* ]]
	run faketime -f -1h "$posmedia" push "oci:$dir/image:1" s3://images/pos/a:2
	[ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "a wrong key, a bucket that is not there, nobody's login" {
	AWS_SECRET_ACCESS_KEY=wrong run "$posmedia" pull s3://images/pos/a:1 "oci:$work/got:1"
	[ "$status" -eq 5 ]
	[[ $output == *SignatureDoesNotMatch* ]]
	run "$posmedia" push "oci:$dir/image:1" s3://nowhere/pos/a:1
	[ "$status" -eq 5 ]
	[[ $output == *'no such bucket'* ]]
	HOME=$work AWS_ACCESS_KEY_ID='' run "$posmedia" push "oci:$dir/image:1" s3://images/a:1
	[ "$status" -eq 5 ]
	[[ $output == *'no credentials'* ]]
	HOME=$work AWS_ACCESS_KEY_ID='' json pull s3://images/pos/a:1 "oci:$work/got:1"
}

@test "copies from a registry to the bucket, within it and back; tags and removal" {
	serve_registry "$work/reg"
	json push "oci:$dir/image:1" "docker://$served/pos/a:1"
	json copy "docker://$served/pos/a:1" s3://images/copy/a:1
	json copy s3://images/copy/a:1 s3://images/copy/b:x
	json copy s3://images/copy/b:x "docker://$served/pos/b:1"
	json pull "docker://$served/pos/b:1" "oci:$work/got:1"
	[ "$(referrers "$work/got" "$digest")" = one ]
	json push "oci:$dir/image:1" s3://images/copy/b:y
	[ "$("$posmedia" tags s3://images/copy/b | tr '\n' ' ')" = 'x y ' ]
	json delete s3://images/copy/b:y
	[ "$("$posmedia" tags s3://images/copy/b)" = x ]
	s3 GET images/v2/copy/b/tags/list >"$work/list"
	[ "$(jq -c '.tags | map(select(test("^sha256-") | not))' "$work/list")" = '["x"]' ]
	json delete "s3://images/copy/b@$digest"
	[ -z "$("$posmedia" tags s3://images/copy/b --signatures)" ]
}
