#!/usr/bin/env bats
# The data of a new shop: what the image has in those places, with all that it is, out of what the
# engine has unpacked; and a kill on the way.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage

# An image with all kinds of files in a directory of data, and one behind a symlink.
make_data() {
	local root=$dir/root
	mkdir -p "$root/usr2/spool/deep" "$root/usr2/empty" "$root/opt/far"
	ln -s /opt "$root/lnk"
	ln -s /usr2 "$root/via"
	echo tool >"$root/usr2/spool/deep/tool"
	echo ping >"$root/usr2/ping"
	ln "$root/usr2/catalogue" "$root/usr2/spool/again"
	ln -s /etc/passwd "$root/usr2/spool/passwd"
	ln -s ../../../../nowhere "$root/usr2/nowhere"
	echo x >"$root/usr2/"$'a\nline *'
	truncate -s 3M "$root/usr2/hollow"
	echo far >"$root/opt/far/file"
	chown -hR 1500:1500 "$root"
	chown -h 1600:1700 "$root/usr2/spool/deep/tool" "$root/usr2/spool/passwd" "$root/usr2/empty"
	chmod 6711 "$root/usr2/spool/deep/tool"
	chmod 3770 "$root/usr2/spool"
	chmod 700 "$root/usr2/empty"
	python3 -c 'import os, sys
for path in sys.argv[1:]:
    os.setxattr(path, "user.note", b"red roses")' "$root/usr2/catalogue" "$root/usr2/spool"
	setcap cap_net_raw=ep "$root/usr2/ping"
	find "$root" ! -type d -exec touch -h -d @1000000000 {} +
	# as a build has them
	find "$root" -type d -exec touch -d @315532800 {} +
	tar -C "$root" --xattrs --xattrs-include='*' -cf "$dir/root.tar" .
	sed -Ei "s/sha256: [0-9a-f]{64}/sha256: $(sha256sum <"$dir/root.tar" | cut -c1-64)/" \
		"$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/till:1
	succeeded
	posmedia sign oci:out/till:1 --key k
	succeeded
}

setup_file() {
	load lib
	load tiny
	load engines
	load stage
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	dir=$(mktemp -d)
	export dir
	make_image
	make_data
	install -m 600 /dev/null "$dir/token"
	echo 'the token of shop 123' >"$dir/token"
	start_service "$dir/engine" podman
	export engine_socket engine_pid
}

teardown_file() {
	stop_service "$dir/engine"
	rm -rf "$dir"
}

# The site file of a shop of its own.
shop() {
	site dev
	sed -i "s/^shop:.*/shop: \"$1\"/; s/hostname: .*/hostname: shop$1/
		s,{name: log.*},{name: far\, at: /lnk/far}\, &," "$dir/recipes/sites/dev.yaml"
}

# All that a tree is: kinds, modes, owners, times, sizes, names of one file, targets, attributes,
# contents.
tree() {
	python3 - "$1" <<-'PY'
		import hashlib, os, stat, sys
		os.chdir(sys.argv[1])
		first = {}
		paths = ["."] + [os.path.join(at, name) for at, dirs, files in os.walk(".")
		                 for name in dirs + files]
		for path in sorted(paths):
		    s = os.lstat(path)
		    is_file, is_link = stat.S_ISREG(s.st_mode), stat.S_ISLNK(s.st_mode)
		    attributes = os.listxattr(path, follow_symlinks=False)
		    print(repr(path), oct(s.st_mode), s.st_uid, s.st_gid, s.st_mtime_ns,
		          s.st_nlink, first.setdefault(s.st_ino, path),
		          os.readlink(path) if is_link else "",
		          hashlib.sha256(open(path, "rb").read()).hexdigest() if is_file else "",
		          [(a, os.getxattr(path, a, follow_symlinks=False))
		           for a in sorted(attributes)])
	PY
}

