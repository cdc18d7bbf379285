#!/usr/bin/env bats
# What posmedia cutover says when it is called wrongly, and what it tells without asking anybody.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d)
	mkdir -p "$dir/recipes/sites" "$dir/srv/123/prod/.posmedia"
	echo 'posmedia: 1' >"$dir/policy.yaml"
	cat >"$dir/recipes/sites/s.yaml" <<-'YAML'
		posmedia: 1
		shop: "123"
		environment: prod
		image: {reference: "oci:d:t", policy: policy.yaml}
		hostname: h
		data: [{name: usr2, at: /usr2}]
		secrets: [{name: old, file: /nonexistent/key}]
	YAML
	site=$dir/recipes/sites/s.yaml
}

teardown() {
	rm -rf "$dir"
}

with_plan() {
	cat >>"$site" <<-'YAML'
		cutover:
		  old:
		    host: ssh://root@192.0.2.5
		    known_hosts: /nonexistent/known
		    secret: old
		    services: [pos]
		    ports: [2001]
		  checks: [{name: sale, on: new, phase: smoke, run: [/bin/testsale, "1"]}]
	YAML
}

cutover() {
	run --separate-stderr "$posmedia" cutover "$@" --state "$dir/srv" --runtime "$dir/run"
}

@test "what does not go together" {
	cutover
	refused 2 ''
	cutover undo "$site"
	refused 2 'rehearse, resume, rollback or status, not undo'
	cutover resume "$site" --rollback
	refused 2 'resume and --rollback do not go together'
	cutover "$site" --resume --dry-run
	refused 2 '--dry-run is of a run, not of resume'
	cutover resume "$site" --reverse
	refused 2 '--reverse is of a run or a rehearsal, not of resume'
	cutover "$site" --over-budget stop
	refused 2 '--over-budget wants go, not stop'
}

@test "a site without a plan" {
	for how in '' --rehearse --resume --rollback --dry-run; do
		# shellcheck disable=SC2086 # none is no argument
		cutover "$site" $how
		refused 2 'has no "cutover"'
	done
}

@test "the plan of a site, and no cutover yet" {
	with_plan
	cutover "$site" --dry-run
	[ "$status" -eq 0 ]
	[[ $output == *'on old: stop and mask pos'*'on new: /bin/testsale 1'*'never rehearsed'* ]]
	cutover "$site" --dry-run --json
	[ "$status" -eq 0 ]
	[ "$(jq -r '."lease-ms"' <<<"$output")" = 120000 ]
	cutover status "$site" --json
	[ "$status" -eq 0 ]
	[ "$(jq -r .state <<<"$output")" = none ]
	cutover "$site" --status
	[ "$status" -eq 0 ]
	[[ $output == *'state: none'* ]]
	[ ! -e "$dir/srv/123/prod/.posmedia/cutover" ]
}

@test "nothing that was interrupted, and nothing that was staged" {
	with_plan
	cutover resume "$site"
	refused 7 'no cutover of this site was interrupted'
	cutover rollback "$site"
	refused 7 'no cutover of this site was interrupted'
	rm -r "$dir/srv"
	cutover "$site"
	refused 7 'nothing was staged'
}

@test "the way back of a shop that never went" {
	with_plan
	cutover "$site" --reverse --dry-run
	[ "$status" -eq 0 ]
	[[ $output == *'stop the instance, which is gone for as long'*'gone for good'* ]]
	[[ $output == *'gone for good'*'on old: unmask and start pos'* ]]
	[[ $output != *testsale* ]]
	cutover "$site" --reverse
	refused 7 'there is nothing to reverse'
}

@test "a journal that is damaged is refused" {
	with_plan
	mkdir "$dir/srv/123/prod/.posmedia/cutover"
	echo '{"epoch":1}' >"$dir/srv/123/prod/.posmedia/cutover/journal"
	for how in status resume rollback rehearse; do
		cutover "$how" "$site"
		refused 4 'the line before it is another'
	done
}
