#!/usr/bin/env bats
# A shop's data into a staged site on a real dockerd: beside what is live, verified, exchanged.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage
load restore

setup_file() {
	load lib
	load tiny
	load engines
	load stage
	load restore
	restore_setup_file
}

teardown_file() {
	restore_teardown_file
}

setup() {
	restore_setup
	make_shop "$dir/shop"
}

teardown() {
	restore_teardown
}

restore() {
	verb restore "$@"
}

@test "a warm copy, a last pass, an exchange, and the way back" {
	stage_till dev
	inside 'echo sale >>/usr2/sales'
	restore --dry-run --json --from "dir:$dir/shop" recipes/sites/dev.yaml
	succeeded
	jq -e '.data[0] | .made > 15 and .name == "usr2"' <<<"$output"
	[ ! -e "$(live dev)/.posmedia/restore" ]
	restore --warm --from "dir:$dir/shop" recipes/sites/dev.yaml
	succeeded
	[ "$(inside 'cat /usr2/sales')" = sale ]
	[ "$(record)" = filling ]
	# a day goes by, and one record changes with neither size nor time
	echo more >"$dir/shop/usr2/today"
	chown 777:778 "$dir/shop/usr2/today"
	cp --preserve=all "$dir/shop/usr2/bbx/bbxd/CUSTMST" "$dir/was"
	printf X | dd of="$dir/shop/usr2/bbx/bbxd/CUSTMST" bs=1 seek=300000 conv=notrunc status=none
	touch -r "$dir/was" "$dir/shop/usr2/bbx/bbxd/CUSTMST"
	restore --json --from "dir:$dir/shop" recipes/sites/dev.yaml
	succeeded
	jq -e '.state == "restored" and .differences == 0 and .verified and
		.fixers == ["permissions"] and .data[0].fixed > 0 and
		.["not-in-source"] == ["log"]' <<<"$output"
	is_restored "$dir/shop"
	[ "$(inside 'cat /usr2/today')" = more ]
	[ "$(record)" = restored ]
	restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	refused 7 'the data of before is still kept'
	restore --rollback --json recipes/sites/dev.yaml
	succeeded
	jq -e '.state == "undone" and .kept.files > 5 and .live[0].name == "usr2" and
		.live[0].files == 2 and (has("differences") or has("verified") | not)' <<<"$output"
	[ "$(inside 'cat /usr2/sales; cat /usr2/catalogue')" = $'sale\nroses' ]
	# what was taken back is not filled over unasked
	for way in --warm --dry-run --json; do
		restore "$way" --from "dir:$dir/shop" recipes/sites/dev.yaml
		refused 7 'its restore was undone'
	done
	restore --rollback recipes/sites/dev.yaml
	refused 7 'nothing was restored'
	restore --discard --json recipes/sites/dev.yaml
	succeeded
	jq -e '.state == "none" and .removed.files > 5' <<<"$output"
	restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	succeeded
	is_restored "$dir/shop"
	restore --commit recipes/sites/dev.yaml
	succeeded
	[ ! -e "$(live dev)/.posmedia/restore" ] && [ ! -e "$(live dev)/.posmedia/restore.json" ]
	[ "$(inside 'cat /usr2/today')" = more ]
	restore --rollback recipes/sites/dev.yaml
	refused 7 'nothing was restored'
	# the ledger is a chain
	local file before want
	file=$(live dev)/.posmedia/ledger.jsonl
	[ "$(jq -r .what "$file" | xargs)" = 'warm restore rollback discard restore commit' ]
	before=$(printf '' | sha256sum | cut -c1-64)
	while IFS= read -r line; do
		want=$(jq -r .previous <<<"$line")
		[ "$want" = "sha256:$before" ]
		before=$(printf '%s\n' "$line" | sha256sum | cut -c1-64)
	done <"$file"
}

@test "a user that the instance does not have is named before anything changes" {
	stage_till dev
	chown 4321 "$dir/shop/usr2/empty"
	sed -i 's/^clerk:/stranger:/' "$dir/shop/etc/passwd"
	restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	refused 4 'does not know whose the files are: user stranger'
	[ "$(inside 'cat /usr2/catalogue')" = roses ]
	[ "$(stat -c %u "$(live dev)/usr2/catalogue")" = 1500 ]
	# a number that has no name there, and one here
	printf '%s\n' root:x:0:0::/:/bin/sh rti:x:777:778::/:/bin/sh >"$dir/shop/etc/passwd"
	chown -h 1600 "$dir/shop/usr2/empty" "$dir/shop/usr2/bbx/bbxd/CUSTMST"
	restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	refused 4 'user 1600 (which is clerk there)'
	restore --discard recipes/sites/dev.yaml
	succeeded
	[ ! -e "$(live dev)/.posmedia/restore" ]
}

