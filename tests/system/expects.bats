#!/usr/bin/env bats
# What vendors' installers expect of the machine beside files: services that can be started, images
# that can be mounted.
# shellcheck disable=SC2016 # what is in single quotes is for the shells of the steps

bats_require_minimum_version 1.5.0
load lib
load media

setup_file() {
	media_project
	# a daemon of each kind: simple, forking with a PID file, and one of before systemd
	units=$dir/overlay/usr/lib/systemd/system
	mkdir -p "$dir/overlay/etc/init.d" "$dir/overlay/etc/default" "$units/till.service.d"
	cat >"$units/till.service" <<-'UNIT'
		[Unit]
		Description=The till
		[Service]
		Environment="GREETING=hello there" NAME=%N
		EnvironmentFile=-/etc/default/absent
		EnvironmentFile=/etc/default/till
		RuntimeDirectory=till
		User=man
		ExecStartPre=-/bin/false
		ExecStart=/bin/sh -c 'trap "echo stopped >>/opt/till.log; exit 0" TERM; \
			echo "$GREETING ${NAME} $FROM_FILE $DROPPED $(id -un)" >/run/till/up; \
			while :; do sleep 1; done'
		[Install]
		WantedBy=multi-user.target
	UNIT
	printf 'FROM_FILE="a file"\n' >"$dir/overlay/etc/default/till"
	printf '[Service]\nEnvironment=DROPPED=in\n' >"$units/till.service.d/more.conf"
	cat >"$units/forks.service" <<-'UNIT'
		[Service]
		Type=forking
		PIDFile=/run/forks.pid
		ExecStart=/bin/sh -c 'sleep 54322 & echo $$! >/run/forks.pid'
		ExecReload=/bin/sh -c 'echo reloaded $MAINPID >/run/forks.reloaded'
	UNIT
	cat >"$units/breaks.service" <<-'UNIT'
		[Service]
		ExecStart=/bin/sh -c 'echo "no licence" >&2; exit 7'
	UNIT
	cat >"$units/once.service" <<-'UNIT'
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/sh -c 'echo one >/run/once'
		ExecStart=/bin/sh -c 'echo two >>/run/once'
	UNIT
	ln -s /dev/null "$units/masked.service"
	ln -s till.service "$units/alias.service"
	cat >"$dir/overlay/etc/init.d/old" <<-'SH'
		#!/bin/sh
		case $1 in
		start) sleep 54322 & echo started >/run/old ;;
		stop) echo stopped >/run/old ;;
		esac
	SH
	chmod 755 "$dir/overlay/etc/init.d/old"
	mkdir -p "$dir/overlay/opt"
	# steps run before overlays: these files come from a medium
	tar -C "$dir/overlay" --owner=0 --group=0 -cf "$dir/media/units.tar" .
	chmod 777 "$dir/overlay/opt"
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	media_setup
	export sleep_mark=54322
}

# A step that first installs the units and then is the shell text $1, with more keys.
with_units() {
	step units.tar '' "cp -a /media/it/. / && chmod 777 /opt; $1" 'expects: {services: []}'
	{
		cat "$dir/recipes/$name.yaml"
		printf '  - name: second\n    mount: {it: /media/it}\n'
		printf '    writes: [/opt, /etc, /var]\n'
		printf '    run: [sh, -c, %s]\n' "$(jq -n --arg t "$2" '$t')"
		local key
		for key in "${@:3}"; do
			printf '    %s\n' "$key"
		done
	} >"$dir/recipes/$name.new"
	sed '0,/writes: .*/s//writes: [\/]/' "$dir/recipes/$name.new" >"$dir/recipes/$name.yaml"
	lock
}

