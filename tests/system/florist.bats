#!/usr/bin/env bats
# The recipes that ship for RTI and Daisy, with stand-ins for the vendors' media: what the existing
# systems have is in the images, the controls pass, and the services come up.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	load lib
	export dir
	dir=${TMPDIR:-/var/tmp}/florist.$$ # podman wants it in lower case
	mkdir "$dir"
	for name in rti daisy; do
		build_shipped "$name" "$dir/$name" >"$dir/$name.log" 2>&1 || {
			tail -n 40 "$dir/$name.log"
			return 1
		}
		umoci raw unpack --image "$dir/$name:1" "$dir/$name-root" >"$dir/umoci.log" 2>&1
	done
}

teardown_file() {
	rm -rf "$dir"
}

teardown() {
	stop_engine
}

image() {
	root=$dir/$1-root
	config=$dir/$1.config
	local manifest
	manifest=$(jq -r '.manifests[0].digest' "$dir/$1/index.json")
	jq .config "$dir/$1/blobs/sha256/$(jq -r .config.digest \
		"$dir/$1/blobs/sha256/${manifest#sha256:}" | cut -d: -f2)" >"$config"
}

# PATH MODE OWNER:GROUP, by the names of the image.
is() {
	local got
	got=$(stat -c '%a %u:%g' "$root/$1")
	local uid gid
	uid=$(awk -F: -v n="${3%:*}" '$1 == n { print $3 }' "$root/etc/passwd")
	gid=$(awk -F: -v n="${3#*:}" '$1 == n { print $3 }' "$root/etc/group")
	[ "$got" = "$2 $uid:$gid" ] || { echo "$1 is $got, not $2 $3" && return 1; }
}

member() {
	awk -F: -v g="$1" '$1 == g { print "," $4 "," }' "$root/etc/group" | grep -qF ",$2,"
}

account() {
	[ "$(awk -F: -v n="$1" '$1 == n { print $7 }' "$root/etc/passwd")" = "$2" ]
	[[ $(awk -F: -v n="$1" '$1 == n { print $2 }' "$root/etc/shadow") == [!*]* ]]
}

enabled() {
	local unit
	for unit; do
		[ -n "$(find "$root/etc/systemd/system" -path "*.wants/$unit.service")" ] ||
			{ echo "$unit is not enabled" && return 1; }
	done
}

@test "the stand-ins are what their script makes of their files" {
	local m
	for m in rti-16.1.5 daisy-10.1.22; do
		tests/lib/make-medium "tests/fixtures/media/$m" "$dir/$m.iso"
		cmp "$dir/$m.iso" "tests/fixtures/media/$m.iso"
	done
}

@test "a recipe of one's own names the vendor's medium and nothing else" {
	mkdir -p "$dir/own/recipes"
	cp -r recipes overlays signing tests/fixtures "$dir/own/"
	mkdir -p "$dir/own/tests" "$dir/own/media"
	mv "$dir/own/fixtures" "$dir/own/tests/"
	head -c 100000 /dev/zero >"$dir/own/media/disc.iso"
	printf '%s\n' 'posmedia: 1' 'name: rti' 'version: 16.1.5' 'extends: [rti.yaml]' \
		"media: {rti: {url: media/disc.iso, sha256: $(sha256sum "$dir/own/media/disc.iso" |
			cut -c1-64)}}" >"$dir/own/recipes/ours.yaml"
	cp recipes/rti.lock "$dir/own/recipes/ours.lock"
	run --separate-stderr env -C "$dir/own" "$posmedia" lock recipes/ours.yaml --json
	[ "$status" -eq 0 ] || { echo "$stderr" && return 1; }
	[ "$(jq -r '.media[0] | "\(.url) \(.size)"' "$dir/own/recipes/ours.lock")" = \
		'media/disc.iso 100000' ]
	[ "$(jq -S .packages "$dir/own/recipes/ours.lock" | sha256sum)" = \
		"$(jq -S .packages recipes/rti.lock | sha256sum)" ]
}