@test "what does not get well runs on its old data again" {
	stage_till dev
	inside 'echo sale >>/usr2/sales'
	# the till answers only where it can read its data
	site dev 'health: [{name: sales, run: [/bin/busybox, test, -e, /usr2/sales], within: 2s}]'
	stage recipes/sites/dev.yaml
	succeeded
	restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	refused 1 'what was before runs again'
	[ "$(inside 'cat /usr2/sales')" = sale ]
	[ "$(record)" = filling ]
	[ "$(cat "$(live dev)/.posmedia/restore/new/usr2/catalogue")" = orchids ]
}

@test "a fixer that fails keeps the old data live" {
	stage_till dev
	: >"$dir/shop/usr2/refuses"
	chown 777:778 "$dir/shop/usr2/refuses"
	restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	refused 6 'fixer "permissions"'
	[[ $stderr == *'no permission'* ]]
	[ "$(inside 'cat /usr2/catalogue')" = roses ]
	run containers
	[[ $output != *fix* ]]
}

@test "no cardholder's file goes to a test, and all of them to production" {
	local at=$dir/shop/usr2 pan=4556737586899855
	printf 'card %s\n' "$pan" >"$at/bbx/notes"
	ln "$at/bbx/notes" "$at/bbx/notes-too"
	printf '%s\n' '-----BEGIN RSA PRIVATE KEY-----' \
		"$(head -c 600 /dev/zero | base64 -w 64)" '-----END RSA PRIVATE KEY-----' \
		>"$at/bbx/old.pem"
	echo x >"$at/bbx/bbxd/CCXF01"
	chown -h 777:778 "$at/bbx/notes" "$at/bbx/old.pem" "$at/bbx/bbxd/CCXF01"
	stage_till qa
	restore --json --from "dir:$dir/shop" recipes/sites/qa.yaml
	succeeded
	jq -e '[.excluded[] | select(.count > 0)] |
		(map(.paths[]) | sort) == ["/usr2/bbx/bbxd/CCXF01", "/usr2/bbx/notes",
		"/usr2/bbx/notes-too", "/usr2/bbx/old.pem"]' <<<"$output" ||
		{ echo "$output"; false; }
	at=$(live qa)/usr2
	[ ! -e "$at/bbx/notes" ] && [ ! -e "$at/bbx/notes-too" ] && [ ! -e "$at/bbx/old.pem" ]
	[ ! -e "$at/bbx/bbxd/CCXF01" ] && [ -e "$at/bbx/bbxd/CUSTMST" ]
	! grep -r "$pan" "$(live qa)" || false
	verb destroy --confirm 123 recipes/sites/qa.yaml
	succeeded
	stage_till prod
	restore --json --from "dir:$dir/shop" recipes/sites/prod.yaml
	succeeded
	jq -e '.["excluded-entries"] == 0' <<<"$output"
	at=$(live prod)/usr2
	[ -e "$at/bbx/notes" ] && [ -e "$at/bbx/old.pem" ] && [ -e "$at/bbx/bbxd/CCXF01" ]
}

@test "a warm copy of a test has no card either, nor has what belongs to no directory" {
	local at=$dir/shop/usr2 pan=4556737586899855
	mkdir -p "$dir/shop/var/log" "$dir/shop/home/x/y"
	printf 'card %s\n' "$pan" >"$at/bbx/$pan"
	echo hush-hush >"$dir/shop/var/log/a"
	ln "$dir/shop/var/log/a" "$at/bbx/Crddata.POS"
	echo hush-hush >"$at/other"
	ln "$at/other" "$dir/shop/home/x/recv.fil"
	seq 100 >"$dir/shop/home/x/y/z"
	chown -h 777:778 "$at/bbx/$pan" "$at/bbx/Crddata.POS" "$at/other"
	stage_till qa
	restore --warm --json --from "dir:$dir/shop" recipes/sites/qa.yaml
	succeeded
	run ! grep -rE "hush-hush|$pan" "$(live qa)"
	[ -e "$(live qa)/.posmedia/restore/new/usr2/catalogue" ]
	restore --json --from "dir:$dir/shop" recipes/sites/qa.yaml
	succeeded
	jq -e '[.excluded[] | select(.count > 0) | .paths[]] | sort ==
		["/usr2/bbx/455673******9855", "/usr2/bbx/Crddata.POS", "/usr2/other",
		"/var/log/a"]' <<<"$output" ||
		{ echo "$output"; false; }
	jq -e '.unclaimed == [{path: "/etc", entries: 3, files: 2, bytes: .unclaimed[0].bytes},
		{path: "/home", entries: 5, files: 2, bytes: (292 + 10)}] and
		.["unclaimed-entries"] == 8' <<<"$output" || { echo "$output"; false; }
	run ! grep -rE "hush-hush|$pan" "$(live qa)"
	restore --rollback recipes/sites/qa.yaml
	succeeded
	restore --discard recipes/sites/qa.yaml
	succeeded
	restore --dry-run --from "dir:$dir/shop" recipes/sites/qa.yaml
	succeeded
	[[ $output == *'not restored, since no directory of the site has it: /home (5 entries'* ]]
}

