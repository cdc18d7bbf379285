#!/usr/bin/env bats
# Recipes and locks that are wrong: status 3, the place as FILE:LINE:COL, and a hint.

bats_require_minimum_version 1.5.0
load lib

setup() {
	small_project
}

teardown() {
	rm -rf "$dir"
}

# Changes the small recipe with a sed script and plans it: status 3 at LINE:COL and a text.
wrong() {
	cp "$dir/recipes/small.yaml" "$dir/recipes/wrong.yaml"
	sed -i -e "$1" "$dir/recipes/wrong.yaml"
	in_project plan recipes/wrong.yaml
	refused 3 "recipes/wrong.yaml:$2: " && refused 3 "$3" && refused 3 'hint: '
}

@test "an unknown key, with the nearest known one" {
	wrong 's/^packages:/pakages:/' 6:1 'Did you mean "packages"'
	wrong 's/install: .perl/instal: [perl/' 6:12 'Did you mean "install"'
}

@test "a duplicate key" {
	wrong '13aname: other' 14:1 'name'
}

@test "a value of the wrong type" {
	wrong 's/^name: small/name: [small]/' 2:7 'name'
	wrong 's/^packages: .*/packages: perl/' 6:11 'packages'
	wrong 's/run: \[.*/run: perl}]/' 12:58 'run'
	wrong 's/uid: 1500/uid: root/' 8:27 'uid'
}

@test "a missing key" {
	wrong '/^name:/d' 1:1 'name'
	wrong 's/suite: bookworm, //' 5:8 'suite'
}

@test "values out of their range" {
	wrong 's,22/tcp,70000/tcp,' 9:9 'port'
	wrong 's,22/tcp,30-20/tcp,' 9:9 'port'
	wrong 's/posmedia: 1/posmedia: 2/' 1:11 'posmedia'
	wrong 's/name: small/name: Small Shop/' 2:7 'name'
	wrong 's/sha256: [0-9a-f]*/sha256: 12/' 11:35 'sha256'
}

@test "a password in a recipe" {
	wrong 's/password: locked/password: hunter2/' 8:43 'password'
	[[ $stderr != *hunter2* ]]
}

@test "YAML that has more than one meaning" {
	wrong 's/^name: small/name: \&a small/' 2:7 'anchor'
	wrong 's/^name: small/name: !!str small/' 2:7 'tag'
	wrong '13a---\nname: b' 14:1 'document'
}

# Nine levels of nine each, and a hundred thousand in each other: neither is opened up.
@test "a YAML bomb and one that is deep, as recipe and as answers" {
	local bomb=$dir/recipes/bomb.yaml deep=$dir/recipes/deep.yaml i
	{
		echo 'a0: &a0 [x, x, x, x, x, x, x, x, x]'
		for i in 1 2 3 4 5 6 7 8 9; do
			printf 'a%d: &a%d [%s]\n' "$i" "$i" \
				"$(printf '*a%d, %.0s' {1..8} "$((i - 1))" | sed 's/, $//')"
		done
	} >"$bomb"
	printf '[%.0s' {1..100000} >"$deep"
	ulimit -v 1000000 -t 5
	in_project plan recipes/bomb.yaml
	refused 3 'recipes/bomb.yaml:1:5: '
	refused 3 anchor
	in_project plan recipes/deep.yaml
	refused 3 'recipes/deep.yaml:1:'
	local what
	for what in bomb deep; do
		sed "s/^steps: \[/&{name: ask, run: [perl], answers: recipes\/$what.yaml}, /" \
			"$dir/recipes/small.yaml" >"$dir/recipes/asks.yaml"
		in_project plan recipes/asks.yaml
		refused 3 "recipes/$what.yaml:1:"
	done
}

@test "files that are not there" {
	wrong 's/key.gpg/no.gpg/' '5:35' 'no.gpg'
	wrong 's/from: overlays/from: nowhere/' 7:19 'nowhere'
	in_project plan recipes/none.yaml
	refused 3 'recipes/none.yaml'
}

@test "paths that leave the project" {
	wrong 's,from: overlays,from: ../overlays,' 7:19 '..'
	wrong 's,/media/disc},/media/../etc},' 12:39 '..'
}

@test "a mount of a medium that is not declared" {
	wrong 's,mount: {disc:,mount: {disk:,' 12:33 'disk'
}

@test "extends: a file that is not there, and a circle" {
	printf 'posmedia: 1\nextends: [gone.yaml]\n' >"$dir/recipes/a.yaml"
	in_project plan recipes/a.yaml
	refused 3 'recipes/a.yaml:2:11: '
	printf 'posmedia: 1\nextends: [b.yaml]\n' >"$dir/recipes/a.yaml"
	printf 'posmedia: 1\nextends: [a.yaml]\n' >"$dir/recipes/b.yaml"
	in_project plan recipes/a.yaml
	refused 3 'recipes/b.yaml:2:11: '
}

@test "a mistake in an extended file is reported there" {
	printf 'posmedia: 1\nbase:\n  apt: {suite: bookworm, kyring: k}\n' >"$dir/recipes/base.yaml"
	printf 'posmedia: 1\nextends: [base.yaml]\nname: a\nversion: 1\n' >"$dir/recipes/a.yaml"
	in_project plan recipes/a.yaml
	refused 3 'recipes/base.yaml:3:26: '
}

@test "no lock yet, with what to do" {
	in_project build recipes/small.yaml
	refused 3 'recipes/small.lock: the recipe has no lock yet'
	refused 3 'posmedia lock recipes/small.yaml'
}

@test "a lock that is no lock" {
	local deep
	deep=$(head -c 100000 /dev/zero | tr '\0' '[')
	for text in '' '{' '[]' '{}' 'x' '{"posmedia":1}' "$deep"; do
		printf %s "$text" >"$dir/recipes/small.lock"
		in_project plan recipes/small.yaml
		refused 3 'recipes/small.lock'
	done
}

@test "a medium whose bytes are others" {
	echo changed >"$dir/medium.bin"
	in_project lock recipes/small.yaml
	refused 4 'medium.bin'
	[ ! -e "$dir/recipes/small.lock" ]
}

@test "a repository that is not there writes no lock" {
	in_project lock recipes/small.yaml
	[[ $status =~ ^[35]$ ]] || { echo "$status $stderr"; false; }
	[ ! -e "$dir/recipes/small.lock" ]
}
