#!/usr/bin/env bats
# Builds that go wrong, on top of the demo's cached packages: each says where and why, ends with
# its own exit status, and leaves nothing half-made, mounted or running.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	need_demo
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/faults.XXXXXX")
	export dir
	cp -r recipes overlays signing "$dir/"
	cp "$(cat "$OUT/demo.lock.used")" "$dir/demo.lock"
	echo step >"$dir/plain.txt"
}

teardown_file() {
	rm -rf "$dir"
}

# A recipe $1 that is the demo and what standard input adds, with its lock; no network is used.
variant() {
	{
		printf 'posmedia: 1\nname: %s\nextends: [demo.yaml]\n' "$1"
		cat
	} >"$dir/recipes/$1.yaml"
	cp "$dir/demo.lock" "$dir/recipes/$1.lock"
	in_dir lock "recipes/$1.yaml"
	[ "$status" -eq 0 ] || { echo "$stderr" && false; }
}

in_dir() {
	run --separate-stderr env -C "$dir" "$posmedia" "$@"
}

build() {
	in_dir build "recipes/$1.yaml" -o "oci:$dir/out/$1:1" "${@:2}"
}

refused() {
	echo "status $status, wanted $1: $stderr"
	[ "$status" -eq "$1" ] && [[ $stderr == *"$2"* ]]
}

# Scratch in the store of a process that has ended; other tests may be building there, and end.
no_scratch() {
	local name
	while read -r name; do
		kill -0 "$(cut -d. -f2 <<<"$name")" || [ ! -e "$POSMEDIA_STORE/tmp/$name" ] ||
			return 1
	done < <(find "$POSMEDIA_STORE/tmp" -mindepth 1 -maxdepth 1 -printf '%f\n')
}

# Nothing under out, no scratch in the store, no mount, no process of the build.
nothing_left() {
	[ ! -e "$dir/out/$1" ]
	no_scratch
	no_traces
}

no_traces() {
	! grep -F "$dir" /proc/self/mountinfo &&
		! grep -F "$POSMEDIA_STORE" /proc/self/mountinfo &&
		! pgrep -f 'sleep 98765'
}

# So many steps that sleep so long.
sleeping() {
	[ "$(pgrep -cxf "sleep $2")" -eq "$1" ]
}

@test "a step that fails: exit 6, its position and its last words" {
	variant fails <<-'YAML'
		steps: [{name: break, run: [sh, -c, "echo the paper is out; exit 3"]}]
	YAML
	build fails
	refused 6 "recipes/fails.yaml:4:"
	refused 6 $'step break: exit status 3; it said:\n  the paper is out'
	nothing_left fails
}

@test "a step that writes where it did not say: exit 6 and the path" {
	variant strays <<<'steps: [{name: stray, run: [touch, /etc/stray], writes: [/opt]}]'
	build strays
	refused 6 "changed what it did not declare: /etc/stray"
	nothing_left strays
}

@test "a step that takes too long is ended with all its children" {
	variant slow <<-'YAML'
		steps: [{name: slow, run: [sh, -c, "sleep 98765 & sleep 98765"], timeout: 1s}]
	YAML
	build slow
	refused 6 "step slow: took too long"
	nothing_left slow
}

@test "a step reaches no network, no real device and no mount" {
	variant caged <<-'YAML'
		steps:
		  - name: try
		    run:
		      - sh
		      - -c
		      - >-
		        ! perl -MIO::Socket::INET
		        -e 'exit !IO::Socket::INET->new("127.0.0.1:80")' &&
		        test "$(ls /sys/class/net 2>/dev/null | wc -l)" -le 1 &&
		        ! mknod /tmp/disk b 254 0 && ! mount -t tmpfs none /mnt &&
		        ! unshare -m true &&
		        ! test -e /dev/vda && ! touch /proc/sys/kernel/hostname
	YAML
	build caged
	echo "$stderr"
	[ "$status" -eq 0 ]
}

@test "a link in the tree leads no mount point out of it" {
	mkdir "$dir/machine"
	touch -d @0 "$dir/machine"
	tar -C "$dir" -cf "$dir/paper.tar" plain.txt
	sha=$(sha256sum <"$dir/paper.tar")
	variant linked <<-YAML
		media: {paper: {url: paper.tar, sha256: ${sha%% *}}}
		steps:
		  - {name: link, run: [ln, -s, "$dir/machine", /srv/way], writes: [/srv]}
		  - {name: use, mount: {paper: /srv/way/out}, run: ["true"]}
	YAML
	build linked
	refused 1 "mount point /srv/way/out"
	[ "$(stat -c %Y "$dir/machine")" -eq 0 ] # nothing was made there, not for a moment
	nothing_left linked
}

@test "a medium with another digest than declared: exit 4 at its position" {
	variant swapped <<-YAML
		media:
		  paper: {url: plain.txt, sha256: $(sha256sum <"$dir/plain.txt" | cut -c1-64)}
	YAML
	echo changed >"$dir/plain.txt"
	build swapped
	refused 4 "recipes/swapped.yaml:5:"
	nothing_left swapped
	in_dir lock recipes/swapped.yaml --update
	refused 4 "recipes/swapped.yaml:5:"
}

# Builds with a tar from standard input as medium; wants exit 3 and a word.
hostile() {
	cat >"$dir/$1.tar"
	variant "$1" <<-YAML
		media:
		  bad: {url: $1.tar, sha256: $(sha256sum <"$dir/$1.tar" | cut -c1-64)}
		steps: [{name: use, mount: {bad: /media/bad}, run: ["true"]}]
	YAML
	build "$1"
	refused 3 "recipes/$1.yaml:5:"
	refused 3 "medium bad"
	refused 3 "$2"
	nothing_left "$1"
}

