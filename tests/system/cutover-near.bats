#!/usr/bin/env bats
# Blocks of large files that are others than the new side has of them, as the old server's agent
# says them.

bats_require_minimum_version 1.5.0
load lib
load cutover

setup() {
	dir=$(mktemp -d)
	chmod 711 "$dir"
	old_start
	perl -e 'print map { pack("N", $_) x 1024 } 1 .. 300' >"$data/rec"
	head -c 3000000 /dev/urandom >"$data/other"
	cp "$data/rec" "$dir/rec"
	tell rec other
}

teardown() {
	old_end
	[ ! -s "$dir/agent.err" ] || cat "$dir/agent.err"
	rm -rf "$dir"
}

agent() {
	on_old "$(settings) perl -w $dir/agent $*" 2>>"$dir/agent.err"
}

# The new side has these files as they are now.
tell() {
	local name
	for name; do
		echo "$(stat -c %s "$data/$name") $(sha256sum <"$data/$name" | cut -d' ' -f1)" \
			"$data/$name"
		perl -MDigest::MD5=md5 -e 'binmode STDOUT; $/ = \4096;
			print md5($_) while <STDIN>' <"$data/$name"
	done >"$dir/told"
	agent take 7 <"$dir/told"
	digest=$(sha256sum <"$dir/told" | cut -d' ' -f1)
}

# All that is said of file $1 is done to a copy of it, $2; names of lines go to $dir/lines.
near() {
	agent near 7 "$digest" 0 1 >"$dir/answer"
	perl -e 'my ($i, $path, $is) = @ARGV; open my $f, "+<", $path or die;
		while (my $l = <STDIN>) {
			print $l;
			my @w = split " ", $l;
			$is = $w[1] if $w[0] eq "FILE";
			truncate $f, $w[2] if $w[0] eq "ENDS" && $w[1] == $i;
			next unless $w[0] eq "AT";
			read STDIN, my $b, $w[2];
			next unless $is == $i;
			seek $f, $w[1], 0;
			print $f $b;
		}' "$1" "$2" <"$dir/answer" >"$dir/lines"
	[ "$(tail -n 1 "$dir/lines")" = END ]
}

bytes_sent() { awk '$1 == "AT" { n += $3 } END { print n + 0 }' "$dir/lines"; }

@test "records in place, with the file's times put back: those blocks, and the exact time" {
	touch -d '2020-02-02 02:02:02.123456789' "$data/rec"
	touch -r "$data/rec" "$dir/then"
	for at in 3 4 299; do
		printf other | dd of="$data/rec" bs=4096 seek="$at" conv=notrunc status=none
	done
	touch -r "$dir/then" "$data/rec"
	near 0 "$dir/rec"
	cmp "$data/rec" "$dir/rec"
	[ "$(bytes_sent)" = 12288 ]
	grep -qx "AT 12288 8192" "$dir/lines"
	grep -qx "ENDS 0 1228800 1580608922 123456789" "$dir/lines"
}

@test "longer, shorter, and gone" {
	local is
	printf 'more than there was' >>"$data/rec"
	near 0 "$dir/rec"
	cmp "$data/rec" "$dir/rec"
	truncate -s 1000000 "$data/rec"
	near 0 "$dir/rec"
	cmp "$data/rec" "$dir/rec"
	rm "$data/rec"
	ln -s /etc/passwd "$data/rec"
	near 0 "$dir/rec"
	is=$(grep -c ' 0' "$dir/lines" || true)
	[ "$is" = 0 ]
}

@test "what was hashed before and did not change is not read" {
	local before
	touch -d '1 hour ago' "$data/rec"
	sleep 3
	ask prehash "{\"data\": [{\"at\": \"$data\"}]}"
	said .ok
	near 0 "$dir/rec"
	[ "$(cat "$dir/lines")" = END ]
	# a time of its own is no reason, but what the kernel says of its inode is
	before=$(stat -c %y "$data/rec")
	printf x | dd of="$data/rec" bs=4096 seek=7 conv=notrunc status=none
	touch -d "$before" "$data/rec"
	near 0 "$dir/rec"
	cmp "$data/rec" "$dir/rec"
	[ "$(bytes_sent)" = 4096 ]
}

@test "something else was told, or half of it: nothing is said" {
	run agent near 7 "${digest//[0-9a-f]/0}" 0 1
	[ "$status" -ne 0 ]
	[[ $output != *END* ]]
	head -c 10000 "$dir/told" >"$dir/half"
	agent take 7 <"$dir/half"
	run agent near 7 "$(sha256sum <"$dir/half" | cut -d' ' -f1)" 0 1
	[ "$status" -ne 0 ]
	[[ $output != *END* ]]
	: >"$dir/agent.err"
}

@test "two shares are all of it, and no file is in both" {
	printf x | dd of="$data/rec" conv=notrunc status=none
	printf x | dd of="$data/other" conv=notrunc status=none
	agent near 7 "$digest" 0 2 | tr -d '\0' | grep -a '^FILE' >"$dir/one"
	agent near 7 "$digest" 1 2 | tr -d '\0' | grep -a '^FILE' >"$dir/two"
	[ "$(cat "$dir/one")" = 'FILE 0' ]
	[ "$(cat "$dir/two")" = 'FILE 1' ]
}
