#!/usr/bin/env bats
# An image against the package list of a server: what of it is missing, extra, older or newer; and
# an image that was locked to match the list has nothing of these.

bats_require_minimum_version 1.5.0
load lib
load tiny

setup_file() {
	load lib
	load tiny
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/match-diff.XXXXXX")"
	export dir
	printf '%s\n' 'tiny-base	1.0-1	amd64' 'tiny-lib	1.0-1	amd64' \
		'tiny-app	1.0-1	amd64' 'tiny-extra	1.0-1	amd64' >"$dir/server"
	env -C "$dir" "$posmedia" lock recipes/till.yaml -q --match server >"$dir/lock.out"
	env -C "$dir" "$posmedia" build recipes/till.yaml -q >"$dir/build.out"
}

teardown_file() {
	rm -rf "$dir"
}

@test "an image of a matched lock is what the server is" {
	posmedia diff oci:out/till:1 manifest:server
	succeeded
	[[ $output == *'manifest:server 4 packages'*'no difference'* ]]
	[ "$(jq -r '.packages | map(.name) | join(" ")' "$dir/recipes/till.lock")" = \
		'tiny-app tiny-base tiny-extra tiny-lib' ]
	posmedia diff oci:out/till:1 manifest:server --exit-code
	succeeded
	no_traces
}

@test "what differs is told as text, Markdown and JSON" {
	printf '%s\n' 'ii  tiny-base  1.0-1    amd64  x' 'ii  tiny-lib  2:0.1-1  amd64  x' \
		'ii  tiny-app   0.9-1    amd64  x' 'ii  bash      5.2-1    amd64  x' \
		'rc  tiny-gone  1.0-1    amd64  x' >"$dir/other"
	posmedia diff oci:out/till:1 manifest:other
	succeeded
	[[ $output == *'packages: 1 missing, 1 extra, 1 older, 1 newer'* ]]
	[[ $output == *'+ bash 5.2-1 (missing)'* ]]
	[[ $output == *'- tiny-extra 1.0-1 (extra)'* ]]
	[[ $output == *'~ tiny-app 1.0-1 -> 0.9-1 (newer)'* ]]
	[[ $output == *'~ tiny-lib 1.0-1 -> 2:0.1-1 (older)'* ]]
	[[ $output == *'not compared: '*users*controls* ]]
	posmedia diff oci:out/till:1 manifest:other --markdown
	[[ $output == *'### Packages: 1 missing, 1 extra, 1 older, 1 newer'* ]]
	[[ $output == *"- changed \`tiny-app\` \`1.0-1\` "*"\`0.9-1\` (newer)"* ]]
	posmedia diff manifest:other oci:out/till:1 --json
	[ "$(jq -c '.packages | map([.name, .note])' <<<"$output")" = "[[\"bash\",\"missing\"],$(:
		)[\"tiny-app\",\"newer\"],[\"tiny-extra\",\"extra\"],[\"tiny-lib\",\"older\"]]" ]
	posmedia diff manifest:other oci:out/till:1 --exit-code
	[ "$status" -eq 1 ]
}

@test "a manifest that is none, or two of them" {
	posmedia diff oci:out/till:1 manifest:recipes/till.yaml
	refused 3 'recipes/till.yaml:1:'
	posmedia diff oci:out/till:1 manifest:nowhere
	refused 1 'nowhere'
	posmedia diff manifest:server manifest:server
	refused 2 'two manifests'
}
