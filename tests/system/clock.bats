#!/usr/bin/env bats
# A machine whose clock stands at 1970 or 2040: the clock decides no bytes of an image, waivers end
# on their day, and no signature is older than its key.

bats_require_minimum_version 1.5.0
load lib
load tiny

past='1970-01-01 00:01:00' future='2040-06-01 12:00:00'

setup_file() {
	load lib
	load tiny
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/clock.XXXXXX")"
	export dir
	mkdir "$dir/recipes/profiles"
	cat >"$dir/recipes/profiles/small.yaml" <<-'YAML'
		posmedia-profile: 1
		id: small
		version: 1.0.0
		title: two controls
		controls:
		  - id: DATE
		    title: No password was changed in the future
		    severity: low
		    sources: {pa-dss: ["3.1"]}
		    want: [{ageing: {last-change-past: true, uid-min: 0}}]
		  - id: LOCKED
		    title: The image ships no usable password
		    severity: high
		    sources: {pa-dss: ["3.1.1"]}
		    want: [{accounts: {rule: locked}}]
	YAML
	cp "$dir/recipes/till.yaml" "$dir/plain.yaml"
	env -C "$dir" "$posmedia" lock recipes/till.yaml -q
	env -C "$dir" "$posmedia" build recipes/till.yaml -q -o "oci:$dir/till:1" >"$dir/name"
	"$posmedia" key new "$dir/key" -q
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	cp "$dir/plain.yaml" "$dir/recipes/till.yaml"
	digest=$(sed 's/.*@//' "$dir/name")
	unset SOURCE_DATE_EPOCH
}

# posmedia with the clock at $1; the clock that only goes forward is left alone, as it would be.
at() {
	run --separate-stderr env -C "$dir" FAKETIME_DONT_FAKE_MONOTONIC=1 \
		faketime "$1" "$posmedia" "${@:2}"
}

@test "the fake clock is believed" {
	at "$future" build recipes/till.yaml -o "oci:$dir/clock:1"
	succeeded
	at "$future" key new "$dir/future"
	succeeded
	[ "$(jq .created "$dir/future.json")" -gt 2200000000 ]
}

@test "the same image, whatever the clock says" {
	for t in "$past" "$future"; do
		at "$t" build recipes/till.yaml --no-cache -o "oci:$dir/out.$RANDOM:1"
		succeeded
		[ "${output##*@}" = "$digest" ]
		at "$t" build recipes/till.yaml -o "oci:$dir/till:1"
		succeeded
		[ "${output##*@}" = "$digest" ]
		at "$t" lock recipes/till.yaml
		succeeded
		[[ $output == *'up to date'* ]]
		at "$t" store verify
		succeeded
	done
}

@test "the same lock, whatever the clock says" {
	cp "$dir/recipes/till.lock" "$dir/first.lock"
	for t in "$past" "$future"; do
		at "$t" lock recipes/till.yaml --update
		succeeded
		cmp "$dir/first.lock" "$dir/recipes/till.lock"
	done
}

@test "a date that hardening writes is the lock's, not the clock's" {
	cat >>"$dir/recipes/till.yaml" <<-'YAML'
		steps:
		  - name: shadow
		    run: [sh, -c, "echo 'root:*:99999:0:99999:7:::' >/etc/shadow"]
		    writes: [/etc]
		hardening: {profiles: [small], fail-on: never}
	YAML
	posmedia lock recipes/till.yaml
	succeeded
	local want=
	for t in now "$past" "$future"; do
		at "$t" build recipes/till.yaml --no-cache -o "oci:$dir/dates:1"
		succeeded
		[ "${output##*@}" = "${want:=${output##*@}}" ]
	done
	cp "$dir/first.lock" "$dir/recipes/till.lock"
}

@test "a signature is not made before its key was; later is fine" {
	cp -r "$dir/till" "$dir/signed"
	at "$past" sign "oci:$dir/signed:1" --key "$dir/key"
	refused 1 'before the key was made'
	at "$future" sign "oci:$dir/signed:1" --key "$dir/key"
	succeeded
	for t in now "$past" "$future"; do
		at "$t" verify "oci:$dir/signed:1" --key "$dir/key.pub"
		[ "$status" -eq 0 ] || refused 0 "$t"
	done
	at "$past" key new "$dir/old"
	succeeded
	at "$past" sign "oci:$dir/signed:1" --key "$dir/old"
	succeeded
	posmedia verify "oci:$dir/signed:1" --key "$dir/old.pub"
	succeeded
}

@test "a waiver ends after its last day: the image that it let pass is refused then" {
	cat >>"$dir/recipes/till.yaml" <<-'YAML'
		steps:
		  - name: shadow
		    run: [sh, -c, "echo 'man:y:1000:0:99999:7:::' >/etc/shadow"]
		    writes: [/etc]
		hardening:
		  profiles: [small]
		  waivers: [{control: LOCKED, reason: a test, by: nobody, until: 2040-05-31}]
	YAML
	posmedia lock recipes/till.yaml
	succeeded
	for t in now "$past" '2040-05-31 23:00:00 UTC'; do
		at "$t" build recipes/till.yaml --no-cache -o "oci:$dir/waived:1"
		succeeded
		output_build=$output
		at "$t" audit "oci:$dir/waived:1" --recipe recipes/till.yaml \
			--profile recipes/profiles/small.yaml
		succeeded
	done
	local waived=${output_build##*@}
	for t in '2040-06-01 00:00:10 UTC' "$future"; do
		at "$t" audit "oci:$dir/waived:1" --recipe recipes/till.yaml \
			--profile recipes/profiles/small.yaml
		refused 4 LOCKED
		# what was waived is mended now, in the cache's eyes as well
		at "$t" build recipes/till.yaml -o "oci:$dir/mended:1"
		succeeded
		[ "${output##*@}" != "$waived" ]
		at "$t" audit "oci:$dir/mended:1" --recipe recipes/till.yaml \
			--profile recipes/profiles/small.yaml
		succeeded
	done
}
