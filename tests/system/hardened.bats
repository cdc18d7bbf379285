#!/usr/bin/env bats
# The hardened image still works: each program's own check of its configuration passes, a password
# that keeps the rules can be set and one that breaks them cannot. The audit sees what is planted.
# shellcheck disable=SC2030,SC2031 # each test has its root

load lib
load gates

setup_file() {
	bats_require_minimum_version 1.5.0
	export tree_dir
	tree_dir=$(mktemp -d "${TMPDIR:-/var/tmp}/hardened.XXXXXX")
	load lib
	need_demo
	umoci raw unpack --image "$OUT/demo:0.1.0" "$tree_dir/root" >"$tree_dir/umoci.log" 2>&1
}

teardown_file() {
	rm -rf "$tree_dir"
}

setup() {
	root=$tree_dir/root
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

@test "gates pass, leave the tree as it was, and are told where nobody asked for them" {
	tree() {
		(cd "$root" && find . -printf '%P %y %m %U:%G %s %T@ %l\n' | sort)
	}
	tree >"$tree_dir/before"
	gates
	[ "$failed" = '' ] || { echo "$said"; false; }
	[ "$(jq '.summary."not-run"' "$tree_dir/gates.json")" = 0 ]
	tree | diff "$tree_dir/before" -
	"$posmedia" audit "dir:$root" --recipe recipes/demo.yaml --json >"$tree_dir/gates.json"
	[ "$(jq -c '[.results[] | select(.status == "not-run").id]' "$tree_dir/gates.json")" = \
		'["LOG-08","LOG-08b","NET-01b","PAM-04b","SSH-19","SUD-04","SVC-06"]' ]
	# each is in the evidence, with what it ran
	"$posmedia" audit "dir:$root" --recipe recipes/demo.yaml --gates --evidence \
		"$tree_dir/evidence" >/dev/null
	for id in LOG-08 LOG-08b NET-01b PAM-04b SSH-19 SUD-04 SVC-06; do
		[ "$(grep -l -e "$id" "$tree_dir/evidence/"* | wc -l)" = 7 ]
	done
	jq -r '.results[] | select(.id == "SSH-19").held[]' "$tree_dir/evidence/audit.json" |
		grep -qx 'sshd -t -h /etc/ssh/gate_key: accepts'
	[ ! -e "$POSMEDIA_STORE/tmp" ] || [ -z "$(find "$POSMEDIA_STORE/tmp" -name 'gate.*')" ]
}

@test "SSH-19 SUD-04 LOG-08 LOG-08b SVC-06: what only the program itself notices" {
	breaks SSH-19 etc/ssh/sshd_config.d/50-a.conf 600 'HostKeyAlgorithms no-such' \
		"sshd -t -h /etc/ssh/gate_key: exit status 255: /etc/ssh/sshd_config.d/50-a.conf"
	breaks SUD-04 etc/sudoers.d/50-a 440 '%sudo ALL=(ALL ALL' \
		'visudo -c: exit status 1'
	breaks LOG-08 etc/rsyslog.d/50-a.conf 644 'module(load="imnosuch")' 'imnosuch'
	breaks LOG-08b etc/logrotate.d/zz-a 644 \
		$'/var/log/syslog {\n\tmonthly\n\trotate 12\n}' 'duplicate log entry'
	# more than is kept may hide what it says
	breaks LOG-08b etc/logrotate.d/zz-a 644 "$(printf \
		'/var/log/none-%d {\n\tmonthly\n\trotate 12\n\tmissingok\n}\n' {1..1500})" \
		'says more than is read'
	breaks SVC-06 etc/systemd/system/a.service 644 \
		$'[Service]\nExecStart=/usr/sbin/no-such' '/usr/sbin/no-such is not executable'
}

@test "PAM-04b NET-01b: a dictionary or a library that is not what it was" {
	local lib=usr/lib/x86_64-linux-gnu
	lacks PAM-04b var/cache/cracklib/cracklib_dict.pwi 'chpasswd: exit status 1'
	lacks PAM-04b "$lib/$(readlink "$root/$lib/libpwquality.so.1")" \
		'chpasswd: exit status 1' FIL-13
	lacks NET-01b "$lib/$(readlink "$root/$lib/libnftables.so.1")" \
		'nft -c -f /etc/nftables.conf: exit status 127' FIL-13
}

@test "TIM-03b AUD-16b: chrony and the audit rules, on a tree that has them" {
	local tools=$OUT/tests/daemons good=$root only='AUD-16b TIM-03b'
	[ -d "$tools" ] || flock "$OUT/tests.flock" tests/system/fetch-tool bookworm \
		'chrony auditd' "$tools" >"$OUT/tests-daemons.log" 2>&1 ||
		skip "no chrony: $(tail -n 1 "$OUT/tests-daemons.log")"
	local root=$tree_dir/daemons
	cp -a "$good" "$root"
	# nobody locked and listed what these bring: other controls see that
	cp -a "$tools/usr/." "$tools/sbin" "$root/usr/"
	cp -a "$tools/etc/audit" "$tools/etc/chrony" "$root/etc/"
	cp "$tools/usr/share/chrony/chrony.conf" "$root/etc/chrony/"
	gates
	[ "$failed" = '' ] || { echo "$said"; false; }
	[ "$(jq --arg only "$only" '[.results[] | select(.status == "pass").id] -
		(([.results[].id]) - ($only | split(" "))) | length' "$tree_dir/gates.json")" = 2 ]
	breaks TIM-03b etc/chrony/conf.d/a.conf 644 'nosuch 1' \
		'chronyd -p: exit status 1: '
	[[ $said == *'Invalid directive at line 1 in file /etc/chrony/conf.d/a.conf'* ]]
	lacks AUD-16b usr/bin/mawk 'awk: not found'
	mkdir "$root/etc/audit/rules.d/50-a.rules"
	gates
	[ "$failed" = AUD-16b ]
	[[ $said == *'50-a.rules: Is a directory'* ]]
}

@test "a waiver holds for a gate; a build fails with what the program says of its configuration" {
	local conf=etc/ssh/sshd_config.d/50-a.conf says="Bad key types 'no-such'" until
	cp -r recipes overlays signing "$tree_dir/"
	cp "$(cat "$OUT/demo.lock.used")" "$tree_dir/recipes/demo.lock"
	cd "$tree_dir"
	mkdir -p "overlays/demo/${conf%/*}"
	echo 'HostKeyAlgorithms no-such' >"overlays/demo/$conf"
	install -m 600 "overlays/demo/$conf" "$root/$conf"
	until=$(date -d '+100 days' +%F)
	cat >recipes/waived.yaml <<-YAML
		posmedia: 1
		name: waived
		version: 1.0.0
		extends: [demo.yaml]
		hardening:
		  waivers:
		    - {control: SSH-19, reason: a test, by: a test, until: $until}
	YAML
	"$posmedia" audit "dir:$root" --recipe recipes/waived.yaml --gates --json >gates.json
	rm "$root/$conf"
	jq -r '.results[] | select(.id == "SSH-19") | .status, .detail' gates.json >waived
	head -n 1 waived | grep -qx waived
	grep -qF "$says" waived

	run -4 "$posmedia" build recipes/demo.yaml -o "oci:$tree_dir/out:1"
	[[ $output == *'control SSH-19 (The SSH server accepts its configuration): sshd -t'* ]]
	[[ $output == *"$says"* ]]
	[ ! -e "$tree_dir/out/index.json" ]
	[ -z "$(find "$POSMEDIA_STORE/tmp" -name 'gate.*')" ]
}