@test "devices stay out, and no file of root's is a program of root's" {
	local at=$dir/shop/usr2
	mknod "$at/memory" c 1 1
	mknod "$at/disk" b 7 99
	cp /bin/true "$at/capable"
	setcap cap_net_raw+ep "$at/capable"
	setfattr -n user.note -v kept "$at/capable"
	install -o 0 -g 778 -m 6755 /dev/null "$at/of root"
	ln "$at/of root" "$at/of root too"
	install -o 777 -g 0 -m 6755 /dev/null "$at/of the group"
	stage_till prod
	restore --json --from "dir:$dir/shop" recipes/sites/prod.yaml
	succeeded
	jq -e '[.excluded[] | select(.count > 0) | [.rule, .paths]] == [["devices",
		["/usr2/disk", "/usr2/memory"]], ["privileges", ["/usr2/capable", "/usr2/of root",
		"/usr2/of root too", "/usr2/of the group"]]]' <<<"$output" ||
		{ jq .excluded <<<"$output"; false; }
	at=$(live prod)/usr2
	[ ! -e "$at/memory" ] && [ ! -e "$at/disk" ]
	[ "$(stat -c '%u %a' "$at/of root" "$at/of root too" "$at/of the group" "$at/setuid")" = \
		$'0 2755\n0 2755\n1500 4755\n1500 4755' ]
	[ -z "$(getcap "$at/capable")" ]
	[ "$(getfattr --only-values -n user.note "$at/capable" 2>/dev/null)" = kept ]
}

@test "what is fetched goes when it is exchanged, and what a kill left goes first" {
	local name=pos-123-dev-fix
	stage_till dev
	tar -C "$dir/shop" --xattrs --acls -cf "$dir/shop.tar" .
	curl -sSf --unix-socket "$engine_socket" -H 'Content-Type: application/json' -d "$(ask \
		"/containers/$(running)/json" | jq '{Image, Entrypoint: ["/bin/busybox", "sleep",
		"600"]}')" "http://x/containers/create?name=$name"
	curl -sSf --unix-socket "$engine_socket" -X POST "http://x/containers/$name/start"
	restore --warm --from "tar:$dir/shop.tar" recipes/sites/dev.yaml
	succeeded
	[[ $stderr == *"$name is left of a restore that was killed"* ]]
	! ask "/containers/$name/json" || false
	[ -e "$(live dev)/.posmedia/restore/fetched" ]
	restore --from "tar:$dir/shop.tar" recipes/sites/dev.yaml
	succeeded
	[ "$(find "$(live dev)/.posmedia/restore" -mindepth 1 -maxdepth 1 ! -name 'memory-*' \
		! -name 'seen-*' -printf '%f\n')" = previous ]
	# as a kill before the start leaves it
	jq '.phase = "exchanged"' "$(live dev)/.posmedia/restore.json" >"$dir/record"
	cp "$dir/record" "$(live dev)/.posmedia/restore.json"
	restore --warm --from "tar:$dir/shop.tar" recipes/sites/dev.yaml
	refused 7 '--warm does not finish it'
	[ "$(record)" = exchanged ]
	restore --json --from "tar:$dir/shop.tar" recipes/sites/dev.yaml
	succeeded
	# it compared nothing itself
	jq -e '.state == "restored" and .verified == false and (has("differences") | not) and
		(.roots | startswith("usr2 sha256:"))' <<<"$output"
}

@test "a key that a program gives is on no disk" {
	stage_till dev
	start_sshd
	# the other machine is this one, and looks
	cat >"$dir/look" <<-SH
		#!/bin/sh
		grep -rl PRIVATE.KEY $dir/srv $dir/run >>$dir/found
		exec sh -c "\$SSH_ORIGINAL_COMMAND"
	SH
	chmod 755 "$dir/look"
	sed "s|^|command=\"$dir/look\" |" "$dir/key.pub" >"$dir/authorized"
	sed -i "s|^secrets: \[|&{name: ssh, command: [/bin/cat, $dir/key]}, |" \
		"$dir/recipes/sites/dev.yaml"
	echo "backup: {from: 'ssh://root@127.0.0.1:$ssh_port$dir/shop', secret: ssh," \
		"known_hosts: $dir/known}" >>"$dir/recipes/sites/dev.yaml"
	restore recipes/sites/dev.yaml
	kill "$sshd_pid"
	succeeded
	is_restored "$dir/shop"
	[ -e "$dir/found" ] && [ ! -s "$dir/found" ]
}

