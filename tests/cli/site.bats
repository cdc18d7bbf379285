#!/usr/bin/env bats
# Site files, as the operator meets them.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d)
	mkdir -p "$dir/recipes/sites" "$dir/signing"
	cp signing/policy.yaml "$dir/signing/"
}

teardown() {
	rm -rf "$dir"
}

site() {
	cat >"$dir/recipes/sites/s.yaml" <<-YAML
		posmedia: 1
		shop: "123"
		environment: dev
		image: {reference: "oci:out/tiny:1", policy: signing/policy.yaml}
		hostname: h
		data: [{name: d, at: /d}]
		$1
	YAML
}

@test "the example sites are right, and say who they are" {
	local f
	for f in recipes/sites/*.yaml; do
		run --separate-stderr "$posmedia" stage --check "$f"
		[ "$status" -eq 0 ] || { echo "$f: $stderr"; false; }
		[[ $output == "shop "*" in "* ]]
		[[ $output != *finding* ]]
	done
}

@test "the same shop has the same state and address in QA and in production" {
	"$posmedia" stage --check --json recipes/sites/rti-12345600-qa.yaml >"$dir/qa"
	"$posmedia" stage --check --json recipes/sites/rti-12345600-prod.yaml >"$dir/prod"
	[ "$(jq -c '.site|[.data,.hostname,.network.address]' "$dir/qa")" = \
		"$(jq -c '.site|[.data,.hostname,.network.address]' "$dir/prod")" ]
	[ "$(jq -r .digest "$dir/qa")" != "$(jq -r .digest "$dir/prod")" ]
}

@test "a check touches nothing: no file, no secret, no socket" {
	site "secrets: [{name: s, command: [/usr/bin/touch, $dir/ran]}, {name: f, file: $dir/pipe}]"
	mkfifo "$dir/pipe"
	find "$dir" -printf '%p %T@\n' | sort >"$BATS_TEST_TMPDIR/before"
	# a sanitizer cannot look for leaks where strace looks
	run --separate-stderr env -C "$dir" ASAN_OPTIONS=detect_leaks=0 \
		timeout 10 strace -f -o "$BATS_TEST_TMPDIR/calls" -e trace=socket,connect,execve \
		"$posmedia" stage --check recipes/sites/s.yaml
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	find "$dir" -printf '%p %T@\n' | sort >"$BATS_TEST_TMPDIR/after"
	cmp "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
	[ "$(grep -c 'execve(' "$BATS_TEST_TMPDIR/calls")" -eq 1 ]
	run grep -E 'socket\(|connect\(' "$BATS_TEST_TMPDIR/calls"
	[ "$status" -ne 0 ]
}

@test "faults have file, line and column, and a hint" {
	site 'printers: [{name: p, urn: x}]'
	in_project stage --check recipes/sites/s.yaml
	refused 3 'recipes/sites/s.yaml:7:22: unknown key "urn"'
	[[ $stderr == *'Did you mean "uri"?'* ]]
	site 'helth: []'
	in_project stage --check recipes/sites/s.yaml
	refused 3 's.yaml:7:1: unknown key "helth"'
	site 'zzzzzz: []'
	in_project stage --check recipes/sites/s.yaml
	refused 3 's.yaml:7:1: unknown key "zzzzzz"'
	[[ $stderr == *'posmedia-site(5) lists the keys.'* ]]
	sed -i 's/shop: .*/shop: ""/' "$dir/recipes/sites/s.yaml"
	in_project stage --check recipes/sites/s.yaml
	refused 3 's.yaml:'
}

@test "an inline secret is refused and not repeated" {
	local inline
	for inline in 'secrets: [{name: s, value: hunter2}]' 'secrets: [{name: s, file: hunter2}]' \
		'licence: hunter2' 'licence: {at: /l, text: hunter2}' \
		'users: [{name: u, password: hunter2}]' 'users: [{name: u, keys: [hunter2]}]' \
		'secrets: [{name: s, command: hunter2}]' \
		'secrets: [{name: s, credential: hunter2/x}]'; do
		site "$inline"
		in_project stage --check recipes/sites/s.yaml
		refused 3 's.yaml:7:'
		[[ $output$stderr != *hunter2* ]] || { echo "$inline: $stderr"; false; }
	done
}

@test "a policy that is wrong is found by the check" {
	site ''
	echo 'nonsense: 1' >>"$dir/signing/policy.yaml"
	in_project stage --check recipes/sites/s.yaml
	refused 3 'policy.yaml:'
}

@test "findings are told and do not fail" {
	site 'backup: {from: /b}'
	sed -i 's/environment: dev/environment: prod/' "$dir/recipes/sites/s.yaml"
	in_project stage --check recipes/sites/s.yaml
	[ "$status" -eq 0 ]
	[[ $output == *'finding: recipes/sites/s.yaml:4:8: production without a check'* ]]
	in_project stage --check --json recipes/sites/s.yaml
	[ "$(jq '.findings|length' <<<"$output")" -eq 2 ]
}