@test "services that are there run while the step does, and are stopped after it" {
	with_units true 'cat /run/till/up; systemctl is-active till; systemctl is-active alias
		systemctl show -p ActiveState --value till.service
		service till status; systemctl stop till; systemctl is-active till
		service till start && systemctl restart till && echo again; ls /run/systemd; true' \
		'expects: {services: [till]}'
	build
	ok
	log_of second | perl -pe 's/(Main PID:) \d+/$1 N/' >"$dir/said"
	diff - "$dir/said" <<-'EOT'
		hello there till a file in man
		active
		inactive
		active
		* till.service - The till
		   Active: active (running)
		 Main PID: N
		inactive
		again
		ls: cannot access '/run/systemd': No such file or directory
	EOT
	unpacked
	[ "$(cat "$dir/tree/opt/till.log")" = "$(printf 'stopped\nstopped\nstopped')" ]
	# nothing of ours is in the image
	[ -z "$(find "$dir/tree" -name '*posmedia-*' -o -name systemctl -o -name service)" ]
}

@test "daemons that fork, services of one shot, scripts of before systemd" {
	with_units true 'systemctl start forks once old || exit
		kill -0 "$(cat /run/forks.pid)" && echo runs
		systemctl reload forks
		[ "$(cat /run/forks.reloaded)" = "reloaded $(cat /run/forks.pid)" ] && echo reloaded
		cat /run/once /run/old; systemctl is-active once old
		/etc/init.d/old stop; cat /run/old; systemctl is-active old; service old start
		p=$(cat /run/forks.pid); systemctl stop forks; kill -0 $p 2>/dev/null || echo gone
		systemctl enable --now once; service --status-all' \
		'expects: {services: [forks, once.service, old]}'
	build
	ok
	saw_second 'runs
reloaded
one
two
started
active
active
stopped
inactive
gone
posmedia: systemctl: this image has no such program
 [ + ]  old
 [ + ]  once'
	nothing_left
}

@test "a service that does not start, is not expected or not there" {
	with_units true 'systemctl start breaks; echo $?; systemctl start till; echo $?
		systemctl start nowhere; echo $?; systemctl start masked; echo $?
		service; echo $?; systemctl start ../x; echo $?; systemctl daemon-reload; echo $?
		systemctl start some.socket; echo $?' \
		'expects: {services: [forks]}'
	build
	ok
	local hint='the step does not expect this service'
	hint+='; add it to expects: services: of the step'
	saw_second "posmedia: breaks: $hint
5
posmedia: till: $hint
5
posmedia: Unit nowhere.service not found.
5
posmedia: masked.service is masked
1
posmedia: usage: service NAME start|stop|restart|reload|status
2
posmedia: ../x is not the name of a service
1
0
0"
	with_units '' 'echo not reached' 'expects: {services: [till, breaks]}'
	build
	refused 6 'step second: exit status 1' 'no licence' 'breaks: it ended: exit status 7'
	nothing_left
	with_units '' 'exit 5' 'expects: {services: [till]}'
	build
	refused 6 'step second: exit status 5'
	with_units '' 'sleep 54322 & exit 0' 'expects: {services: [till]}'
	build
	refused 6 'left 1 processes running: sleep'
	nothing_left
	with_units '' 'no-such-program' 'expects: {services: []}'
	sed -i 's/run: .sh, -c, "no-such-program"./run: [no-such-program]/' \
		"$dir/recipes/$name.yaml"
	lock
	build
	refused 6 'posmedia: run no-such-program: No such file or directory'
}

# A unit $1 that writes its name into a file when it starts, with more of [Unit].
unit() {
	{
		printf '[Unit]\n'
		cat
		printf '[Service]\nExecStart=/bin/sh -c "echo %s >>/run/order; ' "$1"
		printf 'exec sleep 54322"\n'
	} >"$dir/needs/usr/lib/systemd/system/$1.service"
}

