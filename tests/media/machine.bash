#!/bin/bash
# Machines in QEMU, by the processor's own virtualization where that works, else without, which
# takes minutes for a start. Tests load this after ../system/lib.
# shellcheck disable=SC2154 # tests set dir

ovmf=/usr/share/OVMF
declare -gA keys=([uefi]=ms [own]=snakeoil)

# Whether a BIOS comes to its end by /dev/kvm: that it can be opened says little.
kvm_works() {
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 1
	timeout 10 qemu-system-x86_64 -accel kvm -cpu host -smp 2 -display none -nodefaults \
		-net none -chardev "file,path=$dir/kvm.log,id=d" \
		-device isa-debugcon,iobase=0x402,chardev=d >"$dir/kvm.said" 2>&1
	grep -q 'Booting from\|No bootable device' "$dir/kvm.log" &&
		! grep -q 'internal error' "$dir/kvm.said"
}

choose_accelerator() {
	if kvm_works; then
		accelerator=(-accel kvm -cpu host)
	else
		accelerator=(-accel "tcg,thread=multi" -cpu max)
	fi
}

# start_machine bios|uefi|own DISK [FORMAT]: its console is in $dir/console, its shop on $port. Of
# format "cd" the disk is a disc in a drive. uefi and own are with Secure Boot, where only what is
# signed starts: by the keys of most machines, or by the one that the package ovmf has for tests.
# What it asks of 10.0.2.100:5000 goes to port $beside here, when that is set.
start_machine() {
	local disk=(-drive "file=$2,format=${3-raw},if=virtio")
	[ "${3-}" != cd ] || disk=(-device virtio-scsi-pci -device "scsi-cd,drive=cd,bootindex=0"
		-drive "file=$2,format=raw,media=cdrom,readonly=on,if=none,id=cd")
	start_disks "$1" "${disk[@]}"
}

# start_disks FIRMWARE ARGUMENT...: the same with disks as QEMU has them.
start_disks() {
	local firmware=()
	if [ "$1" != bios ]; then
		cp "$ovmf/OVMF_VARS_4M.${keys[$1]}.fd" "$dir/vars"
		firmware=(-machine "q35,smm=on"
			-global "driver=cfi.pflash01,property=secure,value=on"
			-drive "if=pflash,format=raw,readonly=on,file=$ovmf/OVMF_CODE_4M.ms.fd"
			-drive "if=pflash,format=raw,file=$dir/vars")
	fi
	local net="user,restrict=on,model=virtio-net-pci"
	[ -z "${beside-}" ] ||
		net+=",guestfwd=tcp:10.0.2.100:5000-cmd:$PWD/tests/media/to-port $beside"
	port=$(free_port)
	keep_transcript
	rm -f "$dir/console"
	qemu-system-x86_64 "${accelerator[@]}" "${firmware[@]}" -smp 2 -m 1024 -display none \
		-nodefaults -no-reboot -serial "file:$dir/console" \
		-monitor "unix:$dir/monitor,server,nowait" \
		-nic "$net,hostfwd=tcp:127.0.0.1:$port-:2001" \
		"${@:2}" >"$dir/qemu.log" 2>&1 3>&- &
	machine_pid=$!
}

# The button that a person presses, and the end.
stop_machine() {
	perl -MIO::Socket::UNIX -e '
		my $s = IO::Socket::UNIX->new($ARGV[0]) or die "$ARGV[0]: $!\n";
		print $s "system_powerdown\n"; $s->flush; sleep 1' "$dir/monitor"
	wait_for 300 is_off || { kill "$machine_pid"; return 1; }
	machine_pid=
}

# Waits until a command succeeds, and not for a machine that is off.
while_on() {
	local seconds=$1
	shift
	wait_for "$seconds" on_or_off "$@"
	"$@" || { echo "not: $*" && cat "$dir/qemu.log" && return 1; }
}

on_or_off() {
	"$@" || is_off
}

is_off() {
	! kill -0 "$machine_pid"
}

end_machine() {
	[ -z "${machine_pid-}" ] || kill "$machine_pid" 2>/dev/null || true
	machine_pid=
	keep_transcript
}

# For whoever wants to see them: the console of each start, in the directory TRANSCRIPTS.
keep_transcript() {
	local name
	[ -n "${TRANSCRIPTS-}" ] && [ -e "$dir/console" ] || return 0
	name=$TRANSCRIPTS/$(basename "$BATS_TEST_FILENAME" .bats)-$BATS_TEST_NUMBER
	while [ -e "$name" ]; do
		name+=b
	done
	mv "$dir/console" "$name"
}

# Of a test that failed, for whoever looks: where the console's log is, and its end.
keep_console() {
	mkdir -p "$OUT/test-logs"
	[ ! -e "$dir/console" ] || cp "$dir/console" "$OUT/test-logs/console-$BATS_TEST_NUMBER"
	echo "console: $OUT/test-logs/console-$BATS_TEST_NUMBER"
	tail -n 30 "$OUT/test-logs/console-$BATS_TEST_NUMBER"
}

# Whether its shop says that it is well.
healthy() {
	curl -sf -m 5 "http://127.0.0.1:$port/health"
}

# A blob of a layout, by what is in a file; prints its digest and its size.
blob() { # LAYOUT FILE
	local sum
	sum=$(sha256sum "$2" | cut -d' ' -f1)
	mv "$2" "$1/blobs/sha256/$sum"
	echo "sha256:$sum $(stat -c %s "$1/blobs/sha256/$sum")"
}

# The image of layout $1 with the tree $2 as one more layer: $2-image.
with_layer() {
	local out=$2-image index manifest config diff layer size
	cp -rl "$1" "$out"
	index=$out/index.json
	manifest=$out/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' "$index")
	config=$out/blobs/sha256/$(jq -r '.config.digest[7:]' "$manifest")
	tar -C "$2" --numeric-owner --owner=0 --group=0 -cf "$dir/layer" .
	diff=sha256:$(sha256sum "$dir/layer" | cut -d' ' -f1)
	gzip -n <"$dir/layer" >"$dir/layer.gz"
	read -r layer size < <(blob "$out" "$dir/layer.gz")
	jq -c --arg d "$diff" '.rootfs.diff_ids += [$d] | del(.history)' "$config" >"$dir/config"
	jq -c --arg l "$layer" --argjson n "$size" '.layers += [{digest: $l, size: $n,
		mediaType: "application/vnd.oci.image.layer.v1.tar+gzip"}]' "$manifest" \
		>"$dir/manifest"
	read -r layer size < <(blob "$out" "$dir/config")
	jq -c --arg c "$layer" --argjson n "$size" '.config.digest = $c | .config.size = $n' \
		"$dir/manifest" >"$dir/manifest.new"
	read -r layer size < <(blob "$out" "$dir/manifest.new")
	jq -c --arg m "$layer" --argjson n "$size" '.manifests[0].digest = $m |
		.manifests[0].size = $n' "$index" >"$dir/index"
	rm "$index"
	mv "$dir/index" "$index"
}
