#!/usr/bin/env bats
# posmedia host prepare, on trees of machines to be. The machine that runs: tests/system/host.bats.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d)
	units=$dir/recipes/hosts/units
	mkdir -p "$units" "$dir/recipes/profiles" "$dir/tree/etc" "$dir/tree/usr/bin"
	cp recipes/profiles/*.yaml "$dir/recipes/profiles/"
	printf '[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=pos.target\n' \
		>"$units/pos@.service"
	printf '[Unit]\nDescription=all\n[Install]\nWantedBy=multi-user.target\n' \
		>"$units/pos.target"
	: >"$units/README"
	printf 'ID=debian\nVERSION_ID="12"\n' >"$dir/tree/etc/os-release"
}

teardown() {
	rm -rf "$dir"
}

prepare() {
	in_project host prepare --root tree --fail-on never "$@"
}

# The status of an item, or one member of it.
item() {
	jq -r --arg id "$1" --arg key "${2-status}" '.items[] | select(.id == $id) | .[$key]' \
		<<<"$output"
}

control() {
	jq -r --arg id "$1" '.controls[] | select(.id == $id) | .status' <<<"$output"
}

# Every file with what is in it, and when it was changed.
snapshot() {
	(cd "$dir/tree" && find . -printf '%p %y %m %i %C@ %l\n' | sort)
}

# Programs that a host has, as far as files can tell.
programs() {
	local p
	for p in usr/bin/posmedia usr/bin/podman usr/sbin/swanctl usr/sbin/charon-systemd \
		usr/bin/ip usr/sbin/nft usr/bin/nsenter usr/bin/arping \
		usr/sbin/chronyd; do
		install -D -m 755 /dev/null "$dir/tree/$p"
	done
}

@test "a tree becomes a host; a second time nothing changes" {
	programs
	prepare --json
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	[ "$(item units.installed)" = changed ]
	[ "$(item units.enabled)" = changed ]
	[ "$(item settings)" = changed ]
	[ "$(item data.directory)" = changed ]
	[ "$(item kernel.overlay)" = unknown ]
	cmp "$units/pos@.service" "$dir/tree/etc/systemd/system/pos@.service"
	[ "$(stat -c '%a %U' "$dir/tree/etc/systemd/system/pos.target")" = '644 root' ]
	# of a machine it is linked; a template is not, and what is no unit is not there
	[ "$(readlink "$dir/tree/etc/systemd/system/multi-user.target.wants/pos.target")" = \
		/etc/systemd/system/pos.target ]
	[ ! -e "$dir/tree/etc/systemd/system/pos.target.wants" ]
	[ ! -e "$dir/tree/etc/systemd/system/README" ]
	grep -qx 'net.ipv4.ip_forward = 1' "$dir/tree/etc/sysctl.d/60-posmedia.conf"
	[ "$(stat -c '%a %U' "$dir/tree/srv/pos")" = '755 root' ]
	snapshot >"$dir/before"
	prepare
	[ "$status" -eq 0 ]
	[[ $output == *'nothing changed' ]] || { echo "$output"; false; }
	snapshot | diff "$dir/before" -
}

@test "--check changes nothing, says what is not as wanted, and refuses it" {
	programs
	snapshot >"$dir/before"
	prepare --check --json
	refused 4 '4 items are not as wanted: units.enabled, units.installed, settings, data.'
	[ "$(item units.installed)" = wanted ]
	[ "$(item units.installed did)" = null ]
	snapshot | diff "$dir/before" -
	prepare
	prepare --check
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
}

@test "what is not installed is named, with the command of the distribution" {
	prepare --json
	refused 4 'program.installed, engine.installed, tunnel.installed, network.tools, time.'
	[[ $(item tunnel.installed hint) == *'apt-get install'*'strongswan-swanctl charon'* ]]
	: >"$dir/tree/usr/bin/dnf"
	prepare --json
	[[ $(item tunnel.installed hint) == *'dnf install strongswan' ]]
	programs
	prepare --json
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	[ "$(item engine.installed found)" = /usr/bin/podman ]
}

@test "what somebody has changed is set again, and what it was is kept" {
	local etc=$dir/tree/etc
	programs
	prepare
	echo '# ours' >>"$etc/systemd/system/pos@.service"
	echo '# mine' >>"$etc/sysctl.d/60-posmedia.conf"
	cp "$etc/systemd/system/pos@.service" "$dir/first"
	cp "$etc/sysctl.d/60-posmedia.conf" "$dir/mine"
	stat -c '%i %Z' "$etc/systemd/system/pos.target" >"$dir/before"
	prepare --json
	[ "$status" -eq 0 ]
	[[ $(item units.installed did) == \
		'wrote /etc/systemd/system/pos@.service (before: pos@.service.old)' ]]
	cmp "$units/pos@.service" "$etc/systemd/system/pos@.service"
	cmp "$dir/first" "$etc/systemd/system/pos@.service.old"
	cmp "$dir/mine" "$etc/sysctl.d/60-posmedia.conf.old"
	# a copy is not written over by the next one
	echo '# again' >>"$etc/systemd/system/pos@.service"
	cp "$etc/systemd/system/pos@.service" "$dir/second"
	chmod 666 "$etc/sysctl.d/60-posmedia.conf"
	prepare
	cmp "$dir/first" "$etc/systemd/system/pos@.service.old"
	cmp "$dir/second" "$etc/systemd/system/pos@.service.old-$(sha256sum "$dir/second" |
		cut -c1-12)"
	[ "$(stat -c %a "$etc/sysctl.d/60-posmedia.conf")" = 644 ]
	stat -c '%i %Z' "$etc/systemd/system/pos.target" | diff "$dir/before" -
}

@test "a mask, what was disabled, and a directory of others' stay" {
	local system=$dir/tree/etc/systemd/system
	programs
	mkdir -p "$system" "$dir/tree/etc/sysctl.d"
	mkdir -m 1777 "$dir/tree/tmp"
	ln -s /dev/null "$system/pos.target"
	ln -s /dev/null "$dir/tree/etc/sysctl.d/60-posmedia.conf"
	: >"$system/pos@.service"
	prepare --state /tmp --json
	refused 4 'units.enabled, units.installed, settings, data.directory'
	[ "$(readlink "$system/pos.target")" = /dev/null ]
	[ "$(readlink "$dir/tree/etc/sysctl.d/60-posmedia.conf")" = /dev/null ]
	[ ! -s "$system/pos@.service" ]
	[ ! -e "$system/multi-user.target.wants" ]
	[[ $(item units.installed found) == \
		*'/pos.target is a link to /dev/null, '*'service is empty' ]]
	[ "$(item data.directory found)" = '/tmp is 1777 of 0:0' ]
	[ "$(stat -c %a "$dir/tree/tmp")" = 1777 ]
	rm "$system"/pos* "$dir/tree/etc/sysctl.d/60-posmedia.conf"
	prepare
	rm "$system/multi-user.target.wants/pos.target"
	prepare --json
	refused 4 '1 item is not as wanted: units.enabled'
	[ "$(item units.enabled found)" = 'pos.target is disabled' ]
	[ ! -e "$system/multi-user.target.wants/pos.target" ]
}

@test "of settings the last file that has them counts, and larger ones stay" {
	local etc=$dir/tree/etc/sysctl.d
	programs
	mkdir -p "$etc"
	echo 'fs.inotify.max_user_instances = 8192' >"$etc/10-big.conf"
	prepare --json
	[ "$(item settings)" = changed ]
	grep -qx 'fs.inotify.max_user_instances = 8192' "$etc/60-posmedia.conf"
	prepare --check
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	printf '# hard\nnet/ipv4/ip_forward=0\n' >"$etc/99-hard.conf"
	snapshot >"$dir/before"
	prepare --json
	refused 4 '1 item is not as wanted: settings'
	[ "$(item settings found)" = \
		'/etc/sysctl.d/99-hard.conf:2 has net.ipv4.ip_forward = 0' ]
	snapshot | diff "$dir/before" -
	rm "$etc/60-posmedia.conf" "$etc/10-big.conf"
	prepare --check --json
	[[ $(item settings found) == \
		'not so: /etc/sysctl.d/60-posmedia.conf; '*/99-hard.conf:2* ]]
}

