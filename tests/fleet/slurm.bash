#!/bin/bash
# A Slurm of two nodes of one processor on loopback; tests load this after lib. The nodes are two
# slurmd of this machine, each bound to a processor where there are two.
# shellcheck disable=SC2154 # lib.bash has free_port

slurm_conf() {
	local d=$1 host
	host=$(hostname -s)
	cat >"$d/slurm.conf" <<-CONF
		ClusterName=tests
		SlurmctldHost=$host(127.0.0.1)
		SlurmctldPort=$(free_port)
		AuthType=auth/munge
		AuthInfo=socket=$d/munge/socket
		CredType=cred/munge
		SlurmUser=root
		SlurmdUser=root
		StateSaveLocation=$d/state
		SlurmdSpoolDir=$d/spool-%n
		SlurmctldPidFile=$d/ctld.pid
		SlurmdPidFile=$d/slurmd-%n.pid
		SlurmctldLogFile=$d/ctld.log
		SlurmdLogFile=$d/slurmd-%n.log
		ProctrackType=proctrack/linuxproc
		TaskPlugin=task/none
		SelectType=select/cons_tres
		SelectTypeParameters=CR_CPU
		ReturnToService=2
		MpiDefault=none
		SlurmdTimeout=6
		MessageTimeout=5
		KillWait=2
		SchedulerParameters=sched_interval=1,batch_sched_delay=0
		JobRequeue=1
		JobCompType=jobcomp/none
		AccountingStorageType=accounting_storage/none
		SlurmdParameters=config_overrides
		NodeName=one NodeHostname=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=1
		NodeName=two NodeHostname=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=1
		PartitionName=night Nodes=one,two Default=YES MaxTime=INFINITE State=UP
	CONF
	sed -i 's/CPUs=1$/CPUs=1 RealMemory=1000 Feature=amd64/' "$d/slurm.conf"
}

# Starts it in directory $1 with the nodes named after it, or both.
start_slurm() {
	local d=$1 node
	slurm_dir=$d
	shift
	mkdir -p "$d/state" "$d/munge"
	chmod 755 "$d"
	chmod 711 "$d/munge"
	head -c 1024 /dev/urandom >"$d/munge/key"
	chmod 400 "$d/munge/key"
	munged --force --key-file="$d/munge/key" --socket="$d/munge/socket" \
		--pid-file="$d/munge/pid" --log-file="$d/munge/log" --seed-file="$d/munge/seed"
	slurm_conf "$d"
	export SLURM_CONF=$d/slurm.conf
	slurmctld -f "$d/slurm.conf" -c 3>&-
	for node in "${@:-one two}"; do
		# shellcheck disable=SC2086 # two words
		start_nodes $node
	done
}

start_nodes() {
	local node cpu
	for node; do
		cpu=$([ "$node" = two ] && [ "$(nproc)" -gt 1 ] && echo 1 || echo 0)
		# node_sees: a directory, instead of which each node has $node_has$node
		# shellcheck disable=SC2016 # expanded inside
		unshare --mount sh -c '[ -z "$1" ] || mount --bind "$2" "$1" && shift 2 &&
			exec "$@"' node "${node_sees-}" "${node_has-}$node" \
			taskset -c "$cpu" slurmd -f "$SLURM_CONF" -N "$node" 3>&-
		wait_for 20 node_is "$node" idle
	done
}

node_is() {
	[ "$(sinfo -h -n "$1" -o %T)" = "$2" ]
}

# A node as if its power had gone: slurmd, and all that it runs.
kill_node() {
	local pid steps
	pid=$(cat "$slurm_dir/slurmd-$1.pid")
	steps=$(pgrep -f "slurmstepd: .*" || true)
	kill -9 "$pid"
	for pid in $steps; do
		grep -qz "SLURMD_NODENAME=$1" "/proc/$pid/environ" 2>/dev/null ||
			[ "$(step_node "$pid")" = "$1" ] || continue
		kill_tree "$pid"
	done
}

# The node of a step by one of its children, whose environment says so.
step_node() {
	local child
	for child in $(pgrep -P "$1"); do
		tr '\0' '\n' <"/proc/$child/environ" | sed -n 's/^SLURMD_NODENAME=//p'
	done | head -n 1
}

kill_tree() {
	local child
	for child in $(pgrep -P "$1"); do
		kill_tree "$child"
	done
	kill -9 "$1" 2>/dev/null || true
}

stop_slurm() {
	local file
	[ -n "${slurm_dir-}" ] || return 0
	scancel --me 2>/dev/null || true
	for file in "$slurm_dir"/slurmd-*.pid "$slurm_dir/ctld.pid" "$slurm_dir/munge/pid"; do
		[ ! -e "$file" ] || kill "$(cat "$file")" 2>/dev/null || true
	done
	wait_for 10 no_slurm
}

no_slurm() {
	! pgrep -f "slurm(ctld|d|stepd).*$slurm_dir"
}

# No job is left, whatever became of them.
all_done() {
	[ -z "$(squeue -h)" ]
}