@test "another instance's data, when it is stopped" {
	stage_till dev
	inside 'echo sale >>/usr2/sales'
	stage_till qa
	restore --from "site:$dir/recipes/sites/dev.yaml" recipes/sites/qa.yaml
	refused 7 'its data changes'
	verb stop recipes/sites/dev.yaml
	succeeded
	restore --from "site:$dir/recipes/sites/dev.yaml" recipes/sites/qa.yaml
	[ "$status" -eq 6 ] # the image's fixer misses its file
	echo fix >"$(live dev)/usr2/fix-me"
	restore --from "site:$dir/recipes/sites/dev.yaml" recipes/sites/qa.yaml
	succeeded
	[ "$(cat "$(live qa)/usr2/sales")" = sale ]
	[ "$(cat "$(live dev)/usr2/sales")" = sale ]
}

@test "a snapshot of one environment into another" {
	install -m 600 /dev/null "$dir/pass"
	echo 'a long passphrase' >"$dir/pass"
	stage_till dev
	restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	succeeded
	verb snapshot recipes/sites/dev.yaml --to "dir:$dir/repo" --secret-file "$dir/pass"
	succeeded
	stage_till qa
	restore --from "snapshot:dir:$dir/repo" recipes/sites/qa.yaml
	refused 2 'wants a secret'
	restore --from "snapshot:dir:$dir/repo" --secret-file "$dir/pass" recipes/sites/qa.yaml
	succeeded
	diff -r --no-dereference --exclude=fifo "$(live dev)/usr2" "$(live qa)/usr2"
	[ "$(stat -c '%u:%g %a' "$(live qa)/usr2/setuid")" = '1500:1500 4755' ]
	# a byte of it that is another is found before anything changes
	restore --commit recipes/sites/qa.yaml
	succeeded
	local pack
	pack=$(find "$dir/repo/packs" -type f | head -n 1)
	flip "$pack"
	echo mine >"$(live qa)/usr2/mine"
	restore --from "snapshot:dir:$dir/repo" --secret-file "$dir/pass" recipes/sites/qa.yaml
	refused 4 'is damaged'
	[ "$(inside_of qa 'cat /usr2/mine')" = mine ]
}

@test "a site that wants its snapshots signed takes no other" {
	install -m 600 /dev/null "$dir/pass"
	echo 'a long passphrase' >"$dir/pass"
	stage_till dev
	inside 'echo old >/usr2/fix-me'
	verb snapshot recipes/sites/dev.yaml --to "dir:$dir/repo" --secret-file "$dir/pass"
	succeeded
	echo "backup: {from: 'snapshot:dir:$dir/repo', keys: [$dir/k.pub]}" \
		>>"$dir/recipes/sites/dev.yaml"
	restore recipes/sites/dev.yaml --secret-file "$dir/pass"
	refused 4 'is not signed'
	# a key that the operator names does not take its place
	posmedia key new other
	succeeded
	verb snapshot recipes/sites/dev.yaml --secret-file "$dir/pass" --key other
	succeeded
	restore recipes/sites/dev.yaml --secret-file "$dir/pass" --pub other.pub
	refused 4 'is signed by none of the keys'
	verb snapshot recipes/sites/dev.yaml --secret-file "$dir/pass" --key k
	succeeded
	restore recipes/sites/dev.yaml --secret-file "$dir/pass"
	succeeded
	restore --commit recipes/sites/dev.yaml
	succeeded
	# what is not signed cannot be what the site wants signed
	sed -i "s,snapshot:dir:$dir/repo,dir:$dir/shop," "$dir/recipes/sites/dev.yaml"
	restore recipes/sites/dev.yaml
	refused 3 'backup has keys, and is no snapshot'
}

@test "a site that was stopped on purpose stays so, and links lead nowhere" {
	stage_till dev
	verb stop recipes/sites/dev.yaml
	succeeded
	mv "$dir/shop/usr2" "$dir/shop/elsewhere"
	ln -s elsewhere "$dir/shop/usr2"
	restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	refused 1 'what is a link there leads out of the source'
	rm "$dir/shop/usr2"
	mv "$dir/shop/elsewhere" "$dir/shop/usr2"
	restore --from "dir:$dir/shop" recipes/sites/dev.yaml
	succeeded
	is_restored "$dir/shop"
	[ -z "$(running)" ]
	jq -e .stopped "$(live dev)/.posmedia/state.json"
}
