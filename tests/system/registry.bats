#!/usr/bin/env bats
# The signed image in Debian's registry, and what skopeo, cosign and our own pull make of it.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	load lib
	dir=$(mktemp -d)
	need_demo
	start_registry "$dir/registry"
	export dir registry registry_pid demo_digest
	copy_demo "$dir/demo"
	"$posmedia" sign "oci:$dir/demo:0.1.0" --key "$demo_key" \
		--identity "$registry/pos/demo:0.1.0"
	"$posmedia" push "oci:$dir/demo:0.1.0" "docker://$registry/pos/demo:0.1.0" \
		--lookaside "$dir/lookaside" >"$dir/pushed"
	"$posmedia" key new "$dir/other"
	mkdir "$dir/registries.d"
	cat >"$dir/registries.d/pos.yaml" <<-YAML
		docker:
		  $registry/pos:
		    lookaside: file://$dir/lookaside
	YAML
	policy "$demo_key.gpg" >"$dir/policy.json"
	policy "$dir/other.gpg" >"$dir/policy-other.json"
}

teardown_file() {
	stop_registry
	rm -rf "$dir"
}

setup() {
	work=$dir/$BATS_TEST_NUMBER
	mkdir "$work"
}

policy() {
	jq -n --arg scope "$registry/pos" --arg key "$1" '{default: [{type: "reject"}],
		transports: {docker: {($scope): [
			{type: "signedBy", keyType: "GPGKeys", keyPath: $key}]}}}'
}

# Copies the image out of the registry under policy $1.
skopeo_copy() {
	HOME=$work skopeo --policy "$1" --registries.d "${2-$dir/registries.d}" copy -q \
		--remove-signatures --src-tls-verify=false \
		"docker://$registry/pos/demo:0.1.0" "oci:$work/got:0.1.0"
}

rejected() {
	[[ $output == *'Source image rejected'* ]] || { echo "$output"; false; }
}

# The registry's own file of a digest.
stored() {
	local hex=${1#sha256:}
	echo "$dir/registry/data/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
}

layer() {
	jq -r ".layers[$1].digest" "$dir/demo/blobs/sha256/${demo_digest#sha256:}"
}

@test "skopeo copies it under a policy that demands our signature" {
	run skopeo_copy "$dir/policy.json"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ "$(jq -r '.manifests[0].digest' "$work/got/index.json")" = "$demo_digest" ]
}

@test "skopeo refuses it when another key is demanded" {
	run skopeo_copy "$dir/policy-other.json"
	[ "$status" -ne 0 ]
	rejected
}

@test "skopeo refuses it without the signature" {
	mkdir "$work/registries.d"
	sed "s,file://.*,file://$work/nowhere," "$dir/registries.d/pos.yaml" \
		>"$work/registries.d/pos.yaml"
	run skopeo_copy "$dir/policy.json" "$work/registries.d"
	[ "$status" -ne 0 ]
	rejected
}

@test "skopeo refuses it after one flipped bit in the signature" {
	cp -r "$dir/lookaside" "$work/lookaside"
	find "$work/lookaside" -name 'signature-*' >"$work/signatures"
	while read -r file; do
		flip "$file"
	done <"$work/signatures"
	mkdir "$work/registries.d"
	sed "s,file://.*,file://$work/lookaside," "$dir/registries.d/pos.yaml" \
		>"$work/registries.d/pos.yaml"
	run skopeo_copy "$dir/policy.json" "$work/registries.d"
	[ "$status" -ne 0 ]
	rejected
}

@test "skopeo refuses it after one flipped bit in a layer, and so does pull" {
	file=$(stored "$(layer 0)")
	flip "$file"
	run skopeo_copy "$dir/policy.json"
	skopeo_status=$status
	run "$posmedia" pull "docker://$registry/pos/demo:0.1.0" "oci:$work/back:0.1.0"
	flip "$file"
	[ "$skopeo_status" -ne 0 ]
	[ "$status" -eq 4 ]
	[ ! -e "$work/back/index.json" ] ||
		[ "$(jq '.manifests | length' "$work/back/index.json")" = 0 ]
}

@test "skopeo refuses it after one flipped bit in the manifest, and so does pull" {
	file=$(stored "$demo_digest")
	flip "$file"
	run skopeo_copy "$dir/policy.json"
	skopeo_status=$status
	run "$posmedia" pull "docker://$registry/pos/demo:0.1.0" "oci:$work/back:0.1.0"
	flip "$file"
	[ "$skopeo_status" -ne 0 ]
	[ "$status" -ne 0 ]
}

@test "pull brings back the same image with its signatures" {
	"$posmedia" pull "docker://$registry/pos/demo:0.1.0" "oci:$work/back:0.1.0"
	run "$posmedia" verify "oci:$work/back:0.1.0" --key "$demo_key.pub" \
		--identity "$registry/pos/demo:0.1.0"
	[ "$status" -eq 0 ]
	[[ $output == *"verified $demo_digest"* ]]
	run "$posmedia" verify "oci:$work/back:0.1.0" --key "$dir/other.pub"
	[ "$status" -eq 4 ]
}

@test "pull by digest brings the same" {
	"$posmedia" pull "docker://$registry/pos/demo@$demo_digest" "oci:$work/back:0.1.0"
	[ -f "$work/back/blobs/sha256/${demo_digest#sha256:}" ]
}

@test "a second push moves nothing" {
	run --separate-stderr "$posmedia" push "oci:$dir/demo:0.1.0" \
		"docker://$registry/pos/demo:0.1.0" --lookaside "$dir/lookaside" --json
	[ "$status" -eq 0 ]
	[ "$(jq .blobs <<<"$output")" = 0 ]
}

@test "cosign of a newer suite verifies the signature offline, and not with another key" {
	need_cosign
	export HOME=$work
	run "$cosign" verify --key "$demo_key.pub" --insecure-ignore-tlog=true \
		--allow-http-registry "$registry/pos/demo:0.1.0"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ $output == *"$demo_digest"* ]]
	run "$cosign" verify --key "$dir/other.pub" --insecure-ignore-tlog=true \
		--allow-http-registry "$registry/pos/demo:0.1.0"
	[ "$status" -ne 0 ]
}

@test "a registry that does not answer is status 5, within a minute" {
	run timeout 60 "$posmedia" push "oci:$dir/demo:0.1.0" \
		"docker://127.0.0.1:$(free_port)/pos/demo:0.1.0"
	[ "$status" -eq 5 ]
}

@test "a repository that is not there is status 5" {
	run timeout 60 "$posmedia" pull "docker://$registry/pos/nothing:1" "oci:$work/back:1"
	[ "$status" -eq 5 ]
}
