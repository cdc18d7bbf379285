#!/usr/bin/env bats
# The image as it runs: what its people meet at the door, what is written down of them, and what the
# kernel lets its processes do. The behaviour is tried, not the files.

bats_require_minimum_version 1.5.0
load lib

good='Xk9#mQ2!vL7pzT4w'

setup_file() {
	load lib
	export instance_dir
	instance_dir=$(mktemp -d)
	need_demo
	start_engine "$instance_dir/engine"
	engine pull -q --signature-policy "$instance_dir/engine/policy.json" \
		"oci:$OUT/demo:0.1.0" >"$instance_dir/id"
	export port
	port=$(free_port)
	engine run -d --name demo --systemd=always -v usr2:/usr2 -p "127.0.0.1:$port:22" \
		"$(cat "$instance_dir/id")"
	printf '#!/bin/sh\nhead -n 1 "%s/said"\n' "$instance_dir" >"$instance_dir/askpass"
	chmod 755 "$instance_dir/askpass"
	wait_for 60 in_demo timeout 90 systemctl is-system-running --wait
	in_demo useradd -m -s /bin/bash alice
	in_demo sh -c "echo 'alice:$good' | chpasswd"
}

teardown_file() {
	# shellcheck disable=SC2034 # of lib.bash
	engine_dir=$instance_dir/engine
	stop_engine
	rm -rf "$instance_dir"
}

setup() {
	# shellcheck disable=SC2034 # of lib.bash
	engine_dir=$instance_dir/engine
}

in_demo() {
	engine exec demo "$@"
}

# Logs alice in with that password and runs what follows.
alice() {
	echo "$1" >"$instance_dir/said"
	shift
	SSH_ASKPASS=$instance_dir/askpass SSH_ASKPASS_REQUIRE=force ssh -p "$port" \
		-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
		-o NumberOfPasswordPrompts=1 -o PreferredAuthentications=password \
		-o PubkeyAuthentication=no alice@127.0.0.1 "$@" 3>&-
}

audit() {
	local pid
	pid=$(engine inspect -f '{{.State.Pid}}' "$1")
	shift
	"$posmedia" audit "instance:$pid" --recipe recipes/demo.yaml "$@"
}

failing() {
	audit "$@" --json --fail-on never >"$instance_dir/audit.json"
	jq -r '[.results[] | select(.status == "fail").id] | join(" ")' \
		"$instance_dir/audit.json"
}

@test "an audit of the instance passes; it sees a port that nobody declared" {
	audit demo
	# shellcheck disable=SC2016 # perl's
	in_demo perl -MIO::Socket::INET -e '
		exit if fork;
		my $s = IO::Socket::INET->new(LocalAddr => "0.0.0.0:7777", Listen => 1) or die;
		sleep 60;'
	wait_for 10 in_demo sh -c 'ss -Hltn | grep -q :7777'
	[ "$(failing demo)" = NET-11 ]
	grep -q 'tcp 7777 listens' "$instance_dir/audit.json"
	in_demo pkill -f 7777
}

@test "what the start and useradd make is as closed as what the image came with" {
	[ "$(in_demo stat -c '%a %U:%G' /var/log/wtmp /var/log/btmp /var/log/lastlog | sort -u)" \
		= '640 root:utmp' ]
	[ "$(in_demo stat -c %a /home/alice)" = 750 ]
	[ "$(in_demo find /home/alice -type f -perm /037)" = '' ]
	in_demo lastlog -u alice
	# of an audit that asks for every severity nothing is left
	[ "$(failing demo)" = '' ]
}

@test "an audit sees what an engine was told to leave out" {
	engine run -d --name open --security-opt seccomp=unconfined --cap-add SYS_ADMIN \
		--entrypoint /usr/bin/sleep "$(cat "$instance_dir/id")" 60
	[ "$(failing open)" = OCI-05b ]
	grep -q 'has no filter of system calls' "$instance_dir/audit.json"
	grep -q 'may get the capability sys_admin' "$instance_dir/audit.json"
	engine rm -f -t 0 open
}

