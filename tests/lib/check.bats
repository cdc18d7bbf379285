#!/usr/bin/env bats
# tests/lib/check itself, in a small tree of its own: what it counts, and that it ends in the tally.

setup() {
	check=$PWD/tests/lib/check
	dir=$(mktemp -d)
	cd "$dir" || exit
	mkdir -p tests/lint tests/unit
	printf 'all syntax unit-programs:\n' >Makefile
	program tests/lint/all 'echo 1..1; echo ok 1'
	program tests/lint/selftest 'echo 1..1; echo ok 1'
}

teardown() {
	cd /
	rm -rf "$dir"
}

program() {
	mkdir -p "$(dirname "$1")"
	printf '#!/bin/sh\n%s\n' "$2" >"$1"
	chmod +x "$1"
}

# A unit program and its sanitized twin.
unit() {
	: >"tests/unit/$1.c"
	program "out/test/$1" "$2"
	program "out/asan/test/$1" 'echo 1..1; echo ok 1'
}

# Three compiles, two linters and a sanitized program pass; $1 is what the unit program adds.
tally_is() {
	run "$check" </dev/null
	[ "${lines[-1]}" = "$1" ] || { echo "$output"; false; }
	[ "$status" -eq "$2" ]
}

@test "passed, failed and skipped are counted" {
	unit base-a 'echo 1..4; echo ok 1; echo ok 2 - b; echo not ok 3; echo "ok 4 # SKIP no root"
		exit 1'
	tally_is '9 passed, 1 failed, 1 skipped' 1
}

@test "all is well" {
	unit base-a 'echo 1..2; echo ok 1; echo ok 2'
	tally_is '9 passed, 0 failed, 0 skipped' 0
}

@test "a program that dies is one failure, and its output is shown" {
	unit base-a 'echo 1..3; echo ok 1; echo the last words >&2; kill -SEGV $$'
	tally_is '8 passed, 1 failed, 0 skipped' 1
	[[ $output == *'the last words'* ]]
}

@test "what failed is said again at the end" {
	unit base-a 'echo 1..3; echo ok 1 - fine; echo not ok 2 - bad; echo "# why"; echo ok 3'
	unit base-b 'echo 1..1; echo ok 1'
	tally_is '11 passed, 1 failed, 0 skipped' 1
	[ "${lines[-4]}" = 'FAILED unit base-a: status 0' ]
	[ "${lines[-3]}" = '    | not ok 2 - bad' ]
	[ "${lines[-2]}" = '    | # why' ]
}

@test "a program that says nothing is one failure" {
	unit base-a ':'
	tally_is '7 passed, 1 failed, 0 skipped' 1
}

@test "fewer tests than planned is a failure" {
	unit base-a 'echo 1..3; echo ok 1'
	tally_is '8 passed, 1 failed, 0 skipped' 1
}

@test "status 1 after tests that passed is a failure" {
	unit base-a 'echo 1..1; echo ok 1; exit 1'
	tally_is '8 passed, 1 failed, 0 skipped' 1
}

@test "a program that is not there is a failure" {
	unit base-a ':'
	rm out/test/base-a
	tally_is '7 passed, 1 failed, 0 skipped' 1
}

@test "what does not compile is a failure" {
	printf 'all:\nunit-programs syntax:\n\t@echo no such header; false\n' >Makefile
	tally_is '3 passed, 3 failed, 0 skipped' 1
	[[ $output == *'no such header'* ]]
}

@test "nothing that matches is a failure" {
	run "$check" no-such-test
	[ "${lines[-1]}" = '0 passed, 1 failed, 0 skipped' ]
	[ "$status" -eq 1 ]
}

@test "two more than there are processors run at once" {
	local name
	for name in a b c; do
		unit "base-$name" "echo 1..1; : >'$dir/here.$name'; for i in \$(seq 1200); do
			set -- '$dir'/here.*; [ \$# -lt 3 ] || { echo ok 1; exit; }
			sleep 0.1; done; echo not ok 1"
	done
	JOBS=1 tally_is '12 passed, 0 failed, 0 skipped' 0
}

@test "what a program leaves running is ended" {
	unit base-a "sleep 321 & echo \$! >'$dir/pid'; echo 1..1; echo ok 1"
	tally_is '8 passed, 0 failed, 0 skipped' 0
	run grep -s '^State:[[:space:]]*[A-Y]' "/proc/$(cat "$dir/pid")/status"
	[ "$status" -ne 0 ]
}

@test "standard input is empty" {
	unit base-a 'read -r x && exit 1; echo 1..1; echo ok 1'
	run "$check" < <(echo text)
	[ "${lines[-1]}" = '8 passed, 0 failed, 0 skipped' ]
}
