#!/usr/bin/env bats
# How posmedia is called, and what it says when it is called wrongly.

bats_require_minimum_version 1.5.0
load lib

verbs() {
	"$posmedia" help | sed -n 's/^  \([a-z]*\) .*/\1/p'
}

posmedia() {
	run --separate-stderr "$posmedia" "$@"
}

@test "help goes to standard output, is complete, and fits a terminal" {
	posmedia help
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	local v
	for v in audit build copy delete diff import key lock plan pull push scan sign store tags \
		verify; do
		grep -q "^  $v  *[A-Z].*[.]$" <<<"$output" || { echo "no $v"; false; }
	done
	for v in $(verbs); do
		posmedia "$v" --help
		[ "$status" -eq 0 ]
		[[ $output == "usage: posmedia $v "* ]]
		[ -z "$stderr" ]
		run grep -E '^.{101,}$' <<<"$output"
		[ -z "$output" ] || { echo "$v: $output"; false; }
	done
}

@test "help VERB and VERB --help are the same" {
	for v in $(verbs); do
		[ "$("$posmedia" help "$v")" = "$("$posmedia" "$v" --help)" ]
	done
}

@test "every verb and every option stands in the manuals" {
	mandoc -T utf8 builder/man/posmedia*.1 | col -b >"$BATS_TEST_TMPDIR/manual"
	for v in $(verbs); do
		grep -qw -e "$v" "$BATS_TEST_TMPDIR/manual" || { echo "no verb $v"; false; }
		for o in $("$posmedia" "$v" --help | grep -oE -e ' --[a-z][a-z-]*'); do
			grep -qw -e "$o" "$BATS_TEST_TMPDIR/manual" || { echo "no $v $o"; false; }
		done
	done
}

@test "each test that the manual of faults names is there" {
	local file words n=0
	while IFS='|' read -r file words; do
		cat "tests/$file".{c,bats} 2>/dev/null | grep -qF -e "$words" ||
			{ echo "no test in tests/$file: $words"; false; }
		n=$((n + 1))
	done < <(perl -ne 'if ($file) { print "$file|$_"; undef $file }
		$file = $1 if /^\.Pa (\S+) :$/' \
		builder/man/posmedia-faults.7)
	[ "$n" -gt 50 ]
}

@test "called without a verb, or with one that is not there" {
	posmedia
	[ "$status" -eq 2 ]
	[ -z "$output" ]
	[[ $stderr == *'no verb given'*hint:* ]]
	posmedia bulid recipes/demo.yaml
	[ "$status" -eq 2 ]
	[[ $stderr == *'no such verb: bulid'* ]]
}

@test "an option that is not there is refused with the nearest one" {
	posmedia build --no-cash recipes/demo.yaml
	[ "$status" -eq 2 ]
	[[ $stderr == *--no-cash*--no-cache* ]]
	posmedia build -Z recipes/demo.yaml
	[ "$status" -eq 2 ]
}

@test "values that are missing, given to a flag, or not numbers" {
	posmedia build recipes/demo.yaml --output
	[ "$status" -eq 2 ]
	[[ $stderr == *'--output wants'* ]]
	posmedia build --no-cache=yes recipes/demo.yaml
	[ "$status" -eq 2 ]
	for n in -1 x 1000000 '' 0x10 1.5; do
		posmedia build "--threads=$n" recipes/demo.yaml
		[ "$status" -eq 2 ] || { echo "threads '$n': $status"; false; }
	done
}

@test "too few and too many arguments" {
	for v in build diff import plan lock sign store verify push pull audit key; do
		posmedia "$v"
		[ "$status" -eq 2 ] || { echo "$v: $status $stderr"; false; }
		posmedia "$v" a b c d
		[ "$status" -eq 2 ] || { echo "$v a b c d: $status $stderr"; false; }
	done
}

@test "names that are no images are refused before anything is done" {
	for bad in demo demo:1 oci: 'oci:x:' oci:x:../y oci:x@sha256:12 s3://b/p docker://; do
		posmedia verify "$bad"
		[[ $status =~ ^[1-5]$ ]] || { echo "$bad: $status"; false; }
		[ -n "$stderr" ]
	done
	for bad in dir:x oci:x docker://h/r:t oci:x@sha256:12; do
		posmedia build recipes/demo.yaml --output "$bad"
		[[ $status =~ ^[23]$ ]] || { echo "$bad: $status $stderr"; false; }
	done
}

@test "a result that cannot be written is a failure" {
	[ -w /dev/full ] || skip "no /dev/full"
	run bash -c '"$posmedia" help >/dev/full'
	[ "$status" -eq 1 ]
}

@test "standard streams that are closed are never a file of ours" {
	dir=$(mktemp -d)
	mkfifo "$dir/words"
	timeout 20 "$posmedia" key new "$dir/key" --passphrase-file "$dir/words" \
		<&- >&- 2>"$dir/said" 3>&- &
	pid=$!
	sleep 1
	child=$(tr -d ' ' <"/proc/$pid/task/$pid/children")
	run readlink "/proc/$child/fd/0" "/proc/$child/fd/1"
	echo word | timeout 5 dd "of=$dir/words" status=none
	status=0
	wait "$pid" || status=$?
	said=$(cat "$dir/said")
	rm -r "$dir"
	[ "$output" = $'/dev/null\n/dev/null' ]
	[ "$status" -eq 1 ]
	[[ $said == *'write the result'* ]]
}

@test "a file larger than the limit is an error, not the end" {
	dir=$(mktemp -d)
	run bash -c 'ulimit -f 0; "$posmedia" key new "$0/key"' "$dir"
	left=$(ls -A "$dir")
	rm -r "$dir"
	[ "$status" -eq 1 ]
	[[ $output == *'File too large'* ]]
	[ -z "$left" ]
}

@test "what a terminal would act on is not printed" {
	posmedia plan $'no\e[31mred\x7f\xc2\x9b'
	[ "$status" -ne 0 ]
	[[ $stderr == *'no?[31mred??: '* ]]
}

@test "messages as JSON are one object a line" {
	posmedia plan no-such-recipe.yaml --log json
	[ "$status" -ne 0 ]
	[ -n "$stderr" ]
	jq -es 'all(type == "object")' <<<"$stderr"
}

@test "nothing is asked: without a terminal and without input" {
	run bash -c '"$posmedia" sign oci:nowhere:1 </dev/null'
	[ "$status" -eq 2 ]
	[[ $output == *--key* ]]
}
