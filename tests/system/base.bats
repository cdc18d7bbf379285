#!/usr/bin/env bats
# Images that stand on an archive of a root tree, or on nothing.

bats_require_minimum_version 1.5.0
load lib
load media

setup_file() {
	media_project
	name=tree
	printf 'posmedia: 1\nname: tree\nextends: [base/tiny.yaml]\n' >"$dir/recipes/tree.yaml"
	lock
	build
	ok
	unpacked
	rm -rf "$dir/tree/usr/share/posmedia"
	chown 6:12 "$dir/tree/var/cache"
	chmod 2750 "$dir/tree/var/cache"
	touch -d 2021-01-02 "$dir/tree/etc/tiny.conf"
	tar -C "$dir/tree" --numeric-owner -cJf "$dir/media/root.tar.xz" .
	mv "$dir/tree" "$dir/root"
	mkdir -p "$dir/overlay/etc" "$dir/overlay/bin"
	echo hello >"$dir/overlay/etc/motd"
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	media_setup
}

# A recipe $name on the archive, with more lines from standard input.
on_tar() {
	local sum
	sum=$(sha256sum "$dir/media/root.tar.xz" | cut -d' ' -f1)
	{
		printf 'posmedia: 1\nname: %s\nversion: 1\n' "$name"
		printf 'base:\n  tar: {url: media/root.tar.xz, sha256: %s%s}\n' "$sum" "${1-}"
		cat
	} >"$dir/recipes/$name.yaml"
}

@test "an archive: the tree as it is, with what the recipe does to it" {
	on_tar <<-'YAML'
		overlays: [{from: overlay, to: /}]
		steps: [{name: s, run: [sh, -c, "mkdir /opt; echo made >/opt/x"], writes: [/opt]}]
		tests: [{name: t, run: [sh, -c, "test -e /opt/x"]}]
	YAML
	lock
	[ "$(jq -c '[.solver, .media[].name, (.packages | length)]' "$dir/recipes/$name.lock")" = \
		'["none","base.tar",0]' ]
	run --separate-stderr env -C "$dir" "$posmedia" plan "recipes/$name.yaml"
	ok
	build
	ok
	unpacked
	[ "$(stat -c '%u:%g %a' "$dir/tree/var/cache")" = "6:12 2750" ]
	[ "$(stat -c %Y "$dir/tree/etc/tiny.conf")" = "$(date -d 2021-01-02 +%s)" ]
	[ "$(cat "$dir/tree/etc/motd" "$dir/tree/opt/x")" = $'hello\nmade' ]
	diff -r --no-dereference -x posmedia -x motd -x opt "$dir/root" "$dir/tree"
	build
	ok
	[[ $stderr != *"base:"* ]]
	run --separate-stderr env -C "$dir" "$posmedia" diff --no-controls "oci:$dir/out/tree:1" \
		"oci:$dir/out/$name:1"
	echo "$output $stderr"
	[[ $output == */opt* ]]
	# again from what the image carries
	run --separate-stderr env -C "$dir" "$posmedia" rebuild "oci:$dir/out/$name:1"
	ok
}

@test "an archive that is not the declared one, or none" {
	on_tar ', size: 7' </dev/null
	run --separate-stderr env -C "$dir" "$posmedia" lock -q "recipes/$name.yaml"
	refused 4 "$name.yaml:5:" root.tar.xz
	echo nonsense >"$dir/media/no.tar"
	on_tar </dev/null
	sed -i "s|root.tar.xz, sha256: .*|no.tar, sha256: $(sha256sum <"$dir/media/no.tar" |
		cut -d' ' -f1)}|" "$dir/recipes/$name.yaml"
	lock
	build
	refused 3 "$name.yaml:5:8: base.tar: the archive is damaged"
	on_tar <<<'packages: {install: [xy]}'
	run --separate-stderr env -C "$dir" "$posmedia" lock -q "recipes/$name.yaml"
	refused 3 "$name.yaml:6:11" '"packages" does not go with base.tar' \
		'hint: Install them in a step'
}

@test "nothing: what the recipe lays over it is the image" {
	cat >"$dir/recipes/$name.yaml" <<-YAML
		posmedia: 1
		name: $name
		version: 1
		base: {scratch: {}}
		overlays: [{from: overlay, to: /}]
		run: {entrypoint: [/bin/app]}
	YAML
	lock
	build
	ok
	unpacked
	[ "$(find "$dir/tree" -type f ! -path '*/posmedia/*' -printf '%P %s\n' | sort)" = \
		"$(printf 'etc/machine-id 0\netc/motd 6')" ]
	[ "$(jq -r '.manifests[0].platform.architecture // "none"' "$dir/out/$name/index.json")" ]
	run --separate-stderr env -C "$dir" "$posmedia" rebuild "oci:$dir/out/$name:1"
	ok
}

@test "an archive, as an ordinary user" {
	[ "$(id -u)" = 0 ] || skip "needs root to become another"
	on_tar </dev/null
	lock
	build
	ok
	as_user lock
	cp "$dir/recipes/$name.lock" "$dir/user.lock"
	as_user build
	[ "$(jq -r '.manifests[0].digest' "$dir/out/$name/index.json")" = \
		"$(jq -r '.manifests[0].digest' "$dir/user/out/$name/index.json")" ]
}
