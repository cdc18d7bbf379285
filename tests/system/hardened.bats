#!/usr/bin/env bats
# The hardened image still works: each program's own check of its configuration passes, a password
# that keeps the rules can be set and one that breaks them cannot. The audit sees what is planted.

load lib

setup_file() {
	bats_require_minimum_version 1.5.0
	export tree_dir
	tree_dir=$(mktemp -d "${TMPDIR:-/var/tmp}/hardened.XXXXXX")
	load lib
	need_demo
	umoci unpack --image "$OUT/demo:0.1.0" "$tree_dir/bundle" >"$tree_dir/umoci.log" 2>&1
}

teardown_file() {
	rm -rf "$tree_dir"
}

setup() {
	root=$tree_dir/bundle/rootfs
}

@test "sshd accepts its configuration, and uses what the controls want" {
	# a key that goes away with the tree
	ssh-keygen -q -t ed25519 -N '' -f "$root/etc/ssh/test_key"
	inside /usr/sbin/sshd -t -h /etc/ssh/test_key
	inside /usr/sbin/sshd -T -h /etc/ssh/test_key >"$tree_dir/sshd"
	rm "$root/etc/ssh/test_key" "$root/etc/ssh/test_key.pub"
	grep -qx 'permitrootlogin no' "$tree_dir/sshd"
	grep -qx 'allowtcpforwarding no' "$tree_dir/sshd"
	grep -qx 'maxauthtries 4' "$tree_dir/sshd"
	weak='^(ciphers|macs|kexalgorithms) .*(cbc|arcfour|md5|sha1(,|$|-etm))'
	run ! grep -E "$weak" "$tree_dir/sshd"
}

@test "sudo, syslog, log rotation and the packet filter accept theirs" {
	inside visudo -c
	inside rsyslogd -N1
	inside logrotate -d /etc/logrotate.conf >"$tree_dir/logrotate" 2>&1
	run ! grep -i '^error' "$tree_dir/logrotate"
	inside nft -c -f /etc/nftables.conf
	inside nft -f /etc/nftables.conf
}

@test "a good password can be set; a short, a plain and an old one cannot" {
	try() {
		echo "rti:$1" | inside chpasswd
	}
	cp -a "$root/etc/shadow" "$tree_dir/shadow"
	try 'Xk9#mQ2!vL7pzT4w'
	grep -q '^rti:[$]y[$]' "$root/etc/shadow"
	run ! try 'Xk9#mQ2!'
	run ! try 'password1password1'
	try 'Zk8#mR2!vK7pzT4wQ'
	run ! try 'Xk9#mQ2!vL7pzT4w'
	cp -a "$tree_dir/shadow" "$root/etc/shadow"
	: >"$root/etc/security/opasswd"
}

@test "the audit passes the tree, and refuses it with a key or a loosened setting in it" {
	"$posmedia" audit "dir:$root" --recipe recipes/demo.yaml
	ssh-keygen -q -t ed25519 -N '' -f "$root/srv/backup"
	run -4 "$posmedia" audit "dir:$root" --recipe recipes/demo.yaml
	[[ $output == *SEC-03*"/srv/backup: private key"* ]]
	rm "$root/srv/backup" "$root/srv/backup.pub"
	echo 'PermitRootLogin yes' >"$root/etc/ssh/sshd_config.d/00-a.conf"
	chmod 600 "$root/etc/ssh/sshd_config.d/00-a.conf"
	run -4 "$posmedia" audit "dir:$root" --recipe recipes/demo.yaml --json
	rm "$root/etc/ssh/sshd_config.d/00-a.conf"
	[[ $output == *'/etc/ssh/sshd_config.d/00-a.conf:1: PermitRootLogin is \"yes\"'* ]]
}