@test "RTI: accounts, directories and data as its tools expect them" {
	image rti
	account rti /bin/bash
	account tfsupport /bin/bash
	account odbc /usr/sbin/nologin
	account delivery /usr/sbin/nologin
	member rtiadmins tfsupport
	grep -q '^tfremote:' "$root/etc/group"
	for d in bbxd bbxps bin config log; do
		is "usr2/bbx/$d" 2770 tfsupport:rti
	done
	[ ! -e "$root/usr2/bbx/bbxt" ] # --nobbxt
	grep -q '^VERSION=16.1.5$' "$root/usr2/bbx/bbxd/RTI.ini"
	grep -q '^DOVE_USERNAME=' "$root/usr2/bbx/config/dove.ini"
	for f in CCXF01 CCXF02 ONCA01 bytefile recv.fil; do
		is "usr2/bbx/bbxd/$f" 660 tfsupport:rti
	done
	[ -s "$root/usr2/basis/blm/basis.lic" ]
	is etc/systemd/system/rti.service 644 root:root
}

@test "Daisy: accounts, directories and data as its tools expect them" {
	image daisy
	account daisy /d/daisy/bin/dsyshell
	grep -qx /d/daisy/bin/dsyshell "$root/etc/shells"
	member dsyadmins tfsupport
	is d/daisy 770 tfsupport:daisy
	is d/daisy/bin/dsyshell 550 tfsupport:daisy
	is d/daisy/crddata.pos 464 tfsupport:dsyadmins
	is d/daisy/flordat.tel 660 tfsupport:daisy
	[ "$(tail -c +740 "$root/d/daisy/control.dsy" | head -c 6)" = 'A SHOP' ]
	[ "$(tail -c +31 "$root/d/daisy/dovectrl.pos" | head -c 8)" = 00000000 ]
	grep -q '^Build Number: 10.1.22$' "$root/d/daisy/config/daisybuildinfo.txt"
}

@test "services, ports and volumes" {
	local p
	image rti
	enabled blm bbj rti apache2 smbd cups cron ssh tfremote rsyslog
	[ "$(jq -c '.Volumes | keys' "$config")" = '["/usr2"]' ]
	for p in 22 80 443 445 631 2000-2001 2103 11057 15022 27000; do
		grep -qE "tcp dport $p accept" "$root/etc/nftables.conf" ||
			{ echo "port $p is closed" && return 1; }
	done
	run ! grep -E 'dport (111|9100|23)' "$root/etc/nftables.conf"
	image daisy
	enabled daisy apache2 smbd cups cron ssh tfremote rsyslog getty@tty{1..9} getty@tty11
	[ "$(jq -c '.Volumes | keys' "$config")" = '["/d"]' ]
	run ! grep -E 'dport (2001|2103|27000)' "$root/etc/nftables.conf"
}

@test "the controls pass, and neither of the vendors' media is in the image" {
	local name
	for name in rti daisy; do
		"$posmedia" audit "oci:$dir/$name:1" --recipe "recipes/$name.yaml" >"$dir/audit"
		grep -q ' pass, 0 fail' "$dir/audit"
		image "$name"
		[ -z "$(find "$root" -name 'install*.pl' -o -name LICENCE)" ]
	done
}

@test "the second SSH server takes keys of tfremote on port 15022, and forwards nothing" {
	image rti
	ssh-keygen -q -t ed25519 -N '' -f "$root/tmp/key" # goes away with the tree
	inside /usr/sbin/sshd -T -f /etc/ssh/tfremote_config -h /tmp/key >"$dir/sshd"
	for line in 'port 15022' 'allowgroups tfremote' 'passwordauthentication no' \
		'permitrootlogin no' 'maxauthtries 1' 'allowtcpforwarding no' 'loglevel VERBOSE'; do
		grep -qx "$line" "$dir/sshd" || { echo "no $line" && return 1; }
	done
}

@test "RTI boots, and only what the recipe names listens" {
	image rti
	start_engine "$dir/engine"
	engine pull -q --signature-policy "$dir/engine/policy.json" "oci:$dir/rti:1" >"$dir/id"
	engine run -d --name rti --systemd=always -v usr2:/usr2 "$(cat "$dir/id")"
	in_rti() {
		engine exec rti "$@"
	}
	wait_for 60 in_rti timeout 90 systemctl is-system-running --wait ||
		in_rti systemctl --failed --no-pager
	[ "$(in_rti systemctl is-active blm bbj rti tfremote apache2 | sort -u)" = active ]
	in_rti ss -Hltn >"$dir/ports"
	engine rm -f -t 5 rti
	stop_engine
	for p in 22 80 445 631 2001 2103 15022 27000; do
		grep -q ":$p " "$dir/ports" || { cat "$dir/ports" && return 1; }
	done
	run grep -vE ':(22|80|443|445|631|2001|2103|15022|27000) ' "$dir/ports"
	[ -z "$output" ] || { echo "$output" && return 1; }
}
