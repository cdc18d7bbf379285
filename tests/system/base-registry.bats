#!/usr/bin/env bats
# Images that stand on one in a registry: Debian's, on loopback, filled by skopeo and by our push.

bats_require_minimum_version 1.5.0
load lib
load media

setup_file() {
	media_project
	name=below
	printf 'posmedia: 1\nname: below\nextends: [base/tiny.yaml]\n' >"$dir/recipes/below.yaml"
	lock
	build
	ok
	start_registry "$dir/registry"
	echo "$registry_pid" >"$dir/registry.pid"
	below=$(jq -r '.manifests[0].digest' "$dir/out/below/index.json")
	"$posmedia" key new "$dir/key"
	"$posmedia" sign "oci:$dir/out/below:1" --key "$dir/key" \
		--identity "$registry/pos/below:1"
	"$posmedia" push -q "oci:$dir/out/below:1" "docker://$registry/pos/below:1"
	mkdir -p "$dir/overlay/etc" "$dir/signing"
	echo hello >"$dir/overlay/etc/motd"
	cp "$dir/key.pub" "$dir/signing"
	rm -rf "$dir/store"
	export registry below
}

teardown_file() {
	registry_pid=$(cat "$dir/registry.pid")
	stop_registry
	rm -rf "$dir"
}

setup() {
	media_setup
}

# A recipe $name on the image $1 in the registry, with more of base.oci in $2.
on() {
	cat >"$dir/recipes/$name.yaml" <<-YAML
		posmedia: 1
		name: $name
		version: 1
		base:
		  oci: {image: "docker://$registry/$1"${2-}}
		overlays: [{from: overlay, to: /}]
	YAML
}

policy() {
	printf 'posmedia: 1\nrepositories:\n  - {match: "%s", keys: [%s]}\n' "$1" "$2" \
		>"$dir/signing/policy.yaml"
}

try_lock() {
	run --separate-stderr env -C "$dir" "$posmedia" lock "recipes/$name.yaml" "$@"
}

locked() {
	jq -r '.media[] | select(.name == "base.oci.manifest") | .sha256' \
		"$dir/recipes/$name.lock"
}

# The layers of the image in a layout.
layers() {
	jq -r '.manifests[0].digest[7:]' "$1/index.json" |
		xargs -I{} jq -r '.layers[].digest' "$1/blobs/sha256/{}"
}

