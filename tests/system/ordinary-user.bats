#!/usr/bin/env bats
# An ordinary user with subordinate ids builds the same bytes as root; without any, the refusal says
# which command grants them.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	[ "$(id -u)" -eq 0 ] || skip "makes users, which only root may"
	need_demo
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/ordinary.XXXXXX")
	export dir user=posmedia-$$ uid=$((70000 + $$ % 20000))
	make_user
	mkdir -p "$dir/store/blobs"
	cp -r recipes overlays signing "$posmedia" "$dir/"
	cp "$(cat "$OUT/demo.lock.used")" "$dir/demo.lock"
	cp -a "$POSMEDIA_STORE/blobs/sha256" "$dir/store/blobs/sha256"
	chown -R "$uid:$uid" "$dir"
	chmod 755 "$dir"
}

teardown_file() {
	[ -n "${user-}" ] || return 0
	pkill -KILL -u "$uid" || true
	rm -rf "$dir"
}

# The user is in copies of the machine's files, which only as_user's programs see: in the machine's
# own, `rebuild` of other tests would find it.
make_user() {
	mkdir "$dir/etc"
	cp /etc/passwd /etc/group "$dir/etc/"
	echo "$user:x:$uid:$uid::$dir:/bin/sh" >>"$dir/etc/passwd"
	echo "$user:x:$uid:" >>"$dir/etc/group"
	echo "$user:100000:65536" | tee "$dir/etc/subuid" >"$dir/etc/subgid"
}

as_user() {
	# shellcheck disable=SC2016 # for the shell inside
	run --separate-stderr unshare -m bash -ec '
		for f in passwd group subuid subgid; do mount --bind "$dir/etc/$f" "/etc/$f"; done
		exec setpriv --reuid "$user" --regid "$user" --init-groups \
			env -C "$dir" "HOME=$dir" "USER=$user" "$@"' - "$@"
}

@test "the same digest as root's" {
	as_user ./posmedia build recipes/demo.yaml --lock demo.lock --store store \
		-o oci:out/demo:0.1.0
	echo "$stderr"
	[ "$status" -eq 0 ]
	[ "${output##*@}" = "$demo_digest" ]
	[ -z "$(ls "$dir/store/tmp")" ]
}

@test "the same audit as root's" {
	as_user ./posmedia audit oci:out/demo --store store --recipe recipes/demo.yaml --json
	[ "$status" -eq 0 ]
	[ "$(jq -r .summary.fail <<<"$output")" -eq 0 ]
}

@test "gc removes cached trees with files of subordinate ids" {
	[ -n "$(ls "$dir/store/cache/stages")" ]
	as_user ./posmedia store gc --lock demo.lock --keep 0 --store store
	echo "$stderr"
	[ "$status" -eq 0 ]
	[ -z "$(ls "$dir/store/cache/stages")$(ls "$dir/store/tmp")" ]
}

@test "no subordinate ids: a refusal with the command that grants them" {
	: >"$dir/etc/subuid"
	: >"$dir/etc/subgid"
	as_user ./posmedia build recipes/demo.yaml --lock demo.lock --store other \
		-o oci:out/other:1
	echo "$status $stderr"
	[ "$status" -ne 0 ]
	[[ $stderr == *"hint: "*"usermod --add-subuids"* ]]
	[ ! -e "$dir/out/other" ]
}
