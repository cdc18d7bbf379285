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
	[ "$(grep -c '^exec ' <<<"$output")" = 4 ]
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

@test "a worker that is killed in the middle of a build is reported, and the next night ends it" {
	recipe n1 2
	recipe n2 0
	night
	posmedia nightly night.yaml --submit slurm
	succeeded
	wait_for 60 step_runs n1
	pkill -9 -f -- '--only=n1 --worker'
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
	[ "$(report '.recipes | map(.status) | join(" ")')" = 'built built' ]
	[ "$("$posmedia" tags "docker://$registry/$repository/n1" | wc -l)" = 2 ]
	[ "$("$posmedia" tags "docker://$registry/$repository/n2" | wc -l)" = 2 ]
	posmedia verify "docker://$registry/$repository/n2:1" --key key.pub
	succeeded
	start_nodes two
}

both_run() {
	[ "$(pgrep -fc 'sleep 4; echo n[12]')" -ge 2 ]
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
