#!/usr/bin/env bats
# tests/lib/need against a make-believe dpkg, apt-get, id and sudo.

# shellcheck disable=SC2016 # the variables are the fakes' own
setup() {
	dir=$(mktemp -d)
	mkdir "$dir/bin"
	fake dpkg-query 'shift 3; for p; do grep -x "installed $p" "$DIR/installed"; done; :'
	fake apt-get 'echo "$*" >>"$DIR/ran"; :'
	fake id 'cat "$DIR/uid"'
	fake sudo 'echo sudo >>"$DIR/ran"; exec env "$@"'
	echo 0 >"$dir/uid"
	printf '# what is needed\nalpha\n  beta  # two\n\ng++\n' >"$dir/list"
	export DIR=$dir PATH=$dir/bin:$PATH
}

teardown() {
	rm -rf "$dir"
}

fake() {
	printf '#!/bin/sh\n%s\n' "$2" >"$dir/bin/$1"
	chmod +x "$dir/bin/$1"
}

have() {
	printf 'installed %s\n' "$@" >"$dir/installed"
}

@test "nothing runs when all is there" {
	have alpha beta g++
	run tests/lib/need "$dir/list"
	[ "$status" -eq 0 ]
	[ -z "$output" ]
	[ ! -e "$dir/ran" ]
}

@test "what is missing, and only that, is installed after one update" {
	have alpha
	run tests/lib/need "$dir/list"
	[ "$status" -eq 0 ]
	[ "$(grep -c ' update$' "$dir/ran")" -eq 1 ]
	grep -q ' install -y --no-install-recommends beta g++$' "$dir/ran"
	[ "$(wc -l <"$dir/ran")" -eq 2 ]
}

@test "sudo is used when not root" {
	have alpha beta
	echo 1000 >"$dir/uid"
	run tests/lib/need "$dir/list"
	[ "$status" -eq 0 ]
	[ "$(grep -cx sudo "$dir/ran")" -eq 2 ]
}

@test "neither root nor sudo: says what to install" {
	have alpha beta
	echo 1000 >"$dir/uid"
	rm "$dir/bin/sudo"
	for tool in sh sed sort grep cat; do ln -s "$(command -v "$tool")" "$dir/bin/$tool"; done
	PATH=$dir/bin run tests/lib/need "$dir/list"
	[ "$status" -eq 1 ]
	[[ $output == *"apt-get install g++"* ]]
}

@test "a package that cannot be installed is named" {
	have alpha beta
	fake apt-get 'case "$*" in *install*) exit 100 ;; esac'
	run tests/lib/need "$dir/list"
	[ "$status" -eq 1 ]
	[[ $output == *"could not install: g++"* ]]
}

@test "an update that fails does not stop an install that works" {
	have alpha beta
	fake apt-get 'case "$*" in *update*) exit 100 ;; esac'
	run tests/lib/need "$dir/list"
	[ "$status" -eq 0 ]
	[[ $output == *"apt-get update failed"* ]]
}

@test "a list that is not there is an error" {
	run tests/lib/need "$dir/no-list"
	[ "$status" -eq 2 ]
}
