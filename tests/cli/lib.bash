#!/bin/bash
# What the command-line tests share: the program, and a small project to be wrong in.

OUT=$(realpath "${OUT:-out}")
posmedia=$OUT/posmedia
export posmedia

# A project in $dir with one small recipe that is right, small.yaml; nothing in it is ever built.
small_project() {
	dir=$(mktemp -d)
	export POSMEDIA_STORE=$dir/store
	mkdir -p "$dir/recipes" "$dir/overlays/etc"
	cp signing/keyrings/debian-12.gpg "$dir/key.gpg"
	echo hello >"$dir/overlays/etc/motd"
	echo medium >"$dir/medium.bin"
	cat >"$dir/recipes/small.yaml" <<-YAML
		posmedia: 1
		name: small
		version: 1.0
		base:
		  apt: {suite: bookworm, keyring: key.gpg, mirrors: ["file:///nowhere"]}
		packages: {install: [perl]}
		overlays: [{from: overlays, to: /}]
		users: [{name: till, uid: 1500, password: locked}]
		ports: [22/tcp]
		media:
		  disc: {url: medium.bin, sha256: $(sha256sum <"$dir/medium.bin" | cut -c1-64)}
		steps: [{name: install, mount: {disc: /media/disc}, run: [/media/disc/run]}]
		run: {entrypoint: [/sbin/init]}
	YAML
}

# Runs posmedia in the project: sets status, output (standard output) and stderr.
in_project() {
	run --separate-stderr env -C "$dir" "$posmedia" "$@"
}

# Fails the test, showing what was said, unless the status and a pattern in standard error fit.
refused() {
	[ "$status" -eq "$1" ] && [[ $stderr == *"$2"* ]] && return 0
	echo "wanted status $1 and: $2"
	echo "status $status"
	echo "$stderr"
	return 1
}
