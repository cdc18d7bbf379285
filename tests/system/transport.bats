#!/usr/bin/env bats
# Images between layouts and Debian's registries in their several forms: copies, indexes, referrers,
# removal, mirrors, and downloads that were broken off.

bats_require_minimum_version 1.5.0
load lib
load transport

setup_file() {
	load lib
	load transport
	dir=$(mktemp -d)
	export dir POSMEDIA_STORE=$dir/store
	serve_registry "$dir/one"
	one=$served
	serve_registry "$dir/two"
	two=$served
	"$posmedia" key new "$dir/key"
	digest=$(tests/lib/make-layout "$dir/image" 1 first 300000 2000000)
	export one two digest
	"$posmedia" sign "oci:$dir/image:1" --key "$dir/key" --identity "$one/pos/a:1"
	add_referrer "$dir/image" "$digest" one
	"$posmedia" push "oci:$dir/image:1" "docker://$one/pos/a:1" --lookaside "$dir/lookaside"
}

teardown_file() {
	end_served
	rm -rf "$dir"
}

setup() {
	work=$dir/$BATS_TEST_NUMBER
	mkdir "$work"
}

json() {
	run --separate-stderr "$posmedia" "$@" --json
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
}

verified() {
	"$posmedia" verify "$1" --key "$dir/key.pub" --identity "$one/pos/a:1"
}

@test "a copy within a registry moves no blob, and brings signatures and referrers" {
	json copy "docker://$one/pos/a:1" "docker://$one/pos/b:1"
	[ "$(jq .bytes <<<"$output")" = 0 ] || { echo "$output"; false; }
	[ "$(jq .mounted <<<"$output")" -ge 3 ]
	[ "$(jq -r .digest <<<"$output")" = "$digest" ]
	json pull "docker://$one/pos/b:1" "oci:$work/got:1"
	verified "oci:$work/got:1"
	[ "$(referrers "$work/got" "$digest")" = one ]
	skopeo copy -q --preserve-digests --src-tls-verify=false "docker://$one/pos/b:1" \
		"oci:$work/skopeo:1"
	[ "$(jq -r '.manifests[0].digest' "$work/skopeo/index.json")" = "$digest" ]
}

@test "a copy to another registry brings the same, and again moves nothing" {
	json copy "docker://$one/pos/a:1" "docker://$two/else/a:1"
	[ "$(jq .blobs <<<"$output")" -ge 3 ]
	json copy "docker://$one/pos/a:1" "docker://$two/else/a:1"
	[ "$(jq .bytes <<<"$output")" = 0 ]
	json pull "docker://$two/else/a:1" "oci:$work/got:1"
	verified "oci:$work/got:1"
	[ "$(referrers "$work/got" "$digest")" = one ]
	run ls "$dir/store/scratch"
	[ -z "$output" ] || [ "$status" -ne 0 ]
}

@test "a copy takes signatures from the lookaside where the registry has none" {
	skopeo copy -q --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
		--remove-signatures "docker://$one/pos/a:1" "docker://$two/bare/a:1"
	cp -r "$dir/lookaside/pos" "$work/bare-from"
	mkdir -p "$work/from/bare"
	mv "$work/bare-from/a@sha256=${digest#sha256:}" "$work/from/bare/"
	json copy "docker://$two/bare/a:1" "docker://$two/bare/b:1" --lookaside-from "$work/from" \
		--lookaside "$work/to"
	cmp "$work/to/bare/b@sha256=${digest#sha256:}/signature-1" \
		"$dir/lookaside/pos/a@sha256=${digest#sha256:}/signature-1"
}

@test "a lookaside with more than is looked at: 200 signatures, one of 5 MB" {
	local n from
	skopeo copy -q --preserve-digests --src-tls-verify=false --dest-tls-verify=false \
		--remove-signatures "docker://$one/pos/a:1" "docker://$two/many/a:1"
	mkdir -p "$work/from/many"
	from=$work/from/many/a@sha256=${digest#sha256:}
	mkdir "$from"
	for n in {1..200}; do
		echo "$n" >"$from/signature-$n"
	done
	run "$posmedia" pull "docker://$two/many/a:1" "oci:$work/got:1" --lookaside "$work/from"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	n=$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] |
		endswith(".pgp")).digest[7:]' "$work/got/index.json")
	[ "$(jq '.layers | length' "$work/got/blobs/sha256/$n")" -le 128 ]
	head -c 5000000 /dev/zero >"$from/signature-1"
	run "$posmedia" pull "docker://$two/many/a:1" "oci:$work/large:1" --lookaside "$work/from"
	[ "$status" -ge 1 ] && [ "$status" -le 5 ]
	[[ $output == *signature-1*larger* ]] || { echo "$output"; false; }
}