@test "hostile media: ways out of the tree, a device, links, 10 GB of zeros" {
	mkdir -p "$dir/t/sub"
	cd "$dir/t" || return
	echo x >file
	ln -sf /etc link
	tar cf - --transform='s,file,../../escape,' -P file | hostile dotdot escape
	tar cf - --transform="s,file,$dir/absolute," -P file | hostile absolute absolute
	tar cf - -P --transform='s,null,dev-null,' /dev/null | hostile device null
	tar cf - link --transform='s,^file,link/passwd,' file | hostile through passwd
	ln -f file hard
	tar cf - --transform='flags=h;s,file,../../../etc/passwd,' file hard |
		hostile hardlink hard
	truncate -s 10G zeros
	tar cSf sparse.tar zeros
	hostile zeros-sparse zeros <sparse.tar
	# 10 GB in a few kilobytes: the header, then one compressed run of zeros again and again
	tar cf - zeros 2>/dev/null | head -c 512 | gzip >many.gz
	head -c 104857600 /dev/zero | gzip -9 >run.gz
	for ((i = 0; i < 103; i++)); do cat run.gz; done >>many.gz
	hostile zeros-gzip zeros <many.gz
	rm -f zeros sparse.tar ./*.gz
	[ ! -e "$dir/../escape" ] && [ ! -e "$dir/absolute" ]
}

@test "a truncated medium: exit 3" {
	tar cf - -C "$dir/recipes" . | gzip | head -c 2000 | hostile short medium
}

@test "two builds to one place: the second is told who is at work; elsewhere both go on" {
	variant busy <<<"steps: [{name: wait, run: [sh, -c, 'sleep 98764; : $EPOCHREALTIME']}]"
	local at pids=()
	for at in busy other; do
		env -C "$dir" "$posmedia" build recipes/busy.yaml -o "oci:$dir/out/$at:1" -q \
			>"$dir/$at.out" 2>"$dir/$at.err" 3>&- &
		pids+=($!)
	done
	wait_for 30 sleeping 2 98764
	build busy
	refused 7 "held by process ${pids[0]}"
	pkill -xf 'sleep 98764'
	wait "${pids[0]}"
	wait "${pids[1]}"
	cat "$dir/busy.out" "$dir/other.out"
	[ "$(sed 's/.*@//' "$dir/busy.out")" = "$(sed 's/.*@//' "$dir/other.out")" ]
}

# Starts a build, with the options of `with`, and sends it a signal when what follows has been done:
# sets status.
interrupted() {
	env -C "$dir" "$posmedia" build "recipes/$1.yaml" -o "oci:$dir/out/$1:1" "${with[@]}" \
		>"$dir/$1.log" 2>&1 3>&- &
	local pid=$!
	"${@:3}"
	kill "-$2" "$pid" || { cat "$dir/$1.log"; return 1; }
	status=0
	wait "$pid" || status=$?
}

@test "an interrupt while a step runs: nothing is left" {
	variant long <<<'steps: [{name: wait, run: [sh, -c, "sleep 98765 & sleep 98765"]}]'
	interrupted long INT wait_for 30 sleeping 2 98765
	[ "$status" -eq 1 ]
	grep -q 'interrupted' "$dir/long.log"
	nothing_left long
	interrupted long TERM wait_for 30 sleeping 2 98765
	[ "$status" -eq 1 ]
	nothing_left long
}

# What a killed build had started dies a little later; that keeps the next one from nothing.
@test "a kill at any moment: no process, no mount; the next build sweeps and is whole" {
	local after with=(--no-cache)
	variant killed <<<"steps: [{name: wait, run: [sh, -c, 'sleep 0.3 & : $EPOCHREALTIME']}]"
	for after in 0.05 0.2 0.5 1 2 4; do
		interrupted killed KILL sleep "$after"
		[ "$status" -eq 137 ] || { cat "$dir/killed.log" && false; }
		[ ! -e "$dir/out/killed" ]
	done
	build killed
	echo "$stderr"
	[ "$status" -eq 0 ]
	no_scratch
	wait_for 5 no_traces
	! pgrep -f "oci:$dir/out/killed" || false
	in_dir verify "oci:$dir/out/killed" --key "$demo_key.pub"
	refused 4 "signature"
}

@test "a full disk: a clear error, and nothing half-made" {
	mkdir -p "$dir/small"
	mount -t tmpfs -o size=40m tmpfs "$dir/small"
	variant full <<<'steps: [{name: none, run: ["true"]}]'
	in_dir build recipes/full.yaml -o "oci:$dir/small/full:1"
	local first=$status words=$stderr
	in_dir build recipes/full.yaml -o "oci:$dir/out/full:1" --store "$dir/small/store"
	umount "$dir/small"
	echo "$first: $words; $status: $stderr"
	[ "$first" -eq 1 ] && [[ $words == *"No space left on device"* ]]
	[ "$status" -ne 0 ] && [[ $stderr == *"No space left on device"* ]]
	[ ! -e "$dir/out/full" ]
}

@test "no lock, a lock of another recipe, a broken lock: exit 3 and what to do" {
	cp "$dir/recipes/demo.yaml" "$dir/recipes/fresh.yaml"
	build fresh
	refused 3 "hint: run posmedia lock recipes/fresh.yaml"
	variant stale <<<'ports: [9100/tcp]'
	echo 'version: "2"' >>"$dir/recipes/stale.yaml"
	build stale
	refused 3 "made from another state of the recipe"
	head -c 1000 "$dir/demo.lock" >"$dir/recipes/stale.lock"
	build stale
	refused 3 "recipes/stale.lock:"
}
