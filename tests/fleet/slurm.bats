#!/usr/bin/env bats
# A night on a cluster: a Slurm of two nodes takes a job for each recipe and one that reports;
# workers and nodes die in the middle of a build, and nothing is lost or done twice.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/tiny
load slurm

setup_file() {
	load ../system/lib
	load ../system/tiny
	load slurm
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/fleet.XXXXXX")"
	export dir POSMEDIA_STORE
	chmod 755 "$dir"
	"$posmedia" key new "$dir/key"
	start_registry "$dir/registry"
	start_slurm "$dir/slurm"
	export registry registry_pid slurm_dir
}

teardown_file() {
	load ../system/lib
	load slurm
	stop_slurm
	stop_registry
	rm -rf "$dir"
}

setup() {
	rm -rf "$dir/out" "$dir/store" "$dir"/recipes/*.lock "$dir"/recipes/n*.yaml
	repository=fleet$BATS_TEST_NUMBER
}

night() {
	cat >"$dir/night.yaml" <<-YAML
		posmedia: 1
		name: fleet
		recipes: ["recipes/n*.yaml"]
		sign: {key: key}
		push: docker://$registry/$repository/{name}
		slurm: {partition: night, constraint: "{arch}"}
	YAML
}

# A recipe $1 whose step takes so many seconds and leaves a mark each time that it runs.
recipe() {
	sed -e "s/name: till/name: $1/" "$dir/recipes/till.yaml" >"$dir/recipes/$1.yaml"
	echo "steps: [{name: work, run: [/bin/sh, -c, \"sleep $2; echo $1 >/etc/$1\"]," \
		"writes: [/etc]}]" >>"$dir/recipes/$1.yaml"
}

report() {
	jq -r "$1" "$dir/out/nightly/report.json"
}

@test "a job for each recipe, and one that reports when all have ended" {
	recipe n1 0
	recipe n2 0
	recipe n3 0
	echo 'nonsense: 1' >>"$dir/recipes/n3.yaml"
	night
	posmedia nightly night.yaml --submit slurm --dry-run
	succeeded
	[ "$(grep -c '^for turn in' <<<"$output")" = 4 ]
	[ -z "$(squeue -h)" ]
	posmedia nightly night.yaml --submit slurm
	succeeded
	[ "$(cut -d' ' -f2 <<<"$output" | tr '\n' ' ')" = 'n1 n2 n3 report ' ]
	wait_for 60 all_done
	[ "$(report '[.built, .failed] | join(" ")')" = '2 1' ]
	[[ $(report '.recipes[2].why') == *'unknown key "nonsense"'* ]]
	posmedia verify "docker://$registry/$repository/n2:1" --key key.pub
	succeeded
	# the next night has nothing to do
	rm "$dir/recipes/n3.yaml"
	posmedia nightly night.yaml --submit slurm
	wait_for 60 all_done
	[ "$(report .unchanged)" = 2 ]
}

@test "a worker that is killed in the middle of a build begins again" {
	recipe n1 2
	night
	posmedia nightly night.yaml --submit slurm
	succeeded
	wait_for 60 step_runs n1
	kill_worker n1
	wait_for 60 all_done
	[ "$(report '.recipes | map(.status) | join(" ")')" = built ]
	! pgrep -f "$dir/store/tmp" || return 1
}

# Kills the worker of a recipe when its step runs, and waits until the step is gone too.
kill_worker() {
	pkill -9 -f -- "--only=$1 --worker"
	wait_for 20 no_step "$1"
}

no_step() {
	! step_runs "$1"
}

@test "a worker that is killed again and again is reported, and the next night ends it" {
	recipe n1 2
	recipe n2 0
	night
	posmedia nightly night.yaml --submit slurm
	succeeded
	for _ in 1 2 3; do
		wait_for 60 step_runs n1
		kill_worker n1
	done
	wait_for 60 all_done
	[ "$(report '.recipes | map(.status) | join(" ")')" = 'failed built' ]
	[[ $(report '.recipes[0].why') == *'it has left nothing'* ]]
	! pgrep -f "$dir/store/tmp" || return 1
	posmedia nightly night.yaml --submit slurm
	succeeded
	wait_for 60 all_done
	[ "$(report '.recipes | map(.status) | join(" ")')" = 'built unchanged' ]
}

step_runs() {
	pgrep -f "sleep 2; echo $1"
}

@test "a node that is lost in the middle of a build: its job goes to the other one" {
	recipe n1 4
	recipe n2 4
	night
	posmedia nightly night.yaml --submit slurm
	succeeded
	wait_for 60 both_run
	kill_node two
	wait_for 120 all_done
	[ "$(report '.recipes | map(.status) | join(" ")')" = 'built built' ] ||
		{ cat "$dir/out/nightly/report.json"; false; }
	[ "$("$posmedia" tags "docker://$registry/$repository/n1" | wc -l)" = 2 ]
	[ "$("$posmedia" tags "docker://$registry/$repository/n2" | wc -l)" = 2 ]
	posmedia verify "docker://$registry/$repository/n2:1" --key key.pub
	succeeded
	start_nodes two
}

both_run() {
	[ "$(pgrep -fc 'sleep 4; echo n[12]')" -ge 2 ]
}

@test "what one submission left is not another's, and a refused one takes nothing away" {
	recipe n1 0
	night
	posmedia nightly night.yaml --submit slurm
	succeeded
	wait_for 60 all_done
	first=$(ls "$dir/out/nightly/outcomes")
	[ "$(jq -r .status "$dir/out/nightly/outcomes/$first/n1.json")" = built ]
	sed -i 's/partition: night/partition: day/' "$dir/night.yaml"
	posmedia nightly night.yaml --submit slurm
	refused 5 'sbatch: exit 1'
	posmedia nightly night.yaml --collect --night "$first"
	succeeded
	[ "$(report .built)" = 1 ]
	night
	posmedia nightly night.yaml --submit slurm
	wait_for 60 all_done
	[ "$(find "$dir/out/nightly/outcomes" -name n1.json | wc -l)" = 2 ]
	[ "$(report .unchanged)" = 1 ]
	# a night of this machine leaves both
	posmedia nightly night.yaml
	succeeded
	[ "$(find "$dir/out/nightly/outcomes" -name n1.json | wc -l)" = 3 ]
	posmedia nightly night.yaml --collect --night ../x
	refused 2 'no name of a night'
}

@test "what took longest is given out first, and before it what never was built" {
	recipe n1 0
	recipe n2 0
	night
	posmedia nightly night.yaml --submit slurm
	succeeded
	wait_for 60 all_done
	[ "$(report .built)" = 2 ]
	# how long it took is there; which of the two took longer is chance
	known=$dir/out/nightly/recipes
	[ "$(jq '.milliseconds > 0' "$known/n1.json")" = true ]
	jq '.milliseconds += 60000' "$known/n2.json" >"$dir/longer"
	mv "$dir/longer" "$known/n2.json"
	recipe n3 0
	posmedia nightly night.yaml --submit slurm --dry-run
	succeeded
	[ "$(grep -o 'only=n[1-3]' <<<"$output" | tr '\n' ' ')" = 'only=n3 only=n2 only=n1 ' ]
}

@test "nodes with stores of their own make nothing that another has made" {
	recipe n1 0
	recipe n2 0
	night
	cat >>"$dir/night.yaml" <<-YAML
		cache: {at: "docker://$registry/stages", pub: [key.pub], key: key}
	YAML
	sed -i "s|partition: night|store: $dir/node, &|" "$dir/night.yaml"
	posmedia nightly night.yaml --submit slurm --dry-run
	[[ $output == *"POSMEDIA_STORE='$dir/node'"* && $output != *PRIVATE* ]]
	posmedia nightly night.yaml --submit slurm
	succeeded
	wait_for 60 all_done
	[ "$(report .built)" = 2 ]
	[ ! -e "$dir/store" ]
	# a node that has nothing, on the same locks: one that is new
	rm -rf "$dir/node" "$dir/out"
	posmedia nightly night.yaml --submit slurm
	succeeded
	wait_for 60 all_done
	[ "$(report .built)" = 2 ]
	for n in n1 n2; do
		grep -q 'step work: made by another machine' "$dir/out/nightly/log/$n.log"
		! grep -q 'nothing like it was built here' "$dir/out/nightly/log/$n.log" ||
			return 1
	done
	rm -rf "$dir/node"
}

@test "an engine that refuses, and words that are none" {
	recipe n1 0
	night
	sed -i 's/partition: night/partition: day/' "$dir/night.yaml"
	posmedia nightly night.yaml --submit slurm
	refused 5 'sbatch: exit 1'
	posmedia nightly night.yaml --submit cron
	refused 2 '--submit: slurm or kubernetes, not cron'
}
