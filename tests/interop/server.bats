#!/usr/bin/env bats
# recipes/server.yaml, a machine: built twice it is the same, no control fails, and the programs
# whose files were judged read them as the controls did.

load ../system/lib

setup_file() {
	bats_require_minimum_version 1.5.0
	load ../system/lib
	export dir
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/server.XXXXXX")
	"$posmedia" build recipes/server.yaml -o "oci:$dir/a:server" >"$dir/build.log" 2>&1
	umoci unpack --image "$dir/a:server" "$dir/bundle" >"$dir/umoci.log" 2>&1
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	root=$dir/bundle/rootfs
}

@test "built anew it is the same" {
	"$posmedia" build recipes/server.yaml --no-cache -o "oci:$dir/b:server" \
		>"$dir/again.log" 2>&1
	cmp "$dir/a/index.json" "$dir/b/index.json"
}

@test "no control fails, of a machine; a container's view has fewer" {
	"$posmedia" audit "oci:$dir/a:server" --recipe recipes/server.yaml --fail-on low --all \
		>"$dir/audit"
	grep -qx 'system   machine, debian 12' "$dir/audit"
	grep -q '^pass .* AUD-16 ' "$dir/audit"
	grep -q ' 0 fail, 0 waived' "$dir/audit"
	# without a recipe the kernel says what it is
	"$posmedia" audit "dir:$root" --fail-on never >"$dir/plain"
	grep -qx 'system   machine, debian 12' "$dir/plain"
	"$posmedia" audit "oci:$dir/a:server" --recipe recipes/server.yaml --target container \
		--all >"$dir/container"
	grep -q '^not-applicable .* AUD-16 ' "$dir/container"
	grep -A1 '^not-applicable .* AUD-16 ' "$dir/container" | grep -q '^    host: '
}

@test "augenrules loads the rules, the one that makes them final last" {
	inside augenrules
	[ "$(tail -n 1 "$root/etc/audit/audit.rules")" = '-e 2' ]
	grep -q '^-w /etc/shadow -p wa' "$root/etc/audit/audit.rules"
	[ "$(grep -c 'adjtimex' "$root/etc/audit/audit.rules")" = 2 ]
	run ! grep -E 'never|exclude' "$root/etc/audit/audit.rules"
}

@test "modprobe loads nothing for a disabled module" {
	inside modprobe --showconfig >"$dir/modprobe"
	grep -qx 'install usb_storage /bin/false' "$dir/modprobe"
	grep -qx 'blacklist sctp' "$dir/modprobe"
	run -0 inside modprobe -n -v usb-storage
	[[ $output == *'install /bin/false'* ]]
}

@test "aide, chronyd, AppArmor and systemd accept theirs" {
	inside aide --config-check --config=/etc/aide/aide.conf
	inside chronyd -p -f /etc/chrony/chrony.conf >"$dir/chrony"
	run ! grep -q '^pool' "$dir/chrony"
	[ "$(inside apparmor_parser -Q -K -S /etc/apparmor.d/usr.sbin.chronyd | wc -c)" -gt 1000 ]
	inside systemd-analyze verify aide-check.timer aide-database.service
	[ "$(inside systemctl --root=/ get-default)" = multi-user.target ]
}

@test "systemctl lists the units that the recipe and the profile name as enabled, and no others" {
	inside env SYSTEMD_COLORS=0 systemctl --root=/ list-unit-files --state=enabled --no-legend |
		awk '{print $1}' | sort >"$dir/enabled"
	sort >"$dir/wanted" <<-'LIST'
		aide-check.timer
		aide-database.service
		apparmor.service
		auditd.service
		chrony.service
		cron.service
		dpkg-db-backup.timer
		e2scrub_all.timer
		e2scrub_reap.service
		fstrim.timer
		getty@.service
		logrotate.timer
		nftables.service
		remote-fs.target
		rsyslog.service
		ssh-host-keys.service
		ssh.service
		systemd-pstore.service
	LIST
	diff "$dir/wanted" "$dir/enabled"
}

@test "a file changed after the first start is noticed" {
	mkdir -p "$root/var/lib/aide"
	inside aide --init --config=/etc/aide/aide.conf >"$dir/init"
	mv "$root/var/lib/aide/aide.db.new" "$root/var/lib/aide/aide.db"
	inside aide --check --config=/etc/aide/aide.conf >"$dir/same"
	printf 'x' >>"$root/usr/sbin/nft"
	run inside aide --check --config=/etc/aide/aide.conf
	[ "$status" -gt 0 ]
	[[ $output == *'/usr/sbin/nft'* ]]
}