is_whole() {
	local at=$dir/srv/$1/dev
	diff <(tree "$dir/root/usr2") <(tree "$at/usr2")
	diff <(tree "$dir/root/opt/far") <(tree "$at/far")
	[ "$(stat -c '%u:%g %a' "$at/log")" = '0:0 755' ]
	[ -z "$(ls -A "$at/log")" ]
	[ ! -e "$at/.posmedia/seed" ]
	[ "$(grep -c "${engine_socket%/*}/.*/merged" /proc/self/mountinfo)" -eq \
		"$(running | wc -l)" ]
}

# The layout without what is large in it.
hide_layers() {
	mv "$dir/out/till/blobs" "$dir/out/till/all"
	mkdir "$dir/out/till/blobs"
	cp -r "$dir/out/till/all/sha256" "$dir/out/till/blobs/"
	find "$dir/out/till/blobs" -type f -size +40k -delete
	[ "$(find "$dir/out/till/blobs" -type f | wc -l)" -lt \
		"$(find "$dir/out/till/all" -type f | wc -l)" ]
}

show_layers() {
	rm -r "$dir/out/till/blobs"
	mv "$dir/out/till/all" "$dir/out/till/blobs"
}

@test "podman: data is all that it is in the image, and no layer is needed for it" {
	shop 201
	stage recipes/sites/dev.yaml
	succeeded
	is_whole 201
	hide_layers
	shop 202
	stage recipes/sites/dev.yaml
	show_layers
	succeeded
	is_whole 202
}

@test "where what the engine has unpacked is not to be seen: the image is unpacked" {
	shop 203
	# shellcheck disable=SC2016 # expanded inside
	run --separate-stderr env -C "$dir" unshare -m --propagation private sh -c \
		'for at in "$1"/*/diff; do mount -t tmpfs none "$at"; done; shift; exec "$@"' \
		sh "$dir/engine/data/overlay" \
		"$posmedia" stage --engine "$engine_socket" --state "$dir/srv" \
		--runtime "$dir/run" recipes/sites/dev.yaml
	succeeded
	is_whole 203
}

@test "dockerd: data is all that it is in the image, and no layer is needed for it" {
	# shellcheck disable=SC2030,SC2031 # of this test alone
	local engine_socket engine_pid
	start_service "$dir/docker" docker
	shop 204
	stage recipes/sites/dev.yaml
	hide_layers
	shop 206
	[ "$status" -ne 0 ] || stage recipes/sites/dev.yaml
	show_layers
	[ "$status" -ne 0 ] || run is_whole 206
	stop_service "$dir/docker"
	succeeded
}

@test "a symlink is no directory of data, and makes none" {
	shop 205
	sed -i 's,at: /usr2},at: /via},' "$dir/recipes/sites/dev.yaml"
	stage recipes/sites/dev.yaml
	refused 1 '/via is no directory in the image'
	[ ! -e "$dir/srv/205/dev/usr2" ]
}

@test "a kill at each step leaves all of a directory or none of it" {
	local n=300 at kill
	for kill in begun made put 'done'; do
		n=$((n + 1))
		shop $n
		posmedia=$OUT/faults/posmedia POSMEDIA_DIE_AT="seed: $kill" \
			stage recipes/sites/dev.yaml
		[ "$status" -eq 86 ] || { echo "$kill: $status $stderr"; false; }
		at=$dir/srv/$n/dev
		[ ! -e "$at/usr2" ] || diff <(tree "$dir/root/usr2") <(tree "$at/usr2")
		[ ! -e "$at/far" ] || diff <(tree "$dir/root/opt/far") <(tree "$at/far")
		[ "$kill" = 'done' ] || [ ! -e "$at/log" ]
		[ -e "$at/.posmedia/seed" ]
		stage recipes/sites/dev.yaml
		succeeded
		is_whole $n
	done
	# it goes with its site, too
	shop 310
	posmedia=$OUT/faults/posmedia POSMEDIA_DIE_AT='seed: made' stage recipes/sites/dev.yaml
	[ "$status" -eq 86 ]
	verb destroy --confirm 310 recipes/sites/dev.yaml
	succeeded
	[ ! -e "$dir/srv/310" ]
	! containers | grep '^pos-310' || false
}
