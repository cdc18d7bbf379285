#!/usr/bin/env bats
# Who meddles while builds run or between them: steps that reach for the store and the locks of
# others, files that change under a build, records and trees of the cache that are not what they
# were, and interrupts in every part of a build.

bats_require_minimum_version 1.5.0
load lib
load tiny

setup_file() {
	load lib
	load tiny
	tiny_project "$(memory_dir tamper)"
	export dir
	cp "$dir/recipes/till.yaml" "$dir/plain.yaml"
	env -C "$dir" "$posmedia" lock recipes/till.yaml -q
	cp "$dir/recipes/till.lock" "$dir/plain.lock"
	env -C "$dir" "$posmedia" build recipes/till.yaml -q -o "oci:$dir/want:1" >"$dir/name"
	mv "$dir/store" "$dir/store.1"
}

teardown_file() {
	memory_drop "$dir"
}

setup() {
	digest=$(sed 's/.*@//' "$dir/name")
	rm -rf "$dir/store" "$dir/out"
	mkdir "$dir/out"
	cp -a "$dir/store.1" "$dir/store"
	cp "$dir/plain.yaml" "$dir/recipes/till.yaml"
	cp "$dir/plain.lock" "$dir/recipes/till.lock"
}

build() {
	run --separate-stderr timeout 60 env -C "$dir" "$posmedia" build recipes/till.yaml \
		-o "oci:$dir/out/till:1" "$@"
}

same_image() {
	succeeded
	[ "${output##*@}" = "$digest" ] || { echo "another image: $output $stderr" && return 1; }
}

# Adds standard input to the recipe, and locks it.
recipe() {
	cat >>"$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	succeeded
}

# A step that takes until `finish` ends what it waits for.
slow_step() {
	recipe <<<'steps: [{name: wait, run: [sh, -c, "sleep 98761 || :"]}]'
}

