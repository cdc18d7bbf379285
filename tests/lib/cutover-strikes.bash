#!/bin/bash
# The faults of tests/lib/cutover-runs: each strikes at once, is over after a while that the seed
# decides, or when control has ended, and says in detail what it was. Load this behind
# cutover-world.bash.
# shellcheck disable=SC2154,SC2034 # that and cutover-runs set and use the variables

# A step of the plan, on OLD or NEW ($1), is to fail or hang.
put_step() {
	if [ "$1" = old ]; then
		echo "$3" >"$dir/old/opt/steps/$2"
	else
		echo "$3" >"$dir/steps/$2"
	fi
}

# Where the plan has a step of ours in a phase: the host and its name.
step_of() {
	[ "$back" = 0 ] || { step_back_of "$1"; return; }
	case $1 in
	preflight) echo old preflight ;;
	announce) echo old announce ;;
	fence) echo old stop ;;
	smoke) echo new smoke ;;
	open) echo new open ;;
	after) echo old after ;;
	abort) echo old start ;;
	esac
}

# Of one that goes back.
step_back_of() {
	case $1 in
	preflight) echo old reverse ;;
	announce) echo new announce ;;
	start) echo old start ;;
	smoke) echo old trial ;;
	open) echo new open ;;
	after) echo old after ;;
	abort) echo old stop ;;
	esac
}

# So that there is an abort: the last that is looked at before HOLD.
fail_late() {
	if [ "$back" = 0 ]; then put_step new smoke fail; else put_step old trial fail; fi
}

# What has to be there before the phase begins, because the phase does it.
before_strike() {
	local step
	steps_planned=0
	[[ $1 == step* ]] || return 0
	step=$(step_of "$2")
	[ -n "$step" ] || return 0
	below 3 planned
	[ "$picked" != 0 ] || return 0
	steps_planned=1
	# a step that hangs is ended by its own limit or by the budget's
	below 2 limit
	[ "$picked" = 0 ] || [ "$2" = abort ] || [ "$2" = after ] || world_site 50s
	# shellcheck disable=SC2086 # two words
	put_step $step "${1##* }"
	sed -i 's/s$//' "$dir"/old/opt/steps/* "$dir"/steps/* 2>/dev/null
	[ "$2" != abort ] || fail_late
}

mend_later() { span "$1" "$2" while && sleep "$picked"; }

# Whether it is over only when control has ended, which may be long.
is_for_long() {
	below 6 long
	[ "$picked" = 0 ]
}

strike() {
	mended=mend_nothing
	case $1 in
	'kill control') strike_control ;;
	'kill old') strike_old ;;
	'kill new') strike_new ;;
	'cut the link') strike_link ;;
	'fill the disk') strike_disk ;;
	'step fails') strike_step KILL ;;
	'step hangs') strike_step STOP ;;
	'clock jumps') strike_clock ;;
	esac
}

mend() {
	${mended-mend_nothing}
	mended=mend_nothing
	rm -f "$dir"/old/opt/steps/* "$dir"/steps/*
}
mend_nothing() { :; }

# posmedia itself, in NEW's namespace: the child of who entered that.
control_pid() { pgrep -P "$control" || echo "$control"; }
kill_control() {
	kill -KILL "$(control_pid)" 2>/dev/null
	kill -KILL "$control" 2>/dev/null
}
strike_control() {
	kill_control
	detail=killed
	# the lease may be over by then
	below 3 late
	if [ "$picked" = 0 ]; then mend_later 4 8; else mend_later 0 2; fi
}

strike_old() {
	kill_old
	detail='no power'
	if is_for_long; then
		mended=start_old
	else
		mend_later 0 5
		start_old
	fi
}

strike_new() {
	kill_new
	detail='no power'
	mend_later 0 4
	mended=mend_new
}
mend_new() {
	boot_new
	echo "$engine_pid" >"$dir/new-pid"
	start_instance
	echo "# start: $status" >>"$run_log"
}

strike_link() {
	below 2 which
	cut=$([ "$picked" = 0 ] && echo old || echo new)
	cut_port "$cut"
	detail="of $cut"
	if is_for_long; then
		mended=mend_link
	else
		mend_later 0 7
		mend_port "$cut"
	fi
}
mend_link() { mend_port "$cut"; }

# To the last byte, or to a few pages.
strike_disk() {
	below 2 which
	full=$([ "$picked" = 0 ] && echo old || echo new)
	below 3 room
	fill_disk "$full" $((picked * 8))
	detail="of $full"
	if is_for_long; then
		mended=mend_disk
	else
		mend_later 0 4
		free_disk "$full"
	fi
}
mend_disk() { free_disk "$full"; }

# Processes of OLD or NEW whose command line has a pattern.
pids_of() {
	local ns pid
	ns=$(readlink "/proc/$1/ns/pid")
	for pid in $(pgrep -f "$2"); do
		[ "$(readlink "/proc/$pid/ns/pid" 2>/dev/null)" != "$ns" ] || echo "$pid"
	done
}

# What works for control is ended, or stands still for a while: the agent or rsync of OLD, ssh or
# the instance of NEW, control itself.
strike_step() {
	local parts=(agent rsync ssh till) part
	if [ "$steps_planned" = 1 ]; then
		detail="by the plan's step"
		return
	fi
	[ "$1" = KILL ] || parts=(agent rsync control control)
	below 4 part
	part=${parts[picked]}
	stopped=()
	case $part in
	agent) mapfile -t stopped < <(pids_of "$old_pid" 'agent serve') ;;
	rsync) mapfile -t stopped < <(pids_of "$old_pid" 'rsync --server|agent (serve|near)') ;;
	ssh) mapfile -t stopped < <(pids_of "$engine_pid" '^ssh ') ;;
	till) mapfile -t stopped < <(till_of_new) ;;
	control) mapfile -t stopped < <(control_all "$(control_pid)") ;;
	esac
	detail="$part: ${#stopped[@]}"
	[ ${#stopped[@]} -gt 0 ] || return 0
	kill "-$1" "${stopped[@]}" 2>/dev/null
	[ "$1" = STOP ] || return 0
	if is_for_long && [ "$part" != control ]; then
		mended=mend_stopped
	else
		mend_later 0 9
		mend_stopped
	fi
}
# With its child nsenter(1) stops, too.
mend_stopped() { kill -CONT "${stopped[@]}" "$control" 2>/dev/null; }

control_all() {
	local pid
	echo "$1"
	for pid in $(pgrep -P "$1"); do control_all "$pid"; done
}
till_of_new() {
	local id
	for id in $(ask '/containers/json' | jq -r '.[].Id'); do
		pgrep -f "^/bin/till new" | while read -r pid; do
			! grep -q "$id" "/proc/$pid/cgroup" || echo "$pid"
		done
	done
}

strike_clock() {
	local by=(-86400 -3600 -4 4 3600 86400 315360000)
	below 2 which
	jumps=$([ "$picked" = 0 ] && echo old || echo new)
	below ${#by[@]} by
	set_clock "$jumps" "${by[picked]}"
	detail="of $jumps by ${by[picked]} s"
}
