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

# A recipe $name on the image $1, with more lines from standard input.
on_image() {
	{
		printf 'posmedia: 1\nname: %s\nversion: 1\n' "$name"
		printf 'base:\n  oci: {image: "%s"}\n' "$1"
		cat
	} >"$dir/recipes/$name.yaml"
}

# The layers of the image in a layout.
layers() {
	jq -r '.manifests[0].digest[7:]' "$1/index.json" |
		xargs -I{} jq -r '.layers[].digest' "$1/blobs/sha256/{}"
}

# An image of another's tool, in $dir/other.
umoci_image() {
	[ -e "$dir/other" ] && return
	umoci init --layout "$dir/other"
	umoci new --image "$dir/other:one"
	umoci unpack --image "$dir/other:one" "$dir/bundle"
	cp -a "$dir/root/." "$dir/bundle/rootfs/"
	umoci repack --image "$dir/other:one" "$dir/bundle"
	echo second >"$dir/bundle/rootfs/etc/second"
	rm "$dir/bundle/rootfs/etc/tiny.conf"
	umoci unpack --image "$dir/other:one" "$dir/bundle2"
	echo second >"$dir/bundle2/rootfs/etc/second"
	umoci repack --image "$dir/other:one" "$dir/bundle2"
	umoci gc --layout "$dir/other"
	rm -rf "$dir/bundle" "$dir/bundle2"
}

@test "another's image: its layers as they are, and one of ours" {
	[ "$(id -u)" = 0 ] || skip "umoci unpacks owners as root"
	umoci_image
	local base
	base=$(jq -r '.manifests[0].digest' "$dir/other/index.json")
	on_image "oci:other@$base" <<-'YAML'
		steps:
		  - {name: s, run: [sh, -c, "rm /etc/second; echo x >/etc/third"], writes: [/etc]}
	YAML
	lock
	[ "$(jq -r '[.media[].name] | join(" ")' "$dir/recipes/$name.lock")" = \
		"base.oci.config base.oci.layer.000 base.oci.layer.001 base.oci.manifest" ]
	build
	ok
	[ "$(layers "$dir/out/$name" | head -n 2)" = "$(layers "$dir/other")" ]
	[ "$(layers "$dir/out/$name" | wc -l)" = 3 ]
	unpack_as_umoci
	[ ! -e "$dir/theirs/rootfs/etc/second" ] && [ "$(cat "$dir/theirs/rootfs/etc/third")" = x ]
	diff -r --no-dereference -x posmedia -x third -x motd "$dir/root" "$dir/theirs/rootfs"
	# what did not change is not in our layer
	local last
	last=$(layers "$dir/out/$name" | tail -n 1)
	tar -tzf "$dir/out/$name/blobs/sha256/${last#sha256:}" >"$dir/list"
	run ! grep -q usr/bin/dash "$dir/list"
	grep -q etc/.wh.second "$dir/list"
	# the source is needed no more, and the image carries what it was made from
	mv "$dir/other" "$dir/gone"
	run --separate-stderr env -C "$dir" "$posmedia" rebuild "oci:$dir/out/$name:1"
	mv "$dir/gone" "$dir/other"
	echo "$output"
	ok
	skopeo inspect "oci:$dir/out/$name:1" >/dev/null
}

unpack_as_umoci() {
	rm -rf "$dir/theirs"
	umoci unpack --image "$dir/out/$name:1" "$dir/theirs"
}

# A blob of standard input in the layout $1; prints its descriptor, of the media type $2.
blob() {
	cat >"$dir/blob"
	local sum
	sum=$(sha256sum <"$dir/blob" | cut -d' ' -f1)
	cp "$dir/blob" "$1/blobs/sha256/$sum"
	jq -n --arg t "$2" --arg d "sha256:$sum" --argjson n "$(stat -c %s "$dir/blob")" \
		'{mediaType: $t, digest: $d, size: $n}'
}

