#!/usr/bin/env bats
# Nothing is done twice, and plan says why something is done at all.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	need_demo
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/incremental.XXXXXX")
	export dir demo_digest
	cp -r recipes overlays signing "$dir/"
	cp "$(cat "$OUT/demo.lock.used")" "$dir/recipes/demo.lock"
}

teardown_file() {
	rm -rf "$dir"
}

in_dir() {
	run --separate-stderr env -C "$dir" "$posmedia" "$@"
}

@test "nothing changed: nothing runs, and the plan says so" {
	in_dir plan recipes/demo.yaml --json
	[ "$status" -eq 0 ]
	[ "$(jq '[.stages[] | select(.needed and (.cached | not))] |
		length' <<<"$output")" -eq 0 ]
	[ "$(jq .fetch.files <<<"$output")" -eq 0 ]
	in_dir build recipes/demo.yaml -o "oci:$dir/out/demo:1"
	[ "${output##*@}" = "$demo_digest" ]
	[[ $stderr != *"layer "* ]]
	in_dir build recipes/demo.yaml -o "oci:$dir/out/demo:1"
	[[ $stderr == *"it was up to date"* ]]
}

@test "one overlay file changed: services do not run again, one layer is packed" {
	# others may have had the cache drop what the demo left in it
	echo "# $EPOCHREALTIME" >>"$dir/overlays/pos/etc/profile.d/pos.sh"
	in_dir build recipes/demo.yaml -o "oci:$dir/out/demo:1"
	echo "# $EPOCHREALTIME" >>"$dir/overlays/pos/etc/profile.d/pos.sh"
	in_dir plan recipes/demo.yaml
	echo "$output"
	[[ $output =~ base\ +cached ]]
	[[ $output =~ overlays\ +will\ run:\ overlay\ etc/profile.d/pos.sh\ changed ]]
	in_dir build recipes/demo.yaml -o "oci:$dir/out/demo:1"
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"layer os-1: unchanged"*"layer app: unchanged"* ]]
	[[ $stderr == *"layer config: "*" entries"* ]]
	[[ $stderr != *"services: "* ]]
	[ "${output##*@}" != "$demo_digest" ]
}

@test "a unit in the overlay changed: services run again" {
	echo "# $EPOCHREALTIME" >>"$dir/overlays/container/etc/systemd/system/ssh-host-keys.service"
	in_dir plan recipes/demo.yaml
	echo "$output"
	[[ $output =~ services\ +will\ run:\ overlay\ etc/systemd/system/ssh-host-keys.service ]]
	in_dir build recipes/demo.yaml -o "oci:$dir/out/demo:1"
	[[ $stderr == *"services: overlay etc/systemd/system/ssh-host-keys.service changed"* ]]
}

@test "a layer of the layout was damaged since: the next build writes it again" {
	local blob
	blob=$(find "$dir/out/demo/blobs/sha256" -size +2M | sort | head -n 1)
	printf x | dd of="$blob" bs=1 seek=100000 conv=notrunc status=none
	echo "# $EPOCHREALTIME" >>"$dir/overlays/pos/etc/profile.d/pos.sh"
	in_dir build recipes/demo.yaml -o "oci:$dir/out/demo:1"
	[ "$status" -eq 0 ]
	[ "$(sha256sum "$blob" | cut -d ' ' -f 1)" = "${blob##*/}" ]
}

@test "a user changed: packages stay, what stands on users runs again" {
	sed -i 's/gecos: POS operator/gecos: the operator/' \
		"$dir/recipes/base/rti-shop.yaml"
	in_dir lock recipes/demo.yaml
	[ "$status" -eq 0 ]
	in_dir plan recipes/demo.yaml
	echo "$output"
	[[ $output =~ base\ +cached ]]
	[[ $output =~ users\ +will\ run:\ users\ gecos\ POS\ -\>\ the ]]
	[[ $output =~ step\ install-tulip\ +may\ run:\ a\ stage\ below\ it\ changes ]]
}

@test "a package changed: the plan names both versions" {
	jq --indent 1 -S '(.packages[] | select(.name == "tzdata")).version = "2001a-1"' \
		"$dir/recipes/demo.lock" >"$dir/other.lock"
	in_dir plan recipes/demo.yaml --lock other.lock
	echo "$output"
	[[ $output =~ base\ +will\ run:\ package\ tzdata:all\ 20[^\ ]+\ -\>\ 2001a-1 ]]
}
