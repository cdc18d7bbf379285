#!/bin/bash
# A till with users and a fixer of its own, staged, and data of a shop to restore: tests load this
# after lib, tiny, engines and stage.
# shellcheck disable=SC2154,SC2034 # those and the tests set and use the variables

# The image, signed, in $dir.
make_restore_image() {
	mkdir -p "$dir/root/etc" "$dir/root/bin"
	printf '%s\n' root:x:0:0::/root:/bin/sh rti:x:1500:1500::/usr2:/bin/sh \
		clerk:x:1600:1600::/:/bin/sh >"$dir/root/etc/passwd"
	printf '%s\n' root:x:0: rti:x:1500: clerk:x:1600: >"$dir/root/etc/group"
	cat >"$dir/root/bin/fix" <<-'SH'
		#!/bin/busybox sh
		b=/bin/busybox
		[ ! -e /usr2/refuses ] || { echo no permission; exit 3; }
		$b id rti >/dev/null && $b chown rti:rti /usr2/fix-me && $b chmod 640 /usr2/fix-me
	SH
	chmod 755 "$dir/root/bin/fix"
	recipe_more='restore: {fixers: [{name: permissions, run: [/bin/fix]}]}'
	make_image
	posmedia sign oci:out/till:1 --key k
	succeeded
	posmedia promote oci:out/till:1 --to qa --key k
	succeeded
	posmedia promote oci:out/till:1 --to prod --key k
	succeeded
}

# The image for all tests of a file, made once in $made, and a dockerd; a file calls these from its
# own four.
restore_setup_file() {
	export made engine_dir engine_socket engine_pid
	dir=$(mktemp -d)
	made=$dir
	make_restore_image
	engine_dir=$(mktemp -d)
	start_service "$engine_dir/docker" docker
}
restore_teardown_file() {
	stop_service "$engine_dir/docker"
	rm -rf "$made" "$engine_dir"
}

restore_setup() {
	dir=$(mktemp -d)
	cp -a "$made/." "$dir"
	export POSMEDIA_STORE=$dir/store
}
restore_teardown() {
	containers_end
	rm -rf "$dir"
}

# posmedia with the points at which it may die (base/fault.h).
make_faults() {
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
}

# Stages it in environment $1.
stage_till() {
	install -m 600 /dev/null "$dir/token"
	echo 'the token of shop 123' >"$dir/token"
	site "$1"
	stage "recipes/sites/$1.yaml"
	succeeded
}

# What a machine of before had, in directory $1: its numbers are others than the image's.
make_shop() {
	local at=$1/usr2
	mkdir -p "$1/etc" "$at/bbx/bbxd" "$at/sub dir"
	printf '%s\n' root:x:0:0::/:/bin/sh rti:x:777:778::/:/bin/sh clerk:x:900:900::/:/bin/sh \
		>"$1/etc/passwd"
	printf '%s\n' root:x:0: rti:x:778: clerk:x:900: >"$1/etc/group"
	echo orchids >"$at/catalogue"
	echo old >"$at/fix-me"
	seq 100000 >"$at/bbx/bbxd/CUSTMST"
	echo 'a backup of their own' >"$at/bbx/all.tar"
	echo patch >"$at/x.patch"
	printf newline >"$at/sub dir/a"$'\n'b
	printf bytes >"$at/sub dir/"$'\xff\xfe'
	printf long >"$at/$(printf 'n%.0s' $(seq 255))"
	: >"$at/empty"
	truncate -s 8M "$at/sparse"
	printf x | dd of="$at/sparse" bs=1 seek=5000000 conv=notrunc status=none
	ln "$at/catalogue" "$at/sub dir/same"
	ln -s catalogue "$at/link"
	mkfifo "$at/fifo"
	install -m 4755 /dev/null "$at/setuid"
	setfattr -n user.note -v 'of a florist' "$at/catalogue"
	chown -R -h 777:778 "$at"
	chown 900:900 "$at/bbx/bbxd/CUSTMST"
	setfacl -m u:900:rw "$at/bbx/bbxd/CUSTMST"
	chmod 4755 "$at/setuid"
	touch -d '2019-01-02 03:04:05.678901234' "$at/catalogue" "$at/bbx" "$at"
}

live() {
	echo "$dir/srv/123/$1"
}

record() {
	jq -r .phase "$(live dev)/.posmedia/restore.json"
}

# The live data is what make_shop made: owners by name, and what the fixer does.
is_restored() {
	local at
	at=$(live dev)/usr2
	[ "$(stat -c '%u:%g %a %Y' "$at/catalogue")" = '1500:1500 644 1546398245' ]
	[ "$(stat -c '%u:%g' "$at/bbx/bbxd/CUSTMST")" = 1600:1600 ]
	[ "$(stat -c '%u:%g %a' "$at/fix-me")" = '1500:1500 640' ]
	[ "$(stat -c %a "$at/setuid")" = 4755 ]
	getfacl -cn "$at/bbx/bbxd/CUSTMST" 2>/dev/null | grep -qx 'user:1600:rw-'
	[ "$(getfattr --only-values -n user.note "$at/catalogue" 2>/dev/null)" = 'of a florist' ]
	[ "$at/catalogue" -ef "$at/sub dir/same" ]
	[ "$(readlink "$at/link")" = catalogue ]
	[ -p "$at/fifo" ] && [ -e "$at/bbx/all.tar" ] && [ -e "$at/x.patch" ] && [ -f "$at/empty" ]
	[ "$(stat -c %b "$at/sparse")" -lt 100 ]
	[ ! -e "$at/sales" ]
	diff -r --no-dereference --exclude=fifo "$1/usr2" "$at"
}

# Runs a script in the running container of environment $1.
inside_of() {
	local name pid
	name=$(running | grep -F -e "-$1-")
	pid=$(ask "/containers/$name/json" | jq .State.Pid)
	nsenter -t "$pid" -m -u -i -n -p /bin/busybox sh -c "$2"
}

# A sshd of our own on loopback that takes one key. bash reads its start-up files over ssh too: the
# machine's are none of ours.
start_sshd() {
	ssh_port=$(free_port)
	ssh-keygen -q -t ed25519 -N '' -f "$dir/hostkey"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
	cp "$dir/key.pub" "$dir/authorized"
	mkdir -p /run/sshd "$dir/home"
	cat >"$dir/sshd_config" <<-CONF
		Port $ssh_port
		ListenAddress 127.0.0.1
		HostKey $dir/hostkey
		PidFile none
		AuthorizedKeysFile $dir/authorized
		StrictModes no
		PasswordAuthentication no
		UsePAM no
		PermitRootLogin prohibit-password
		SetEnv HOME=$dir/home
	CONF
	/usr/sbin/sshd -D -e -f "$dir/sshd_config" 2>"$dir/sshd.log" 3>&- &
	sshd_pid=$!
	wait_for 10 ssh-keyscan -p "$ssh_port" 127.0.0.1
	ssh-keyscan -p "$ssh_port" 127.0.0.1 2>/dev/null >"$dir/known"
}