@test "another's image whose config lies about its layers is refused" {
	local base manifest blobs=$dir/liar/blobs/sha256 oci=application/vnd.oci.image
	[ "$(id -u)" = 0 ] || skip "umoci unpacks owners as root"
	umoci_image
	cp -r "$dir/other" "$dir/liar"
	manifest=$blobs/$(jq -r '.manifests[0].digest[7:]' "$dir/liar/index.json")
	jq '.rootfs.diff_ids |= reverse' "$blobs/$(jq -r '.config.digest[7:]' "$manifest")" |
		blob "$dir/liar" $oci.config.v1+json >"$dir/config"
	jq --slurpfile c "$dir/config" '.config = $c[0]' "$manifest" |
		blob "$dir/liar" $oci.manifest.v1+json >"$dir/manifest"
	jq -n --slurpfile m "$dir/manifest" '{schemaVersion: 2, manifests: $m}' \
		>"$dir/liar/index.json"
	base=$(jq -r .digest "$dir/manifest")
	on_image "oci:liar@$base" <<<'overlays: [{from: overlay, to: /}]'
	lock
	build
	refused 4 "layer 1: the config says that its contents are sha256:"
}

@test "our own image as base, and what is no base" {
	local base
	base=$(jq -r '.manifests[0].digest' "$dir/out/tree/index.json")
	on_image "oci:out/tree@$base" <<<'overlays: [{from: overlay, to: /}]'
	lock
	build
	ok
	[ "$(layers "$dir/out/$name" | head -n -1)" = "$(layers "$dir/out/tree")" ]
	local digest=${output##*@}
	build
	ok
	[[ $stderr != *"overlays:"* && ${output##*@} = "$digest" ]]
	build --no-cache
	ok
	[ "${output##*@}" = "$digest" ]
	local bad
	for bad in "oci:out/tree:1" "dir:out/tree" "oci:out/none@$base" \
		"oci:out/tree@sha256:$(printf %064d 1)" nonsense; do
		on_image "$bad" </dev/null
		run --separate-stderr env -C "$dir" "$posmedia" lock -q "recipes/$name.yaml"
		refused 3 "$name.yaml:5:16" hint
	done
	cp -r "$dir/out/tree" "$dir/out/bad"
	flip "$dir/out/bad/blobs/sha256/${base#sha256:}"
	on_image "oci:out/bad@$base" </dev/null
	run --separate-stderr env -C "$dir" "$posmedia" lock -q "recipes/$name.yaml"
	refused 4 "the manifest is damaged"
}

@test "card data in another's image, whatever hides it in ours" {
	# the number of a card, which must not stand in this file
	local card=45392$((77914860339)) base sum
	mkdir -p "$dir/sales/opt"
	printf 'name,card\nada,%s\n' "$card" >"$dir/sales/opt/sales.csv"
	sum=$(sha256sum <"$dir/sales/opt/sales.csv" | cut -d' ' -f1)
	local ours=$name
	name=sold
	cat >"$dir/recipes/$name.yaml" <<-'YAML'
		posmedia: 1
		name: sold
		extends: [base/tiny.yaml]
		overlays: [{from: sales, to: /}]
		hardening: {fail-on: never}
	YAML
	lock
	build
	ok
	base=$(jq -r '.manifests[0].digest' "$dir/out/$name/index.json")
	name=$ours
	removes() {
		on_image "oci:out/sold@$base" <<-YAML
			steps: [{name: s, run: [sh, -c, "rm /opt/sales.csv"], writes: [/opt]}]
			$1
		YAML
		lock
		build
	}
	removes ''
	refused 4 "card data in the image: /opt/sales.csv: pan"
	[[ $stderr != *"$card"* ]]
	# the stage of the base is there, and what judges is another
	removes 'hardening: {fail-on: never}'
	ok
	removes ''
	refused 4 "card data in the image: /opt/sales.csv: pan"
	removes "hardening: {allow: [{sha256: $sum, class: pan, reason: void, until: 2099-01-01}]}"
	ok
	removes "hardening: {allow: [{sha256: $sum, class: pan, reason: void, until: 2001-01-01}]}"
	refused 4 "card data in the image: /opt/sales.csv: pan"
	echo none >"$dir/sales/opt/sales.csv"
	on_image "oci:out/sold@$base" <<<'overlays: [{from: sales, to: /}]'
	lock
	build
	refused 4 "card data in the image: /opt/sales.csv: pan"
}