@test "only modules that every kernel of the tree has are loaded" {
	programs
	local k
	for k in 6.1.0-1 6.1.0-2; do
		mkdir -p "$dir/tree/usr/lib/modules/$k"
		cat >"$dir/tree/usr/lib/modules/$k/modules.dep" <<-'END'
			kernel/fs/overlayfs/overlay.ko:
			kernel/drivers/net/macvlan.ko.xz: kernel/a.ko
			kernel/not-tun.ko:
		END
	done
	echo 'kernel/drivers/net/tun.ko:' >>"$dir/tree/usr/lib/modules/6.1.0-1/modules.dep"
	prepare --json
	[ "$(item modules)" = changed ]
	[ "$(grep -v '^#' "$dir/tree/etc/modules-load.d/posmedia.conf" | xargs)" = \
		'overlay macvlan' ]
}

@test "controls that a host holds for its containers are judged by its files" {
	programs
	prepare --json
	# no audit daemon, and of what only a person can see nothing is said
	[ "$(control KRN-01)" = fail ]
	[ "$(control INT-05)" = undecided ]
	# what an image, the engine or the site holds is not the host's
	[ -z "$(control SSH-01)$(control NET-06)$(control RMT-04)" ]
	mkdir -p "$dir/tree/etc/sysctl.d"
	printf 'kernel.randomize_va_space=2\nkernel.yama.ptrace_scope=1\n' \
		>"$dir/tree/etc/sysctl.d/99-own.conf"
	prepare --json
	[ "$(control KRN-01)" = pass ]
	# a later file is what counts
	echo 'kernel.yama.ptrace_scope=0' >"$dir/tree/etc/sysctl.d/99-zzz.conf"
	prepare --json
	[ "$(control KRN-01)" = fail ]
}

