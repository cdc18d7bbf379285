#!/usr/bin/env bats
# Whose the files of an archive are: by the names in it, into a tree and into a site on a real
# dockerd, where a machine that has none of the names unpacks it.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load restore

setup() {
	dir=$(mktemp -d)
	service=
}

teardown() {
	[ -z "$service" ] || stop_service "$dir/engine"
	rm -rf "$dir"
}

restore() {
	verb restore "$@"
}

# An archive of $dir/shop/usr2 whose headers and ACLs have names that this machine has not: made
# with tables of the machine of before.
make_archive() {
	rm -rf "$dir/shop/etc"
	printf '%s\n' root:x:0:0::/:/bin/sh rti:x:777:778::/:/bin/sh clerk:x:900:900::/:/bin/sh \
		>"$dir/passwd"
	printf '%s\n' root:x:0: rti:x:778: clerk:x:900: >"$dir/group"
	# shellcheck disable=SC2016 # of the shell in the namespace
	unshare -m sh -ec 'mount --bind "$0/passwd" /etc/passwd; mount --bind "$0/group" /etc/group
		exec tar -C "$0/shop" --acls --xattrs --sparse -cf "$0/shop.tar" .' "$dir"
}

acl_of() {
	getfacl -cnp "$1" | paste -sd,
}

@test "names that this machine does not have keep their numbers, and that is told" {
	local to=$dir/to/usr2
	make_shop "$dir/shop"
	make_archive
	restore --from "tar:$dir/shop.tar" --to "dir:$dir/to" --verify --json
	succeeded
	jq -e '.["by-number"] == ["group clerk", "group rti", "user clerk", "user rti"]' \
		<<<"$output"
	[[ $stderr == *'4 users and groups have no name that is known: their numbers stay'* ]]
	[ "$(stat -c %u:%g "$to/catalogue" "$to/link" "$to/sub dir/same" | sort -u)" = 777:778 ]
	[ "$(stat -c %u:%g "$to/bbx/bbxd/CUSTMST")" = 900:900 ]
	[ "$(acl_of "$to/bbx/bbxd/CUSTMST")" = "$(acl_of "$dir/shop/usr2/bbx/bbxd/CUSTMST")" ]
	[ "$(stat -c %a "$to/setuid")" = 4755 ]
	restore --from "tar:$dir/shop.tar" --to "dir:$dir/to" --verify --json
	succeeded
	jq -e '.changed + .made == 0 and (.["by-number"] | length) == 4' <<<"$output"
}

@test "names that this machine has get its numbers; headers without names, too" {
	mkdir -p "$dir/shop/usr2"
	echo x | tee "$dir/shop/usr2/a" >"$dir/shop/usr2/b"
	ln "$dir/shop/usr2/a" "$dir/shop/usr2/A"
	chown 777:778 "$dir/shop/usr2/a"
	setfacl -m u:777:rw,g:778:r,m:rwx "$dir/shop/usr2/a"
	setfacl -d -m u:777:rwx "$dir/shop/usr2"
	# a machine where 777 is daemon and 778 has no name
	echo daemon:x:777:0::/:/bin/sh >"$dir/passwd"
	# shellcheck disable=SC2016 # of the shell in the namespace
	unshare -m sh -ec 'mount --bind "$0/passwd" /etc/passwd
		exec tar -C "$0/shop" --acls -cf "$0/shop.tar" .' "$dir"
	restore --from "tar:$dir/shop.tar" --to "dir:$dir/to" --verify --json
	succeeded
	jq -e '.["by-number"] == ["group 778"]' <<<"$output"
	[ "$(stat -c %U:%g "$dir/to/usr2/a")" = daemon:778 ]
	getfacl -cp "$dir/to/usr2/A" | grep -qx 'user:daemon:rw-'
	getfacl -cp "$dir/to/usr2" | grep -qx 'default:user:daemon:rwx'
	tar -C "$dir/shop" --numeric-owner -cf "$dir/plain.tar" usr2/a
	restore --from "tar:$dir/plain.tar" --to "dir:$dir/plain" --verify --json
	succeeded
	jq -e '.["by-number"] == ["group 778", "user 777"]' <<<"$output"
	[ "$(stat -c %u:%g "$dir/plain/usr2/a")" = 777:778 ]
}

@test "an ACL of somebody whom nobody knows is an error that names him" {
	make_shop "$dir/shop"
	make_archive
	sed 's/user:clerk:rw-/user:nobot:rw-/' "$dir/shop.tar" >"$dir/other.tar"
	restore --from "tar:$dir/other.tar" --to "dir:$dir/to"
	refused 4 'its ACLs name who has no number here: user nobot'
	[ -z "$(ls "$dir/to")" ]
}

@test "into a site: the instance's numbers, by the names of the archive" {
	make_restore_image
	export POSMEDIA_STORE=$dir/store
	start_service "$dir/engine" docker
	service=on
	make_shop "$dir/shop"
	make_archive
	stage_till dev
	restore --from "tar:$dir/shop.tar" recipes/sites/dev.yaml --json
	succeeded
	jq -e '.["by-number"] == []' <<<"$output"
	is_restored "$dir/shop"
	[ ! -e "$(live dev)/.posmedia/restore/owners" ]
	restore --rollback recipes/sites/dev.yaml
	succeeded
	restore --discard recipes/sites/dev.yaml
	succeeded
	sed 's/user:clerk:rw-/user:nobot:rw-/' "$dir/shop.tar" >"$dir/other.tar"
	restore --from "tar:$dir/other.tar" recipes/sites/dev.yaml
	refused 4 'the instance does not know whose the files are: user nobot'
}