@test "a service brings those that it needs and wants, in their order" {
	mkdir -p "$dir/needs/usr/lib/systemd/system"
	unit db <<<''
	unit web <<-'UNIT'
		Requires=db.service nowhere.service x.socket
		After=db.service
		Wants=broken.service log.service
	UNIT
	unit log <<<$'BindsTo=web.service\nAfter=web.service'
	unit front <<<$'Requires=web.service\nAfter=web.service'
	unit strict <<<'Requires=broken.service'
	unit one <<<$'Requires=two.service\nAfter=two.service'
	unit two <<<$'Wants=three.service\nAfter=three.service'
	unit three <<<$'Requires=one.service\nAfter=one.service'
	unit pair <<<$'Wants=mate.service\nAfter=mate.service'
	unit mate <<<'After=pair.service'
	unit bus <<<'Requires=dbus.service systemd-x.service'
	for n in dbus broken systemd-x; do
		printf '[Service]\nExecStart=/bin/sh -c "exit 3"\n' \
			>"$dir/needs/usr/lib/systemd/system/$n.service"
	done
	tar -C "$dir/needs" --owner=0 --group=0 -cf "$dir/media/needs.tar" .
	step needs.tar '' 'mkdir -p /opt /usr/lib; cp -a /media/it/usr/. /usr/
		systemctl start front; echo $?; cat /run/order
		systemctl stop front web log db; : >/run/order
		systemctl start log; cat /run/order
		for s in strict one pair bus; do systemctl start $s; echo $?; done
		systemctl is-active one two three pair' \
		'expects: {services: [front, log, strict, one, pair, bus]}'
	sed -i 's/writes: .*/writes: [\/]/' "$dir/recipes/$name.yaml"
	lock
	build
	log_of
	saw "posmedia: web wants broken: broken: it ended: exit status 3
0
db
web
log
front
posmedia: web wants broken: broken: it ended: exit status 3
db
web
log
posmedia: strict needs broken: broken: it ended: exit status 3
1
posmedia: two wants three: three and one are each to be started after the other
0
posmedia: pair and mate are each to be started after the other
1
0
active
active
inactive
inactive"
	nothing_left
}

@test "images on the step's media can be mounted, and its own; others cannot" {
	iso inner.iso -R -uid 0 -gid 0
	mkdir -p "$dir/outer"
	cp "$dir/media/inner.iso" "$dir/outer/"
	(cd "$dir/outer" && tar --owner=0 --group=0 -cf "$dir/media/outer.tar" inner.iso)
	step outer.tar '' 'mkdir /opt /opt/at
		mount -o loop,ro -t iso9660 /media/it/inner.iso /opt/at || exit
		cat /opt/at/README.TXT; grep -c " /opt/at " /proc/self/mounts
		touch /opt/at/x
		mount --bind /etc /opt; mount /media/it/none.iso /opt/at
		mount /media/it/inner.iso /none
		umount /opt/at && ls /opt/at; umount /opt; true' 'expects: {loop: true}'
	build
	ok
	local own="posmedia: mount: only images of discs can be mounted in a step:"
	own+=' mount -o loop IMAGE DIRECTORY'
	saw "read me
1
touch: cannot touch '/opt/at/x': Read-only file system
$own
$own
posmedia: mount: /none: mount point does not exist
posmedia: umount: /opt: no image is mounted there"
	# the medium itself, as a file
	step inner.iso 'as: file' 'mkdir /opt; mkdir /opt/at; mount /media/it/inner.iso /opt/at &&
		cat /opt/at/README.TXT && umount /opt/at && mount /media/it/inner.iso /opt/at' \
		'expects: {loop: true}'
	build
	ok
	saw 'read me'
	# no image, and what a step writes where it asks
	step outer.tar '' 'ln -s /etc/shadow /run/posmedia-ask/1.ask; mkdir /run/posmedia-ask/2.said
		sleep 1; cat /run/posmedia-ask/1.said; rm -r /run/posmedia-ask/2.said' \
		'expects: {loop: true}'
	build
	ok
	[[ $(log_of) != *root:* ]]
	nothing_left
}

