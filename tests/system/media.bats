#!/usr/bin/env bats
# What vendors deliver, in every form that they deliver it in, made here by strangers' tools; and
# media that are out to do harm. The image is of a few megabytes.
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

list='cd /media/it && find . -mindepth 1 -printf "%P %y %m %U:%G %s %l\n" | LC_ALL=C sort'
# shellcheck disable=SC2034 # used by name
sort_in_perl='perl -e "print sort <STDIN>"'
list=${list/LC_ALL=C sort/$sort_in_perl}

# The listing of the disc as the tools below write it, with owners $1.
whole() {
	(cd "$dir/disc" && find . -mindepth 1 -printf "%P %y %m $1 %s %l\n" | LC_ALL=C sort |
		perl -pe 's/^(.* d) \d+ (\S+) \d+/$1 555 $2 -/; s/^(.* f) 644/$1 444/;
			s/^(.* f) 755/$1 555/')
}

# The same without the sizes of directories, which are a file system's own.
plain() {
	perl -pe 's/^(.* d \d+ \S+) \d+/$1 -/'
}

sees_the_disc() { # OWNERS
	build
	ok
	diff <(whole "$1") <(log_of | plain)
}

@test "a disc with Rock Ridge: names, modes, links, and owners" {
	iso rr.iso -R -uid 1500 -gid 1501
	step rr.iso '' "$list"
	sees_the_disc 1500:1501
}

@test "a disc with Joliet: names of Unicode" {
	mkdir "$dir/joliet"
	echo j >"$dir/joliet/Grüße an alle, die lange Namen haben.txt"
	echo k >"$dir/joliet/ΑΒΓ"
	disc joliet.iso "$dir/joliet" --norock -J -joliet-long
	step joliet.iso '' "$list"
	build
	ok
	saw 'Grüße an alle, die lange Namen haben.txt f 555 0:0 2 
ΑΒΓ f 555 0:0 2 '
}

@test "a plain disc: names in lower case, as Linux shows them" {
	mkdir -p "$dir/plain/SUB"
	echo one >"$dir/plain/SETUP.SH"
	echo two >"$dir/plain/SUB/NOEXT"
	disc plain.iso "$dir/plain" --norock -iso-level 1
	step plain.iso '' "$list; cat sub/noext"
	build
	ok
	log_of | plain >"$dir/log"
	diff - "$dir/log" <<-'EOT'
		setup.sh f 555 0:0 4 
		sub d 555 0:0 - 
		sub/noext f 555 0:0 4 
		two
	EOT
}

@test "discs in gzip, xz, zstd and bzip2, and a compressed disc" {
	iso packed.iso -R -uid 0 -gid 0
	gzip -k "$dir/media/packed.iso"
	step packed.iso.gz '' "$list"
	sees_the_disc 0:0
	local how
	for how in xz zstd bzip2; do
		"$how" -qc "$dir/media/packed.iso" >"$dir/media/packed.$how"
		step "packed.$how" '' "$list"
		sees_the_disc 0:0
	done
	xorriso -outdev "$dir/media/zisofs.iso" -rockridge on -uid 0 -gid 0 -map "$dir/disc" / -- \
		-set_filter_r --zisofs / -- 2>/dev/null
	step zisofs.iso '' 'cd /media/it && sha256sum Images/big.dat'
	build
	ok
	[ "$(log_of | cut -c1-64)" = "$(sha256sum "$dir/disc/Images/big.dat" | cut -c1-64)" ]
}

# The disc's tree as the rpm $1 of the payload $2; the script $3 of sed changes its description.
an_rpm() {
	sed "${3-}" >"$dir/it.spec" <<-SPEC
		Name: it
		Version: 1
		Release: 1
		Summary: it
		License: none
		BuildArch: noarch
		%description
		it
		%install
		mkdir -p %{buildroot}/opt/it
		cp -a $dir/disc/. %{buildroot}/opt/it
		%files
		/opt/it
	SPEC
	rpmbuild -bb --quiet --define "_topdir $dir/rpm" --define "_rpmdir $dir/media" \
		--define "_binary_payload $2" "$dir/it.spec" >/dev/null
	mv "$dir/media/noarch/it-1-1.noarch.rpm" "$dir/media/$1"
}

# What is large is a file that no package has (%ghost): it makes rpm write the rest in its own form
# of cpio all the same.
large='s|^%files|truncate -s 4G %{buildroot}/opt/large\n&\n%ghost /opt/large|'

@test "tar, zip, jar, cpio and rpm" {
	(cd "$dir/disc" && tar --owner=0 --group=0 --sort=name -cJf "$dir/media/t.tar.xz" .)
	step t.tar.xz '' "$list"
	sees_the_disc 0:0
	(cd "$dir/disc" && zip -qry "$dir/media/z.jar" .)
	step z.jar '' "$list"
	sees_the_disc "$(id -u):$(id -g)"
	bsdtar -C "$dir/disc" --format=newc --uid 0 --gid 0 -czf "$dir/media/c.cpio.gz" .
	step c.cpio.gz '' "$list"
	sees_the_disc 0:0
	local how
	for how in gzdio xzdio zstdio; do
		an_rpm "it-$how.rpm" "w6.$how"
		step "it-$how.rpm" '' "${list/media\/it/media\/it\/opt\/it}"
		sees_the_disc 0:0
	done
}

@test "an rpm with a file of 4 GiB, whose payload is no cpio" {
	an_rpm large.rpm w6.zstdio "$large"
	run rpm2cpio "$dir/media/large.rpm"
	[[ $output == *'files over 4GB not supported'* ]]
	step large.rpm 'limits: {size: 299999}' true
	build
	refused 3 'medium it: it: ' 'more than 299999 bytes' 'raise limits: size:'
	step large.rpm '' "${list/media\/it/media\/it\/opt\/it}"
	sees_the_disc 0:0
	step large.rpm 'inside: [opt/it/README.TXT], as: file' 'cat /media/it/README.TXT'
	build
	ok
	saw 'read me'
	# more than the tar may get
	an_rpm bomb.rpm w6.zstdio \
		"$large; s|^mkdir.*|&; truncate -s 100M %{buildroot}/opt/it/zeros|"
	step bomb.rpm 'limits: {size: 1000000}' true
	build
	refused 3 'more than 1000000 bytes' 'raise limits: size:'
	# in its header, and behind it
	local n
	for n in 5000 -20; do
		head -c "$n" "$dir/media/large.rpm" >"$dir/media/cut.rpm"
		step cut.rpm '' true
		build
		refused 3 'medium it: it: the rpm is damaged: ' 'as: file'
	done
	tar -C "$dir/media" -cf "$dir/media/larges.tar" large.rpm
	step larges.tar 'inside: [large.rpm]' true
	build
	refused 3 'an rpm with a file of 4 GiB and more, packed or in another archive' 'as: file'
}

@test "anything else is a file under its own name, and so is what shall be one" {
	printf '#!/bin/sh\necho ran $0\n' >"$dir/media/post-1.sh"
	step post-1.sh '' '/media/it/post-1.sh; ls /media/it'
	build
	ok
	saw 'ran /media/it/post-1.sh
post-1.sh'
	iso whole.iso -R
	step whole.iso 'as: file' 'sha256sum /media/it/*'
	build
	ok
	saw "$(sha256sum "$dir/media/whole.iso" | cut -d' ' -f1)  /media/it/whole.iso"
	step whole.iso 'as: file, file: other.iso' 'ls /media/it'
	build
	ok
	saw other.iso
}

@test "a disc in a tarball, a compressed disc in a zip, an archive in that" {
	iso app.iso -R -uid 0 -gid 0
	(cd "$dir/media" && mkdir -p rel && cp app.iso rel/ && tar -czf rel.tgz rel &&
		gzip -kn app.iso && zip -qr deep.zip app.iso.gz && tar -cf deeper.tar deep.zip)
	step rel.tgz 'inside: [rel/app.iso]' "$list"
	sees_the_disc 0:0
	step deeper.tar 'inside: [deep.zip, app.iso.gz]' "$list"
	sees_the_disc 0:0
	step deeper.tar 'inside: [deep.zip, app.iso.gz], as: file' 'ls /media/it'
	build
	ok
	saw app.iso.gz
	step deeper.tar 'inside: [deep.zip, none.iso]' "$list"
	build
	refused 3 'medium it' 'a zip archive has no file none.iso' 'hint: inside: wants paths'
	step post-1.sh 'inside: [x]' "$list"
	build
	refused 3 'it is no archive, so x is not in it'
}

@test "a medium is read-only, unpacked once, and checked each time" {
	iso once.iso -R
	step once.iso '' 'echo x >/media/it/README.TXT || echo x >/media/it/new || echo "may not"'
	build
	ok
	[[ $(log_of) == *"may not" ]]
	local tree
	tree=$(dirname "$(find "$POSMEDIA_STORE/cache/media" -newer "$dir/recipes/$name.yaml" \
		-name record)")
	touch -d '3 days ago' "$tree/tree"
	sed -i 's/may not/it may not/' "$dir/recipes/$name.yaml"
	env -C "$dir" "$posmedia" lock -q "recipes/$name.yaml"
	build --log json
	ok
	[[ $stderr != *damaged* ]]
	[ "$(stat -c %Y "$tree/tree")" -lt "$(date -d '2 days ago' +%s)" ] # the same one
	flip "$tree/tree/Images/big.dat"
	sed -i 's/it may not/this may not/' "$dir/recipes/$name.yaml"
	env -C "$dir" "$posmedia" lock -q "recipes/$name.yaml"
	build
	ok
	[[ $stderr == *"medium it: what was unpacked of it is damaged; it is unpacked again"* ]]
	cmp "$tree/tree/Images/big.dat" "$dir/disc/Images/big.dat"
	run --separate-stderr "$posmedia" store gc --keep 0
	ok
	[ ! -e "$tree" ]
}

@test "two builds that find the same medium damaged: one puts it aside, both go on" {
	iso both.iso -R
	step both.iso '' 'cat /media/it/README.TXT; sleep 1; cat /media/it/Images/*.dat >/dev/null'
	build
	ok
	local tree i first second
	tree=$(dirname "$(find "$POSMEDIA_STORE/cache/media" -newer "$dir/recipes/$name.yaml" \
		-name record)")
	flip "$tree/tree/Images/big.dat"
	for i in 1 2; do
		sed "s/^name: .*/name: $name-$i/; s/sleep 1/sleep 1; echo $i/" \
			"$dir/recipes/$name.yaml" >"$dir/recipes/$name-$i.yaml"
		env -C "$dir" "$posmedia" lock -q "recipes/$name-$i.yaml"
	done
	rm -rf "$POSMEDIA_STORE/damaged"
	env -C "$dir" "$posmedia" build "recipes/$name-1.yaml" 2>"$dir/said-1" &
	first=$!
	env -C "$dir" "$posmedia" build "recipes/$name-2.yaml" 2>"$dir/said-2" &
	second=$!
	wait "$first" || { cat "$dir/said-1"; false; }
	wait "$second" || { cat "$dir/said-2"; false; }
	[ "$(find "$POSMEDIA_STORE/damaged" -mindepth 1 -maxdepth 1 | wc -l)" = 1 ]
	cmp "$tree/tree/Images/big.dat" "$dir/disc/Images/big.dat"
	nothing_left
}

# The test has the lock that both would take, and puts the new tree in its place by itself.
@test "a damaged medium that another build has replaced meanwhile stays where it is" {
	iso late.iso -R
	step late.iso '' 'cat /media/it/README.TXT'
	build
	ok
	local tree pid
	tree=$(dirname "$(find "$POSMEDIA_STORE/cache/media" -newer "$dir/recipes/$name.yaml" \
		-name record)")
	cp -a "$tree" "$dir/fresh"
	flip "$tree/tree/Images/big.dat"
	rm -rf "$POSMEDIA_STORE/damaged"
	sed -i 's/cat/cat -u/' "$dir/recipes/$name.yaml"
	lock
	exec 7>>"$POSMEDIA_STORE/locks/media"
	flock 7
	env -C "$dir" "$posmedia" build "recipes/$name.yaml" 2>"$dir/said" 7>&- &
	pid=$!
	wait_for 30 grep -q 'is damaged; it is unpacked again' "$dir/said"
	mv "$tree" "$dir/old"
	mv "$dir/fresh" "$tree"
	exec 7>&-
	wait "$pid" || { cat "$dir/said" && false; }
	[ -z "$(ls "$POSMEDIA_STORE/damaged")" ]
	rm -rf "$dir/old"
	nothing_left
}

@test "the same as an ordinary user" {
	[ "$(id -u)" = 0 ] || skip "needs root to become another"
	iso user.iso -R -uid 1500 -gid 1501
	step user.iso '' "$list"
	build
	ok
	log_of >"$dir/as-root.log"
	as_user lock
	as_user build
	diff "$dir/as-root.log" "$dir/user/out/$name.logs/1/step-work.log"
	udf user.udf
	an_rpm user.rpm w6.gzdio "$large"
	local which
	for which in udf rpm; do
		step user.$which '' 'cd /media/it; find . -type f -exec stat -c "%n %a %u" "{}" +'
		build
		ok
		log_of >"$dir/as-root.log"
		as_user lock
		as_user build
		diff "$dir/as-root.log" "$dir/user/out/$name.logs/1/step-work.log"
	done
}

# ---------------------------------------------------------------- out to do harm

@test "a medium that is not the declared one" {
	iso wrong.iso -R
	sum=$(printf %064d 1)
	{
		printf 'posmedia: 1\nname: %s\nextends: [base/tiny.yaml]\n' "$name"
		printf 'media: {it: {url: media/wrong.iso, sha256: %s}}\n' "$sum"
	} >"$dir/recipes/$name.yaml"
	run --separate-stderr env -C "$dir" "$posmedia" lock -q "recipes/$name.yaml"
	refused 4 "$name.yaml:4" wrong.iso
	sum=$(sha256sum "$dir/media/wrong.iso" | cut -d' ' -f1)
	sed -i "s/sha256: .*/sha256: $sum, size: 7}}/" "$dir/recipes/$name.yaml"
	run --separate-stderr env -C "$dir" "$posmedia" lock -q "recipes/$name.yaml"
	refused 4 "$name.yaml:4" wrong.iso
	# and one that changes after it was locked
	sum=
	step wrong.iso '' true
	flip "$dir/media/wrong.iso"
	build
	[ "$status" -ne 0 ]
	[[ $stderr == *"medium it"* ]]
	[ ! -e "$dir/out/$name" ]
}

@test "a medium that unpacks to more than it should" {
	head -c 200000000 /dev/zero | gzip >"$dir/zeros.gz"
	mkdir -p "$dir/bomb"
	zcat "$dir/zeros.gz" >"$dir/bomb/zeros"
	(cd "$dir/bomb" && zip -q "$dir/media/bomb.zip" zeros &&
		tar -czf "$dir/media/bomb.tgz" zeros)
	rm -r "$dir/bomb"
	local what
	for what in bomb.zip bomb.tgz; do
		step "$what" '' true
		build
		refused 3 'medium it' 'bytes in all files' 'hint: raise limits: size: of the medium'
	done
	step bomb.zip 'limits: {size: 300M}' 'stat -c %s /media/it/zeros'
	build
	ok
	saw 200000000
	mkdir "$dir/many"
	(cd "$dir/many" && seq 300 | xargs touch && tar -cf "$dir/media/many.tar" .)
	step many.tar 'limits: {files: 200}' true
	build
	refused 3 'more than 200 entries' 'hint: raise limits: files: of the medium'
	step bomb.zip 'inside: [zeros]' true
	build
	refused 3 'zeros: more than' 'hint: raise limits: size: of the medium'
}

@test "names that lead astray" {
	local evil
	for evil in ../out /etc/passwd 'sub/../../x'; do
		perl -MArchive::Tar -e '
			my $t = Archive::Tar->new; my $f = $t->add_data("x", "data");
			$f->name($ARGV[0]); $f->prefix(""); $t->write($ARGV[1])' "$evil" \
			"$dir/media/evil.tar"
		step evil.tar '' true
		build
		refused 3 'medium it' 'the name'
	done
	mkdir -p "$dir/nl"
	touch "$dir/nl/"$'two\nlines'
	(cd "$dir/nl" && tar -cf "$dir/media/nl.tar" .)
	step nl.tar '' true
	build
	refused 3 'the name has a control character'
	if [ "$(id -u)" = 0 ]; then
		mkdir -p "$dir/dev"
		mknod "$dir/dev/null" c 1 3
		(cd "$dir/dev" && tar -cf "$dir/media/dev.tar" .)
		step dev.tar '' true
		build
		refused 3 'neither a file nor a directory nor a link'
	fi
	# a link out of the medium leads to the image, where the step is, and nowhere else
	mkdir -p "$dir/abs"
	ln -s /etc/tiny.conf "$dir/abs/link"
	(cd "$dir/abs" && tar -cf "$dir/media/abs.tar" .)
	step abs.tar '' 'cat /media/it/link'
	build
	ok
	saw conf
}

# Changes the four bytes, both endian, of the first directory record with name $2 in disc $1: 2 is
# the extent, 10 the length.
lie() { # FILE NAME OFFSET VALUE
	perl -e '
		my ($file, $name, $at, $value) = @ARGV;
		open my $f, "+<", $file or die; binmode $f; local $/; my $d = <$f>;
		my $i = index($d, $name, 34816) or die; $i -= 33;
		substr($d, $i + $at, 8) = pack("VN", $value, $value);
		seek $f, 0, 0; print $f $d' "$@"
}

@test "a disc whose records lie" {
	disc liar.iso "$dir/plain" --norock -iso-level 1
	local good=$dir/media/liar.iso bad=$dir/media/bad.iso
	cp "$good" "$bad"
	lie "$bad" 'SETUP.SH' 10 4000000000 # longer than the disc
	step bad.iso 'limits: {size: 16G}' true
	build
	refused 3 'medium it' damaged
	cp "$good" "$bad"
	lie "$bad" 'SETUP.SH' 2 4000000 # beyond its end
	step bad.iso '' true
	build
	refused 3 'medium it' damaged
	cp "$good" "$bad"
	# a directory that is its own grandchild: the root's extent
	lie "$bad" SUB 2 "$(perl -e 'open F, shift; seek F, 32768 + 158, 0; read F, $b, 4;
		print unpack "V", $b' "$good")"
	step bad.iso '' true
	build
	refused 3 'medium it' damaged
	head -c 40000 "$good" >"$bad"
	step bad.iso '' true
	build
	refused 3 'medium it'
}

# ---------------------------------------------------------------- what installers expect

@test "a hostname, an address, an fstab: shown to the step, gone after it" {
	echo x >"$dir/media/x"
	step x '' 'cat /proc/sys/kernel/hostname /etc/hostname /etc/hosts /etc/fstab
		cat /proc/net/fib_trie | perl -ne "print if /192.0.2.10/ .. /host/" | head -n 1
		perl -e "socket(S, 2, 1, 0); print bind(S, pack(q(S n C4 x8), 2, 99, 192, 0, 2, 10))
			? qq(bound\n) : qq(no: \$!\n)"
		perl -i -pe "s/ext4/xfs/" /etc/fstab; echo 10.0.0.1 db >>/etc/hosts
		cat /etc/fstab; rm /etc/hostname; mkdir /opt; touch /opt/done' \
		'expects: {hostname: shop1.example, address: 192.0.2.10/24, fstab: true}'
	build
	ok
	saw 'shop1.example
shop1.example
127.0.0.1 localhost
::1 localhost
192.0.2.10 shop1.example shop1
/dev/sda1 / ext4 defaults 0 1
           |-- 192.0.2.10
bound
/dev/sda1 / xfs defaults 0 1'
	[[ $stderr == *"step work: what it changed in /etc/fstab is dropped"* ]]
	unpacked
	[ -e "$dir/tree/opt/done" ]
	[ ! -e "$dir/tree/etc/fstab" ] && [ ! -e "$dir/tree/etc/hosts" ]
	[ ! -e "$dir/tree/etc/hostname" ]
	# the same recipe without the step's own file is the same image as without the shims
	step x '' 'true' 'expects: {hostname: shop1.example, fstab: [a b c d 0 0]}'
	build
	ok
	unpacked
	[ -z "$(find "$dir/tree/etc" -name 'host*' -o -name fstab)" ]
}

@test "another os-release is shown and never stays" {
	echo x >"$dir/media/x"
	local os='os-release: {ID: rhel, VERSION_ID: "7.9", NAME: a "b" $c}'
	step x '' 'cat /etc/os-release /etc/redhat-release' \
		"expects: {$os, redhat-release: Red Hat 7.9}"
	build
	ok
	saw 'ID="rhel"
NAME="a \"b\" \$c"
VERSION_ID="7.9"
Red Hat 7.9'
	unpacked
	[ -z "$(find "$dir/tree" -name '*-release')" ]
	step x '' 'echo more >>/etc/os-release' 'expects: {os-release: {ID: rhel}}' 'capture: true'
	build
	refused 6 "$name.yaml:7:5" 'step work changed /etc/os-release, which is only shown to it'
	step x '' 'rm /etc/os-release' 'expects: {os-release: {ID: rhel}}'
	build
	refused 6 'step work changed /etc/os-release'
}

@test "what is expected is read strictly" {
	echo x >"$dir/media/x"
	local bad
	for bad in 'hostname: -x' 'address: 192.0.2.10' 'address: 192.0.2.300/24' \
		'address: 1.2.3.4/31' 'fstab: yes' 'os-release: [a]' 'loop: 1' 'services: cups' \
		'nothing: x'; do
		{
			printf 'posmedia: 1\nname: x\nextends: [base/tiny.yaml]\nsteps:\n'
			printf '  - {name: a, run: [b], expects: {%s}}\n' "$bad"
		} >"$dir/recipes/x.yaml"
		run --separate-stderr env -C "$dir" "$posmedia" lock -q recipes/x.yaml
		[ "$status" -eq 3 ] || { echo "took $bad" && return 1; }
		[[ $stderr == *"x.yaml:5:"*hint* && $stderr != *"\"expects\""* ]] ||
			{ echo "$stderr" && return 1; }
	done
}
