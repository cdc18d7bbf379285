#!/usr/bin/env bats
# posmedia host prepare on the machine that runs: a real engine, and features of the real kernel.
# What is set is set on a copy of its files, in namespaces that are gone afterwards.

bats_require_minimum_version 1.5.0
load lib
load engines

setup() {
	dir=$(mktemp -d)
	mkdir -p "$dir/recipes/hosts/units"
	cp -r recipes/profiles "$dir/recipes/"
	printf '[Service]\nExecStart=/bin/true\n' >"$dir/recipes/hosts/units/pos@.service"
	engine_pid=
}

teardown() {
	[ -z "$engine_pid" ] || stop_service "$dir/engine"
	rm -rf "$dir"
}

item() {
	jq -r --arg id "$1" --arg key "${2-status}" '.items[] | select(.id == $id) | .[$key]' \
		<<<"$output"
}

prepare() {
	run --separate-stderr "$posmedia" host prepare --project "$dir" --state "$dir/srv" \
		--fail-on never --json "$@"
}

@test "the engine and the kernel are tried, and nothing is left of it" {
	start_service "$dir/engine" podman
	prepare --check --engine "$engine_socket"
	[ "$status" -eq 4 ]
	[ "$(item engine.installed)" = ok ]
	local version
	version=$(podman version -f '{{.Client.Version}}')
	[[ $(item engine.answers found) == "podman $version, API 1."* ]]
	local id
	for id in namespaces overlay seccomp cgroup macvlan tunnel; do
		[ "$(item kernel.$id)" = ok ] || { item kernel.$id found; false; }
	done
	[ "$(item data.room)" = ok ]
	[ "$(item data.directory)" = wanted ]
	[ ! -e "$dir/srv" ]
	run bash -c 'ip -o link; nft list tables; cat /proc/self/mountinfo'
	[[ $output != *' pm0'* && $output != *posmedia_try* && $output != *lowerdir=/usr/bin:* ]]
	# what does not answer any more is told so
	stop_service "$dir/engine" || true
	engine_pid=
	prepare --check --engine "$dir/engine/sock"
	[ "$(item engine.answers)" = wanted ]
	[[ $(item engine.answers found) == "no socket $dir/engine/sock" ]]
}

@test "features that the kernel does not have, or not for us, are not claimed" {
	command -v setpriv
	# without the right to make namespaces nothing can be tried
	run --separate-stderr setpriv --bounding-set=-sys_admin,-net_admin --inh-caps=-all \
		"$posmedia" host prepare --check --project "$dir" --fail-on never --json
	[ "$(item kernel.overlay)" = wanted ]
	[ "$(item kernel.macvlan)" = wanted ]
	[[ $(item kernel.namespaces found) == *'Operation not permitted'* ]]
	chmod 755 "$dir"
	run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$posmedia" host prepare --check --project "$dir" --fail-on never --json
	[ "$(item kernel.overlay)" = unknown ]
	[ "$(item kernel.overlay found)" = 'only root can try it' ]
}

@test "swap in use, and file systems of their own, are looked at" {
	local rules=$dir/tree/etc/audit/rules.d/own.rules bits p
	mkdir -p "$dir/tree/etc/audit/rules.d" "$dir/tree/mnt"
	: >"$dir/tree/etc/audit/auditd.conf"
	: >"$dir/swapfile"
	printf 'Filename Type Size Used Priority\n%s file 1 0 -2\n' "$dir/swapfile" >"$dir/swaps"
	for bits in 32 64; do
		for p in u g; do
			echo "-a always,exit -F arch=b$bits -S execve -C e${p}id!=${p}id" \
				"-F auid!=unset -k user-emulation"
		done
	done >"$rules"
	cat >"$dir/run" <<-'SH'
		set -e
		look() {
			"$posmedia" host prepare --check --project "$dir" --fail-on never --json \
				"$@" >"$dir/$name.json" || :
		}
		mount -t tmpfs none "$dir/tree/mnt"
		install -m 4755 /dev/null "$dir/tree/mnt/own"
		name=runs look --root "$dir/tree"
		mount -o remount,nosuid "$dir/tree/mnt"
		name=nosuid look --root "$dir/tree"
		name=before look
		mount --bind "$dir/swaps" /proc/swaps
		name=swaps look
	SH
	export posmedia dir
	unshare --mount sh "$dir/run"
	aud() {
		jq -r '.controls[] | select(.id == "AUD-08") | .status' "$dir/$1.json"
	}
	[ "$(aud runs)" = fail ]
	[ "$(aud nosuid)" = pass ]
	chd() {
		jq -r '.controls[] | select(.id == "CHD-03") | .detail' "$dir/$1.json"
	}
	[[ $(chd before) != *swapfile* ]]
	[[ $(chd swaps) == *"swap in use on $dir/swapfile"* ]]
}

