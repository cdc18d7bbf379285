#!/usr/bin/env bats
# An old server whose init is the real systemd, in namespaces and a cgroup of its own: masked,
# proven, held, and a boot that begins with the fence before anything of its own writes.

bats_require_minimum_version 1.5.0
load ../system/lib

setup() {
	dir=$(mktemp -d)
	make_root "$dir/root"
	boot
}

teardown() {
	power_off
	rm -rf "$dir"
}

# Its own /etc, /var and data; programs are this machine's. What writes at a boot is no service of
# the application: nobody knows of it.
make_root() {
	local root=$1 d
	mkdir -p "$root"/{usr,proc,sys,dev,tmp,run,root,usr2,opt,var/{log,lib,tmp}} \
		"$root"/etc/{init.d,cron.d,systemd/system}
	for d in bin sbin lib lib64; do
		[ ! -L "/$d" ] || ln -s "usr/$d" "$root/$d"
	done
	cp -a /etc/{ld.so.cache,ld.so.conf,ld.so.conf.d,alternatives,perl,nsswitch.conf} \
		"$root/etc/"
	echo root:x:0:0::/root:/bin/bash >"$root/etc/passwd"
	echo root:x:0: >"$root/etc/group"
	: >"$root/etc/machine-id"
	gcc -std=gnu17 -D_GNU_SOURCE -O2 -static -o "$root/opt/till" tests/lib/cutover-till.c
	cat >"$root/etc/systemd/system/pos.service" <<-'UNIT'
		[Service]
		ExecStart=/opt/till old /usr2
		Restart=always
	UNIT
	cat >"$root/etc/systemd/system/writes.service" <<-'UNIT'
		[Service]
		Type=oneshot
		RemainAfterExit=yes
		ExecStart=/bin/sh -c 'date >>/usr2/written'
	UNIT
	cat >"$root/etc/systemd/system/shop.target" <<-'UNIT'
		[Unit]
		Requires=sysinit.target
		After=sysinit.target
		Wants=pos.service writes.service
	UNIT
	cp "$OUT/agent.pl" "$root/opt/agent"
}

boot() {
	cat /proc/sys/kernel/random/uuid >"$dir/boot_id"
	group=/sys/fs/cgroup/systemd/posmedia-$$-$BATS_TEST_NUMBER
	[ -d /sys/fs/cgroup/systemd ] || group=/sys/fs/cgroup/posmedia-$$-$BATS_TEST_NUMBER
	mkdir -p "$group"
	# shellcheck disable=SC2016 # expanded inside
	bash -c 'echo $$ >"$1/cgroup.procs"
		exec unshare --net --pid --mount --uts --cgroup --fork --kill-child \
			bash -ec "$2" - "$3" "$4"' - "$group" '
		mount --make-rprivate /
		mount --bind "$1" "$1"
		mount --bind /usr "$1/usr"
		mount -o remount,ro,bind "$1/usr"
		mount --rbind /dev "$1/dev"
		mount -t sysfs -o ro sys "$1/sys"
		mount --rbind /sys/fs/cgroup "$1/sys/fs/cgroup"
		mount -t tmpfs none "$1/run"
		mount -t tmpfs none "$1/tmp"
		mount -t proc proc "$1/proc"
		mount --bind "$2" "$1/proc/sys/kernel/random/boot_id"
		ip link set lo up
		exec chroot "$1" env -i container=docker PATH=/usr/sbin:/usr/bin:/sbin:/bin \
			/lib/systemd/systemd --unit=shop.target --log-target=null' \
		"$dir/root" "$dir/boot_id" >"$dir/boot.log" 2>&1 3>&- &
	outer=$!
	wait_for 10 find_init
	wait_for 60 is_up
}

# The first process of it, as this machine numbers it: the child of who made its namespaces.
find_init() {
	init=$(pgrep -P "$outer")
}
is_up() {
	[[ $(inside systemctl show -p ActiveState --value shop.target) == active ]]
}

power_off() {
	kill -KILL "${init:-$outer}" 2>/dev/null || true
	wait "$outer" 2>/dev/null || true
	find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
}

inside() {
	nsenter -t "$init" -a -r -w env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# ask VERB [MORE-JSON]: the answer is in $answer.
ask() {
	answer=$(jq -nc --arg verb "$1" --argjson more "${2:-{\}}" \
		'{id: 1, verb: $verb, epoch: 1, run: "r1"} + $more' |
		inside perl -w /opt/agent serve 7)
	jq -e .ok <<<"$answer" >/dev/null || { echo "$answer"; return 1; }
}

sells() {
	# shellcheck disable=SC2016 # expanded inside
	[[ $(inside bash -c 'exec 9<>/dev/tcp/127.0.0.1/2001 && echo "$1" >&9 && head -n 1 <&9' - \
		"s1-$RANDOM" 2>/dev/null) == ok* ]]
}

state_of() {
	inside systemctl show -p ActiveState --value "$1"
}

@test "held by systemd's own means, and a boot begins with its fence" {
	local unit=/etc/systemd/system/posmedia-cutover.service lines
	wait_for 10 sells
	[ "$(wc -l <"$dir/root/usr2/written")" = 1 ]
	ask fence '{"lease": 600, "plan": {"data": ["/usr2"], "services": ["pos"],
		"ports": ["2001"], "holders": "kill"}}'
	ask prove
	[[ $(inside systemctl is-enabled pos.service || true) == masked ||
		-e $dir/root/etc/systemd/system/pos.service.d/posmedia-cutover.conf ]]
	run inside systemctl start pos.service
	run ! sells
	ask hold
	[ -e "$dir/root$unit" ]
	[ -L "$dir/root/etc/systemd/system/sysinit.target.wants/posmedia-cutover.service" ]
	inside systemd-analyze verify --man=no "$unit"
	power_off
	lines=$(wc -l <"$dir/root/usr2/written")
	boot
	# it came before who writes at a boot, and before the application
	[ "$(state_of posmedia-cutover.service)" = active ]
	[ "$(state_of writes.service)" = failed ]
	[ "$(wc -l <"$dir/root/usr2/written")" = "$lines" ]
	run inside sh -c 'echo x >>/usr2/written'
	[ "$status" -ne 0 ]
	run inside systemctl start pos.service
	run ! sells
	# when it is the shop's again nothing of that is left
	ask release
	[ ! -e "$dir/root$unit" ]
	wait_for 10 sells
	inside sh -c 'echo x >>/usr2/written'
	power_off
	boot
	wait_for 10 sells
	[ "$(state_of writes.service)" = active ]
}

@test "tried on what came back, and masked again when that is over" {
	local now
	ask fence '{"lease": 600, "plan": {"data": ["/usr2"], "services": ["pos"],
		"ports": ["2001"], "holders": "kill",
		"address": {"interface": "lo", "address": "127.0.0.9"}}}'
	ask yield
	ask hold
	ask receive '{"data": [{"at": "/usr2"}], "users": ["root"], "groups": ["root"]}'
	ask status
	now=$(jq -c '{until: {boot: .boot, uptime_ms: (.uptime_ms + 5000)}}' <<<"$answer")
	ask try "$now"
	wait_for 5 sells
	# Restart=always does not bring it back
	wait_for 20 is_out_of_work
	run ! sells
}

is_out_of_work() {
	# a unit of /etc is none to be masked, and its condition is no failure
	inside systemctl start pos.service || true
	! sells && ! inside sh -c 'echo x >>/usr2/written'
}
