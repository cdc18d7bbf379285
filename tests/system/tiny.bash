#!/bin/bash
# A small project of our own: an archive of tests/lib/apt-repo and a recipe that is built from it
# in a third of a second. Tests load this after lib.
# shellcheck disable=SC2154 # lib.bash sets posmedia

# Makes the project in $1 and sets dir; the store is its own. Its mirror is $dir/apt/mirror unless
# $2 names another URL.
tiny_project() {
	dir=$1
	local mirror=${2-file://$1/apt/mirror}
	export POSMEDIA_STORE=$dir/store
	mkdir -p "$dir/recipes" "$dir/overlay/etc"
	tests/lib/apt-repo "$dir/apt" bookworm
	echo hello >"$dir/overlay/etc/motd"
	cat >"$dir/recipes/till.yaml" <<-YAML
		posmedia: 1
		name: till
		version: 1
		base:
		  apt: {suite: bookworm, keyring: apt/key.gpg, mirrors: ["$mirror"]}
		packages: {install: [tiny-app]}
		overlays: [{from: overlay, to: /}]
	YAML
}

# Runs posmedia in the project: sets status, output and stderr.
posmedia() {
	run --separate-stderr env -C "$dir" "$posmedia" "$@"
}

# Fails the test, showing what was said, unless the status and a pattern in standard error fit.
refused() {
	[ "$status" -eq "$1" ] && [[ $stderr == *"$2"* ]] && return 0
	echo "wanted status $1 and: $2; got status $status and:"
	echo "$output"
	echo "$stderr"
	return 1
}

succeeded() {
	[ "$status" -eq 0 ] && return 0
	echo "status $status: $output $stderr"
	return 1
}

# The file of the locked package $1 in the store.
stored_package() {
	echo "$dir/store/blobs/sha256/$(jq -r --arg name "$1" \
		'.packages[] | select(.name == $name).sha256' "$dir/recipes/till.lock")"
}

# No scratch of the store, no mount and no process that names the project.
no_traces() {
	local left
	left=$(find "$dir/store/tmp" -mindepth 1 -maxdepth 1)
	[ -z "$left" ] || { echo "scratch: $left" && return 1; }
	! grep -F "$dir" /proc/self/mountinfo || return 1
	! pgrep -f "$dir/out" || return 1
}
