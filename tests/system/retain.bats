#!/usr/bin/env bats
# What may go of a repository: what is old, unless a shop runs it, it was promoted, or somebody
# holds it. Nothing goes before it is said so.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	load lib
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/retain.XXXXXX")
	export dir
	start_registry "$dir/registry"
	export registry registry_pid
	local day
	for day in 1 2 3 4 5; do
		CREATED=2026-01-0${day}T00:00:00Z tests/lib/make-layout "$dir/layout" "1-$day" \
			"$day" 100 \
			>"$dir/digest.$day"
		sed -i 's/^\(sha256:\)\?/sha256:/' "$dir/digest.$day"
	done
}

teardown_file() {
	stop_registry
	rm -rf "$dir"
}

setup() {
	at=docker://$registry/retain$BATS_TEST_NUMBER
	export POSMEDIA_STORE=$BATS_TEST_TMPDIR/store POSMEDIA_LEDGER=$BATS_TEST_TMPDIR/ledger
	local day
	for day in 1 2 3 4 5; do
		"$posmedia" push -q "oci:$dir/layout:1-$day" "$at:1-$day" >/dev/null
	done
}

retain() {
	run --separate-stderr "$posmedia" retain "$at" "$@"
}

tags() {
	"$posmedia" tags "$at" | tr '\n' ' '
}

digest() {
	cat "$dir/digest.$1"
}

# Appends an event of kind $1 about digest $2 with fields $3 to the ledger $4.
event() {
	perl -MDigest::SHA=sha256_hex -e '
		my ($dir, $kind, $subject, $fields) = @ARGV;
		mkdir $dir;
		my $file = "$dir/00000001.jsonl";
		my ($seq, $prev, $machine) = (0, sha256_hex(""), 0);
		my $line = sub {
			my ($kind, $subject, $fields) = @_;
			$seq++;
			my $l = qq({"actor":"test","fields":$fields,"host":"h",)
			    . qq("kind":"$kind",)
			    . qq("machine":"000000000000","prev":"sha256:$prev",)
			    . qq("schema":1,"seq":$seq,"subject":"$subject",)
			    . qq("time":"2026-01-06T00:00:00Z"}\n);
			$prev = sha256_hex($l);
			return $l;
		};
		if (open my $f, "<", $file) {
			while (<$f>) {
				$prev = sha256_hex($_);
				$seq++;
				$machine ||= /"chain":"(?!0{12}-)/;
			}
		}
		open my $f, ">>", $file or die;
		print $f $line->("segment", "",
			qq({"chain":"000000000000-0123456789abcdef","segment":1}))
		    if $seq == 0;
		print $f $line->($kind, $subject, $fields);
		close $f or die;
		# what the program began has a head record, which need not be the newest
		exit 0 if -e "$dir/head" && $machine;
		my $head = "posmedia-ledger-head 1\nchain 000000000000-0123456789abcdef\n"
		    . "segment 1\nend " . (-s $file) . "\nseq $seq\nlast sha256:$prev\n";
		$head .= "sum sha256:" . sha256_hex($head) . "\n";
		open $f, ">", "$dir/head" or die;
		printf {$f} "%-511s\n", $head' "${4-$POSMEDIA_LEDGER}" "$1" "$2" "$3"
}

@test "without --remove nothing goes; with it, all but the newest" {
	retain --keep 2
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	[ "$output" = 'would go 1-3
would go 1-2
would go 1-1
3 tags would go; --remove removes them' ]
	[ "$(tags)" = '1-1 1-2 1-3 1-4 1-5 ' ]
	retain --keep 2 --remove --json
	[ "$(jq -c '[.deleted, .held]' <<<"$output")" = '[["1-3","1-2","1-1"],{}]' ]
	[ "$(tags)" = '1-4 1-5 ' ]
}

@test "what a hold names stays, and what was promoted, and what a shop runs or ran" {
	printf '# the lawyers\n%s case 2026/17\n' "$(digest 1)" >"$BATS_TEST_TMPDIR/holds"
	event promote "$(digest 2)" '{"stage":"prod"}'
	event stage "$(digest 3)" '{"env":"prod","shop":"17"}' "$BATS_TEST_TMPDIR/other"
	retain --keep 1 --remove --hold "$BATS_TEST_TMPDIR/holds" --events "$BATS_TEST_TMPDIR/other"
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	[ "$(tags)" = '1-1 1-2 1-3 1-5 ' ]
	[[ $output == *"held     $(digest 1) held: case 2026/17 ("*:2\)* ]]
	[[ $output == *"held     $(digest 2) promoted"* ]]
	[[ $output == *"held     $(digest 3) 17 prod"* ]]
	# the shop is no more
	event destroy '' '{"env":"prod","shop":"17"}' "$BATS_TEST_TMPDIR/other"
	retain --keep 1 --remove --hold "$BATS_TEST_TMPDIR/holds" --events "$BATS_TEST_TMPDIR/other"
	[ "$(tags)" = '1-1 1-2 1-5 ' ]
}

@test "what cannot be believed removes nothing" {
	event promote "$(digest 2)" '{"stage":"prod"}'
	event promote "$(digest 1)" '{"stage":"prod"}'
	sed -i '0,/prod/s/prod/qaqa/' "$POSMEDIA_LEDGER/00000001.jsonl"
	retain --keep 1 --remove
	[ "$status" -eq 4 ] || { echo "$status $stderr"; false; }
	rm -r "$POSMEDIA_LEDGER"
	local bad
	for bad in 'sha256:12 short' "$(digest 1)" "  1-1 a tag"; do
		printf '\n%s\n' "$bad" >"$BATS_TEST_TMPDIR/holds"
		retain --keep 1 --remove --hold "$BATS_TEST_TMPDIR/holds"
		[ "$status" -eq 3 ] || { echo "$bad: $status"; false; }
		[[ $stderr == *holds:2:* ]]
	done
	retain --keep 0
	[ "$status" -eq 2 ]
	retain
	[ "$status" -eq 2 ]
	[ "$(tags)" = '1-1 1-2 1-3 1-4 1-5 ' ]
}