@test "failed controls refuse from a severity on, and a recipe waives them" {
	programs
	prepare
	in_project host prepare --root tree
	refused 4 'controls of severity high or above failed: '
	[[ $stderr == *KRN-02b* ]]
	small_recipe_with_waivers KRN-02b AUD-01 AUD-02 TIM-01 INT-04 SVC-03b
	in_project host prepare --root tree --recipe recipes/small.yaml
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	[[ $output == *'waived '*KRN-02b* ]]
	in_project host prepare --root tree --fail-on some
	refused 2 'fail-on "some" is not known'
}

# A recipe that is right, with waivers for these controls.
small_recipe_with_waivers() {
	local c
	printf 0 >"$dir/t.tar"
	cat >"$dir/recipes/small.yaml" <<-YAML
		posmedia: 1
		name: small
		version: 1
		base: {tar: {url: t.tar, sha256: $(printf 0 | sha256sum | cut -c1-64)}}
		run: {entrypoint: [/sbin/init]}
		hardening:
		  profiles: [pa-dss-3.2]
		  waivers:
	YAML
	for c; do
		echo "    - {control: $c, reason: test, by: me, until: 2999-01-01}" \
			>>"$dir/recipes/small.yaml"
	done
}

@test "no link of the tree leads out of it" {
	programs
	mkdir -p "$dir/outside/system" "$dir/tree/etc/systemd"
	mkdir -m 700 "$dir/outside/pos"
	ln -s "$dir/outside/system" "$dir/tree/etc/systemd/system"
	ln -s "$dir/outside" "$dir/tree/srv"
	ln -s "$dir/outside/60" "$dir/tree/etc/sysctl.d"
	prepare --json
	refused 4 'units.enabled, units.installed, settings, data.directory'
	[ "$(cd "$dir/outside" && find . | sort | xargs)" = '. ./pos ./system' ]
	[ "$(stat -c %a "$dir/outside/pos")" = 700 ]
	# the links of units are files of the tree as well
	rm "$dir/tree/etc/systemd/system"
	mkdir "$dir/tree/etc/systemd/system"
	ln -s "$dir/outside" "$dir/tree/etc/systemd/system/multi-user.target.wants"
	prepare --json
	refused 4 'units.enabled'
	[ "$(cd "$dir/outside" && find . | sort | xargs)" = '. ./pos ./system' ]
	# one that stays inside leads there
	mkdir "$dir/tree/inside"
	ln -sfn /inside "$dir/tree/etc/systemd/system/multi-user.target.wants"
	rm "$dir/tree/etc/systemd/system"/pos*
	prepare --json
	[ "$(item units.enabled)" = changed ]
	[ -L "$dir/tree/inside/pos.target" ]
}

