#!/usr/bin/env bats
# diff, audit, verify and sign of images in Debian's registry: they are brought here for as long as
# they are looked at, and nothing of them stays.

bats_require_minimum_version 1.5.0
load lib
load tiny

setup_file() {
	load lib
	load tiny
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/diff-remote.XXXXXX")"
	export dir
	start_registry "$dir/registry"
	export registry registry_pid
	build_and_push 1
	echo welcome >"$dir/overlay/etc/motd"
	cat >>"$dir/recipes/till.yaml" <<-'YAML'
		steps:
		  - name: clerk
		    run: [sh, -c, "echo clerk:x:1600:1600::/nonexistent:/bin/sh >>/etc/passwd"]
		    writes: [/etc]
	YAML
	build_and_push 2
	"$posmedia" key new "$dir/key"
	"$posmedia" key new "$dir/other"
}

build_and_push() {
	env -C "$dir" "$posmedia" lock recipes/till.yaml -q
	env -C "$dir" "$posmedia" build recipes/till.yaml -q -o "oci:$dir/till:$1" >"$dir/name.$1"
	"$posmedia" push -q "oci:$dir/till:$1" "docker://$registry/pos/till:$1"
}

teardown_file() {
	stop_registry
	rm -rf "$dir"
}

setup() {
	profile=$PWD/recipes/profiles/pa-dss-3.2.yaml
	one=oci:$dir/till:1 two=oci:$dir/till:2
	far_one=docker://$registry/pos/till:1 far_two=docker://$registry/pos/till:2
}

teardown() {
	no_traces
}

digest_of() {
	sed 's/.*@//' "$dir/name.$1"
}

# The registry's own file of a digest.
stored() {
	local hex=${1#sha256:}
	echo "$dir/registry/data/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
}

@test "registry and layout, layout and registry, registry and registry: the same differences" {
	for pair in "$one $two" "$far_one $two" "$one $far_two" "$far_one $far_two"; do
		# shellcheck disable=SC2086 # two words
		posmedia diff $pair --no-controls --json
		succeeded
		jq 'del(.was.object, .is.object)' <<<"$output" >"$dir/diff.json"
		[ -e "$dir/want.json" ] || cp "$dir/diff.json" "$dir/want.json"
		cmp "$dir/diff.json" "$dir/want.json"
	done
	jq -e '(.users | map(.name) == ["clerk"]) and
		(.files | map(.path) | index("etc/motd")) != null' "$dir/want.json"
}

@test "the same image here and there: no difference; by digest as well" {
	posmedia diff "$one" "$far_one" --exit-code --no-controls
	succeeded
	[[ $output == *'no difference'* ]]
	posmedia diff "docker://$registry/pos/till@$(digest_of 2)" "$two" --exit-code --no-controls
	succeeded
}

@test "Markdown names the registry's images" {
	posmedia diff "$far_one" "$far_two" --markdown --no-controls
	succeeded
	grep -qF -e "- was \`$far_one\` \`$(digest_of 1)\`:" <<<"$output"
	grep -qE -e '^- added .config. .sha256:[0-9a-f]{64}., [0-9.]+ k?B$' <<<"$output"
	grep -qF -e '### Users: 1 added' <<<"$output"
}

@test "audit of a registry's image says what it says of the layout's" {
	posmedia audit "$one" --json --fail-on never --profile "$profile"
	succeeded
	jq 'del(.object)' <<<"$output" >"$dir/audit.json"
	posmedia audit "$far_one" --json --fail-on never --profile "$profile"
	succeeded
	jq 'del(.object)' <<<"$output" | cmp - "$dir/audit.json"
}

@test "sign in the registry: the tag stays, verify finds it there, another key is refused" {
	posmedia verify "$far_one" --key "$dir/key.pub"
	refused 4 signature
	posmedia sign "$far_one" --key "$dir/key" --dry-run
	succeeded
	posmedia verify "$far_one" --key "$dir/key.pub"
	refused 4 signature
	posmedia sign "$far_one" --key "$dir/key"
	succeeded
	posmedia verify "$far_one" --key "$dir/key.pub"
	succeeded
	[[ $output == *"cosign signature of $registry/pos/till:1 by"* ]]
	[[ $output == *"openpgp signature of $registry/pos/till:1 by"* ]]
	[[ $output == *"verified $(digest_of 1)"* ]]
	posmedia verify "$far_one" --key "$dir/other.pub"
	refused 4 signature
	posmedia sign "$far_one" --key "$dir/other"
	succeeded
	posmedia verify "$far_one" --key "$dir/key.pub" # the first one is still there
	succeeded
	[ "$(skopeo inspect --tls-verify=false "$far_one" --format '{{.Digest}}')" = \
		"$(digest_of 1)" ]
}

@test "a digest has no name to sign: it wants one" {
	posmedia verify "docker://$registry/pos/till@$(digest_of 1)" --key "$dir/key.pub"
	refused 2 '--identity'
}

@test "a tag that is not there, no tag, no such repository" {
	posmedia diff "$one" "docker://$registry/pos/till:9" --no-controls
	refused 5 'no such image'
	posmedia diff "$one" "docker://$registry/pos/till" --no-controls
	refused 2 'neither tag nor digest'
	posmedia audit "docker://$registry/pos/gone:1"
	refused 5 'no such image'
	posmedia diff s3://bucket/till:1 "$one" --no-controls
	refused 2 'wants oci:DIR'
	[[ $stderr != *'posmedia pull'* ]]
}

@test "bytes that are not the digest's: exit 4, in a layer and in the manifest" {
	local layer manifest
	manifest=$(stored "$(digest_of 2)")
	layer=$(stored "$(jq -r '.layers[0].digest' "$manifest")")
	flip "$layer"
	posmedia diff "$one" "$far_two" --no-controls
	flip "$layer"
	refused 4 'blob sha256:'
	flip "$manifest"
	posmedia diff "$one" "docker://$registry/pos/till@$(digest_of 2)" --no-controls
	flip "$manifest"
	[[ $status =~ ^[45]$ ]] || refused 4 ''
	[ -z "$output" ]
}

@test "an interrupt while the image comes: nothing is left" {
	kill -STOP "$registry_pid"
	env -C "$dir" "$posmedia" diff "$one" "$far_two" --no-controls >"$dir/out.diff" 2>&1 3>&- &
	local pid=$!
	sleep 0.5
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	kill -CONT "$registry_pid"
	[ "$status" -eq 1 ]
	grep -q interrupted "$dir/out.diff"
}

@test "what a killed one left is swept by the next" {
	mkdir "$dir/store/tmp/pull.999999999.1"
	posmedia diff "$one" "$far_one" --no-controls
	succeeded
}

@test "a registry that has stopped: exit 5 within a minute" {
	posmedia diff "$one" "docker://127.0.0.1:$(free_port)/pos/till:1" --no-controls
	refused 5 "127.0.0.1"
}