@test "loop devices: what losetup attaches is read and mounted as the image" {
	iso inner.iso -R -uid 0 -gid 0
	mkdir -p "$dir/three"
	cp "$dir/media/inner.iso" "$dir/three/"
	(cd "$dir/three" && tar --owner=0 --group=0 -cf "$dir/media/three.tar" inner.iso)
	step three.tar '' 'mkdir /opt /opt/at; i=/media/it/inner.iso; losetup -f; losetup -a
		d=$(losetup -f --show "$i") || exit; echo "$d"
		[ "$(sha256sum <"$d")" = "$(sha256sum <"$i")" ] && echo same
		mount -t iso9660 -o ro "$d" /opt/at && cat /opt/at/README.TXT
		umount /opt/at; losetup -rfP "$i"; losetup /dev/loop7 "$i"; losetup -f
		losetup -a
		losetup loop1
		losetup -j "$i" | grep -c loop; losetup; losetup -d /dev/loop0 loop7; losetup --all
		mount /dev/loop0 /opt/at; losetup -d /dev/loop0; losetup -f --show -o 512 "$i"
		losetup --offset 512 -f "$i"; mount -o loop,offset=512 "$i" /opt/at
		losetup -f --show /etc; losetup -f /none; losetup loop7
		losetup -D; losetup -l; ls /dev/loop* 2>/dev/null; losetup x y; losetup a b c' \
		'expects: {loop: true}'
	build
	[ "$status" -eq 6 ]
	local all="a step has only whole images as loop devices"
	local own="posmedia: mount: only images of discs can be mounted in a step:"
	own+=' mount -o loop IMAGE DIRECTORY'
	saw "/dev/loop0
/dev/loop0
same
read me
/dev/loop2
/dev/loop0: []: (/media/it/inner.iso)
/dev/loop1: []: (/media/it/inner.iso)
/dev/loop7: []: (/media/it/inner.iso)
/dev/loop1: []: (/media/it/inner.iso)
3
NAME       SIZELIMIT OFFSET AUTOCLEAR RO BACK-FILE
/dev/loop0         0      0         0  1 /media/it/inner.iso
/dev/loop1         0      0         0  1 /media/it/inner.iso
/dev/loop7         0      0         0  1 /media/it/inner.iso
/dev/loop1: []: (/media/it/inner.iso)
$own
posmedia: losetup: /dev/loop0: detach failed: No such device or address
posmedia: losetup: -o: $all
posmedia: losetup: offset: $all
$own
posmedia: losetup: /etc: only images of discs can be attached
posmedia: losetup: /none: No such file or directory
posmedia: losetup: loop7: No such device or address
posmedia: losetup: x: not a loop device
posmedia: losetup: unexpected number of arguments"
	nothing_left
}

# What a vendor's installer does that was written for a machine of its own.
@test "an image that the installer unpacks itself, and the devices that it makes for it" {
	iso inner.iso -R -uid 0 -gid 0
	mkdir -p "$dir/four"
	gzip -nc "$dir/media/inner.iso" >"$dir/four/inner.iso.gz"
	head -c 40000 "$dir/media/inner.iso" >"$dir/four/short.iso"
	(cd "$dir/four" && tar --owner=0 --group=0 -cf "$dir/media/four.tar" .)
	step four.tar '' 'mkdir /opt /opt/at; modprobe loop || exit
		[ -e /dev/loop0 ] || mknod -m 0660 /dev/loop0 b 7 0 || exit; mknod /tmp/fifo p
		z=/media/it/inner.iso.gz; gzip -dc $z >/tmp/cd.iso
		mount -o loop,ro /tmp/cd.iso /opt/at || exit
		cat /opt/at/README.TXT; grep -c " /opt/at " /proc/self/mounts; rm /tmp/cd.iso
		umount /opt/at && ls /opt/at; ls /run/posmedia-ask
		gzip -dc $z >/opt/cd.iso; d=$(losetup -f); losetup "$d" /opt/cd.iso
		mount -t iso9660 -r "$d" /opt/at && cat /opt/at/README.TXT; losetup -a
		umount "$d" && losetup -d "$d"; mount /opt/cd.iso /opt/at && umount /opt/cd.iso
		cp /media/it/short.iso /tmp; mount /tmp/short.iso /opt/at; echo $?
		echo text >/tmp/text; mount -o loop /tmp/text /opt/at; mknod /dev/sda b 8 0
		modprobe other; rm /opt/cd.iso; ls /opt' 'expects: {loop: true}'
	build
	ok
	saw "read me
1
read me
/dev/loop0: []: (/opt/cd.iso)
posmedia: mount: image: the archive is damaged: Unrecognized archive format
32
posmedia: mount: image: it is a plain file, and no disc
mknod: /dev/sda: Operation not permitted
posmedia: modprobe: this image has no such program
at"
	nothing_left
}

