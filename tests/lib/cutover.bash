#!/bin/bash
# Two hosts of a shop and the link between them, for tests and benches of a cutover. The shop has a
# bridge with its people on it; OLD hangs on that: an old server with a root, processes, mounts and
# a network of its own, sshd, rsync, a cron and the till, started by a script of /etc/init.d; NEW is
# at the other end of a link: a host with an engine and posmedia. Load this after system/lib,
# system/tiny, system/engines and system/stage.
#
#   192.0.2.1 the shop   192.0.2.5 OLD   192.0.2.6 NEW   192.0.2.9 the till's, which goes over
#   192.0.2.10 the instance's before that
# shellcheck disable=SC2154,SC2034 # those and the tests set and use the variables

# Sets cutover_till and cutover_link, the programs of these tests in $dir, and makes them unless
# they are made.
cutover_programs() {
	local how=(-std=gnu17 -D_GNU_SOURCE -O2)
	cutover_till=$dir/cutover-till cutover_link=$dir/cutover-link
	[ "${1-}" != made ] || return 0
	gcc "${how[@]}" -static -o "$cutover_till" tests/lib/cutover-till.c
	gcc "${how[@]}" -o "$cutover_link" tests/lib/cutover-link.c
}

# A signed image with the till, promoted, in $dir; its project is there too.
make_cutover_image() {
	local root=$dir/root env
	export POSMEDIA_STORE=$dir/store
	mkdir -p "$root"/{bin,etc,proc,sys,dev,tmp,run,usr2,var/log} \
		"$dir/recipes/sites" "$dir/recipes/hosts" "$dir/signing"
	cp /bin/busybox "$root/bin/busybox"
	cp "$cutover_till" "$root/bin/till"
	printf '%s\n' root:x:0:0::/root:/bin/sh rti:x:1500:1500::/usr2:/bin/sh >"$root/etc/passwd"
	printf '%s\n' root:x:0: rti:x:1500: >"$root/etc/group"
	# a sale that nobody paid, which the application's own hook makes
	cat >"$root/bin/testsale" <<-'SH'
		#!/bin/busybox sh
		b=/bin/busybox
		answer=$({ echo test-1; $b sleep 0.2; } | $b nc -w 3 127.0.0.1 2001)
		[ "$answer" = "ok test-1 new" ]
	SH
	chmod 755 "$root/bin/testsale"
	tar -C "$root" --owner=0 --group=0 -cf "$dir/root.tar" .
	cp recipes/hosts/seccomp.yaml "$dir/recipes/hosts/"
	cat >"$dir/recipes/till.yaml" <<-YAML
		posmedia: 1
		name: till
		version: 1
		base: {tar: {url: root.tar, sha256: $(sha256sum <"$dir/root.tar" | cut -c1-64)}}
		run: {entrypoint: [/bin/till, new, /usr2]}
		ports: [2001/tcp]
	YAML
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/till:1
	succeeded
	posmedia key new k --uid 'Release <release@example.org>'
	succeeded
	cat >"$dir/signing/policy.yaml" <<-'YAML'
		posmedia: 1
		repositories: [{match: "localhost/till", keys: [../k.pub]}]
		default: accept
	YAML
	posmedia sign oci:out/till:1 --key k
	succeeded
	for env in qa prod; do
		posmedia promote oci:out/till:1 --to "$env" --key k
		succeeded
	done
}

