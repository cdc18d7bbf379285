#!/usr/bin/env bats
# Snapshots of a tree in a directory, by the program: made, listed, verified, pruned, damaged.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/snapshot.XXXXXX")
	cd "$dir" || return
	(umask 077 && echo 'a secret that is long enough' >secret)
	mkdir -p tree/sub
	seq 100000 >tree/numbers
	seq 5 >tree/sub/five
	ln tree/numbers tree/sub/linked
	printf odd >$'tree/odd\nname\xff'
}

teardown() {
	rm -rf "$dir"
}

snapshot() {
	run --separate-stderr "$posmedia" snapshot "$@" --secret-file secret
}

@test "made, listed, verified; an unchanged tree adds nothing" {
	sleep 3 # what was written just then is not remembered
	snapshot dir:tree --to dir:repo --seen seen
	[ "$status" -eq 0 ]
	[[ $output == *"3 files, 588.9 kB: "*"root sha256:"*"snapshot 2"* ]]
	snapshot dir:tree --to dir:repo --seen seen --json
	[ "$status" -eq 0 ]
	[ "$(jq -r '.added, .read, .files' <<<"$output" | paste -sd' ')" = '0 0 3' ]
	snapshot --list dir:repo
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	snapshot --list "$dir/repo" --json
	jq -e '.snapshots[1].previous == .snapshots[0].id' <<<"$output"
	snapshot --verify --read dir:repo
	[ "$status" -eq 0 ]
	[[ $output == '2 snapshots, 1 packs, '*' 0 faults, 0 files lost' ]]
}

@test "what is kept cannot be read without the secret" {
	echo 'CUSTOMER 4711' >tree/customers
	snapshot dir:tree --to dir:repo
	[ "$status" -eq 0 ]
	run ! grep -rqa -e CUSTOMER -e customers -e five -e 'is long enough' repo
	(umask 077 && echo 'another secret, also long' >other)
	run --separate-stderr "$posmedia" snapshot --list dir:repo --secret-file other
	[ "$status" -eq 4 ]
	[[ $stderr == *'the secret does not open this repository'* ]]
	chmod 0644 secret
	snapshot --list dir:repo
	[ "$status" -eq 4 ]
	[[ $stderr == *'others may read this secret'* ]]
	run --separate-stderr "$posmedia" snapshot --list dir:repo
	[ "$status" -eq 2 ]
	[[ $stderr == *'--secret-file'* ]]
	[ -z "$(find repo -perm /077)" ]
}

@test "a damaged pack is named, and so is what is lost with it" {
	head -c 2000000 /dev/urandom >tree/random
	snapshot dir:tree --to dir:repo
	pack=$(find repo/packs -type f)
	chmod u+w "$pack"
	printf x | dd of="$pack" bs=1 seek=700000 conv=notrunc status=none
	snapshot --verify --read dir:repo
	[ "$status" -eq 4 ]
	[[ $output == *"fault: ${pack#repo/}: is damaged in its bytes "* ]]
	[[ $output == *"lost: "*" random"* ]]
	[[ $output != *" sub/five"* ]]
	rm "$pack"
	snapshot --verify dir:repo --json
	[ "$status" -eq 4 ]
	[ "$(jq -r '.faults[0]' <<<"$output")" = "${pack#repo/}: is gone" ]
}

@test "a dry run changes nothing and says what would be added" {
	snapshot dir:tree --to dir:repo
	seq 200000 >tree/more
	before=$(find repo -type f | sort | xargs sha256sum)
	snapshot dir:tree --to dir:repo --dry-run --json
	[ "$status" -eq 0 ]
	would=$(jq .added <<<"$output")
	[ "$before" = "$(find repo -type f | sort | xargs sha256sum)" ]
	snapshot dir:tree --to dir:repo --json
	added=$(jq .added <<<"$output")
	[ $((added - would)) -lt 300 ] && [ "$would" -gt 10000 ]
}

@test "pruned: the newest stay, and what they need" {
	for _ in 1 2 3; do
		head -c 300000 /dev/urandom >tree/random
		snapshot dir:tree --to dir:repo
	done
	snapshot --prune dir:repo --keep 1 --dry-run
	[ "$status" -eq 0 ]
	[ "$(find repo/snapshots -type f | wc -l)" -eq 3 ]
	snapshot --prune dir:repo
	[ "$status" -eq 2 ]
	snapshot --prune dir:repo --keep 2
	[ "$status" -eq 0 ]
	[[ $output == *'removed 2'*$'\n1 snapshots, 0 packs, '* ]] ||
		[[ $output == *'removed 2'*$'\n1 snapshots, 1 packs, '* ]]
	snapshot --prune dir:repo --keep 1
	[ "$status" -eq 0 ]
	snapshot --list dir:repo
	[ "${#lines[@]}" -eq 1 ]
	[ -z "$stderr" ]
	snapshot --verify --read dir:repo
	[ "$status" -eq 0 ]
}

@test "what is meant in two ways is refused" {
	snapshot dir:tree --to dir:repo --keep 1
	[ "$status" -eq 2 ]
	snapshot --list dir:repo --read
	[ "$status" -eq 2 ]
	snapshot --list --verify dir:repo
	[ "$status" -eq 2 ]
	snapshot dir:tree
	[ "$status" -eq 2 ]
	[[ $stderr == *'--to dir:PATH'* ]]
	snapshot dir:tree --to repo
	[ "$status" -eq 2 ]
	snapshot dir:nowhere --to dir:repo
	[ "$status" -eq 1 ]
	snapshot --list dir:nowhere
	[ "$status" -eq 1 ]
	[ ! -e repo ]
}

