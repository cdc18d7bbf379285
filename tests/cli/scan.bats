#!/usr/bin/env bats
# scan: every form of a card number is found and no other number, nothing is ever shown in full,
# and what stands in the way is neither followed nor waited for.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	export corpus=$BATS_FILE_TMPDIR/corpus list=$BATS_FILE_TMPDIR/list
	tests/lib/card-corpus "$corpus" >"$list"
}

setup() {
	dir=$(mktemp -d)
}

teardown() {
	rm -rf "$dir"
}

# Sets status, output and stderr.
scan() {
	run --separate-stderr "$posmedia" scan "$@"
}

# A number of the corpus that nobody has, and its file's name.
a_card() {
	sed -n "${1:-1}p" "$corpus/yes/plain"
}

@test "each form of a card number is found, and nothing in what only looks so" {
	scan --json "dir:$corpus"
	[ "$status" -eq 4 ]
	jq -r '.files[] | [.file, ([.counts[]] | add)] | @tsv' <<<"$output" >"$dir/found"
	local kind name count got wrong=0
	while read -r kind name count; do
		got=$(awk -v f="$kind/$name" '$1 == f { print $2 }' "$dir/found")
		[ "$kind" = yes ] || count=0
		if [ "${got:-0}" != "$count" ]; then
			echo "$kind $name: ${got:-0} of $count"
			wrong=1
		fi
	done <"$list"
	[ "$wrong" -eq 0 ]
	[ "$(jq '[.files[] | select(.incomplete)] | length' <<<"$output")" -eq 0 ]
}

@test "no number of the corpus is in any output" {
	cut -c 1-14 "$corpus/yes/plain" >"$dir/heads"
	mkdir "$dir/tree"
	cp "$corpus/yes/plain" "$dir/tree/sale-card-$(a_card 2).txt"
	head -c 3000 "$corpus/yes/gzip" >"$dir/tree/card $(a_card 3).gz"
	for o in --json -v; do
		"$posmedia" scan $o "dir:$dir/tree" >"$dir/said" 2>&1 || [ $? -eq 4 ]
		"$posmedia" scan $o "dir:$corpus" >>"$dir/said" 2>&1 || [ $? -eq 4 ]
		run grep -c -F -f "$dir/heads" "$dir/said"
		[ "$output" = 0 ]
	done
	grep -q 'its name' "$dir/said"
}

@test "a number is not shown in a name either, whatever stands around it" {
	local n
	n=$(a_card)
	mkdir -p "$dir/tree/d"
	openssl genpkey -algorithm ed25519 -out "$dir/tree/d/$n" 2>/dev/null
	cp "$dir/tree/d/$n" "$dir/tree/$n.1"
	cp "$dir/tree/d/$n" "$dir/tree/d/${n:0:4}-${n:4:4}-${n:8:4}-${n:12}"
	for o in --json -v; do
		scan $o "dir:$dir/tree"
		[ "$status" -eq 4 ]
		[[ $output$stderr == *'******'* ]]
		[[ $output$stderr != *"${n:4:8}"* && $output$stderr != *"${n:4:4}-${n:8:4}"* ]]
	done
	scan "$dir/tree/$n.1"
	[ "$status" -eq 4 ]
	[[ $output$stderr != *"${n:4:8}"* ]]
}

@test "the report is the same whatever the number of processors" {
	scan --json "dir:$corpus"
	local all=$output
	run --separate-stderr taskset -c 0 "$posmedia" scan --json "dir:$corpus"
	[ "$output" = "$all" ]
}

@test "the exit status follows the severity" {
	echo nothing >"$dir/a"
	scan "$dir/a"
	[ "$status" -eq 0 ]
	[[ $output == *'nothing found'* ]]
	printf 'card 4%s2\n' 24242424242424 >"$dir/a"
	scan "$dir/a"
	[ "$status" -eq 0 ]
	[[ $output == *'test-pan '*'424242******4242 Visa at 5'* ]]
	scan --fail-on low "$dir/a"
	[ "$status" -eq 4 ]
	mkdir -p "$dir/root/.ssh"
	echo 'ssh-ed25519 AAAA till' >"$dir/root/.ssh/authorized_keys"
	scan "dir:$dir/root"
	[ "$status" -eq 0 ]
	scan --fail-on medium "dir:$dir/root"
	[ "$status" -eq 4 ]
	[[ $stderr == *'found 1 trust'*hint:* ]]
	a_card >"$dir/a"
	scan "$dir/a"
	[ "$status" -eq 4 ]
	[[ $stderr == *'found 1 pan'* ]]
	scan --fail-on never "$dir/a"
	[ "$status" -eq 0 ]
	scan --fail-on always "$dir/a"
	[ "$status" -eq 2 ]
}