# recipes/sites/prod.yaml: the site and its cutover, with more lines of the latter.
cutover_site() {
	cat >"$dir/recipes/sites/prod.yaml" <<-YAML
		posmedia: 1
		shop: "123"
		environment: prod
		image: {reference: "oci:out/till:1", policy: signing/policy.yaml}
		hostname: shop123
		data: [{name: usr2, at: /usr2}]
		network: {interface: lan0, address: 192.0.2.9/24, gateway: 192.0.2.1}
		secrets: [{name: old, file: $dir/oldkey}]
		health: [{name: till, tcp: 2001, within: 20s}]
		cutover:
		  old:
		    host: ssh://root@192.0.2.5
		    known_hosts: $dir/known
		    secret: old
		    stop: [{run: [/etc/init.d/pos, stop]}]
		    services: [pos]
		    start: [{run: [/etc/init.d/pos, start]}]
		    ports: [2001]
		    address: {interface: eth0, address: 192.0.2.9/24}
		  private: 192.0.2.10/24
		  require-rehearsal: ${rehearsal-false}
		  lease: ${lease-20s}
		  checks:
		    - {name: port, on: new, phase: smoke, tcp: 2001}
		    - {name: sale, on: new, phase: smoke, run: [/bin/testsale]}
		${1-}
	YAML
}

# OLD's own root in $dir/old: programs are this machine's, all else is its own and stays over a
# boot. Data is in usr2, $1 MB of it.
make_old() {
	local root=$dir/old d
	mkdir -p "$root"/{usr,proc,sys,dev,tmp,run,root,usr2,etc,opt,var/{log,lib,tmp}} \
		"$root"/etc/{init.d,rc3.d,cron.d,ssh}
	for d in bin sbin lib lib64; do
		[ ! -L "/$d" ] || ln -s "usr/$d" "$root/$d"
	done
	cp -a /etc/{ld.so.cache,ld.so.conf,ld.so.conf.d,alternatives,perl,nsswitch.conf} \
		"$root/etc/"
	printf '%s\n' root:x:0:0::/root:/bin/bash rti:x:777:778::/usr2:/bin/bash \
		sshd:x:109:65534::/run/sshd:/usr/sbin/nologin >"$root/etc/passwd"
	printf '%s\n' root:x:0: rti:x:778: nogroup:x:65534: >"$root/etc/group"
	echo 'root:*:19000::::::' >"$root/etc/shadow"
	cp "$cutover_till" "$root/opt/till"
	cp tests/lib/cutover-crond "$root/opt/crond"
	make_old_scripts "$root"
	ssh-keygen -q -t ed25519 -N '' -f "$root/etc/ssh/hostkey"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/oldkey"
	cp "$dir/oldkey.pub" "$root/etc/ssh/authorized"
	echo "192.0.2.5 $(cut -d' ' -f1,2 "$root/etc/ssh/hostkey.pub")" >"$dir/known"
	tests/lib/cutover-data make "$root/usr2" "$1" 1
	chown -R 777:778 "$root/usr2"
}

make_old_scripts() {
	cat >"$1/etc/ssh/config" <<-'CONF'
		ListenAddress 0.0.0.0
		HostKey /etc/ssh/hostkey
		PidFile none
		AuthorizedKeysFile /etc/ssh/authorized
		StrictModes no
		PasswordAuthentication no
		UsePAM no
		UseDNS no
		PermitRootLogin prohibit-password
		MaxStartups 100
	CONF
	cat >"$1/etc/init.d/pos" <<-'SH'
		#!/bin/bash
		# the application's start script, which looks whether this server is the shop's
		fence=/var/lib/posmedia-cutover/123/fence
		running() { [ -s /run/pos.pid ] && kill -0 "$(cat /run/pos.pid)" 2>/dev/null; }
		case $1 in
		start)
			[ ! -e "$fence" ] || { echo 'this server is fenced'; exit 1; }
			running && exit 0
			setsid /opt/till old /usr2 >>/var/log/pos 2>&1 </dev/null &
			echo $! >/run/pos.pid
			;;
		stop)
			running || exit 0
			kill "$(cat /run/pos.pid)"
			for ((i = 0; i < 100; i++)); do
				running || exit 0
				sleep 0.1
			done
			exit 1
			;;
		status) running ;;
		esac
	SH
	# what init does at a boot
	cat >"$1/opt/boot" <<-'SH'
		#!/bin/bash
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin
		mkdir -p /run/sshd
		/usr/sbin/sshd -f /etc/ssh/config -E /var/log/sshd
		for script in /etc/rc3.d/S*; do
			[ ! -x "$script" ] || "$script" start
		done
		/opt/crond /etc/cron.d "$1" &
		[ ! -x /opt/inittab ] || /opt/inittab
		[ ! -x /etc/init.d/pos ] || /etc/init.d/pos start
		touch /run/booted
		while :; do wait; sleep 0.2; done
	SH
	chmod 755 "$1/etc/init.d/pos" "$1/opt/boot" "$1/opt/till" "$1/opt/crond"
}