# Starts a build and waits until it says $1, or for the slow step: sets pid.
begin() {
	local until=(grep -qs "${1-}" "$dir/build.err")
	[ $# -gt 0 ] || until=(pgrep -xf 'sleep 98761')
	rm -f "$dir/build.err" # what the build before said is not waited for
	env -C "$dir" "$posmedia" build recipes/till.yaml -o "oci:$dir/out/till:1" --no-cache \
		>"$dir/build.out" 2>"$dir/build.err" 3>&- &
	pid=$!
	wait_for 20 "${until[@]}" || { cat "$dir/build.err" && return 1; }
}

finish() {
	status=0
	pkill -xf 'sleep 98761' || true
	wait "$pid" || status=$?
	stderr=$(cat "$dir/build.err")
	output=$(cat "$dir/build.out")
}

@test "a step reaches neither the store nor the lock of another build" {
	recipe <<-YAML
		steps:
		  - name: meddle
		    run:
		      - sh
		      - -c
		      - >-
		        for d in $dir /proc/1/root$dir /proc/self/root/../../..$dir
		        /proc/1/cwd/../..$dir /dev/fd/../../..$dir; do
		        echo x >\$d/recipes/other.lock; echo x >\$d/store/blobs/sha256/x;
		        rm -rf \$d/store \$d/recipes; done 2>/dev/null;
		        for fd in /proc/self/fd/* /proc/1/fd/*; do
		        rm -rf \$fd/../store \$fd/blobs \$fd/recipes; done 2>/dev/null; true
	YAML
	cp "$dir/recipes/till.lock" "$dir/recipes/other.lock"
	build
	succeeded
	cmp "$dir/recipes/till.lock" "$dir/recipes/other.lock"
	rm "$dir/recipes/other.lock"
	posmedia store verify
	succeeded
	no_traces
}

@test "the lock and the recipe change while a build runs: it goes on as it began" {
	slow_step
	begin
	finish
	succeeded
	digest=${output##*@}
	begin
	echo '{}' >"$dir/recipes/till.lock"
	echo 'nonsense: [' >"$dir/recipes/till.yaml"
	rm -rf "$dir/store/cache/images"
	finish
	same_image
}

@test "an overlay changes while a build runs: said, and nothing is kept of it" {
	slow_step
	begin
	echo two >"$dir/overlay/etc/motd"
	finish
	echo hello >"$dir/overlay/etc/motd"
	refused 7 'files of the project changed while the image was built'
	[ ! -e "$dir/out/till/index.json" ]
}

@test "blobs vanish while a build runs: it ends well or says which" {
	slow_step
	begin
	rm -f "$dir"/store/blobs/sha256/*
	finish
	[ "$status" -eq 0 ] || refused "$status" 'sha256:'
	begin
	finish
	succeeded
	posmedia store verify
	succeeded
}

@test "the scratch of a build vanishes while it runs: an error, and nothing is left" {
	slow_step
	begin
	# not by way of what is mounted there
	rm -rf "$dir"/store/tmp/build.*/*/{tree,work,log} "$dir"/store/tmp/build.*/base
	finish
	[ "$status" -ne 0 ]
	[ -n "$stderr" ]
	[ ! -e "$dir/out/till/index.json" ]
	no_traces
	begin
	finish
	succeeded
}

# Every file of the cache that is a record, relative to the store.
records() {
	(cd "$dir/store.1" && find cache -path '*/tree' -prune -o -type f -size +0 -print | sort)
}

@test "a flipped bit in any record of the cache: the same image all the same" {
	local f n=0
	while read -r f; do
		n=$((n + 1))
		rm -rf "$dir/store" "$dir/out/till"
		cp -a "$dir/store.1" "$dir/store"
		flip "$dir/store/$f"
		echo "$f"
		build
		same_image
		build
		same_image
		posmedia store verify
		succeeded
	done < <(records)
	[ "$n" -gt 5 ]
}

@test "records that are cut, empty, directories or pipes: the same image, and no waiting" {
	local f
	while read -r f; do
		for how in cut empty directory pipe; do
			rm -rf "$dir/store" "$dir/out/till"
			cp -a "$dir/store.1" "$dir/store"
			case $how in
			cut) truncate -s -3 "$dir/store/$f" ;;
			empty) : >"$dir/store/$f" ;;
			directory) rm "$dir/store/$f" && mkdir "$dir/store/$f" ;;
			pipe) rm "$dir/store/$f" && mkfifo "$dir/store/$f" ;;
			esac
			build
			[ "$status" -eq 0 ] || echo "$how $f"
			# a directory is in the way of the new record, and is named
			[[ $how == directory && $stderr == *"${f##*/}"* ]] || same_image
		done
	done < <(records | grep -v '^cache/unpacked\|^cache/debs')
}

@test "a flipped bit in a cached stage's tree is not packed into an image" {
	flip "$(find "$dir/store/cache/stages" -path '*/tree/usr/share/doc/tiny-app/*' -o \
		-path '*/tree/etc/tiny.conf' | head -n 1)"
	rm -rf "$dir"/store/cache/images "$dir"/store/cache/layers
	build
	[ "$status" -ne 0 ] || same_image
	[ "$status" -eq 0 ] || refused 4 'tiny'
	build --no-cache
	same_image
}

@test "an interrupt while a package configures, a step runs, a layer is packed: nothing is left" {
	for what in tiny-slow step pack; do
		cp "$dir/plain.yaml" "$dir/recipes/till.yaml"
		case $what in
		tiny-slow) sed -i 's/tiny-app/tiny-app, tiny-slow/' "$dir/recipes/till.yaml" ;;
		step) echo 'steps: [{name: s, run: [sh, -c, "while :; do :; done"]}]' \
			>>"$dir/recipes/till.yaml" ;;
		pack) head -c 250M /dev/urandom >"$dir/overlay/big" ;;
		esac
		recipe </dev/null
		case $what in
		tiny-slow) begin 'base: ' && wait_for 20 pgrep -f tiny-slow.postinst ;;
		step) begin 'step s: ' ;;
		pack) begin 'layer os-1: ' ;;
		esac
		sleep 0.2
		kill -INT "$pid"
		finish
		[ "$status" -eq 1 ] || refused 1 "$what"
		[[ $stderr == *interrupted* ]] || refused 1 "$what"
		[ ! -e "$dir/out/till/index.json" ]
		! pgrep -f tiny-slow.postinst
		no_traces
	done
	rm "$dir/overlay/big"
}