@test "what was unpacked of an installer's own image goes when that is unmounted" {
	iso inner.iso -R -uid 0 -gid 0
	step inner.iso 'as: file' 'mkdir /opt /opt/at; cp /media/it/inner.iso /tmp
		mount /tmp/inner.iso /opt/at || exit
		: >/opt/in; sleep 2; umount /opt/at && : >/opt/out; sleep 3' 'expects: {loop: true}'
	env -C "$dir" "$posmedia" build "recipes/$name.yaml" 2>"$dir/said" &
	local pid=$! there=0
	has() { find "$POSMEDIA_STORE/tmp" -path "$1" | grep -q .; }
	wait_for 30 has '*/opt/in'
	has '*/image.*/README.TXT' && there=1
	wait_for 30 has '*/opt/out'
	run ! has '*/image.*/README.TXT'
	wait "$pid" || { cat "$dir/said" && false; }
	[ "$there" = 1 ]
}

@test "what a step writes where it asks counts as written" {
	iso inner.iso -R -uid 0 -gid 0
	step inner.iso 'as: file' 'cd /run/posmedia-ask; for i in 1 2 3 4 5 6 7 8 9; do
			cp /media/it/inner.iso $i.image || exit
		done' 'expects: {loop: true}' 'limits: {disk: 1M}'
	build
	refused 6 'step work: wrote more than' 'raise limits: disk:'
}

@test "what is unpacked of a step's own images counts as written, and is bounded by what is left" {
	mkdir -p "$dir/full"
	head -c 3M /dev/zero | tr '\0' x >"$dir/full/3M"
	disc full.iso "$dir/full" -R
	step full.iso 'as: file' 'mkdir /opt /opt/at; cp /media/it/full.iso /tmp || exit
		mount /tmp/full.iso /opt/at; echo $?; ls /opt/at' \
		'expects: {loop: true}' 'limits: {disk: 5M}'
	build
	ok
	[[ $(log_of) = *'more than '*' bytes'*32 ]] || { log_of && false; }
	step full.iso 'as: file' 'mkdir /opt /opt/at; cp /media/it/full.iso /tmp || exit
		mount /tmp/full.iso /opt/at || exit; head -c 6M /dev/zero >/opt/more' \
		'expects: {loop: true}' 'limits: {disk: 8M}'
	build
	refused 6 'step work: wrote more than'
}

@test "an image that cannot be unpacked does not stand in the way of the next" {
	iso inner.iso -R -uid 0 -gid 0
	mkdir -p "$dir/two"
	cp "$dir/media/inner.iso" "$dir/two/"
	head -c 40000 "$dir/media/inner.iso" >"$dir/two/short.iso"
	(cd "$dir/two" && tar --owner=0 --group=0 -cf "$dir/media/two.tar" .)
	step two.tar '' 'mkdir /opt /opt/at; mount /media/it/short.iso /opt/at 2>/dev/null; echo $?
		mount /media/it/short.iso /opt/at 2>/dev/null; echo $?
		mount /media/it/inner.iso /opt/at && cat /opt/at/README.TXT' 'expects: {loop: true}'
	build
	ok
	saw '32
32
read me'
	nothing_left
}