@test "what was not looked at whole does not pass" {
	echo nothing | gzip | head -c 20 >"$dir/a"
	scan "$dir/a"
	[ "$status" -eq 4 ]
	[[ $output == *'not all of it was looked at'*'1 not looked at whole'* ]]
	[[ $stderr == *'1 files were not looked at whole'*hint:* ]]
	scan --json --fail-on never "$dir/a"
	[ "$status" -eq 0 ]
	[ "$(jq '."files-incomplete"' <<<"$output")" -eq 1 ]
	printf 'PK\003\004 card %s\n' "$(a_card)" >"$dir/a"
	scan "$dir/a"
	[ "$status" -eq 4 ]
	[[ $stderr == *'found 1 pan'* ]]
}

allow() {
	printf 'allow:\n' >"$dir/allow.yaml"
	printf '  - {sha256: %s, class: %s, reason: of a course%s}\n' "$1" "$2" "${3-}" \
		>>"$dir/allow.yaml"
}

@test "an exception is for one file, one class and so long" {
	a_card >"$dir/a"
	local sum
	sum=$(sha256sum <"$dir/a" | cut -c 1-64)
	allow "$sum" pan
	scan --allow "$dir/allow.yaml" "$dir/a"
	[ "$status" -eq 0 ]
	[[ $output == *'(allowed: of a course)'*'1 pan (1 allowed)'* ]]
	allow "$sum" track2
	scan --allow "$dir/allow.yaml" "$dir/a"
	[ "$status" -eq 4 ]
	allow "$sum" pan ', until: 2026-11-25'
	SOURCE_DATE_EPOCH=1795651199 scan --allow "$dir/allow.yaml" "$dir/a"
	[ "$status" -eq 0 ]
	SOURCE_DATE_EPOCH=1795651200 scan --allow "$dir/allow.yaml" "$dir/a"
	[ "$status" -eq 4 ]
	[[ $output == *'(the exception ended on 2026-11-25)'* ]]
	echo >>"$dir/a"
	allow "$sum" pan
	scan --allow "$dir/allow.yaml" "$dir/a"
	[ "$status" -eq 4 ]
}

@test "an exception for one secret of a file is none for another" {
	printf 't=AK%s\n' IAQWERTYUIOPASDFGH >"$dir/a"
	openssl genpkey -algorithm ed25519 >>"$dir/a" 2>/dev/null
	scan "$dir/a"
	[[ $stderr == *'found 1 private-key, 1 credential'* ]]
	allow "$(sha256sum <"$dir/a" | cut -c 1-64)" credential
	scan --allow "$dir/allow.yaml" "$dir/a"
	[ "$status" -eq 4 ]
	[[ $stderr == *'found 1 private-key'* ]]
}

@test "a file of exceptions that is wrong is refused with line and column" {
	local sum
	sum=$(printf '%064d' 0)
	a_card >"$dir/a"
	refused() {
		scan --allow "$dir/allow.yaml" "$dir/a"
		[ "$status" -eq 3 ] || { echo "$1: $status"; false; }
		[[ $stderr == *"allow.yaml:2:"*"$1"* ]] || { echo "$stderr"; false; }
	}
	allow abc pan
	refused 'no SHA-256'
	allow "$sum" cards
	refused 'no class'
	allow "$sum" pan ', until: tomorrow'
	refused 'no YYYY-MM-DD'
	allow "$sum" pan ', who: me'
	refused '"who"'
	printf 'allow:\n  - {sha256: %s, class: pan}\n' "$sum" >"$dir/allow.yaml"
	refused 'no reason'
}

@test "links and pipes are left alone, inside and as the object" {
	mkdir "$dir/tree"
	a_card >"$dir/outside"
	ln -s ../outside "$dir/tree/link"
	ln -s "$dir" "$dir/tree/up"
	mkfifo "$dir/tree/pipe"
	run --separate-stderr timeout 20 "$posmedia" scan "dir:$dir/tree"
	[ "$status" -eq 0 ]
	[[ $output == *' 0 files'* ]]
	run --separate-stderr timeout 20 "$posmedia" scan "$dir/tree/pipe"
	[ "$status" -eq 2 ]
	scan "dir:$dir/none"
	[ "$status" -eq 1 ]
}

@test "of ten million numbers in one file a few are shown and all are counted" {
	perl -e 'my $t = do { local $/; <STDIN> }; print $t x 2500' \
		<"$corpus/yes/plain" >"$dir/many"
	run --separate-stderr timeout 60 "$posmedia" scan --json "$dir/many"
	[ "$status" -eq 4 ]
	[ "$(jq .counts.pan <<<"$output")" -eq 500000 ]
	[ "$(jq '.files[0].places | length' <<<"$output")" -le 9 ]
}
