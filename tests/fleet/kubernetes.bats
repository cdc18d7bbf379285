#!/usr/bin/env bats
# A night on Kubernetes: what kubectl takes, and the published API knows. No cluster is here.

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/tiny

setup_file() {
	load ../system/lib
	load ../system/tiny
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/kube.XXXXXX")"
	export dir POSMEDIA_STORE POSMEDIA_LEDGER=$dir/ledger
	sed -e 's/name: till/name: desk/' "$dir/recipes/till.yaml" >"$dir/recipes/Desk_2.yaml"
	models=$OUT/tests/kubernetes/usr/lib/python3/dist-packages/kubernetes/client/models
	export models
	[ -d "$models" ] || flock "$OUT/tests.flock" tests/system/fetch-tool trixie \
		python3-kubernetes "$OUT/tests/kubernetes" >"$OUT/tests-kubernetes.log" 2>&1 || true
	if command -v kubectl >/dev/null; then
		tests/fleet/kube-stub "$dir/port" "$dir/asked" 3>&- &
		export stub=$!
		wait_for 10 test -s "$dir/port"
	fi
}

teardown_file() {
	[ -z "${stub-}" ] || kill "$stub"
	rm -rf "$dir"
}

night() {
	cat >"$dir/night.yaml" <<-YAML
		posmedia: 1
		name: shops
		recipes: ["recipes/*.yaml"]
		timeout: 4h
		kubernetes: {image: "registry.example/posmedia:1", volume: project, ${1-}}
	YAML
}

submit() {
	posmedia nightly night.yaml --submit kubernetes "$@"
}

@test "the published API knows every field of a job, and of a job each night" {
	[ -d "$models" ] || skip "no python3-kubernetes: $(tail -n 1 "$OUT/tests-kubernetes.log")"
	night 'namespace: pos, service-account: night, cpu: "2", memory: 4Gi'
	submit --dry-run
	succeeded
	[ "$(tests/fleet/kube-check "$models" <<<"$output")" = 2 ]
	[ "$(jq -r '.items[0].metadata.generateName' <<<"$output")" = posmedia-shops-desk-2- ]
	[ "$(jq -c '.items[1].spec.template.spec | [.nodeSelector[], .containers[0].command[:5]]' \
		<<<"$output")" = "[\"amd64\",[\"posmedia\",\"nightly\",\"$dir/night.yaml\",$(:
		)\"--only=till\",\"--worker\"]]" ]
	[[ $(jq -r '.items[0].spec.template.spec.containers[0].command[-1]' <<<"$output") == \
		--night=20* ]]
	jq '.items[0].spec.template.spec.restartpolicy = "Never"' <<<"$output" >"$dir/bad"
	run ! tests/fleet/kube-check "$models" <"$dir/bad"
	[[ $output == *'V1PodSpec has no restartpolicy'* ]]
	night 'store: /var/lib/posmedia, secret: bucket'
	POSMEDIA_STORE=/var/tmp/elsewhere submit --dry-run
	succeeded
	[ "$(tests/fleet/kube-check "$models" <<<"$output")" = 2 ]
	[ "$(jq -c '.items[0].spec.template.spec | [.containers[0].env[0].value,
		.containers[0].envFrom[0].secretRef.name, .volumes[1].emptyDir]' <<<"$output")" = \
		'["/var/lib/posmedia","bucket",{}]' ]
	night 'schedule: "30 2 * * *"'
	submit --dry-run
	[ "$(jq -r '.items[1].kind' <<<"$output")" = CronJob ]
	[ "$(tests/fleet/kube-check "$models" <<<"$output")" = 2 ]
}

@test "kubectl takes them, as if for a cluster" {
	[ -n "${stub-}" ] || skip 'no kubectl'
	cat >"$dir/kubectl" <<-SH
		#!/bin/sh
		exec kubectl --server http://127.0.0.1:$(cat "$dir/port") "\$@" --dry-run=client \
			--validate=false -o name
	SH
	chmod 755 "$dir/kubectl"
	night "program: $dir/kubectl, schedule: \"30 2 * * *\""
	submit
	succeeded
	[ "$output" = 'cronjob.batch/posmedia-shops-desk-2
cronjob.batch/posmedia-shops-till' ]
	night "program: /bin/false"
	submit
	refused 5 'false: exit 1'
}

@test "what lies outside of the volume, and a file that says nothing of a cluster" {
	night
	POSMEDIA_STORE=/var/tmp/elsewhere submit --dry-run
	refused 2 "is not on the project's volume"
	sed -i '/^kubernetes/d' "$dir/night.yaml"
	submit --dry-run
	refused 3 'there is no "kubernetes"'
}
