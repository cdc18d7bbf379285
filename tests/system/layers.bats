#!/usr/bin/env bats
# How a tree becomes layers: that a plan changes no file, that what did not change is not fetched
# again, that a delta leads to the same tree, and that two compressions are one image.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	archive=$(mktemp -d "${TMPDIR:-/var/tmp}/archive.XXXXXX")
	tests/lib/apt-repo "$archive" tiny
	export archive
}

teardown_file() {
	rm -rf "$archive"
}

setup() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/layers.XXXXXX")
	export POSMEDIA_STORE=$dir/store GNUPGHOME=$dir/gpg
	cp -r "$archive"/{mirror,gpg,key.gpg} "$dir/"
	mkdir "$dir/recipes" "$dir/files"
	echo one >"$dir/files/one"
	recipe </dev/null
}

teardown() {
	gpgconf --kill all
	rm -rf "$dir" 2>/dev/null || unshare --map-auto --map-root-user rm -rf "$dir"
}

# The till, with what standard input adds.
recipe() {
	{
		cat <<-YAML
			posmedia: 1
			name: till
			version: 1
			base:
			  apt: {suite: tiny, keyring: key.gpg, mirrors: ["file://$dir/mirror"]}
			packages: {install: [tiny-app, tiny-extra]}
			overlays: [{from: files, to: /srv, owner: "0:0"}]
		YAML
		cat
	} >"$dir/recipes/till.yaml"
}

lock() {
	env -C "$dir" "$posmedia" lock recipes/till.yaml "$@"
}

build() { # TAG OPTION...
	env -C "$dir" "$posmedia" build -q recipes/till.yaml -o "oci:img:$1" "${@:2}"
}

# A new version of a package in the archive; its tree is changed by a command there.
update() { # PACKAGE VERSION COMMAND...
	local tree=$dir/update file
	file=$(echo "$dir/mirror/pool/$1"_*.deb)
	rm -rf "$tree"
	dpkg-deb -R "$file" "$tree"
	sed -i "s/^Version: .*/Version: $2/" "$tree/DEBIAN/control"
	(cd "$tree" && "${@:3}")
	find "$tree" -exec touch -h -d @1710000000 '{}' +
	rm "$file"
	dpkg-deb --root-owner-group -Znone -b "$tree" \
		"$dir/mirror/pool/$1_$2_$(dpkg --print-architecture).deb" >/dev/null
}

