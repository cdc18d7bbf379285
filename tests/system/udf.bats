#!/usr/bin/env bats
# Discs of UDF without ISO 9660, which a program of the machine reads for us.
# shellcheck disable=SC2016 # what is in single quotes is for the shells of the steps

bats_require_minimum_version 1.5.0
load lib
load media

setup_file() {
	media_project
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	media_setup
}

@test "a disc of UDF alone: what is on it, and what is inside that" {
	rm -rf "$dir/udf" && cp -r "$dir/disc" "$dir/udf" && rm "$dir/udf/link"
	udf plain.udf "$dir/udf"
	bsdtar -tf "$dir/media/plain.udf" >"$dir/list" 2>/dev/null || : >"$dir/list"
	[ ! -s "$dir/list" ] # or it would be read as what it is not
	step plain.udf '' 'mkdir /opt; cd /media/it && find . -type f && cat README.TXT
		./setup.sh
		stat -c "%a %u" Images README.TXT; echo x >new || echo "may not"
		sha256sum Images/big.dat'
	build
	ok
	log_of | grep -v 'cannot create\|Read-only' | sed '1,4{w /dev/stderr
		d}' 2>"$dir/found" >"$dir/said"
	sort "$dir/found" | cat - "$dir/said" >"$dir/all" && mv "$dir/all" "$dir/said"
	diff - "$dir/said" <<-EOT
		./Images/big.dat
		./Images/deep/er/still/more/and/on/to/ten/File with blanks.dat
		./README.TXT
		./setup.sh
		read me
		555 0
		555 0
		may not
		$(sha256sum <"$dir/disc/Images/big.dat" | sed 's/-/Images\/big.dat/')
	EOT
	unpacked
	[ "$(cat "$dir/tree/opt/done")" = installed ]
	nothing_left
	# what is inside, and what is not
	rm -rf "$dir/udf/Images"
	tar -C "$dir/disc" -cf "$dir/udf/inner.tar" README.TXT
	udf outer.udf "$dir/udf"
	step outer.udf 'inside: [inner.tar]' 'find /media/it -type f'
	build
	ok
	saw /media/it/README.TXT
	step outer.udf 'inside: [none.tar]' true
	build
	refused 3 'medium it: it: a disc of UDF has no file none.tar'
	# an empty one, as mkudffs makes it
	rm -f "$dir/media/empty.udf" && truncate -s 4M "$dir/media/empty.udf"
	mkudffs --blocksize=2048 --media-type=hd "$dir/media/empty.udf" >/dev/null
	step empty.udf '' 'find /media/it -mindepth 1 | grep -v lost+found; true'
	build
	ok
	saw ''
}

@test "a disc of UDF that is damaged, too much, or a file to the step" {
	udf whole.udf
	head -c 600000 "$dir/media/whole.udf" >"$dir/media/short.udf"
	step short.udf '' true
	build
	refused 3 'medium it' 'the disc is damaged'
	step whole.udf 'limits: {size: 100K}' true
	build
	refused 3 'medium it' 'more than 102400 bytes' 'limits: size'
	step whole.udf 'limits: {files: 3}' true
	build
	refused 3 'medium it' 'more than 3 entries' 'limits: files'
	step whole.udf 'as: file' 'ls /media/it'
	build
	ok
	saw whole.udf
	(cd "$dir/media" && tar -cf packed.tar whole.udf)
	step packed.tar 'inside: [whole.udf]' true
	build
	refused 3 'it is a disc of UDF without ISO 9660, packed or in another archive'
}

# Renames a file on a disc to a name as long, with the sums of its descriptor: ECMA-167, 3/7.2.
renamed() { # FILE FROM TO
	perl -e '
		local $/;
		open my $f, "+<", $ARGV[0] or die; binmode $f; my $b = <$f>;
		my ($from, $to) = ($ARGV[1], eval "\"$ARGV[2]\"");
		my $at = index($b, "\x08$from"); die if $at < 38;
		substr($b, $at + 1, length $to) = $to;
		my ($tag, $crc, $sum) = ($at - 38, 0, 0);
		die unless unpack("v", substr($b, $tag, 2)) == 257;
		my $n = unpack "v", substr($b, $tag + 10, 2);
		for my $c (unpack "C*", substr($b, $tag + 16, $n)) {
			$crc ^= $c << 8;
			$crc = ($crc & 0x8000 ? $crc << 1 ^ 0x1021 : $crc << 1) & 0xffff for 1 .. 8;
		}
		substr($b, $tag + 8, 2) = pack "v", $crc;
		$sum += ord substr $b, $tag + $_, 1 for 0 .. 3, 5 .. 15;
		substr($b, $tag + 4, 1) = chr($sum & 255);
		seek $f, 0, 0; print $f $b' "$dir/media/$1" "$2" "$3"
}

@test "a disc of UDF whose names are none" {
	mkdir "$dir/names"
	echo x >"$dir/names/name.one"
	udf names.udf "$dir/names"
	cp "$dir/media/names.udf" "$dir/media/other.udf"
	renamed other.udf name.one name.two
	step other.udf '' 'ls /media/it'
	build
	ok
	saw name.two
	renamed names.udf name.one 'na\x01e.one'
	step names.udf '' true
	build
	refused 3 'medium it: it: a name with control characters'
}
