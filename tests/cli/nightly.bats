#!/usr/bin/env bats
# The file of a nightly, and how the verb is called wrongly. Nothing is built here.

bats_require_minimum_version 1.5.0
load lib

setup() {
	small_project
	mkdir "$dir/recipes/more"
	cp "$dir/recipes/small.yaml" "$dir/recipes/more/large.yaml"
}

teardown() {
	rm -rf "$dir"
}

night() {
	printf '%s\n' 'posmedia: 1' "$@" >"$dir/night.yaml"
	in_project nightly night.yaml --dry-run
}

@test "the recipes are those that are named, and those whose name fits, each once" {
	night 'name: n' 'recipes: ["recipes/*.yaml", recipes/more/large.yaml]'
	[ "$status" -eq 0 ]
	[ "$output" = "large $dir/recipes/more/large.yaml
small $dir/recipes/small.yaml" ]
	[ ! -e "$dir/out" ]
	cp "$dir/recipes/small.yaml" "$dir/recipes/more/small.yaml"
	night 'name: n' 'recipes: ["recipes/*.yaml", "recipes/more/*.yaml"]'
	refused 3 'night.yaml:3:10: "recipes": '
	[[ $stderr == *'have the same name'* ]]
	night 'name: n' 'recipes: ["recipes/*.yml"]'
	refused 3 'is like *.yml'
}

@test "what is wrong in the file is told with its line and column" {
	local full='recipes: [recipes/small.yaml]'
	night 'name: n'
	refused 3 'night.yaml:1:1'
	night 'name: n' "$full" 'keeep: 3'
	refused 3 'night.yaml:4:1: unknown key "keeep"'
	[[ $stderr == *'Did you mean "keep"?'* ]]
	night 'name: n' "$full" 'keep: -3'
	refused 3 'night.yaml:4:7: "keep" wants a number from 1 to 10000'
	night 'name: n' "$full" 'parallel: many'
	refused 3 'night.yaml:4:11: "parallel" wants a number'
	night 'name: n' "$full" 'lock: never'
	refused 3 'night.yaml:4:7'
	night 'name: n' "$full" 'push: docker://registry.example/pos:1'
	refused 3 'night.yaml:4:7: "push" wants a repository without a tag'
	night 'name: n' "$full" 'push: "docker://registry.example/{nam}"'
	refused 3 'night.yaml:4:7'
	night 'name: n' 'recipes: ["recipes/*.yaml", recipes/more/large.yaml]' \
		'push: docker://registry.example/pos'
	refused 3 'night.yaml:4:7: "push": 2 recipes would share one repository'
	night 'name: n' "$full" 'push: docker://x/y' 'share: {at: docker://x/z}'
	refused 3 'night.yaml:5:13: "at" wants a bucket'
	night 'name: n' "$full" 'share: {at: s3://bucket/z}'
	refused 3 'night.yaml:4:8: "share" wants "push"'
	night 'name: n' "$full" 'mail: {to: ["a@b, c@d"]}'
	refused 3 'night.yaml:4:13'
	night 'name: n' "$full" 'mail: {to: ["-oQ/tmp@x"]}'
	refused 3 'night.yaml:4:13'
	night 'name: n' "$full" 'webhook: {url: "file:///etc/passwd"}'
	refused 3 'night.yaml:4:16'
	night 'name: n' "$full" 'sign: {passphrase-file: x}'
	refused 3 'night.yaml:4:7'
	night 'name: "n
Bcc: all"' "$full"
	refused 3 'night.yaml:2:7'
}

@test "every key at once is right" {
	night 'name: n' 'recipes: [recipes/small.yaml]' 'state: /var/lib/posmedia/night' \
		'lock: keep' 'push: "s3://bucket/pos/{name}"' 'keep: 14' \
		'share: {at: s3://bucket/n, ledger: s3://bucket/l}' 'hold: [h]' \
		'prune: true' 'parallel: 2' \
		'timeout: 4h' 'sign: {key: k, passphrase-file: p, signer: s, signer-args: [a, b]}' \
		'mail: {to: [a@b], from: c@d, program: /bin/true, when: always}' \
		'webhook: {url: "https://example.invalid/x?y=z", secret-file: s, when: change}'
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
}

@test "--only and --worker that make no sense" {
	night 'name: n' 'recipes: [recipes/small.yaml]'
	in_project nightly night.yaml --only big
	refused 2 '--only big: no such recipe'
	in_project nightly night.yaml --worker
	refused 2 '--worker wants one --only RECIPE'
}

@test "systemd takes the unit and the timer as they are, and finds them closed enough" {
	local file
	for file in recipes/nightly/posmedia-nightly@.{service,timer}; do
		sed "s,/usr/bin/posmedia,$posmedia," "$file" \
			>"$dir/posmedia-nightly@shops.${file##*.}"
	done
	run systemd-analyze verify --man=no "$dir/posmedia-nightly@shops.service" \
		"$dir/posmedia-nightly@shops.timer"
	[ "$status" -eq 0 ] && [ -z "$output" ] || { echo "$output"; false; }
	run systemd-analyze security --offline=true --threshold=65 \
		"$dir/posmedia-nightly@shops.service"
	[ "$status" -eq 0 ] || { tail -n 1 <<<"$output"; false; }
	# what would take newuidmap(1) and a /proc of its own from a build (systemd.exec(5))
	run ! grep -E '^(NoNewPriv|SystemCall|Restrict|ProtectKernel|ProtectProc|ProcSubset)' \
		"$dir/posmedia-nightly@shops.service"
}

@test "the examples for build servers are what these read, and what they run is right" {
	run python3 - recipes/nightly <<-'PY'
		import re, sys, yaml
		here = sys.argv[1]
		g = yaml.safe_load(open(here + "/github.yaml"))
		assert set(g) == {"name", True, "permissions", "concurrency", "jobs"}, set(g)
		assert g[True]["schedule"][0]["cron"].count(" ") == 4
		for job in g["jobs"].values():
		    assert job["runs-on"]
		    assert all(("run" in s) != ("uses" in s) for s in job["steps"])
		    print(*[s["run"] for s in job["steps"] if "run" in s])
		l = yaml.safe_load(open(here + "/gitlab.yaml"))
		assert l["nightly"]["artifacts"]["reports"]["junit"] == "nightly.xml"
		print(*l["nightly"]["script"], sep="\n")
		j = open(here + "/Jenkinsfile").read()
		bare = re.sub(r"'[^']*'|//.*", "", j)
		assert all(bare.count(a) == bare.count(b) > 0 for a, b in ("{}", "()"))
		assert re.match(r"\s*pipeline \{", bare)
		print(*re.findall(r"sh '([^']*)'", j), sep="\n")
	PY
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[ "$(grep -c 'posmedia nightly' <<<"$output")" = 3 ]
	local -a command
	while read -ra command; do
		run --separate-stderr "$posmedia" "${command[@]:1}" --dry-run
		[ "$status" -eq 0 ] || { echo "${command[*]}: $stderr"; false; }
	done < <(grep . <<<"$output")
}