# Indexes and signs the archive, as of $day.
publish() {
	local arch index deb
	arch=$(dpkg --print-architecture)
	index=main/binary-$arch/Packages
	(
		cd "$dir/mirror" || exit
		for deb in pool/*.deb; do
			dpkg-deb -f "$deb"
			printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' "$deb" \
				"$(stat -c %s "$deb")" "$(sha256sum <"$deb" | cut -d' ' -f1)"
		done >"dists/tiny/$index"
		cd dists/tiny || exit
		printf '%s\n' 'Suite: tiny' 'Codename: tiny' 'Components: main' \
			"Architectures: $arch" \
			"Date: $(date -u -R -d "@${day:-1720000000}")" 'SHA256:' \
			" $(sha256sum <"$index" | cut -c1-64) $(stat -c %s "$index") $index" \
			>Release
		rm InRelease
		gpg --batch --quiet --local-user tiny --clearsign -o InRelease Release
	)
}

manifest() { # TAG
	local digest
	digest=$(jq -r --arg tag "$1" '.manifests[] |
		select(.annotations["org.opencontainers.image.ref.name"] == $tag).digest' \
		"$dir/img/index.json")
	cat "$dir/img/blobs/sha256/${digest#sha256:}"
}

layer() { # TAG NAME
	manifest "$1" | jq -r --arg name "$2" \
		'.layers[] | select(.annotations["org.posmedia.layer"] == $name).digest'
}

names() { # TAG
	manifest "$1" | jq -c '[.layers[].annotations["org.posmedia.layer"]]'
}

# All that a tree is, file by file, as umoci unpacks it.
listing() { # TAG
	local root=$dir/bundle.$1/rootfs
	umoci unpack --image "$dir/img:$1" "$dir/bundle.$1" >/dev/null 2>&1
	(
		cd "$root" || exit
		find . -type d -printf '%P %m %U:%G %T@\n' | sort
		find . ! -type d -printf '%P %y %m %U:%G %T@ %s %n %l\n' | sort
		find . -type f -exec sha256sum '{}' + | sort
		find . -type f -links +1 -exec sh -c 'for f; do
			find . -samefile "$f" | sort | tr "\n" " "; echo; done' sh '{}' + | sort -u
	)
}

@test "whatever the plan of layers, the tree is the same" {
	local plan
	for plan in history single manual; do
		recipe <<-YAML
			layers: {plan: $plan, pin: [{name: srv, match: ["/srv/**"]}]}
		YAML
		lock
		build "$plan"
		# what the image says of its own recipe and lock has the plan in it
		listing "$plan" | grep -v 'usr/share/posmedia/recipe' >"$dir/$plan.list"
	done
	[ "$(names history)" = '["os-1","os-2","state","srv","config"]' ]
	[ "$(names single)" = '["image"]' ]
	[ "$(names manual)" = '["rest","srv"]' ]
	diff "$dir/history.list" "$dir/single.list"
	diff "$dir/history.list" "$dir/manual.list"
	[ -s "$dir/single.list" ]
}

@test "a budget of one is one layer of packages" {
	recipe <<<'layers: {budget: 1}'
	lock
	build 1
	[ "$(names 1)" = '["os","state","config"]' ]
	env -C "$dir" "$posmedia" plan recipes/till.yaml --json |
		jq -e '.layers | map(.name) == ["os"]'
}

@test "an update: what is cold is not fetched again, though the lock's time moved" {
	lock
	jq -e 'has("layers") | not' "$dir/recipes/till.lock"
	build 1
	update tiny-lib 1.0-2 sh -c 'echo changed >usr/lib/tiny/lib'
	publish
	lock --update
	[ "$(jq .epoch "$dir/recipes/till.lock")" = 1720000000 ]
	jq -e 'has("layers") | not' "$dir/recipes/till.lock"
	build 2
	[ "$(names 2)" = '["os-1","os-2","state","config"]' ]
	[ "$(layer 1 os-1)" = "$(layer 2 os-1)" ]
	[ "$(layer 1 os-2)" != "$(layer 2 os-2)" ]
	[ "$(layer 1 state)" != "$(layer 2 state)" ]
	build 2 --json | jq -e '.layers | map(.name) == ["os-1", "os-2", "state", "config"] and
		all(.entries > 0 and .bytes > 0 and (.why | length) > 0)'
}

@test "what a step makes is not fetched again either, until the step changes" {
	local date
	step() {
		recipe <<-YAML
			steps: [{name: app, run: [sh, -c, "echo $1 >/opt/app"], writes: [/opt]}]
		YAML
	}
	update tiny-base 1.0-1 mkdir opt
	publish
	step one
	lock
	date=$(jq .steps.date "$dir/recipes/till.lock")
	[ "$date" = "$(jq .epoch "$dir/recipes/till.lock")" ]
	build 1
	update tiny-lib 1.0-2 sh -c 'echo changed >usr/lib/tiny/lib'
	day=1730000000 publish
	sed -i 's/^version: 1/version: 2/' "$dir/recipes/till.yaml"
	lock --update
	[ "$(jq .epoch "$dir/recipes/till.lock")" = 1730000000 ]
	[ "$(jq .steps.date "$dir/recipes/till.lock")" = "$date" ]
	build 2
	[ "$(layer 1 app)" = "$(layer 2 app)" ]
	step two
	lock
	[ "$(jq .steps.date "$dir/recipes/till.lock")" = 1730000000 ]
	build 3
	[ "$(layer 1 app)" != "$(layer 3 app)" ]
}

@test "the plan of a lock stays in the next one; git's history and --replan make another" {
	local plan
	lock
	cp "$dir/recipes/till.lock" "$dir/first.lock"
	for version in 1.0-2 1.0-3 1.0-4+deb12u30; do
		git -C "$dir" init -q
		git -C "$dir" add recipes/till.lock
		git -C "$dir" -c user.name=t -c user.email=t@localhost commit -q -m lock
		update tiny-base "$version" true
		publish
		lock --update
	done
	# the updates of the version alone would plan another way
	cmp <(jq -c .layers "$dir/recipes/till.lock") - \
		<<<'[["tiny-base"],["tiny-app","tiny-extra","tiny-source"]]'
	cp "$dir/recipes/till.lock" "$dir/kept.lock"
	lock --replan
	[ "$(jq -c .layers "$dir/recipes/till.lock")" = null ]
	cp "$dir/kept.lock" "$dir/recipes/till.lock"
	lock
	cmp "$dir/kept.lock" "$dir/recipes/till.lock"
}

@test "a delta leads to the same tree, by umoci and by posmedia; and is the same each time" {
	echo two >"$dir/files/two"
	lock
	build 1
	update tiny-lib 1.0-2 sh -c 'echo changed >usr/lib/tiny/lib'
	update tiny-app 1.0-2 sh -c 'rm -r etc DEBIAN/conffiles usr/bin/tiny-app
		mkdir usr/bin/tiny-app etc
		echo in >usr/bin/tiny-app/in
		ln usr/bin/tiny-app/in etc/in'
	publish
	rm "$dir/files/two"
	lock --update
	build plain
	build delta --delta-from oci:img:1
	manifest delta | jq -e --argjson was "$(manifest 1)" '
		.layers[:-1] == $was.layers and
		.layers[-1].annotations["org.posmedia.layer"] == "delta"'
	[ "$(manifest delta | jq -r '.annotations["org.posmedia.delta-from"]')" = \
		"$(jq -r '.manifests[0].digest' "$dir/img/index.json")" ]
	tar -tzf "$dir/img/blobs/sha256/$(layer delta delta | cut -d: -f2)" >"$dir/entries"
	grep -x srv/.wh.two "$dir/entries"
	run ! grep tiny-extra "$dir/entries"
	listing plain >"$dir/plain.list"
	listing delta >"$dir/delta.list"
	diff "$dir/plain.list" "$dir/delta.list"
	run -0 --separate-stderr "$posmedia" diff "oci:$dir/img:plain" "oci:$dir/img:delta" --json
	jq -e '.files == [] and .packages == []' <<<"$output"
	manifest delta >"$dir/first"
	POSMEDIA_STORE=$dir/other build delta --delta-from oci:img:1 --threads 1
	cmp "$dir/first" <(manifest delta)
	build plain # the delta is not taken for the image
	diff "$dir/plain.list" <(rm -rf "$dir/bundle.plain" && listing plain)
	[ "$(names plain)" = '["os-1","os-2","state","config"]' ]
}

@test "a delta of a damaged image, or with two compressions, is refused" {
	local blob
	lock
	build 1
	blob=$dir/img/blobs/sha256/$(layer 1 os-2 | cut -d: -f2)
	printf x >>"$blob"
	run -4 --separate-stderr build 2 --delta-from oci:img:1
	[[ $stderr == *"--delta-from"* || $stderr == *"delta from sha256:"* ]]
	run -1 build 2 --delta-from oci:img:none
	recipe <<<'layers: {compression: both}'
	lock
	run -2 --separate-stderr build 2 --delta-from oci:img:1
	[[ $stderr == *"gzip and zstd"* ]]
}

@test "two compressions: an index of one image, the same bytes with any number of threads" {
	local index member
	recipe <<<'layers: {compression: both}'
	lock
	index=$(build 1 --threads 1)
	[ "$(POSMEDIA_STORE=$dir/other build 1 --threads 2)" = "$index" ]
	build 1 --json | jq -e '."up-to-date" and (.layers | length == 4)'
	manifest 1 | jq -e '.manifests | length == 2 and
		.[0].annotations == null and
		.[1].annotations["io.github.containers.compression.zstd"] == "true" and
		all(.platform.os == "linux")'
	for member in $(manifest 1 | jq -r '.manifests[].digest[7:]'); do
		jq -c '[.config.digest, .layers[0].mediaType]' "$dir/img/blobs/sha256/$member"
	done >"$dir/members"
	[ "$(jq -r '.[0]' "$dir/members" | sort -u | wc -l)" = 1 ]
	[ "$(jq -r '.[1] | sub(".*[+]"; "")' "$dir/members" | tr '\n' ' ')" = 'gzip zstd ' ]
	jq -r '.layers[].digest[7:]' "$dir/img/blobs/sha256/$member" |
		while read -r layer; do
			zstd -dc <"$dir/img/blobs/sha256/$layer" | sha256sum | sed 's/ .*//'
		done >"$dir/unpacked"
	jq -r '.rootfs.diff_ids[][7:]' \
		"$dir/img/blobs/sha256/$(jq -r '.[0][7:]' "$dir/members" | head -n 1)" |
		cmp - "$dir/unpacked"
	skopeo inspect "oci:$dir/img:1" | jq -e '.Layers | length == 4'
	skopeo copy -q "oci:$dir/img:1" "dir:$dir/copy"
	skopeo copy -q --all "oci:$dir/img:1" "oci:$dir/copy-all:1"
	[ "$(jq -r '.manifests[0].digest' "$dir/copy-all/index.json")" = "${index#*@}" ]
}

@test "two compressions: signed, verified down to the last blob, and compared" {
	local member layer
	recipe <<<'layers: {compression: both}'
	lock
	build 1
	cd "$dir" || return
	"$posmedia" key new "$dir/mine" --uid test
	"$posmedia" sign oci:img:1 --key "$dir/mine"
	"$posmedia" verify oci:img:1 --key "$dir/mine.pub"
	for member in $(manifest 1 | jq -r '.manifests[].digest[7:]'); do
		jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' \
			img/index.json | grep -x "sha256-$member.pgp"
	done
	cd - || return
	"$posmedia" diff "oci:$dir/img:1" "oci:$dir/img:1" --exit-code
	cd "$dir" || return
	layer=$(jq -r '.layers[-1].digest[7:]' "img/blobs/sha256/$member")
	printf x >>"img/blobs/sha256/$layer"
	run -4 --separate-stderr "$posmedia" verify oci:img:1 --key "$dir/mine.pub"
	[[ $stderr == *"$layer"* ]]
}

@test "two compressions: through a registry, with all signatures; podman takes one" {
	local member index
	recipe <<<'layers: {compression: both}'
	lock
	index=$(build 1)
	index=${index#*@}
	start_registry "$dir/registry"
	cd "$dir" || return
	"$posmedia" key new "$dir/mine" --uid test
	"$posmedia" sign oci:img:1 --key "$dir/mine" --identity "$registry/a/till:1"
	"$posmedia" push oci:img:1 "docker://$registry/a/till:1" --plain-http
	[ "$(skopeo inspect --raw --tls-verify=false "docker://$registry/a/till:1" |
		sha256sum | cut -d' ' -f1)" = "${index#sha256:}" ]
	"$posmedia" pull "docker://$registry/a/till:1" oci:back:1 --plain-http
	"$posmedia" verify oci:back:1 --key "$dir/mine.pub" --identity "$registry/a/till:1"
	for member in img back; do
		jq -c '.manifests | map([.digest, .mediaType, .annotations]) | sort' \
			"$member/index.json" >"$member.entries"
	done
	cmp img.entries back.entries
	diff <(cd img/blobs/sha256 && echo ./*) <(cd back/blobs/sha256 && echo ./*)
	engine() {
		podman --root "$dir/podman" --runroot "$dir/podman-run" "$@"
	}
	engine pull -q --tls-verify=false "$registry/a/till:1"
	stop_registry
	engine image inspect "$registry/a/till:1" | jq -e '.[0].RootFS.Layers | length == 4'
	engine rmi -a -f
}