# Boots OLD, with its cron's minute of $cron_every seconds; its addresses come with it.
start_old() {
	local root=$dir/old
	cat /proc/sys/kernel/random/uuid >"$dir/boot_id"
	rm -rf "$root"/run "$root/tmp"
	mkdir -p "$root"/{run,tmp}
	# its own uptime, from this boot on
	# shellcheck disable=SC2016 # expanded inside
	unshare --net --pid --mount --uts --time --boottime "-$(cut -d. -f1 /proc/uptime)" \
		--fork --kill-child bash -ec '
		hostname old
		mount --bind "$0" "$0"
		mount --bind /usr "$0/usr"
		mount -o remount,ro,bind "$0/usr"
		mount --rbind /dev "$0/dev"
		mount -t proc proc "$0/proc"
		mount --bind "$1" "$0/proc/sys/kernel/random/boot_id"
		ip link set lo up
		exec chroot "$0" /opt/boot "$2"' "$root" "$dir/boot_id" "${cron_every-5}" \
		>"$dir/old.log" 2>&1 3>&- &
	old_outer=$!
	wait_for 30 old_init
	old_pid=$(old_init)
	# a boot leaves a card as it is
	shop ip link add old0 type veth peer name eth0 address 02:00:c0:00:02:05 netns "$old_pid"
	shop ip link set old0 master br0 up
	at_old ip -batch - <<-'LINES'
		link set eth0 up
		address add 192.0.2.5/24 brd + dev eth0
		address add 192.0.2.9/24 brd + dev eth0
	LINES
	wait_for 10 test -e "$root/run/booted"
	wait_for 10 shop timeout 2 bash -c '</dev/tcp/192.0.2.5/22'
}

# The first process of OLD, as this machine numbers it; before it there is a child of another kind
# for a moment.
old_init() {
	pgrep -P "$old_outer" '^(bash|boot)$'
}

# As a power cut: all of it at once.
kill_old() {
	kill -KILL "$old_pid" 2>/dev/null || true
	wait "$old_outer" 2>/dev/null || true
	# the network goes when the kernel comes to it, and its cable would be in the next one's way
	shop ip link del old0 2>/dev/null || true
}

# Runs a program in the network of OLD, of the shop, or of NEW; or in OLD itself.
at_old() {
	nsenter --net="/proc/$old_pid/ns/net" "$@"
}
in_old() {
	nsenter -t "$old_pid" -a -r -w env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}
shop() {
	nsenter --net="/proc/$shop_pid/ns/net" "$@"
}
at_new() {
	nsenter --net="/proc/$engine_pid/ns/net" "$@"
}

# The shop and its bridge.
start_shop() {
	unshare --net sleep infinity 3>&- &
	shop_pid=$!
	wait_for 5 other_net "$shop_pid"
	shop ip -batch - <<-'LINES'
		link set lo up
		link add br0 type bridge
		link set br0 up
		address add 192.0.2.1/24 dev br0
	LINES
}

