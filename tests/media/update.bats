#!/usr/bin/env bats
# shellcheck disable=SC2034 # machine.bash has its own
# A till with two slots in QEMU: it sells, is updated, and the new system sells on and is called
# good; one that does not come to be healthy, and one whose root is damaged, are followed by the
# old.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/slots
load machine

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/update.XXXXXX")
	export dir
	(cd "$dir" && "$posmedia" key new k) >/dev/null 2>&1
	build_shipped till "$dir/till" >"$dir/build.log" 2>&1 || { cat "$dir/build.log"; false; }
	start_registry "$dir/registry"
	export registry_pid beside=${registry#*:}
	systems
	disk_of first-image
	disk_of second-image
	disk_of third-image
	"$posmedia" push "$dir/second-image.raw" "docker://$registry/pos/till:second"
	cp --sparse=always "$dir/first-image.raw" "$dir/disk"
}

# The first updates itself when it has started; the second is another; the third has a shop that
# never answers, and a short time until that is too long.
systems() {
	local units
	units=$dir/first/etc/systemd/system
	mkdir -p "$units/multi-user.target.wants"
	cp "$dir/k.pub" "$dir/first/etc/release.pub"
	cat >"$units/update.service" <<-'UNIT'
		[Unit]
		After=multi-user.target
		[Service]
		Type=oneshot
		Environment=FROM=docker://10.0.2.100:5000/pos/till:second
		ExecStart=/usr/bin/posmedia machine update $FROM --plain-http --key /etc/release.pub
		StandardOutput=journal+console
		Restart=on-failure
		RestartSec=5
	UNIT
	ln -s ../update.service "$units/multi-user.target.wants"
	# the list of packages of the second says so, and what the machine has of it is said
	units=$dir/second/etc/systemd/system
	mkdir -p "$units/multi-user.target.wants" "$dir/second/var/lib/dpkg"
	printf 'Package: posmedia-second\n' >"$dir/second/var/lib/dpkg/available"
	cat >"$units/packages.service" <<-'UNIT'
		[Service]
		Type=oneshot
		ExecStart=/bin/cat /var/lib/dpkg/available
		StandardOutput=journal+console
	UNIT
	ln -s ../packages.service "$units/multi-user.target.wants"
	units=$dir/third/etc/systemd/system
	mkdir -p "$units/posmedia-good.service.d" "$units/tulip.service.d"
	printf '[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n' \
		>"$units/tulip.service.d/never.conf"
	printf '[Unit]\nJobTimeoutSec=%s\n' "${UPDATE_PATIENCE-4min}" \
		>"$units/posmedia-good.service.d/short.conf"
	with_layer "$dir/till" "$dir/first"
	with_layer "$dir/till" "$dir/second"
	with_layer "$dir/till" "$dir/third"
}

teardown_file() {
	stop_registry
	rm -rf "$dir"
}

setup() {
	choose_accelerator
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED-}" ] || keep_console
	end_machine
}

disk_of() {
	"$posmedia" media -q "oci:$dir/$1" --format raw --slots 2 --identity localhost/till:1 \
		--append "console=tty0 console=ttyS0" -o "$dir/$1.raw" >/dev/null
	"$posmedia" sign "$dir/$1.raw" --key "$dir/k" >/dev/null
}

sales() {
	curl -s -m 20 "http://127.0.0.1:$port/sales" | jq -c 'map(.what)'
}

is_logged() {
	grep -aqE -e "$1" "$dir/console"
}

status_has() {
	"$posmedia" machine status --disk "$dir/disk" | grep -qE "$1"
}

@test "the first slot starts and sells, and takes its update from the registry" {
	start_machine bios "$dir/disk"
	while_on 900 healthy
	curl -s -d 'amount=12.50&what=roses' "http://127.0.0.1:$port/sales"
	is_logged 'posmedia.slot=a '
	run ! is_logged 'posmedia.try='
	while_on 600 is_logged 'slot b is tried at the next start: sha256:'
	is_logged 'copied [0-9.]+ MB from slot a, kept [0-9.]+ MB, fetched [0-9.]+ MB; read back'
	stop_machine
	status_has '^a: good'
	status_has '^b: tried, 3 left'
}

@test "an update starts by UEFI with Secure Boot, has the sale, and calls itself good" {
	start_machine uefi "$dir/disk"
	while_on 900 healthy
	[ "$(sales)" = '["roses"]' ]
	while_on 900 status_has '^b: good'
	is_logged 'posmedia.slot=b posmedia.try=2'
	is_logged 'UEFI Secure Boot is enabled'
	while_on 120 is_logged 'slot b is good'
	# and what is installed is what it brought, whatever /var has
	while_on 300 is_logged 'Package: posmedia-second'
	stop_machine
	status_has '^next start: b'
}

@test "a good slot without its initial file system: the other one sells, by the same firmware" {
	local at
	at=$(of_partition "$dir/disk" boot-b start)
	cp --sparse=always "$dir/disk" "$dir/without"
	mdel -i "$dir/without@@$at" ::/posmedia.img
	start_machine uefi "$dir/without"
	while_on 900 healthy
	is_logged 'posmedia.slot=a '
	stop_machine
	rm "$dir/without"
}

@test "a good slot whose initial file system cannot be read: it begins anew, and the other sells" {
	cp --sparse=always "$dir/disk" "$dir/cut"
	cut_off "$dir/cut" boot-b initrd.img
	start_machine uefi "$dir/cut"
	wait_for 600 is_off
	machine_pid=
	start_machine uefi "$dir/cut"
	while_on 900 healthy
	is_logged 'posmedia.slot=a '
	stop_machine
	rm "$dir/cut"
}

@test "a system that does not come to be healthy ends by itself, and is tried less" {
	"$posmedia" machine update "$dir/third-image.raw" --key "$dir/k.pub" --disk "$dir/disk"
	start_machine bios "$dir/disk"
	wait_for 1500 is_off
	is_logged 'posmedia.slot=a posmedia.try=2'
	machine_pid=
	status_has '^a: tried, 2 left'
	status_has '^b: good'
}

@test "a flipped bit: the block is not read, and the system ends by itself" {
	local block
	part "$dir/third-image.raw" root-a >"$dir/root"
	block=$(dump.erofs -e --path=/usr/sbin/rsyslogd "$dir/root" |
		sed -nE 's|^ *0: .* : *([0-9]+)[.][.].*|\1|p')
	flip "$dir/disk" $(($(of_partition "$dir/disk" root-a start) + block + 100))
	start_machine bios "$dir/disk"
	wait_for 1500 is_off
	machine_pid=
	is_logged 'posmedia.slot=a posmedia.try=1'
	is_logged "data block $((block / 4096)) is corrupted"
	status_has '^a: tried, 1 left'
}

@test "a damaged root ends at once, and after the last time the old system sells on" {
	local at
	at=$(of_partition "$dir/disk" root-a start)
	dd if=/dev/urandom of="$dir/disk" bs=1M seek=$((at >> 20)) count=1 conv=notrunc status=none
	start_machine bios "$dir/disk"
	wait_for 600 is_off
	machine_pid= # it has ended
	is_logged "posmedia.slot=a posmedia.try=0"
	is_logged 'posmedia: the root cannot be mounted'
	status_has '^a: failed'
	start_machine bios "$dir/disk"
	while_on 900 healthy
	is_logged 'posmedia.slot=b '
	run ! is_logged 'posmedia.try='
	[ "$(sales)" = '["roses"]' ]
	stop_machine
}
