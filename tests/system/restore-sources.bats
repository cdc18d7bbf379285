#!/usr/bin/env bats
# Where data comes from: backup accounts, the real rsync over the real ssh, archives as the tools of
# before left them. No engine is needed.

bats_require_minimum_version 1.5.0
load lib
load restore

setup() {
	dir=$(mktemp -d)
	make_shop "$dir/shop"
	# the same machine's numbers on both sides
	rm -rf "$dir/shop/etc"
	chmod 711 "$dir"
}

teardown() {
	[ -z "${sshd_pid-}" ] || kill "$sshd_pid" 2>/dev/null || true
	rm -rf "$dir"
}

restore() {
	run --separate-stderr "$posmedia" restore "$@"
}

succeeded() {
	[ "$status" -eq 0 ] || { echo "status $status: $output $stderr"; false; }
}

refused() {
	[ "$status" -eq "$1" ] && [[ $stderr == *"$2"* ]] && return
	echo "wanted $1 and: $2; got $status and: $stderr"
	return 1
}

# rsync, a stranger, finds no difference; names, owners, times, links, ACLs and attributes too.
same() {
	run rsync -naHAXSc --delete --itemize-changes "$1/" "$2/"
	[ -z "$output" ] || { echo "$output"; false; }
	run "$posmedia" restore --verify "dir:$1" "dir:$2"
	[ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "a tree to a tree, and again after a day" {
	restore --from "dir:$dir/shop" --to "dir:$dir/to" --verify --json
	succeeded
	jq -e '.verified and .made >= .entries - 1 and .["excluded-entries"] == 0' <<<"$output"
	same "$dir/shop" "$dir/to"
	[ ! -e "$dir/.to.restore/unfinished" ]
	echo new >"$dir/shop/usr2/new"
	rm "$dir/shop/usr2/x.patch"
	mv "$dir/shop/usr2/sub dir" "$dir/shop/usr2/moved"
	rm "$dir/shop/usr2/link"
	mkdir "$dir/shop/usr2/link"
	restore --from "dir:$dir/shop" --to "dir:$dir/to" --dry-run --json
	succeeded
	jq -e '.made > 0 and .removed > 0' <<<"$output"
	[ -e "$dir/to/usr2/x.patch" ]
	restore --from "dir:$dir/shop" --to "dir:$dir/to" --json
	succeeded
	same "$dir/shop" "$dir/to"
	restore --from "dir:$dir/shop" --to "dir:$dir/to" --json
	succeeded
	jq -e '.made + .changed + .removed + .["written-bytes"] == 0' <<<"$output"
}

@test "below a directory with a default ACL: no entry of it gets in, and ours stay ours" {
	local from one
	mkdir "$dir/in"
	setfacl -m u:12345:rwx -d -m u:12345:rwx,g::rwx "$dir/in"
	tar -C "$dir/shop" --acls --xattrs --format=posix -cf "$dir/shop.tar" .
	for from in "tar:$dir/shop.tar" "dir:$dir/shop"; do
		restore --from "$from" --to "dir:$dir/in/to" --verify
		succeeded
		same "$dir/shop" "$dir/in/to"
		[ "$(getfacl -cp "$dir/in/.to.restore" | paste -sd,)" = \
			user::rwx,group::---,other::---, ]
		for one in "$dir/in/.to.restore"/*; do
			[ -d "$one" ] || [ "$(stat -c %a "$one")" = 600 ] ||
				{ stat "$one"; false; }
			[[ $(getfacl -cp "$one") != *12345* ]]
		done
	done
}

@test "every difference is told" {
	cp -a "$dir/shop" "$dir/b"
	echo other >"$dir/b/usr2/fix-me"
	rm "$dir/b/usr2/empty"
	: >"$dir/b/usr2/more"
	touch -r "$dir/shop/usr2" "$dir/b/usr2"
	restore --verify "dir:$dir/shop" "dir:$dir/b" --json
	refused 4 differences
	[ "$(jq -r '.path + " " + .field' <<<"$output" | grep -v mtime | sort | uniq | xargs -n2 |
		grep -cE '^usr2/(fix-me (content|size)|empty missing|more extra)$')" -ge 3 ] ||
		{ echo "$output"; false; }
}

@test "trees that lie in each other are refused" {
	restore --from "dir:$dir/shop" --to "dir:$dir/shop/usr2/x"
	refused 2 'lie in each other'
	restore --from "dir:$dir/shop/usr2" --to "dir:$dir/shop"
	refused 2 'lie in each other'
	restore --from "dir:$dir/shop" --to "dir:$dir/shop/"
	refused 2 'lie in each other'
	[ -e "$dir/shop/usr2/catalogue" ]
}

@test "an account of backups: owners and ACLs are those of its permfiles" {
	local account=$dir/tfrsync-00000123
	cp -a "$dir/shop" "$account"
	(cd "$dir/shop" && getfacl -R usr2) >"$account/usr2-perms.txt"
	# an account owns all of it, and nothing of it is as it was
	chown -R -h 65534:65534 "$account"
	setfacl -R -b "$account/usr2"
	chmod -R u=rwX,go= "$account/usr2"
	restore --from "$account" --to "dir:$dir/to"
	succeeded
	same "$dir/shop/usr2" "$dir/to/usr2"
	[[ $stderr == *'2 entries below / are in no permfile'* ]] || { echo "$stderr"; false; }
	sed -i 's/^user::r../user::rwz/' "$account/usr2-perms.txt"
	restore --from "$account" --to "dir:$dir/to"
	refused 3 'usr2-perms.txt:4: no entry of an ACL'
	rm "$account/usr2-perms.txt"
	restore --from "$account" --to "dir:$dir/to"
	refused 4 'there is no permfile'
}

@test "another machine's tree, by the real rsync and the real sshd" {
	start_sshd
	local from="ssh://root@127.0.0.1:$ssh_port$dir/shop"
	restore --from "$from" --to "dir:$dir/to" --secret-file "$dir/key"
	refused 2 'which key its host has'
	restore --from "$from" --to "dir:$dir/to" --secret-file "$dir/key" \
		--known-hosts "$dir/known"
	succeeded
	same "$dir/shop" "$dir/to"
	# of the same size and time as what was fetched
	printf X | dd of="$dir/shop/usr2/bbx/bbxd/CUSTMST" bs=1 seek=9 conv=notrunc status=none
	touch -r "$dir/to/usr2/bbx/bbxd/CUSTMST" "$dir/shop/usr2/bbx/bbxd/CUSTMST"
	restore --from "$from" --to "dir:$dir/to" --secret-file "$dir/key" \
		--known-hosts "$dir/known"
	succeeded
	same "$dir/shop" "$dir/to"
	# a qa never sees what it may not have
	echo x >"$dir/shop/usr2/bbx/bbxd/CCXF01"
	mkdir -p "$dir/shop/lost+found/x" "$dir/shop/var/lib/samba/private"
	echo x | tee "$dir/shop/lost+found/x/CCXF01" >"$dir/shop/var/lib/samba/private/k"
	ln -s bbx "$dir/shop/usr2/CCXF02"
	restore --from "$from" --to "dir:$dir/qa" --secret-file "$dir/key" \
		--known-hosts "$dir/known" --environment qa --json
	succeeded
	jq -e '[.excluded[] | select(.count > 0).paths[]] == ["/lost+found",
		"/usr2/bbx/bbxd/CCXF01", "/usr2/CCXF02", "/var/lib/samba/private"]' <<<"$output"
	run find "$dir/qa" "$dir/.qa.restore" -name CCXF01
	[ -z "$output" ]
}

@test "another machine whose rsync does not write in place what has holes" {
	start_sshd
	# as 3.1.2 says it, once it is asked for more than a list
	cat >"$dir/forced" <<-SH
		#!/bin/sh
		echo >>"$dir/asked"
		[ "\$(wc -l <"$dir/asked")" != 2 ] || {
			echo 'rsync: --sparse cannot be used with --inplace' >&2
			exit 1
		}
		exec /bin/sh -c "\$SSH_ORIGINAL_COMMAND"
	SH
	chmod 755 "$dir/forced"
	sed -i "s|^|command=\"$dir/forced\" |" "$dir/authorized"
	restore --from "ssh://root@127.0.0.1:$ssh_port$dir/shop" --to "dir:$dir/to" \
		--secret-file "$dir/key" --known-hosts "$dir/known"
	succeeded
	same "$dir/shop" "$dir/to"
	[ "$(wc -l <"$dir/asked")" -gt 2 ]
}

@test "an account of another machine, and in an archive: its permfile says whose they are" {
	local account=$dir/tfrsync-1 from
	start_sshd
	mkdir -p "$account/usr2"
	echo till >"$account/usr2/x"
	chown daemon: "$account/usr2/x"
	chmod 400 "$account/usr2/x"
	(cd "$account" && getfacl -R usr2) >"$dir/perms"
	cp "$dir/perms" "$account/usr2-perms.txt"
	chown -R 12345:12345 "$account"
	chmod 644 "$account/usr2/x"
	tar -C "$account" -cf "$dir/account.tar" .
	for from in "ssh://root@127.0.0.1:$ssh_port$account/" "tar:$dir/account.tar"; do
		rm -rf "$dir/to" "$dir/.to.restore"
		restore --from "$from" --to "dir:$dir/to" --secret-file "$dir/key" \
			--known-hosts "$dir/known"
		succeeded
		[ "$(stat -c '%U %a' "$dir/to/usr2/x")" = 'daemon 400' ] ||
			{ echo "$from"; stat "$dir/to/usr2/x"; false; }
	done
	rm "$account/usr2-perms.txt"
	restore --from "ssh://root@127.0.0.1:$ssh_port$account" --to "dir:$dir/to" \
		--secret-file "$dir/key" --known-hosts "$dir/known"
	refused 4 'there is no permfile'
}

@test "a host with another key, a key that is not taken, and a part that cannot be read" {
	start_sshd
	local from="ssh://root@127.0.0.1:$ssh_port$dir/shop"
	ssh-keygen -q -t ed25519 -N '' -f "$dir/other"
	sed "s,ssh-ed25519 .*,$(cut -d' ' -f1,2 "$dir/other.pub")," "$dir/known" >"$dir/wrong"
	restore --from "$from" --to "dir:$dir/to" --secret-file "$dir/key" \
		--known-hosts "$dir/wrong"
	refused 5 'rsync'
	restore --from "$from" --to "dir:$dir/to" --secret-file "$dir/other" \
		--known-hosts "$dir/known"
	refused 5 'rsync'
	chmod 644 "$dir/key"
	restore --from "$from" --to "dir:$dir/to" --secret-file "$dir/key" \
		--known-hosts "$dir/known"
	refused 4 'others may read this secret'
	chmod 600 "$dir/key"
	# rsync ends with 23 for what it could not read, and that is a failure
	restore --from "$from/nothing" --to "dir:$dir/to" --secret-file "$dir/key" \
		--known-hosts "$dir/known"
	refused 5 'exit 23'
}

@test "archives: plain, compressed, and encrypted by openssl and gpg" {
	local way tar=("tar" -C "$dir/shop" --acls --xattrs --sparse --format=posix -cf)
	mkdir "$dir/made"
	"${tar[@]}" "$dir/made/plain.tar" .
	"${tar[@]}" "$dir/made/packed.tar.gz" --gzip .
	"${tar[@]}" "$dir/made/packed.tar.zst" --zstd .
	install -m 600 /dev/null "$dir/pass"
	echo 'service tag' >"$dir/pass"
	for way in md5 sha256; do
		openssl enc -aes-128-cbc -md "$way" -pass "file:$dir/pass" \
			-in "$dir/made/packed.tar.gz" -out "$dir/made/$way.tar.gz.enc" 2>/dev/null
	done
	mkdir -m 700 "$dir/gnupg"
	gpg --homedir "$dir/gnupg" --batch --pinentry-mode loopback --passphrase-file "$dir/pass" \
		--symmetric -o "$dir/made/sealed.tar.gpg" "$dir/made/plain.tar"
	gpgconf --homedir "$dir/gnupg" --kill all
	for way in "$dir/made"/*; do
		rm -rf "$dir/to" "$dir/.to.restore"
		restore --from "tar:$way" --to "dir:$dir/to" --secret-file "$dir/pass" --verify
		succeeded
		same "$dir/shop" "$dir/to" || { echo "$way"; false; }
		[ ! -e "$dir/.to.restore/open.tar" ]
	done
	# a run that was killed
	rm -rf "$dir/to" "$dir/.to.restore"
	mkdir -m 700 "$dir/.to.restore"
	echo x >"$dir/.to.restore/open.tar"
	restore --from "tar:$dir/made/plain.tar" --to "dir:$dir/to"
	succeeded
	[ ! -e "$dir/.to.restore/open.tar" ]
	echo 'another tag' >"$dir/pass"
	restore --from "tar:$dir/made/md5.tar.gz.enc" --to "dir:$dir/to" --secret-file "$dir/pass"
	refused 4 'the secret does not open it'
	restore --from "tar:$dir/made/sealed.tar.gpg" --to "dir:$dir/to" --secret-file "$dir/pass"
	refused 4 gpg
	restore --from "tar:$dir/made/md5.tar.gz.enc" --to "dir:$dir/to"
	refused 2 'wants a secret'
	head -c 4000 "$dir/made/packed.tar.gz" >"$dir/cut.tar.gz"
	restore --from "tar:$dir/cut.tar.gz" --to "dir:$dir/to"
	refused 4 tar
	same "$dir/shop" "$dir/to"
}