other_net() {
	[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

# NEW with docker or podman ($1), at the end of a link: $2 bits a second and $3 ms each way, or
# without those a cable.
start_new() {
	start_service "$dir/engine" "$1"
	at_new ip link set lo up
	if [ -n "${2-}" ]; then
		start_link "$2" "$3"
	else
		shop ip link add new0 type veth peer name lan0 netns "$engine_pid"
	fi
	shop ip link set new0 master br0 up
	at_new ip -batch - <<-'LINES'
		link set lan0 up
		address add 192.0.2.6/24 brd + dev lan0
	LINES
	printf '#!/bin/sh\nexec nsenter --net=/proc/%s/ns/net "%s" "$@"\n' "$engine_pid" \
		"${program-$OUT/posmedia}" >"$dir/posmedia"
	chmod 755 "$dir/posmedia"
	posmedia=$dir/posmedia
	wait_for 10 at_new ping -c 1 -W 1 192.0.2.5
}

start_link() {
	local a=cut$$a b=cut$$b
	mkfifo "$dir/link"
	"$cutover_link" "$a" "$b" "$dir/link" >"$dir/link.said" 2>&1 3>&- &
	link_pid=$!
	wait_for 5 grep -qs ready "$dir/link.said"
	ip link set "$a" netns "$shop_pid"
	ip link set "$b" netns "$engine_pid"
	shop ip link set "$a" name new0
	at_new ip link set "$b" name lan0
	link "shape $1 $2"
}

# An order to the link: "cut", "mend", "shape BITS MS".
link() {
	echo "$1" >"$dir/link"
}

# What the link, or the cable, does for a network that is gone, or back.
cut_link() {
	if [ -n "${link_pid-}" ]; then link cut; else shop ip link set new0 down; fi
}
mend_link() {
	if [ -n "${link_pid-}" ]; then link mend; else shop ip link set new0 up; fi
}

# The people of the shop, one sale every $1 ms, logged in $dir/sales.log.
start_sales() {
	: >"$dir/sales.log"
	# the client itself is who is ended later, and not a shell before it
	nsenter --net="/proc/$shop_pid/ns/net" tests/lib/cutover-client 192.0.2.9 "$1" \
		"$dir/sales.log" 3>&- &
	client_pid=$!
	wait_for 5 grep -q accepted "$dir/sales.log"
}

stop_sales() {
	kill "$client_pid"
	wait "$client_pid" || true
	client_pid=
}

# What became of all sales, when $1 ("old" or "new") serves: prints it, and fails when one is lost.
sales_are_whole() {
	local old=$dir/old/usr2/sales new=$dir/srv/123/prod/usr2/sales
	touch "$dir/none"
	[ -e "$new" ] || new=$dir/none
	if [ "$1" = old ]; then
		# what the other side wrote before it was undone was never anybody's sale
		tests/lib/cutover-check "$dir/sales.log" "$old" "$new" old
	else
		tests/lib/cutover-check "$dir/sales.log" "$new" "$old" new
	fi
}

# Who answers: "old", "new", or nothing.
who_serves() {
	# shellcheck disable=SC2016 # expanded there
	shop timeout 3 bash -c 'exec 8<>/dev/tcp/192.0.2.9/2001 && echo who-1 >&8 &&
		read -t 2 _ _ side <&8 && echo "$side"' 2>/dev/null
}

# Who comes is told at once that nobody serves.
nobody_serves() {
	shop timeout 2 bash -c '</dev/tcp/192.0.2.9/2001' 2>&1 | grep -q refused
}

# Ends all of it, and what it mounted.
stop_cutover() {
	[ -z "${client_pid-}" ] || kill "$client_pid" 2>/dev/null || true
	[ -z "${link_pid-}" ] || kill "$link_pid" 2>/dev/null || true
	[ -z "${old_pid-}" ] || kill -KILL "$old_pid" 2>/dev/null || true
	stop_service "$dir/engine"
	[ -z "${shop_pid-}" ] || kill "$shop_pid" 2>/dev/null || true
	awk -v at="$dir/" 'index($5, at) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		xargs -r umount -l
	client_pid='' link_pid='' old_pid='' shop_pid=''
}

serves() {
	[ "$(who_serves)" = "$1" ]
}

# A sale or more later than now: the load goes on on that side.
sells() {
	local from
	from=$(grep -c "accepted $1" "$dir/sales.log" || true)
	wait_for 30 more_than "$from" "$1"
}
more_than() {
	[ "$(grep -c "accepted $2" "$dir/sales.log")" -gt "$1" ]
}