@test "a program of many names is not covered for one of them" {
	with_units 'c=$(command -v cat); d=${c%/*}; cp "$d/cat" "$d/many" &&
		ln -sf many "$d/mount" && ln -sf many "$d/less"' \
		'less /etc/tiny.conf; many /etc/tiny.conf; command -v mount
		mount /media/it/x /opt; mount <<-"EOT"
			the real one
		EOT' 'expects: {loop: true}'
	build
	ok
	saw_second "conf
conf
/run/posmedia-shim/bin/mount
posmedia: mount: only images of discs can be mounted in a step: mount -o loop IMAGE DIRECTORY
the real one"
}

@test "what a step asks for itself does not open the sandbox" {
	iso inner.iso -R -uid 0 -gid 0
	step inner.iso 'as: file' 'n=0
		mv() { perl -e "rename shift, shift or die" "$@"; }
		asks() {
			n=$((n + 1)); printf "%s\n" "$@" >/run/x
			cp /run/x /run/posmedia-ask/$n.new
			mv /run/posmedia-ask/$n.new /run/posmedia-ask/$n.ask
			i=0
			until [ -e /run/posmedia-ask/$n.said ]; do
				i=$((i + 1)); [ $i -lt 100 ] || exit 9
				sleep 0.05
			done
			echo "$n: $(cat /run/posmedia-ask/$n.said)"
		}
		image=/media/it/inner.iso
		for at in /proc/sys /proc /proc/self /dev /run /run/lock / /tmp /media/it \
			/dev/shm; do
			asks mount $image $at
		done
		mkdir -p /opt/a/sys /opt/b /tmp/a
		asks mount $image /opt/a/sys
		asks umount /opt/a/sys ""; asks umount /opt/a/sys ""
		asks mount $image /opt/a/sys; asks mount $image /opt/a/sys
		mv /opt/a /opt/c; ln -s /proc /opt/a; asks umount /opt/a/sys ""
		asks umount /opt/c/sys ""
		rm /opt/a; mv /opt/c /opt/a; asks umount /opt/a/sys ""
		ln -s /proc /opt/p; asks mount $image /opt/p/sys
		asks mount $image /tmp/a; ls /tmp/a; asks umount /tmp/a ""; ls /tmp/a
		cd /run/posmedia-ask; cp $image 8.image; ln -s 8.image 7.image
		asks own /x /tmp/a 7.image; asks own /x /tmp/a 8.image
		ls | grep image; umount /tmp/a
		asks own /x /tmp/a ../x.image; asks own /x /tmp/a ""; asks mount 7.image /tmp/a
		asks mount /media/itxinner.iso /tmp/a; asks mount /media/it/../it/inner.iso /tmp/a
		mkdir /opt/d /opt/d/m /opt/e /opt/e/m; asks mount $image /opt/d/m
		asks mount $image /opt/e/m; mv /opt/d /opt/f; mv /opt/e /opt/d
		asks umount /opt/d/m ""; mv /opt/d /opt/e; mv /opt/f /opt/d
		umount /opt/d/m; umount /opt/e/m; rm -r /opt/d /opt/e
		grep -c "/proc/sys proc ro" /proc/self/mounts; rm -r /opt/a /opt/b /opt/p' \
		'expects: {loop: true}'
	build
	ok
	saw '1: /proc/sys: nothing can be mounted there
2: /proc: nothing can be mounted there
3: open /proc/self: Too many levels of symbolic links
4: /dev: nothing can be mounted there
5: /run: nothing can be mounted there
6: /run/lock: nothing can be mounted there
7: /: nothing can be mounted there
8: /tmp: nothing can be mounted there
9: /media/it: nothing can be mounted there
10: /dev/shm: nothing can be mounted there
11: 
12: 
13: /opt/a/sys: no image is mounted there
14: 
15: /opt/a/sys: nothing can be mounted there
16: open /opt/a/sys: Too many levels of symbolic links
17: /opt/c/sys: no image is mounted there
18: 
19: open /opt/p/sys: Too many levels of symbolic links
20: 
Images
README.TXT
link
setup.sh
21: 
22: it is not there
23: 
24: not understood
25: not understood
26: not understood
27: /media/itxinner.iso is not on a medium of the step; declare it under media: and mount it
28: /media/it/../it/inner.iso is not on a medium of the step; declare it under media: and mount it
29: 
30: 
31: /opt/d/m: no image is mounted there
1'
	nothing_left
}

