#!/usr/bin/env bats
# scan of whole images: the demo has nothing, and what a layer above removes is found all the same.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d)
}

teardown() {
	[ -z "${registry_pid-}" ] || kill "$registry_pid"
	rm -rf "$dir"
}

# Prints a card number that nobody has, the N-th.
a_card() {
	[ -d "$dir/corpus" ] || tests/lib/card-corpus "$dir/corpus" >/dev/null
	sed -n "${1:-1}p" "$dir/corpus/yes/plain"
}

# An image of two layers: the second removes what the first brought.
two_layers() {
	umoci init --layout "$dir/image"
	umoci new --image "$dir/image:1"
	mkdir -p "$dir/lower/srv" "$dir/lower/root/.ssh"
	a_card >"$dir/lower/srv/sales.csv"
	openssl genpkey -algorithm ed25519 -out "$dir/lower/root/till.pem" 2>/dev/null
	tar -cf "$dir/lower.tar" -C "$dir/lower" .
	umoci raw add-layer --image "$dir/image:1" "$dir/lower.tar"
	mkdir -p "$dir/upper/srv" "$dir/upper/root"
	touch "$dir/upper/srv/.wh.sales.csv" "$dir/upper/root/.wh.till.pem"
	tar -cf "$dir/upper.tar" -C "$dir/upper" .
	umoci raw add-layer --image "$dir/image:1" "$dir/upper.tar"
	umoci config --image "$dir/image:1" --config.env "CARD=$(a_card 2)"
}

@test "the demo image has nothing" {
	need_demo
	run --separate-stderr "$posmedia" scan --fail-on low --json "oci:$OUT/demo"
	[ "$status" -eq 0 ]
	[ "$(jq -c '[.files, .counts]' <<<"$output")" = '[[],{}]' ]
	[ "$(jq '."files-scanned" > 5000' <<<"$output")" = true ]
}

@test "what a layer above removes is found, with its layer, and what the configuration holds" {
	two_layers
	run --separate-stderr "$posmedia" scan --json "oci:$dir/image:1"
	[ "$status" -eq 4 ]
	[[ $stderr == *'found 2 pan, 1 private-key'* ]]
	local layer
	layer=$(jq -r '.files[] | select(.file == "srv/sales.csv").layer' <<<"$output")
	[ -f "$dir/image/blobs/sha256/${layer#sha256:}" ]
	[ "$(jq -r '.files[] | select(.file == "srv/sales.csv").sha256' <<<"$output")" = \
		"$(sha256sum <"$dir/lower/srv/sales.csv" | cut -c 1-64)" ]
	[ "$(jq -r '.files[] | select(.file == "image configuration").counts.pan' \
		<<<"$output")" = 1 ]
	[[ $output != *"$(a_card)"* && $output != *"$(a_card 2)"* ]]
}

@test "an image of a registry is looked at as one on disk" {
	two_layers
	start_registry "$dir/registry"
	skopeo copy -q --dest-tls-verify=false "oci:$dir/image:1" "docker://$registry/pos/till:1"
	run --separate-stderr "$posmedia" scan --store "$dir/store" "docker://$registry/pos/till:1"
	[ "$status" -eq 4 ]
	[[ $stderr == *'found 2 pan, 1 private-key'* ]]
	[ -z "$(find "$dir/store/tmp" -mindepth 1 -maxdepth 1)" ]
}

@test "a layer that is not what its digest says is refused" {
	two_layers
	local layer
	layer=$(skopeo inspect --raw "oci:$dir/image:1" | jq -r '.layers[0].digest')
	printf x >>"$dir/image/blobs/sha256/${layer#sha256:}"
	run --separate-stderr "$posmedia" scan "oci:$dir/image:1"
	[ "$status" -eq 4 ]
	[[ $stderr == *"${layer#sha256:}"* ]]
}