@test "of a damaged snapshot the rest is restored, and what is lost is told" {
	head -c 2000000 /dev/urandom >tree/random
	snapshot dir:tree --to dir:repo
	pack=$(find repo/packs -type f)
	chmod u+w "$pack"
	printf x | dd of="$pack" bs=1 seek=700000 conv=notrunc status=none
	run --separate-stderr "$posmedia" restore --from snapshot:dir:repo --to dir:back \
		--secret-file secret
	[ "$status" -eq 4 ]
	[[ $stderr == *"lost: ./random"* ]]
	[ ! -e back/random ]
	rm tree/random
	diff -r tree back
}

@test "a new repository is told, and none is made where the tree is" {
	snapshot dir:tree --to dir:repo
	[[ ${lines[0]} == 'new repository: dir:repo' ]]
	snapshot dir:tree --to dir:repo
	[[ $output != *'new repository'* ]]
	snapshot dir:tree --to dir:other --json
	jq -e .new_repository <<<"$output"
	ln -s tree/sub linked
	local at
	for at in dir:tree "$dir/tree/sub/repo" dir:linked/repo dir:tree/more/repo; do
		snapshot dir:tree --to "$at"
		[ "$status" -eq 2 ]
		[[ $stderr == *'lie in each other'* ]]
	done
	snapshot dir:repo/packs --to dir:repo
	[ "$status" -eq 2 ]
	[ "$(ls tree)" = $'numbers\nodd\nname\xff\nsub' ] && [ -z "$(ls -d tree/sub/repo 2>&-)" ]
}

@test "looking and dry runs make nothing, no lock either" {
	snapshot dir:tree --to dir:repo
	rm repo/lock
	local before
	before=$(find repo -printf '%p %T@\n' | sort)
	snapshot --list dir:repo
	snapshot --verify dir:repo
	snapshot dir:tree --to dir:repo --dry-run --seen none
	[ "$status" -eq 0 ]
	snapshot --prune dir:repo --keep 1 --dry-run
	[ "$status" -eq 0 ]
	[ "$before" = "$(find repo -printf '%p %T@\n' | sort)" ]
	[ ! -e none ]
}

@test "a repository with an @ in its name" {
	snapshot dir:tree --to dir:a@b
	[ "$status" -eq 0 ]
	local id=${lines[-1]#snapshot } from
	for from in a@b "a@b@$id"; do
		rm -rf back
		run --separate-stderr "$posmedia" restore --from "snapshot:dir:$from" \
			--to dir:back --secret-file secret
		[ "$status" -eq 0 ] || { echo "$from: $stderr"; false; }
		diff -r tree back
	done
}

@test "pruned although a pack was removed by hand" {
	head -c 300000 /dev/urandom >tree/random
	snapshot dir:tree --to dir:repo
	local pack
	pack=$(find repo/packs -type f)
	rm "$pack"
	snapshot --prune dir:repo --keep 1
	[ "$status" -eq 4 ]
	[[ $output == *"fault: ${pack#repo/}: is gone"*'damaged: 2'*'0 packs'* ]]
	snapshot dir:tree --to dir:repo
	[ "$status" -eq 0 ]
	snapshot --prune dir:repo --keep 1 --json
	[ "$status" -eq 0 ]
	jq -e '(.missing | length) == 1 and .damaged == [] and (.gone | length) == 1' <<<"$output"
	snapshot --verify --read dir:repo
	[ "$status" -eq 0 ]
}

@test "signed: who wants that gets nothing else" {
	"$posmedia" key new k
	"$posmedia" key new other
	snapshot dir:tree --to dir:repo --key other
	[ "$status" -eq 0 ]
	echo 6 >>tree/sub/five
	snapshot dir:tree --to dir:repo --key k
	[ "$status" -eq 0 ]
	snapshot --list dir:repo
	[ "$(grep -c ', signed  ' <<<"$output")" -eq 2 ]
	snapshot --verify dir:repo --pub other.pub --pub k.pub
	[ "$status" -eq 0 ]
	run --separate-stderr "$posmedia" restore --from snapshot:dir:repo --to dir:to --pub k.pub \
		--secret-file secret
	[ "$status" -eq 0 ]
	diff -r tree to
	# one that has the secret, and not the key
	echo 7 >>tree/sub/five
	snapshot dir:tree --to dir:repo
	[ "$status" -eq 0 ]
	snapshot --verify dir:repo --pub other.pub --pub k.pub
	[ "$status" -eq 4 ]
	[[ $output == *'fault: snapshot '*' is not signed'* ]]
	for key in other k; do
		run --separate-stderr "$posmedia" restore --from snapshot:dir:repo --to dir:to \
			--pub $key.pub --secret-file secret
		[ "$status" -eq 4 ]
		[[ $stderr == *'is not signed'* ]]
	done
	[ "$(tail -n 1 to/sub/five)" = 6 ]
	# and whose it is, counts
	snapshot dir:tree --to dir:repo --key k
	run --separate-stderr "$posmedia" restore --from snapshot:dir:repo --to dir:to \
		--pub other.pub --secret-file secret
	[ "$status" -eq 4 ]
	[[ $stderr == *'is signed by none of the keys'* ]]
}

@test "what is signed, and what can be" {
	"$posmedia" key new k
	snapshot --list dir:repo --key k
	[ "$status" -eq 2 ]
	snapshot dir:tree --to dir:repo --pub k.pub
	[ "$status" -eq 2 ]
	run --separate-stderr "$posmedia" restore --from dir:tree --to dir:to --pub k.pub
	[ "$status" -eq 2 ]
	[[ $stderr == *'--pub wants a snapshot, and dir:tree is none'* ]]
}