@test "a run that was killed at any place is only run again" {
	programs
	cp -a "$dir/tree" "$dir/fresh"
	local n done=
	for n in 1 2 3 4 5 6 7 8 9; do
		rm -rf "$dir/tree"
		cp -a "$dir/fresh" "$dir/tree"
		# dies at its n-th change that lasts
		run env -C "$dir" strace -qq -o /dev/null -e trace=renameat,linkat,symlinkat \
			-e "inject=renameat,linkat,symlinkat:signal=KILL:when=$n" \
			"$posmedia" host prepare --root tree --fail-on never
		[ "$status" -eq 0 ] && done=$n
		prepare
		[ "$status" -eq 0 ] || { echo "$n: $stderr"; false; }
		prepare --check
		[ "$status" -eq 0 ] || { echo "$n: $stderr"; false; }
		[ -z "$done" ] || break
	done
	[ -n "$done" ] && [ "$done" -gt 3 ] || { echo "killed $n times"; false; }
}

@test "a program with the set-uid bit is found wherever it may run" {
	local rules=$dir/tree/etc/audit/rules.d/own.rules bits p
	mkdir -p "$dir/tree/etc/audit/rules.d" "$dir/tree/var/tmp" "$dir/tree/srv/pos"
	: >"$dir/tree/etc/audit/auditd.conf"
	for bits in 32 64; do
		for p in u g; do
			echo "-a always,exit -F arch=b$bits -S execve -C e${p}id!=${p}id" \
				"-F auid!=unset -k user-emulation"
		done
	done >"$rules"
	prepare --check --json
	[ "$(control AUD-08)" = pass ]
	for p in var/tmp/left 'usr/bin/a tool' $'usr/bin/x\nok forged'; do
		install -m 4755 /dev/null "$dir/tree/$p"
		prepare --check --json
		[ "$(control AUD-08)" = fail ] || { echo "$p: passes"; false; }
		prepare --check
		[[ $output == *AUD-08* && $output != *$'\n'ok\ forged* ]]
		rm "$dir/tree/$p"
	done
	# the data of instances is theirs
	install -m 4755 /dev/null "$dir/tree/srv/pos/theirs"
	prepare --check --json
	[ "$(control AUD-08)" = pass ]
	install -m 4755 /dev/null "$dir/tree/usr/bin/ours"
	echo "-a always,exit -F path=/usr/bin/ours -F perm=x -F auid>=1000 -F auid!=unset -k x" \
		>>"$rules"
	prepare --check --json
	[ "$(control AUD-08)" = pass ]
}

@test "text of files is one line of the report" {
	mkdir -p "$dir/tree/etc/sysctl.d"
	printf 'kernel.yama.ptrace_scope = 0\rok  forged \2331m\342\200\256x\n' \
		>"$dir/tree/etc/sysctl.d/99-own.conf"
	prepare --check
	[[ $output == *'ptrace_scope'*'0?ok  forged ?1m?x'* ]] || { echo "$output"; false; }
}

@test "how it is called wrongly" {
	in_project host
	refused 2 'host takes: prepare'
	in_project host repair
	refused 2 'no such word: repair'
	in_project host prepare --root nowhere
	refused 1 'nowhere'
	in_project host prepare --root tree --state srv
	refused 2 'absolute paths'
	rm -r "$units"
	prepare --json
	refused 4 'units.enabled, units.installed'
	[[ $(item units.installed hint) == *--project* ]]
	in_project host prepare --root tree --profile nowhere.yaml
	refused 3 'nowhere.yaml'
}