@test "services and images as an ordinary user" {
	[ "$(id -u)" = 0 ] || skip "needs root to become another"
	iso inner.iso -R -uid 0 -gid 0
	step inner.iso 'as: file' 'mkdir /opt /opt/at; mount /media/it/inner.iso /opt/at || exit
		cat /opt/at/README.TXT; umount /opt/at; cp /media/it/inner.iso /tmp
		mount /tmp/inner.iso /opt/at && cat /opt/at/README.TXT
		umount /opt/at; rmdir /opt/at
		cat /proc/sys/kernel/hostname; grep -c 192.0.2.9 /proc/net/fib_trie' \
		'expects: {loop: true, services: [x], fstab: true, hostname: h1,' \
		'  address: 192.0.2.9/24}'
	build
	ok
	log_of >"$dir/as-root.log"
	as_user lock
	as_user build
	diff "$dir/as-root.log" "$dir/user/out/$name.logs/1/step-work.log"
}

@test "a program of 32 bits, and what it lacks" {
	[ "$(uname -m)" = x86_64 ] || skip "only x86-64 has such programs"
	# no compiler makes them here: exit(7) in 45 bytes and more, and one with a loader
	perl -e '
		my $code = "\xb8\1\0\0\0\xbb\7\0\0\0\xcd\x80";
		sub elf {
			my ($interp) = @_; my $n = $interp ? 2 : 1; my $at = 52 + 32 * $n;
			my $base = 0x8048000; my $size = $at + length($code) + length($interp);
			my $h = "\x7fELF\1\1\1" . "\0" x 9 . pack("vvVVVVVvvvvvv", 2, 3, 1,
				$base + $at, 52, 0, 0, 52, 32, $n, 0, 0, 0);
			my $m = length($interp);
			$h .= pack("V8", 3, $at + length($code), 0, 0, $m, $m, 4, 1) if $m;
			$h .= pack("V8", 1, 0, $base, $base, $size, $size, 5, 4096);
			return $h . $code . $interp;
		}
		for (["old", ""], ["linked", "/lib/ld-linux.so.2\0"]) {
			open my $f, ">", "$ARGV[0]/$_->[0]" or die; binmode $f;
			print $f elf($_->[1]);
		}
		open my $f, ">", "$ARGV[0]/script" or die;
		print $f "#!/usr/bin/ksh -p\n"' "$dir/media"
	step old '' ''
	sed -i 's|run: .*|run: [/media/it/old]|' "$dir/recipes/$name.yaml"
	lock
	build
	refused 6 "$name.yaml:7:5" '/media/it/old is a program of 32 bits' \
		'expects: {programs: 32-bit}'
	echo '    expects: {programs: 32-bit}' >>"$dir/recipes/$name.yaml"
	lock
	build
	refused 6 'step work: exit status 7'
	step linked '' '' 'expects: {programs: 32-bit}'
	sed -i 's|run: .*|run: [/media/it/linked]|' "$dir/recipes/$name.yaml"
	lock
	build
	refused 6 'its loader /lib/ld-linux.so.2 is not in the tree' 'libc6-i386' 'glibc.i686'
	step script '' ''
	sed -i 's|run: .*|run: [/media/it/script]|' "$dir/recipes/$name.yaml"
	lock
	build
	refused 6 '/media/it/script wants to be run by /usr/bin/ksh, which is not in the tree'
}
