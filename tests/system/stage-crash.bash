#!/bin/bash
# An instance that sells, and a verb that dies at one of its durable steps (base/fault.h): tests
# load this after lib, tiny, engines and stage.
# shellcheck disable=SC2154,SC2034 # those and the tests set and use the variables

stage_crash_set_up_file() {
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
}

stage_crash_set_up() {
	dir=$(mktemp -d)
	make_image
	posmedia sign oci:out/till:1 --key k
	succeeded
	install -m 600 /dev/null "$dir/token"
	echo 'the token of shop 123' >"$dir/token"
	start_service "$dir/engine" docker
	export posmedia=$OUT/faults/posmedia
	site dev
	stage recipes/sites/dev.yaml
	succeeded
	inside 'echo sale >>/usr2/sales'
}

stage_crash_tear_down() {
	stop_service "$dir/engine"
	rm -rf "$dir"
}

# Waits until whoever acts for the dead is done: the lock is free.
lock_is_free() {
	flock -w 60 "$dir/srv/123/dev/.posmedia/lock" true
}

whole_with_sale() {
	lock_is_free
	local it record=$dir/srv/123/dev/.posmedia/state.json
	it=$(running)
	[ "$(grep -c . <<<"$it")" -eq 1 ] || { echo "step $1 with $2: runs $it"; false; }
	[ "$(inside 'cat /usr2/sales')" = sale ]
	jq -e --arg it "$it" '.current.container == $it' "$record" >/dev/null ||
		{ echo "step $1 with $2: runs $it"; cat "$record"; false; }
}

# What the ledger has of starts and ends: by turns, and the last is what is so, whoever died before
# he could tell. Looking at the instance tells it.
ledger_agrees() {
	local told now
	verb status recipes/sites/dev.yaml
	"$posmedia" report sql "SELECT kind FROM event WHERE kind IN ('start', 'stop', 'crash')
		ORDER BY id" --ledger "$dir/srv/.ledger" >"$dir/told"
	told=$(awk 'NR > 1 { if (($1 == "start") == on) { print "twice", $1; exit }
		on = $1 == "start" } END { print on + 0 }' "$dir/told")
	now=$(running | wc -l)
	[ "$told" = "$now" ] || { echo "step $1: $now run"; cat "$dir/told"; false; }
}
