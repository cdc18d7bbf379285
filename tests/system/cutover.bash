#!/bin/bash
# An old server of its own: processes, mounts and a network apart from ours, a real sshd in it, and
# an application with a start script that honours the fence file. Tests load this after lib.
# shellcheck disable=SC2154,SC2034 # those and the tests set and use the variables

old_start() {
	data=$dir/usr2
	state=$dir/state
	mkdir -p "$data/sub" "$dir/cron" "$dir/init.d" "$dir/run" "$state"
	echo 100.00 >"$dir/uptime"
	echo boot-1 >"$dir/boot"
	echo orchids >"$data/catalogue"
	printf newline >"$data/sub/a"$'\n'b
	old_application
	# without what the home directory here makes a login do
	# shellcheck disable=SC2016 # expanded inside
	unshare --mount --net --pid --fork --kill-child --mount-proc bash -c '
		mount -t tmpfs home /root
		mount -t sysfs sys /sys
		ip link set lo up
		ip link add v0 type veth peer name v1
		ip addr add 192.0.2.9/24 brd + dev v0
		ip addr add 192.0.2.10/24 dev v0
		ip link set v0 up; ip link set v1 up
		ip route add default via 192.0.2.1 dev v0
		: >"$1/up"
		sleep 1000 & wait $!' - "$dir" 3>&- &
	old_unshare=$!
	wait_for 10 test -e "$dir/up"
	old_pid=$(pgrep -P "$old_unshare")
	cat >"$dir/agent" <"$OUT/agent.pl"
}

# From here on the test comes by ssh.
old_login() {
	ssh-keygen -q -t ed25519 -N '' -f "$dir/hostkey"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/key"
	cat >"$dir/sshd_config" <<-CONF
		Port 22
		ListenAddress 127.0.0.1
		HostKey $dir/hostkey
		PidFile none
		AuthorizedKeysFile $dir/key.pub
		StrictModes no
		PasswordAuthentication no
		UsePAM no
		PermitRootLogin prohibit-password
	CONF
	echo "127.0.0.1 $(cut -d' ' -f1,2 "$dir/hostkey.pub")" >"$dir/known"
	mkdir -p /run/sshd
	on_old "/usr/sbin/sshd -e -f '$dir/sshd_config' 2>'$dir/sshd.log'"
	by_ssh=1
	wait_for 10 on_old true
}

# Ends all of it: the processes die with the first of their namespace.
old_end() {
	[ -z "${old_unshare-}" ] || kill -9 "$old_unshare" 2>/dev/null || true
	[ -z "${old_pid-}" ] || kill -9 "$old_pid" 2>/dev/null || true
	wait "${old_unshare-}" 2>/dev/null || true
}

# By ssh, as the control host comes, after old_login; else without the time of a login.
on_old() {
	if [ -z "${by_ssh-}" ]; then
		nsenter -t "$old_pid" -m -n -p \
			env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin bash -c "$*" 3>&-
		return
	fi
	nsenter -t "$old_pid" -n -p ssh -F none -T -oBatchMode=yes -oIdentitiesOnly=yes \
		-oStrictHostKeyChecking=yes -oUserKnownHostsFile="$dir/known" \
		-oIdentityAgent=none -oIdentityFile="$dir/key" root@127.0.0.1 "$@" 3>&-
}

# The start script, and the program: it keeps its file open and writes what a client sends.
old_application() {
	cat >"$dir/till" <<-'PERL'
		use IO::Socket::INET; use POSIX;
		open my $f, '>>', "$ARGV[0]/sales" or die; $f->autoflush(1);
		my $s = IO::Socket::INET->new(LocalPort => 2001, Listen => 5, ReuseAddr => 1)
			or die;
		exit 0 if fork; POSIX::setsid();
		$SIG{TERM} = 'IGNORE' if $ARGV[1];
		open my $p, '>', $ARGV[2]; print $p $$; close $p;
		open STDOUT, '>/dev/null'; open STDERR, '>/dev/null';
		while (my $c = $s->accept) {
			my $l = <$c>;
			print $f $l;
			print $c "ok\n";
			close $c;
		}
	PERL
	cat >"$dir/init.d/pos" <<-SH
		#!/bin/sh
		pid=\$(cat $dir/run/pos 2>/dev/null)
		case \$1 in
		start)
			[ ! -e $state/7/fence ] || exit 6
			[ ! -x $dir/hangs ] || $dir/hangs
			[ -z "\$pid" ] || ! kill -0 "\$pid" 2>/dev/null || exit 0
			exec perl $dir/till $data "\$(cat $dir/stubborn 2>/dev/null)" \\
				$dir/run/pos ;;
		stop)
			[ -z "\$pid" ] || kill "\$pid" 2>/dev/null
			n=0
			while kill -0 "\$pid" 2>/dev/null && [ \$n -lt 20 ]; do
				sleep 0.05; n=\$((n + 1))
			done
			exit 0 ;;
		esac
	SH
	chmod 755 "$dir/init.d/pos"
}

settings() {
	echo "POSMEDIA_CUTOVER_STATE=$state POSMEDIA_CUTOVER_CRON=$dir/cron" \
		"POSMEDIA_CUTOVER_INIT=$dir/init.d POSMEDIA_CUTOVER_SYSTEMD=$dir/none" \
		"POSMEDIA_CUTOVER_UPTIME=$dir/uptime POSMEDIA_CUTOVER_BOOT=$dir/boot $*"
}

plan() {
	jq -nc --arg data "$data" --arg init "$dir/init.d/pos" '{data: [$data], services: ["pos"],
		ports: ["2001"], holders: "kill", patience: 1,
		start: [{run: [$init, "start"], within: 20}],
		address: {interface: "v0", address: "192.0.2.9"}} + $more' \
		--argjson more "${1:-{\}}"
}

# ask VERB [MORE-JSON [SETTING]]: one request in a session of its own; the answer is in $answer.
ask() {
	local more=${2:-}
	answer=$(jq -nc --arg verb "$1" --argjson more "${more:-{\}}" \
		--argjson epoch "${epoch:-1}" --arg run "${run_id:-r1}" \
		'{id: 1, verb: $verb, epoch: $epoch, run: $run} + $more' |
		on_old "$(settings "${3:-}") perl -w $dir/agent serve 7" 2>>"$dir/agent.err") ||
		true
}

fence() {
	ask fence "{\"lease\": ${lease:-60}, \"plan\": $(plan "${1:-}")}" "${2:-}"
}

tick() {
	on_old "$(settings) perl -w $dir/agent tick" 2>>"$dir/agent.err"
}

said() {
	jq -e "$1" <<<"$answer" >/dev/null || { echo "wanted $1; got: $answer"; return 1; }
}

# A sale is taken, and is on disk.
sells() {
	local id=sale-$RANDOM$RANDOM
	on_old "exec 9<>/dev/tcp/127.0.0.1/2001 && echo $id >&9 && head -n 1 <&9" |
		grep -q ok && grep -qx "$id" "$data/sales"
}

# All that a fence touches, as text.
picture() {
	on_old "stat -c '%a %n' $data $dir/init.d/pos; grep -c ' $data' /proc/mounts
		ip -o -4 addr show dev v0 | sed 's/^[0-9]*: //'; ip route | sort
		ls $state/7/fence 2>/dev/null; true"
}
