#!/usr/bin/env bats
# Layouts that lie: each is refused by verify with a word about it, whatever it is made of.
# shellcheck disable=SC2016 # what jq expands

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	dir=$(mktemp -d)
	export dir POSMEDIA_STORE=$dir/store
	"$posmedia" key new "$dir/key"
	digest=$(tests/lib/make-layout "$dir/whole" 1 lies 5000 70000)
	export digest
	"$posmedia" sign "oci:$dir/whole:1" --key "$dir/key" --identity localhost/lies:1
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	rm -rf "$dir/l"
	cp -r "$dir/whole" "$dir/l"
	blobs=$dir/l/blobs/sha256
	layer=$(jq -r '.layers[1].digest[7:]' "$blobs/${digest#*:}")
}

verify() {
	run --separate-stderr timeout 60 "$posmedia" verify "oci:$dir/l:1" --key "$dir/key.pub" \
		--identity localhost/lies:1
}

# An error of ours, with one of these words: no crash, no time-out, no success.
refused() {
	verify
	if ((status < 1 || status > 7)) || [[ ! $stderr =~ ^posmedia:.*($1) ]]; then
		echo "status $status: $stderr"
		return 1
	fi
}

# Changes index.json by a filter of jq.
index() {
	jq -c "$@" "$dir/whole/index.json" >"$dir/l/index.json"
}

@test "as it is, and with a blob that nobody names" {
	echo more >"$blobs/$(printf '0%.0s' {1..64})"
	verify
	[ "$status" -eq 0 ]
}

@test "a blob that is missing, shorter, longer, another" {
	rm "$blobs/$layer"
	refused 'No such file'
	setup
	truncate -s 69999 "$blobs/$layer"
	refused "blob sha256:$layer has the digest"
	setup
	echo >>"$blobs/$layer"
	refused "blob sha256:$layer has the digest"
	setup
	printf x | dd of="$blobs/$layer" conv=notrunc bs=1 seek=60000 2>/dev/null
	refused "blob sha256:$layer has the digest"
	# the right bytes under the size of others
	setup
	index '.manifests |= map(.size += 1)'
	refused 'bytes|size'
}

@test "a blob that leads elsewhere, is a pipe, a directory" {
	mv "$blobs/$layer" "$dir/elsewhere"
	ln -s "$dir/elsewhere" "$blobs/$layer"
	refused 'symbolic|not a|Too many'
	rm "$blobs/$layer"
	mkfifo "$blobs/$layer"
	refused 'not a'
	rm "$blobs/$layer"
	mkdir "$blobs/$layer"
	refused 'not a|Is a directory'
}

@test "digests that are none, of other algorithms, in capitals, with a path" {
	local bad
	for bad in "sha256:../../../../etc/passwd" "sha512:$(printf 'a%.0s' {1..128})" \
		"sha256:$(tr a-f A-F <<<"${digest#*:}")" "sha256:${digest:7:60}" '' 'sha256'; do
		index --arg d "$bad" '.manifests |= map(.digest = $d)'
		refused 'digest'
	done
}

@test "an index in an index in an index" {
	local n inner=$digest size hex
	size=$(stat -c %s "$blobs/${digest#*:}")
	local type=application/vnd.oci.image.manifest.v1+json
	for n in 1 2 3; do
		jq -nc --arg d "$inner" --argjson s "$size" --arg t "$type" '{schemaVersion: 2,
			mediaType: "application/vnd.oci.image.index.v1+json",
			manifests: [{mediaType: $t, digest: $d, size: $s}]}' >"$dir/index.$n"
		type=application/vnd.oci.image.index.v1+json
		hex=$(sha256sum "$dir/index.$n" | cut -d ' ' -f 1)
		cp "$dir/index.$n" "$blobs/$hex"
		inner=sha256:$hex
		size=$(stat -c %s "$dir/index.$n")
	done
	index --arg d "$inner" --argjson s "$size" --arg t "$type" '.manifests = [{mediaType: $t,
		digest: $d, size: $s, annotations: {"org.opencontainers.image.ref.name": "1"}}]'
	refused 'index'
}

@test "index.json cut off anywhere, huge, deep" {
	local n whole
	whole=$(stat -c %s "$dir/whole/index.json")
	for ((n = 0; n < whole; n += 23)); do
		head -c "$n" "$dir/whole/index.json" >"$dir/l/index.json"
		refused 'index.json'
	done
	head -c 80000000 /dev/zero | tr '\0' ' ' >"$dir/l/index.json"
	cat "$dir/whole/index.json" >>"$dir/l/index.json"
	refused 'index.json'
	perl -e 'print "[" x 100000' >"$dir/l/index.json"
	refused 'index.json'
	jq -c '.manifests |= (. + [range(100000) as $i | .[0]])' "$dir/whole/index.json" \
		>"$dir/l/index.json"
	verify
	((status <= 7))
}
