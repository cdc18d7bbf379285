#!/bin/bash
# What the system tests share: a demo image that is built once, engines and registries of their own
# on loopback, and the end of everything they started.
# shellcheck disable=SC2034 # the tests use the variables

OUT=$(realpath "${OUT:-out}")
export OUT
export POSMEDIA_STORE=${POSMEDIA_STORE:-$OUT/store}
posmedia=$OUT/posmedia
demo_key=$OUT/keys/demo

# Waits until a command succeeds, or fails the test: after so many seconds where nothing else runs,
# and a minute more, since beside other tests all takes longer. It asks less often by and by, for
# asking is work that keeps others waiting.
wait_for() {
	local nap=0.05 tries=0 until=$((SECONDS + $1 + 60))
	shift
	while [ "$SECONDS" -lt "$until" ]; do
		"$@" >/dev/null 2>&1 && return 0
		[ $((tries++)) -lt 10 ] || nap=0.2
		sleep "$nap"
	done
	echo "waited in vain for: $*"
	return 1
}

# The demo as `make demo` makes it, once for all tests of a run; its output is in $OUT/demo.out.
# Sets demo_digest.
need_demo() {
	mkdir -p "$OUT"
	flock "$OUT/demo.flock" tests/system/demo-once || {
		tail -n 60 "$OUT/demo.out"
		return 1
	}
	demo_digest=$(sed 's/.*@//' "$OUT/demo.name")
	export demo_digest
}

# A directory for what a file of tests makes and removes again and again, in memory where one may
# mount: the file system of a disk looks ever longer for an inode where many were just given back.
# Prints its path; memory_drop takes that.
memory_dir() {
	local at
	at=$(mktemp -d "${TMPDIR:-/var/tmp}/memory.XXXXXX")
	mount -t tmpfs -o size=2g,mode=755 tests "$at" 2>/dev/null || true
	mkdir "$at/$1"
	echo "$at/$1"
}
memory_drop() {
	umount -l "${1%/*}" 2>/dev/null || true
	rm -rf "${1%/*}"
}

# Builds recipes/$1.yaml with its lock as oci:$2:1, or anew when a mirror has not got those packages
# any more.
build_shipped() {
	local lock=recipes/$1.lock
	"$posmedia" build "recipes/$1.yaml" --lock "$lock" -o "oci:$2:1" && return
	cp "$lock" "$2.lock"
	"$posmedia" lock "recipes/$1.yaml" --lock "$2.lock" --update &&
		"$posmedia" build "recipes/$1.yaml" --lock "$2.lock" -o "oci:$2:1"
}

# A copy of the demo's layout to add signatures to; blobs are shared, the index is its own.
copy_demo() {
	cp -al "$OUT/demo" "$1"
	cp --remove-destination "$OUT/demo/index.json" "$1/index.json"
}

free_port() {
	perl -MIO::Socket::INET -e '
		print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)->sockport'
}

# Runs a program in the unpacked image $root, with a /proc and a network of its own, and none of
# its ports.
inside() {
	# shellcheck disable=SC2016,SC2154 # expanded inside; the tests set root
	unshare --mount --pid --net --fork --mount-proc sh -c '
		mount -t tmpfs none "$0/run" && mkdir -p "$0/run/sshd" &&
		mount --bind /dev "$0/dev" && exec chroot "$0" "$@"' "$root" "$@"
}

# A registry of Debian in directory $1; sets registry (HOST:PORT) and registry_pid.
start_registry() {
	local port
	port=$(free_port)
	registry=127.0.0.1:$port
	mkdir -p "$1"
	cat >"$1/config.yml" <<-YAML
		version: 0.1
		log: {level: warn}
		storage: {filesystem: {rootdirectory: $1/data}, delete: {enabled: true}}
		http: {addr: "$registry"}
	YAML
	docker-registry serve "$1/config.yml" >"$1/log" 2>&1 3>&- &
	registry_pid=$!
	wait_for 20 curl -sf "http://$registry/v2/"
}

stop_registry() {
	[ -z "${registry_pid-}" ] || kill "$registry_pid" 2>/dev/null || true
	registry_pid=
}

# A podman with storage of its own in directory $1, as this machine's kernel and limits allow:
# use it as `engine ARGUMENT...`.
start_engine() {
	engine_dir=$1
	mkdir -p "$1"
	cat >"$1/containers.conf" <<-TOML
		[containers]
		default_ulimits = ["nofile=16384:16384", "nproc=4096:4096"]
		[engine]
		runtime = "runc"
		cgroup_manager = "cgroupfs"
		events_logger = "file"
	TOML
	echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$1/policy.json"
	export CONTAINERS_CONF=$1/containers.conf
}

engine() {
	podman --root "$engine_dir/root" --runroot "$engine_dir/run" --log-level error "$@" 3>&-
}

stop_engine() {
	[ -n "${engine_dir-}" ] || return 0
	engine rm -f -a -t 2 >/dev/null 2>&1 || true
	engine volume rm -a -f >/dev/null 2>&1 || true
	umount "$engine_dir/root/overlay" 2>/dev/null || true
	umount "$engine_dir/run/"* 2>/dev/null || true
}

# cosign from a newer suite than ours, unpacked, not installed: sets cosign, or skips the test.
need_cosign() {
	cosign=$OUT/tests/cosign/usr/bin/cosign
	[ -x "$cosign" ] || flock "$OUT/tests.flock" tests/system/fetch-tool trixie cosign \
		"$OUT/tests/cosign" >"$OUT/tests-cosign.log" 2>&1 ||
		skip "no cosign: $(tail -n 1 "$OUT/tests-cosign.log")"
}

# Flips one bit in the middle of a file, in a copy of its own; twice gives the old bytes.
flip() {
	cp "$1" "$1.flip"
	perl -e 'open my $f, "+<", $ARGV[0] or die; binmode $f; my $at = int((-s $f) / 2);
		seek $f, $at, 0; read $f, my $c, 1; seek $f, $at, 0;
		print $f chr(ord($c) ^ 1)' "$1.flip"
	mv -f "$1.flip" "$1"
}