@test "who logs in is written down, and may not for a while after four wrong passwords" {
	[ "$(alice "$good" id -un)" = alice ]
	for _ in 1 2 3 4; do
		run alice 'not this one' true
		[ "$status" -eq 255 ]
	done
	run alice "$good" true
	[ "$status" -eq 255 ]
	wait_for 10 in_demo grep -q 'Failed password for alice' /var/log/auth.log
	in_demo grep -q 'Accepted password for alice' /var/log/auth.log
	[ "$(in_demo faillock --user alice | grep -c ' V$')" -ge 4 ]
	in_demo faillock --user alice --reset
	[ "$(alice "$good" id -un)" = alice ]
}

@test "a short, a common and a used password are refused; they age" {
	try() {
		in_demo sh -c "echo 'bob:$1' | chpasswd"
	}
	in_demo useradd bob
	try 'Zk8#mR2!vK7pzT4wQ'
	run ! try 'Zk8#mR2!'
	run ! try 'Straightforward1!'
	try 'Yk7#mS2!vJ7pzT4wR'
	run ! try 'Zk8#mR2!vK7pzT4wQ'
	[ "$(in_demo getent shadow bob | cut -d : -f 4-7)" = 1:90:7:45 ]
	# the day of the last change is long ago
	in_demo chage -d 2000-01-01 alice
	run alice "$good" true
	in_demo chage -d "$(date +%F)" alice
	[ "$status" -ne 0 ]
}

@test "an idle shell ends by itself, and nobody can tell it not to" {
	run alice "$good" 'bash -lc "TMOUT=0"'
	[[ $output == *'TMOUT: readonly variable'* ]]
	# shellcheck disable=SC2016 # expanded inside
	[ "$(alice "$good" 'bash -lc "echo \$TMOUT"')" = 900 ]
	# a quarter of an hour is too long for a test
	in_demo sed -i 's/TMOUT=900/TMOUT=1/' /etc/profile.d/60-posmedia-idle.sh
	run alice "$good" -tt < <(sleep 30)
	in_demo sed -i 's/TMOUT=1/TMOUT=900/' /etc/profile.d/60-posmedia-idle.sh
	[[ $output == *'timed out waiting for input: auto-logout'* ]]
}

@test "what is done with sudo is written down, after the password" {
	in_demo sh -c 'umask 227; echo "alice ALL=(root) /usr/bin/id" >/etc/sudoers.d/alice'
	run alice "$good" 'echo wrong | sudo -S id'
	[ "$status" -ne 0 ]
	[[ $(alice "$good" "echo '$good' | sudo -S id -u") == *0 ]]
	in_demo grep -q 'COMMAND=/usr/bin/id -u' /var/log/sudo.log
	wait_for 10 in_demo grep -q 'sudo:.*alice .*COMMAND=/usr/bin/id -u' /var/log/auth.log
	in_demo rm /etc/sudoers.d/alice
	in_demo faillock --user alice --reset
}

@test "twelve months of logs are kept" {
	# shellcheck disable=SC2016 # expanded inside
	in_demo sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do
		echo "month $i" >/var/log/sudo.log
		logrotate -f -s /tmp/state /etc/logrotate.d/posmedia-sudo || exit 1
	done'
	[ "$(in_demo sh -c 'ls /var/log/sudo.log.*' | wc -l)" = 12 ]
	[ "$(in_demo zcat /var/log/sudo.log.12.gz)" = 'month 3' ]
	in_demo logrotate -f -s /tmp/all /etc/logrotate.conf
}

@test "whatever speaks TLS speaks 1.2 or later" {
	tls() {
		in_demo timeout 2 openssl s_client -connect "127.0.0.1:$1" "$2" \
			-cipher DEFAULT@SECLEVEL=0 </dev/null 2>&1 | grep -q '^New, TLSv1'
	}
	in_demo sh -c 'command -v openssl'
	for p in 22 445 631 2001; do
		run ! tls "$p" -tls1
		run ! tls "$p" -tls1_1
	done
	tls 631 -tls1_2
}
