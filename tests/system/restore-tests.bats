#!/usr/bin/env bats
# What goes into a test environment, from each kind of source, without a site: no file of a
# cardholder's by any of its names, in any case of letters, and none that only its content tells.

bats_require_minimum_version 1.5.0
load lib
load restore

pan=4556737586899855

setup() {
	dir=$(mktemp -d)
	chmod 711 "$dir"
	make_tree "$dir/shop"
}

teardown() {
	[ -z "${sshd_pid-}" ] || kill "$sshd_pid" 2>/dev/null || true
	rm -rf "$dir"
}

restore() {
	run --separate-stderr "$posmedia" restore "$@"
}

# Each way in which a cardholder's file was had before; "kept" and its other name are anybody's.
make_tree() {
	local at=$1/usr2
	mkdir -p "$at/bbx" "$1/home/x" "$1/VAR/lib/Samba/Private/deep" "$1/etc/samba/x"
	echo secret >"$at/bbx/CCXF01"
	ln "$at/bbx/CCXF01" "$at/a first name"
	ln "$at/bbx/CCXF01" "$at/zz => [last] *"
	ln "$at/bbx/CCXF01" "$1/home/x/elsewhere"
	echo secret >"$at/bbx/ByteFile"
	echo secret >"$1/VAR/lib/Samba/Private/deep/secrets.tdb"
	echo secret >"$1/home/x/ONCA01"
	ln "$1/home/x/ONCA01" "$at/of another directory"
	echo "card $pan" >"$at/$pan.txt"
	ln "$at/$pan.txt" "$at/notes"
	echo kept >"$at/kept"
	ln "$at/kept" "$at/kept too"
	echo kept >"$1/etc/samba/x/y.tdb"
}

# The target has what anybody may have and nothing else; the report has all of the rest, masked.
is_clean() {
	[ "$status" -eq 0 ] || { echo "$status: $stderr"; return 1; }
	[ "$(cat "$dir/to/usr2/kept")" = kept ]
	[ "$(cat "$dir/to/etc/samba/x/y.tdb")" = kept ]
	[ "$dir/to/usr2/kept" -ef "$dir/to/usr2/kept too" ]
	run ! grep -rlE "secret|$pan" "$dir/to" "$dir/.to.restore"
	[ -z "$(find "$dir/to/usr2" "$dir/to/home" -type f ! -name 'kept*')" ]
}

is_told() {
	run ! grep -F "$pan" <<<"$json"
	jq -e '[.excluded[] | select(.count > 0) | .paths[]] | sort == ["/VAR/lib/Samba/Private",
		"/home/x/ONCA01", "/home/x/elsewhere", "/usr2/455673******9855.txt",
		"/usr2/a first name", "/usr2/bbx/ByteFile", "/usr2/bbx/CCXF01", "/usr2/notes",
		"/usr2/of another directory", "/usr2/zz => [last] *"]' <<<"$json" ||
		{ jq -c '.excluded[] | select(.count > 0)' <<<"$json"; false; }
}

@test "from a directory" {
	restore --from "dir:$dir/shop" --to "dir:$dir/to" --environment qa --json
	json=$output
	is_clean
	is_told
	jq -e '.["excluded-entries"] == 10' <<<"$json"
	restore --from "dir:$dir/shop" --to "dir:$dir/to" --environment dev
	[[ $output == *'"/**/CCXF01" (another name of a file that is cardholder data)'* ]]
	run ! grep -F "$pan" <<<"$output$stderr"
	# production takes all of it
	restore --from "dir:$dir/shop" --to "dir:$dir/to" --verify
	[ "$status" -eq 0 ]
	diff -r "$dir/shop" "$dir/to"
	restore --verify "dir:$dir/shop" "dir:$dir/.to.restore"
	[ "$status" -eq 4 ]
	run ! grep -F "$pan" <<<"$output$stderr"
}

@test "from a snapshot" {
	install -m 600 /dev/null "$dir/pass"
	echo 'a long passphrase' >"$dir/pass"
	run "$posmedia" snapshot "dir:$dir/shop" --to "dir:$dir/repo" \
		--secret-file "$dir/pass"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	restore --from "snapshot:dir:$dir/repo" --secret-file "$dir/pass" --to "dir:$dir/to" \
		--environment qa --json
	json=$output
	is_clean
	is_told
}

@test "from an archive: what names tell is not unpacked, and the rest does not stay" {
	tar -C "$dir/shop" -cf "$dir/shop.tar" .
	restore --from "tar:$dir/shop.tar" --to "dir:$dir/to" --environment qa --json
	json=$output
	is_clean
	# in an archive what is in such a directory has names of its own
	json=$(jq '.excluded[].paths |=
		map(select(startswith("/VAR/lib/Samba/Private/") | not))' <<<"$json")
	is_told
}

@test "from another machine: what names tell is not fetched, and the rest does not stay" {
	start_sshd
	restore --from "ssh://root@127.0.0.1:$ssh_port$dir/shop" --to "dir:$dir/to" \
		--environment qa --json --secret-file "$dir/key" --known-hosts "$dir/known"
	json=$output
	is_clean
	is_told
	# a second pass is as clean
	restore --from "ssh://root@127.0.0.1:$ssh_port$dir/shop" --to "dir:$dir/to" \
		--environment qa --json --secret-file "$dir/key" --known-hosts "$dir/known"
	json=$output
	is_clean
	is_told
}