@test "copies from layout to layout, to a registry and back" {
	json copy "oci:$dir/image:1" "oci:$work/a:2"
	verified "oci:$work/a:2"
	[ "$(referrers "$work/a" "$digest")" = one ]
	json copy "oci:$work/a:2" "docker://$two/there:2"
	json copy "docker://$two/there:2" "oci:$work/b:3"
	verified "oci:$work/b:3"
	run "$posmedia" copy "oci:$work/a:2" "dir:$work/c"
	[ "$status" -eq 2 ]
}

@test "tags are listed, an image goes with what is attached, a shared tag does not" {
	tests/lib/make-layout "$work/i" 1 one 1000 >"$work/first"
	"$posmedia" sign "oci:$work/i:1" --key "$dir/key" --identity "x/y:1"
	"$posmedia" push "oci:$work/i:1" "docker://$one/gone:1"
	"$posmedia" push "oci:$work/i:1" "docker://$one/gone:2"
	tests/lib/make-layout "$work/i" 3 three 1000
	"$posmedia" push "oci:$work/i:3" "docker://$one/gone:3"
	[ "$("$posmedia" tags "docker://$one/gone" | tr '\n' ' ')" = '1 2 3 ' ]
	json tags "docker://$one/gone" --signatures
	[ "$(jq '.tags | length' <<<"$output")" = 6 ]
	run "$posmedia" delete "docker://$one/gone:1"
	[ "$status" -eq 5 ]
	[[ $output == *'also 2'*digest* ]]
	"$posmedia" delete "docker://$one/gone@$(<"$work/first")"
	[ "$("$posmedia" tags "docker://$one/gone" --signatures)" = 3 ]
	"$posmedia" delete "docker://$one/gone:3"
	[ -z "$("$posmedia" tags "docker://$one/gone")" ]
	run "$posmedia" delete "docker://$one/gone:3"
	[ "$status" -eq 5 ]
}

@test "all but the newest go, and not what a tag that stays stands for" {
	local n
	for n in 1 2 3 4; do
		CREATED=2026-0$n-01T00:00:00Z tests/lib/make-layout "$work/i" "$n" "$n" 1000
		"$posmedia" push "oci:$work/i:$n" "docker://$one/many:v$n"
	done
	"$posmedia" push "oci:$work/i:1" "docker://$one/many:stable"
	json delete "docker://$one/many" --keep 2 --match 'v*' --dry-run
	[ "$(jq -c .deleted <<<"$output")" = '["v2"]' ]
	json delete "docker://$one/many" --keep 2 --match 'v*'
	[ "$("$posmedia" tags "docker://$one/many" | tr '\n' ' ')" = 'stable v1 v3 v4 ' ]
	run "$posmedia" delete "docker://$one/many" --keep 0
	[ "$status" -eq 2 ]
}

# Writes a file under a name of $one/$3, or shared; prints its digest.
put_manifest() {
	curl -sf -o /dev/null -X PUT --data-binary "@$1" \
		-H "Content-Type: $(jq -r .mediaType "$1")" \
		"http://$one/v2/${3-shared}/manifests/$2"
	echo "sha256:$(sha256sum "$1" | cut -d ' ' -f 1)"
}

# Makes $work/list, of type $1, of the manifest $2 in the file $3.
list_of() {
	jq -c --arg type "$1" --arg d "$2" --argjson n "$(stat -c %s "$3")" '{
		schemaVersion: 2, mediaType: $type, manifests: [{mediaType, digest: $d, size: $n,
		platform: {os: "linux", architecture: "amd64"}}]}' "$3" >"$work/new"
	mv "$work/new" "$work/list"
}

@test "what goes takes nothing along that is another image's, whoever hung it there" {
	local n a b
	for n in old prod arm; do
		tests/lib/make-layout "$work/i" "$n" "$n" 1000
		"$posmedia" push "oci:$work/i:$n" "docker://$one/shared:$n"
	done
	a=$(tagged "$work/i" old)
	b=$(tagged "$work/i" prod)
	index=$(make_index "$work/i" both prod arm)
	"$posmedia" push "oci:$work/i:both" "docker://$one/shared:both"
	# an index and an image of production, and its signature, as what is of the old one
	cp "$work/i/blobs/sha256/${index#sha256:}" "$work/index"
	cp "$work/i/blobs/sha256/${b#sha256:}" "$work/prod"
	jq -c '.layers[].mediaType = "application/vnd.dev.cosign.simplesigning.v1+json"' \
		"$work/prod" >"$work/sig"
	put_manifest "$work/sig" "sha256-${b#sha256:}.sig"
	put_manifest "$work/sig" "sha256-${a#sha256:}.sig"
	put_manifest "$work/prod" "sha256-${a#sha256:}.pgp"
	put_manifest "$work/index" "sha256-${a#sha256:}"
	"$posmedia" tags "docker://$one/shared" --signatures >"$work/before"
	run --separate-stderr "$posmedia" delete "docker://$one/shared:old"
	[ "$status" -eq 0 ]
	[[ $stderr == *"referrer $b stays: it is not of this image alone"* ]]
	for n in '' .pgp .sig; do
		[[ $stderr == *"sha256-${a#sha256:}$n stays: it is not of this image alone"* ]]
	done
	"$posmedia" tags "docker://$one/shared" --signatures >"$work/after"
	[ "$(<"$work/after")" = "$(grep -v old "$work/before")" ]
	"$posmedia" copy "docker://$one/shared:both" "docker://$one/shared:whole"
	# what is the old one's alone goes as before, with the list of it
	jq -c --argjson n "$(stat -c %s "$work/prod")" --arg d "$b" \
		'.subject = {digest: $d, size: $n, mediaType: .mediaType}' \
		"$work/sig" >"$work/referrer"
	n=$(put_manifest "$work/referrer" "by-prod")
	list_of application/vnd.oci.image.index.v1+json "$n" "$work/referrer"
	put_manifest "$work/list" "sha256-${b#sha256:}"
	"$posmedia" delete "docker://$one/shared@$b"
	"$posmedia" tags "docker://$one/shared" --signatures >"$work/after"
	run ! grep -x -e prod -e by-prod -e "sha256-${b#sha256:}" "$work/after"
}

@test "what a tag that stays stands for is kept, even where it says that it hangs on what goes" {
	local n a
	for n in 1 2; do
		CREATED=2026-0$n-01T00:00:00Z tests/lib/make-layout "$work/i" "$n" "$n" 1000
	done
	# in a list of docker's own format, which an index names
	CREATED=2025-01-01T00:00:00Z tests/lib/make-layout "$work/i" 0 0 1000
	"$posmedia" push "oci:$work/i:0" "docker://$one/kept:v0"
	list_of application/vnd.docker.distribution.manifest.list.v2+json \
		"$(tagged "$work/i" 0)" "$work/i/blobs/sha256/$(tagged "$work/i" 0 | cut -d : -f 2)"
	n=$(put_manifest "$work/list" "sha256:$(sha256sum "$work/list" | cut -d ' ' -f 1)" kept)
	cp "$work/list" "$work/inner"
	list_of application/vnd.oci.image.index.v1+json "$n" "$work/inner"
	put_manifest "$work/list" v4 kept
	"$posmedia" push "oci:$work/i:1" "docker://$one/kept:v1"
	a=$(tagged "$work/i" 1)
	jq -c --arg d "$a" '.subject = {digest: $d, size: 1, mediaType: .mediaType}' \
		"$work/i/blobs/sha256/$(tagged "$work/i" 2 | cut -d : -f 2)" >"$work/hangs"
	"$posmedia" push "oci:$work/i:2" "docker://$one/kept:v2"
	n=$(put_manifest "$work/hangs" v3 kept)
	list_of application/vnd.oci.image.index.v1+json "$n" "$work/hangs"
	put_manifest "$work/list" "sha256-${a#sha256:}" kept
	json delete "docker://$one/kept" --keep 2
	[ "$(jq -c .deleted <<<"$output")" = '["v1"]' ]
	[ "$("$posmedia" tags "docker://$one/kept" | tr '\n' ' ')" = 'v0 v2 v3 v4 ' ]
}

@test "an index of several platforms: all of it, one of it, or a question" {
	tests/lib/make-layout "$work/i" amd64 amd 1000
	PLATFORM=arm64 tests/lib/make-layout "$work/i" arm64 arm 2000
	index=$(make_index "$work/i" both amd64 arm64)
	"$posmedia" push "oci:$work/i:both" "docker://$one/multi:1"
	[ "$(skopeo inspect --raw --tls-verify=false "docker://$one/multi:1" | sha256sum |
		cut -c 1-64)" = "${index#sha256:}" ]
	run "$posmedia" pull "docker://$one/multi:1" "oci:$work/got:1"
	[ "$status" -eq 1 ]
	[[ $output == *--platform* ]]
	json pull "docker://$one/multi:1" "oci:$work/got:1" --platform linux/arm64
	[ "$(jq -r .digest <<<"$output")" = "$(tagged "$work/i" arm64)" ]
	json pull "docker://$one/multi:1" "oci:$work/all:1" --platform all
	[ "$(jq -r .digest <<<"$output")" = "$index" ]
	run "$posmedia" pull "docker://$one/multi:1" "oci:$work/got:2" --platform linux/mips
	[ "$status" -eq 1 ]
	json copy "docker://$one/multi:1" "docker://$two/multi:1"
	[ "$(jq -r .digest <<<"$output")" = "$index" ]
	skopeo copy -q --src-tls-verify=false --override-arch arm64 "docker://$two/multi:1" \
		"oci:$work/arm:1"
}

@test "an image in docker's own format is refused with what to do" {
	skopeo copy -q --src-tls-verify=false --dest-tls-verify=false --format v2s2 \
		--remove-signatures "docker://$one/pos/a:1" "docker://$two/v2s2:1"
	run "$posmedia" pull "docker://$two/v2s2:1" "oci:$work/got:1"
	[ "$status" -eq 1 ]
	[[ $output == *"docker's own format"*'skopeo copy --format oci'* ]]
	run "$posmedia" copy "docker://$two/v2s2:1" "docker://$one/v2s2:1"
	[ "$status" -eq 1 ]
}

@test "those who attach something at the same time all have it there" {
	local n
	"$posmedia" push "oci:$dir/image:1" "docker://$one/race:1"
	for n in two three four five six seven; do
		cp -r "$dir/image" "$work/$n"
		add_referrer "$work/$n" "$digest" "$n"
	done
	for n in two three four five six seven; do
		"$posmedia" push "oci:$work/$n:1" "docker://$one/race:1" >"$work/$n.out" 2>&1 &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n" || { cat "$work"/*.out; false; }
	done
	"$posmedia" pull "docker://$one/race:1" "oci:$work/got:1"
	run referrers "$work/got" "$digest"
	[ "$(sort <<<"$output" | tr '\n' ' ')" = 'five four one seven six three two ' ]
}

@test "what is listed as a referrer and is none is left out" {
	"$posmedia" push "oci:$dir/image:1" "docker://$two/junk:1"
	other=$(tests/lib/make-layout "$work/i" 1 other 500)
	"$posmedia" push "oci:$work/i:1" "docker://$two/junk:other"
	jq -n --arg d "$other" --argjson n "$(stat -c %s "$work/i/blobs/sha256/${other#*:}")" '
		{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
		manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json",
		digest: $d, size: $n}]}' \
		>"$work/list"
	curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' \
		--data-binary "@$work/list" "http://$two/v2/junk/manifests/sha256-${digest#*:}"
	run "$posmedia" pull "docker://$two/junk:1" "oci:$work/got:1"
	[ "$status" -eq 0 ]
	[[ $output == *"$other is left out"* ]]
	[ -z "$(referrers "$work/got" "$digest")" ]
}

@test "a mirror that fetches for us serves pulls and refuses pushes" {
	serve_registry "$work/mirror" "proxy: {remoteurl: \"http://$one\"}"
	json pull "docker://$served/pos/a:1" "oci:$work/got:1"
	[ "$(jq -r .digest <<<"$output")" = "$digest" ]
	verified "oci:$work/got:1"
	run "$posmedia" push "oci:$dir/image:1" "docker://$served/pos/c:1"
	[ "$status" -eq 5 ]
	[[ $output == *mirror* ]] || { echo "$output"; false; }
}

@test "a registry for reading only serves pulls and refuses pushes" {
	serve_registry "$work/ro" '' "$dir/one/data" 'maintenance: {readonly: {enabled: true}}, '
	json pull "docker://$served/pos/a:1" "oci:$work/got:1"
	run "$posmedia" push "oci:$dir/image:1" "docker://$served/pos/c:1"
	[ "$status" -eq 5 ]
	[[ $output == *'reading only'* ]] || { echo "$output"; false; }
}

@test "a registry by its IPv6 address" {
	[ -e /proc/net/if_inet6 ] && grep -q '^0*1 ' /proc/net/if_inet6 || skip "no IPv6 here"
	serve_registry "$work/six" '' "$dir/one/data" '' '[::1]'
	json pull "docker://$served/pos/a:1" "oci:$work/got:1"
	[ "$(jq -r .digest <<<"$output")" = "$digest" ]
}

@test "a download that was broken off goes on where it was, whatever is in its file" {
	local layer file
	layer=$(jq -r '.layers[1].digest' "$dir/image/blobs/sha256/${digest#*:}")
	file=$work/got/.partial-${layer#*:}
	"$posmedia" copy "oci:$dir/image:1" "oci:$work/got:0"
	rm "$work/got/blobs/sha256/${layer#*:}"
	head -c 1500000 "$dir/image/blobs/sha256/${layer#*:}" >"$file"
	json pull "docker://$one/pos/a:1" "oci:$work/got:1"
	[ "$(jq .bytes_resumed <<<"$output")" = 1500000 ]
	[ ! -e "$file" ]
	rm "$work/got/blobs/sha256/${layer#*:}"
	head -c 1500000 /dev/zero >"$file"
	json pull "docker://$one/pos/a:1" "oci:$work/got:1"
	cmp "$work/got/blobs/sha256/${layer#*:}" "$dir/image/blobs/sha256/${layer#*:}"
	rm "$work/got/blobs/sha256/${layer#*:}"
	cp "$dir/image/blobs/sha256/${layer#*:}" "$file"
	echo "of another run" >"$work/got/.partial-${digest#*:}"
	json pull "docker://$one/pos/a:1" "oci:$work/got:1"
	[ "$(jq .bytes_resumed <<<"$output")" = 2000000 ]
	run ls -A "$work/got"
	[ "$output" = $'blobs\nindex.json\noci-layout' ]
}

@test "a login by a helper, and by a file of old" {
	mkdir "$work/bin" "$work/home"
	cat >"$work/bin/docker-credential-test" <<-SH
		#!/bin/sh
		cat >"$work/asked"
		echo '{"ServerURL":"x","Username":"pos","Secret":"sesame"}'
	SH
	chmod +x "$work/bin/docker-credential-test"
	# user "pos", password "sesame"
	# shellcheck disable=SC2016 # a hash
	echo 'pos:$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O' >"$work/htpasswd"
	serve_registry "$work/locked" "auth: {htpasswd: {realm: test, path: $work/htpasswd}}"
	echo "{\"credHelpers\":{\"$served\":\"test\"}}" >"$work/auth.json"
	run "$posmedia" push "oci:$dir/image:1" "docker://$served/a:1"
	[ "$status" -eq 5 ]
	PATH=$work/bin:$PATH REGISTRY_AUTH_FILE=$work/auth.json \
		"$posmedia" push "oci:$dir/image:1" "docker://$served/a:1"
	[ "$(<"$work/asked")" = "$served" ]
	echo "{\"$served\":{\"auth\":\"$(printf pos:sesame | base64)\"}}" >"$work/home/.dockercfg"
	HOME=$work/home "$posmedia" copy "docker://$served/a:1" "docker://$served/b:1"
	[ "$(HOME=$work/home "$posmedia" tags "docker://$served/b")" = 1 ]
}