@test "a tag: the lock has the digest, the build pulls that, a rebuild needs no registry" {
	policy "$registry/pos/*" key.pub
	on pos/below:1 ", policy: signing/policy.yaml"
	try_lock
	ok
	[ "sha256:$(locked)" = "$below" ]
	[ "$(jq -r '[.media[].url] | unique | .[]' "$dir/recipes/$name.lock")" = \
		"docker://$registry/pos/below@$below" ]
	# no layer was fetched for it
	[ ! -e "$dir/store/blobs/sha256/$(layers "$dir/out/below" | head -n 1 | cut -c8-)" ]
	build
	ok
	[[ $stderr == *"pulled docker://$registry/pos/below@$below"* ]]
	[ "$(layers "$dir/out/$name" | head -n -1)" = "$(layers "$dir/out/below")" ]
	nothing_left
	local digest=${output##*@}
	# what the store has is not asked for
	registry_pid=$(cat "$dir/registry.pid")
	stop_registry
	build --no-cache
	ok
	[ "${output##*@}" = "$digest" ]
	try_lock
	ok
	run --separate-stderr env -C "$dir" "$posmedia" rebuild "oci:$dir/out/$name:1"
	ok
	# one damaged blob is; and there is nobody
	flip "$dir/store/blobs/sha256/$(layers "$dir/out/below" | head -n 1 | cut -c8-)"
	build --no-cache
	refused 5 "$name.yaml:5:8: pull docker://$registry/pos/below@$below"
	docker-registry serve "$dir/registry/config.yml" >"$dir/registry/log" 2>&1 3>&- &
	echo $! >"$dir/registry.pid"
	wait_for 20 curl -sf "http://$registry/v2/"
	build --no-cache
	ok
	[[ $stderr == *"pulled docker://"*": 1 blobs"* && ${output##*@} = "$digest" ]]
}

# Another image, which stands on the same, under the reference $1.
another() {
	local name=other
	on pos/below:1
	try_lock
	ok
	build
	ok
	"$posmedia" push -q "oci:$dir/out/other:1" "$1"
}

@test "a tag that moves: only lock --update follows it" {
	skopeo copy -q --dest-tls-verify=false "oci:$dir/out/below:1" \
		"docker://$registry/pos/moves:1"
	on pos/moves:1
	try_lock
	ok
	[ "sha256:$(locked)" = "$below" ]
	local to=docker://$registry/pos/moves:1
	another "$to"
	try_lock
	ok
	sed -i 's/^version: 1/version: 2/' "$dir/recipes/$name.yaml"
	try_lock
	ok
	[ "sha256:$(locked)" = "$below" ]
	build
	ok
	try_lock --update
	ok
	[[ $output == *"medium base.oci.manifest"* ]]
	[ "sha256:$(locked)" = "$(jq -r '.manifests[0].digest' "$dir/out/other/index.json")" ]
	# by its digest it does not move
	on "pos/moves@$below"
	try_lock
	ok
	[ "sha256:$(locked)" = "$below" ]
}

@test "of an index for several platforms the image for the recipe's" {
	local empty=$dir/empty.json other=$dir/other.json
	skopeo copy -q --dest-tls-verify=false "oci:$dir/out/below:1" \
		"docker://$registry/pos/many:one"
	printf '{}' >"$empty"
	jq -cn --arg d "$(digest_of "$empty")" '{schemaVersion: 2, layers: [], config: {
		mediaType: "application/vnd.oci.image.config.v1+json", digest: $d, size: 2}}' \
		>"$other"
	jq -cn --arg a "$(digest_of "$other")" --argjson an "$(stat -c %s "$other")" \
		--arg b "$below" \
		--argjson bn "$(stat -c %s "$dir/out/below/blobs/sha256/${below#sha256:}")" \
		'def one($d; $n; $arch): {mediaType: "application/vnd.oci.image.manifest.v1+json",
			digest: $d, size: $n, platform: {os: "linux", architecture: $arch}};
		{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
			manifests: [one($a; $an; "arm64"), one($b; $bn; "amd64")]}' \
		>"$dir/list.json"
	put_blob "$empty"
	put_manifest "$(digest_of "$other")" manifest "$other"
	put_manifest all index "$dir/list.json"
	on pos/many:all
	try_lock
	ok
	[ "sha256:$(locked)" = "$below" ]
	on pos/many:all ", arch: riscv64"
	try_lock
	refused 5 "$name.yaml:5:8" "has no image for linux on riscv64"
}

digest_of() {
	echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"
}

put_blob() {
	local at
	at=$(curl -sfi -X POST "http://$registry/v2/pos/many/blobs/uploads/" |
		sed -n 's/^Location: \(.*\)\r$/\1/p')
	curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" \
		"$at&digest=$(digest_of "$1")"
}

put_manifest() {
	curl -sf -X PUT -H "Content-Type: application/vnd.oci.image.$2.v1+json" \
		--data-binary "@$3" "http://$registry/v2/pos/many/manifests/$1"
}

@test "what the policy refuses is not locked" {
	on pos/below:1 ", policy: signing/policy.yaml"
	policy example.org/pos/below key.pub
	try_lock
	refused 4 "$name.yaml:5:8: docker://$registry/pos/below:1" "the default is to reject"
	"$posmedia" key new "$dir/stranger"
	cp "$dir/stranger.pub" "$dir/signing"
	policy "$registry/pos/*" stranger.pub
	try_lock
	refused 4 "$name.yaml:5:8" "policy.yaml:3"
	# signed, but as something else
	"$posmedia" push -q "oci:$dir/out/below:1" "docker://$registry/pos/below:2"
	policy "$registry/pos/*" key.pub
	on pos/below:2 ", policy: signing/policy.yaml"
	try_lock
	refused 4 "$name.yaml:5:8"
	[ ! -e "$dir/recipes/$name.lock" ]
}

@test "what is no image in a registry, and a lock of another one" {
	local bad
	for bad in pos/below "pos/below:1:1"; do
		on "$bad"
		try_lock
		refused 3 "$name.yaml:5:16" hint
	done
	on "pos/below@$below" ", policy: signing/policy.yaml"
	try_lock
	refused 3 '"policy" goes with a tag'
	on "pos/none:1"
	try_lock
	refused 5 "$name.yaml:5:8" "no such image"
	on "pos/below@$below"
	try_lock
	ok
	jq 'del(.media[] | select(.name == "base.oci.manifest"))' "$dir/recipes/$name.lock" \
		>"$dir/cut"
	mv "$dir/cut" "$dir/recipes/$name.lock"
	build
	refused 3 "not the image docker://$registry/pos/below@$below of the recipe"
}