@test "the running machine is set, in its files and in its kernel" {
	mkdir -p "$dir/etc" "$dir/work" "$dir/scratch"
	echo 128 >"$dir/instances"
	cat >"$dir/run" <<-'SH'
		set -e
		mount -t tmpfs none "$1/scratch"
		mkdir "$1/scratch/up" "$1/scratch/work"
		mount -t overlay -o "lowerdir=/etc,upperdir=$1/scratch/up" \
			-o "workdir=$1/scratch/work" none /etc
		mount --bind "$1/instances" /proc/sys/fs/inotify/max_user_instances
		echo 0 >/proc/sys/net/ipv4/ip_forward
		"$posmedia" host prepare --project "$1" --state "$1/srv" --fail-on never --json \
			>"$1/first.json" || :
		"$posmedia" host prepare --project "$1" --state "$1/srv" --fail-on never --json \
			>"$1/second.json" || :
		cat /proc/sys/net/ipv4/ip_forward "$1/instances" >"$1/values"
		find "$1/scratch/up" -type f -printf '%P\n' | sort >"$1/written"
	SH
	export posmedia
	unshare --mount --net sh "$dir/run" "$dir"
	output=$(cat "$dir/first.json")
	[ "$(item settings)" = changed ]
	[[ $(item settings found) == *'ip_forward is 0, fs.inotify.max_user_instances is 128' ]]
	[ "$(item units.installed)" = changed ]
	[ "$(item data.directory)" = changed ]
	[ "$(xargs <"$dir/values")" = '1 1024' ]
	[ "$(xargs <"$dir/written")" = 'sysctl.d/60-posmedia.conf systemd/system/pos@.service' ]
	output=$(cat "$dir/second.json")
	[ "$(jq '.summary.changed' <<<"$output")" = 0 ]
	[ "$(item settings)" = ok ]
	[ ! -e /etc/sysctl.d/60-posmedia.conf ]
}

# Runs a script as root of a machine of its own: $1 is the script, its files of /etc are a copy, and
# $dir/disk is to be mounted there.
machine() {
	mkdir -p "$dir/etc" "$dir/scratch" "$dir/disk/a"
	cat >"$dir/run" <<-SH
		set -e
		mount -t tmpfs none "$dir/scratch"
		mkdir "$dir/scratch/up" "$dir/scratch/work"
		mount -t overlay -o "lowerdir=/etc,upperdir=$dir/scratch/up" \
			-o "workdir=$dir/scratch/work" none /etc
		echo "none $dir/disk tmpfs noauto 0 0" >/etc/fstab
		set +e
		$1
	SH
	posmedia=$posmedia run --separate-stderr unshare --mount --net sh "$dir/run"
}

@test "no data goes below a disk that is not mounted" {
	local verb
	mkdir -p "$dir/recipes/sites" "$dir/signing"
	cp recipes/hosts/seccomp.yaml "$dir/recipes/hosts/"
	printf 'posmedia-policy: 1\ndefault: reject\n' >"$dir/signing/policy.yaml"
	cat >"$dir/recipes/sites/dev.yaml" <<-'YAML'
		posmedia: 1
		shop: "123"
		environment: dev
		image: {reference: "oci:out/till:1", policy: signing/policy.yaml}
		hostname: shop123-dev
		data: [{name: usr2, at: /usr2}]
	YAML
	ln -s disk/a "$dir/link"
	for verb in start stop 'stage --rollback' 'destroy --confirm 123'; do
		machine "\$posmedia $verb --engine /none --state $dir/disk/a/pos \
			$dir/recipes/sites/dev.yaml"
		[[ $stderr == *"$dir/disk is not mounted, where $dir/disk/a/pos/123/dev"* ]] || {
			echo "$verb: $stderr"; false; }
		[ -z "$(ls -A "$dir/disk/a")" ]
	done
	# also through a link
	machine "\$posmedia stage --rollback --engine /none --state $dir/link/pos \
		$dir/recipes/sites/dev.yaml"
	[[ $stderr == *"$dir/disk is not mounted, "* ]] || { echo "$stderr"; false; }
	machine "\$posmedia host prepare --project $dir --state $dir/disk/a/pos \
		--fail-on never --json"
	[ "$(item data.directory)" = wanted ]
	[ "$(item data.encrypted)" = wanted ]
	[ "$(item data.room)" = wanted ]
	[[ $(item data.directory found) == "$dir/disk is not mounted" ]] ||
		{ item data.directory found; false; }
	[ -z "$(ls -A "$dir/disk/a")" ]
	# with the disk there is nothing against it: that nothing was staged is what is found next
	machine "mount $dir/disk; mkdir $dir/disk/a
		\$posmedia stage --rollback --engine /none --state $dir/link/pos \
			$dir/recipes/sites/dev.yaml
		\$posmedia host prepare --project $dir --state $dir/disk/a/pos \
			--fail-on never --json"
	[[ $stderr != *'is not mounted'* && $stderr == *'nothing was staged below'* ]] ||
		{ echo "$stderr"; false; }
	[ "$(item data.directory)" = changed ] || { item data.directory found; false; }
	[ -z "$(ls -A "$dir/disk/a")" ]
}
