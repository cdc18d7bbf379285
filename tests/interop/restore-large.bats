#!/usr/bin/env bats
# Restores of what a test that always runs has no time for: a hundred thousand small files, a file
# of 50 GB, and what a person at a terminal is told meanwhile.

bats_require_minimum_version 1.5.0
load ../system/lib

setup() {
	dir=$(mktemp -d /var/tmp/posmedia-large.XXXXXX)
	mkdir "$dir/from"
}

teardown() {
	rm -rf "$dir"
}

small_files() {
	perl -e 'for my $d (0 .. 99) {
		mkdir "$ARGV[0]/$d" or die;
		for my $f (0 .. 999) {
			open my $o, ">", "$ARGV[0]/$d/$f" or die;
			print $o "sale $f of day $d\n";
		}
	}' "$dir/from"
}

restore() {
	run --separate-stderr "$posmedia" restore --json --verify --from "dir:$dir/from" \
		--to "dir:$dir/to"
	[ "$status" -eq 0 ] || { echo "$status: $output $stderr"; false; }
}

# With the eyes of somebody else.
same_content() {
	rsync -anicHAX --delete "$dir/from/" "$dir/to/" >"$dir/differs"
	[ ! -s "$dir/differs" ] || { head "$dir/differs"; false; }
}

@test "a hundred thousand small files" {
	small_files
	restore
	[ "$(find "$dir/to" -type f | wc -l)" -eq 100000 ]
	same_content
	echo more >>"$dir/from/7/7"
	rm "$dir/from/8/8"
	restore
	[ "$(jq .changed <<<"$output")" -eq 2 ]
	same_content
}

@test "a file of 50 GB, most of it never written" {
	truncate -s 50G "$dir/from/sales"
	for at in 0 4097 21474836480 53687091100; do
		printf 'record at %s' "$at" |
			dd of="$dir/from/sales" bs=1 seek="$at" conv=notrunc status=none
	done
	size=$(stat -c %s "$dir/from/sales")
	restore
	[ "$(stat -c %s "$dir/to/sales")" -eq "$size" ]
	[ "$(stat -c %b "$dir/to/sales")" -lt 2048 ]
	for at in 0 4097 21474836480 53687091100; do
		[ "$(tail -c "+$((at + 1))" "$dir/to/sales" | head -c 10)" = "record at " ]
	done
}

@test "at a terminal: how much, how fast, and how long still" {
	for i in 1 2 3 4; do
		openssl enc -aes-128-ctr -pass pass:seed -nosalt -pbkdf2 </dev/zero 2>/dev/null |
			head -c 700M >"$dir/from/$i" || true
	done
	tests/lib/terminal 100x20 "$posmedia" restore --verify --from "dir:$dir/from" \
		--to "dir:$dir/to" <<-'SAYS'
			wait of 4 files,
			wait  left
			end 0
		SAYS
}
