#!/usr/bin/env bats
# Death at every durable step of posmedia restore (base/fault.h): afterwards the data of before is
# live, or the new one, or nothing starts; and the next run makes it whole.

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
	make_faults
	restore_setup_file
}

teardown_file() {
	restore_teardown_file
}

setup() {
	restore_setup
	make_shop "$dir/shop"
	export posmedia=$OUT/faults/posmedia
	stage_till dev
	inside 'echo sale >>/usr2/sales'
	# two directories, so that there is a moment between them
	mkdir -p "$dir/shop/var/log"
	echo 'a line' >"$dir/shop/var/log/pos.log"
}

teardown() {
	restore_teardown
}

restore() {
	verb restore "$@" recipes/sites/dev.yaml
}

# One of the two is live as a whole, or the record says that it is not and nothing starts.
old_new_or_marked() {
	local at phase
	at=$(live dev)
	phase=$(phase)
	if [ "$phase" = exchanging ] || [ "$phase" = undoing ]; then
		verb start recipes/sites/dev.yaml
		refused 7 'a restore of its data was interrupted half way'
		stage recipes/sites/dev.yaml
		refused 7 'a restore of its data was interrupted half way'
		[ -z "$(running)" ]
	elif [ -e "$at/usr2/sales" ]; then
		[ "$(cat "$at/usr2/sales" "$at/usr2/catalogue")" = $'sale\nroses' ]
	else
		is_restored "$dir/shop"
	fi
	[ "$(running | wc -l)" -le 1 ]
}

# How far it is; nothing when there is no restore.
phase() {
	jq -r .phase "$(live dev)/.posmedia/restore.json" 2>/dev/null || echo none
}

# Dies at the first point of that name, or fails the test.
die_at() {
	local point=$1
	shift
	POSMEDIA_DIE_AT=$point restore "$@"
	[ "$status" -eq 86 ] || { echo "$point: $status $stderr"; false; }
	old_new_or_marked || { echo "$point: $(phase) $(running)"; false; }
}

# Those of a restore, in their order; a tree's own are tried where no instance has to be started.
forth=('restore: filling' 'restore: applied' 'restore: filled' 'restore: verified'
	'restore: fixed' 'restore: stopped' 'restore: exchanging' 'restore: one exchanged'
	'restore: set aside' 'restore: exchanged' 'stage: up' 'restore: started'
	'restore: restored' 'ledger: written' 'restore: reported')

@test "a kill at each step of a restore, which goes on" {
	local point
	for point in "${forth[@]}"; do
		die_at "$point" --from "dir:$dir/shop"
		if [ "$(phase)" != restored ]; then
			restore --from "dir:$dir/shop"
			succeeded
		fi
		is_restored "$dir/shop" || { echo "$point: not whole"; false; }
		[ "$(cat "$(live dev)/log/pos.log")" = 'a line' ]
		[ "$(running | wc -l)" -eq 1 ]
		restore --rollback
		succeeded
		[ "$(inside 'cat /usr2/sales /usr2/catalogue')" = $'sale\nroses' ]
		# from the start each time
		restore --discard
		succeeded
	done
}

@test "a kill at each step of a restore, which is undone" {
	local point
	for point in "${forth[@]:6}"; do
		die_at "$point" --from "dir:$dir/shop"
		restore --rollback
		succeeded
		[ "$(inside 'cat /usr2/sales /usr2/catalogue')" = $'sale\nroses' ]
		[ ! -e "$(live dev)/log/pos.log" ]
		restore --discard
		succeeded
	done
}

@test "a kill at each step of the way back, and of a commit" {
	local point
	for point in 'restore: stopped' 'restore: undoing' 'restore: set aside' \
		'restore: one exchanged' 'restore: undone' 'stage: up' 'restore: started'; do
		restore --from "dir:$dir/shop"
		succeeded
		die_at "$point" --rollback
		restore --rollback
		[ "$status" -eq 0 ] || refused 7 'nothing was restored'
		[ "$(cat "$(live dev)/usr2/sales" "$(live dev)/usr2/catalogue")" = $'sale\nroses' ]
		verb start recipes/sites/dev.yaml
		succeeded
		[ "$(phase)" = undone ]
		restore --discard
		succeeded
	done
	restore --from "dir:$dir/shop"
	succeeded
	for point in 'restore: committing' 'restore: previous removed' 'restore: work removed'; do
		die_at "$point" --commit
		is_restored "$dir/shop" || { echo "$point"; false; }
	done
	restore --commit
	succeeded
	is_restored "$dir/shop"
	[ ! -e "$(live dev)/.posmedia/restore" ] && [ ! -e "$(live dev)/.posmedia/restore.json" ]
	[ "$(running | wc -l)" -eq 1 ]
}

@test "a kill while it goes back from what does not get well" {
	local point
	site dev 'health: [{name: sales, run: [/bin/busybox, test, -e, /usr2/sales], within: 1s}]'
	stage recipes/sites/dev.yaml
	succeeded
	for point in 'stage: up' 'restore: undoing'; do
		die_at "$point" --from "dir:$dir/shop"
		restore --rollback
		succeeded
		[ "$(inside 'cat /usr2/sales /usr2/catalogue')" = $'sale\nroses' ]
		restore --discard
		succeeded
	done
}
