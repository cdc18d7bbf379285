#!/usr/bin/env bats
# An image carries its inputs, and is built again from them: elsewhere, otherwise, by somebody else.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/rebuild.XXXXXX")
	export dir
	chmod 755 "$dir"
	tests/lib/apt-repo "$dir/repo" tiny >"$dir/repo.log"
	project till 'steps:
  - name: install
    mount: {app: /media/app}
    run: [sh, -c, "mkdir -p /opt; cat /media/app/key.gpg >/opt/app"]
    writes: [/opt]'
	build till >"$dir/name"
}

teardown_file() {
	rm -rf "$dir"
}

# A project $1 of everything that an image is made from; $2: its steps.
project() {
	local p=$dir/$1
	mkdir -p "$p/recipes/profiles" "$p/signing" "$p/overlays/pos/etc/empty" "$p/media" \
		"$dir/far/etc"
	cp "$dir/repo/key.gpg" "$p/signing/"
	echo welcome >"$p/overlays/pos/etc/motd"
	printf '#!/bin/sh\n' >"$p/overlays/pos/etc/run.sh"
	chmod 700 "$p/overlays/pos/etc/run.sh"
	ln -sf motd "$p/overlays/pos/etc/issue"
	echo far >"$dir/far/etc/far"
	tar -C "$dir/repo" -cf "$p/media/app.tar" --mtime=@0 key.gpg
	cat >"$p/recipes/profiles/tiny.yaml" <<-'YAML'
		posmedia-profile: 1
		id: tiny
		version: 1.0.0
		title: Tiny
		controls:
		  - id: MODE-1
		    title: The message of the day is not writable by others
		    severity: high
		    sources: {pa-dss: ["1.1"]}
		    want:
		      - mode: {paths: [/etc/motd], max: "0644"}
	YAML
	cat - <(echo "$2") >"$p/recipes/$1.yaml" <<-YAML
		posmedia: 1
		name: $1
		version: 1
		base:
		  apt:
		    suite: tiny
		    keyring: signing/key.gpg
		    mirrors: ["file://$dir/repo/mirror"]
		packages: {install: [tiny-app]}
		overlays:
		  - {from: overlays/pos, to: /, owner: "0:0"}
		  - {from: "$dir/far", to: /usr/far, owner: "12:12"}
		hardening: {profiles: [tiny]}
		media:
		  app:
		    url: media/app.tar
		    sha256: $(sha256sum <"$p/media/app.tar" | cut -c1-64)
	YAML
}

build() {
	"$posmedia" lock "$dir/$1/recipes/$1.yaml" --store "$dir/store" >"$dir/lock.log"
	"$posmedia" build "$dir/$1/recipes/$1.yaml" --store "$dir/store" -o "oci:$dir/$1.oci:1"
}

rebuild() {
	run --separate-stderr env -C / "$posmedia" rebuild --store "$dir/store" "$@"
	echo "status $status"
	echo "$output"
	echo "$stderr"
}

# A file of the image, on standard output.
file_of() {
	local layout=$1 manifest layer
	manifest=$(jq -r '.manifests[0].digest' "$layout/index.json")
	for layer in $(jq -r '.layers[].digest' "$layout/blobs/sha256/${manifest#*:}"); do
		tar -xzOf "$layout/blobs/sha256/${layer#*:}" "$2" 2>/dev/null && return 0
	done
	return 1
}

# Other tests rebuild at the same time: the folders that these builds named are gone.
nothing_left() {
	local place
	[ -z "$(ls -A "$dir/store/tmp")" ]
	while read -r place; do
		[ ! -e "$place" ] || { echo "left: $place" && return 1; }
		! grep -F "$place" /proc/self/mountinfo || return 1
	done < <(cat "$dir/int.err" - 2>/dev/null <<<"${stderr-}" |
		grep -o '/[^ ]*posmedia-rebuild[.][A-Za-z0-9]*' | sort -u)
}

@test "the image carries recipe, lock and the project's files" {
	local in=usr/share/posmedia
	file_of "$dir/till.oci" $in/recipe.json >"$dir/recipe.json"
	[ "$(sha256sum <"$dir/recipe.json" | cut -c1-64)" = \
		"$(jq -r .recipe.sha256 "$dir/till/recipes/till.lock")" ]
	file_of "$dir/till.oci" $in/recipe.lock | cmp - "$dir/till/recipes/till.lock"
	file_of "$dir/till.oci" $in/project/signing/key.gpg | cmp - "$dir/repo/key.gpg"
	[ "$(file_of "$dir/till.oci" $in/project/overlays/pos/etc/motd)" = welcome ]
	run ! file_of "$dir/till.oci" $in/project/media/app.tar
	# no trace of where the project lies, but in the mirror that the recipe names
	jq 'del(.base.apt.mirrors)' "$dir/recipe.json" >"$dir/without"
	run ! grep -F "$dir" "$dir/without"
}

@test "reproduced, with the project gone, and nothing is left" {
	mv "$dir/till" "$dir/till.gone"
	mv "$dir/far" "$dir/far.gone"
	rebuild "oci:$dir/till.oci"
	mv "$dir/till.gone" "$dir/till"
	mv "$dir/far.gone" "$dir/far"
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = "reproduced $(sed 's/.*@//' "$dir/name")" ]
	[[ $output == *"varied umask: 022 -> 077"* ]]
	[[ $output == *"varied locale: "*"varied time zone: "*"varied threads: "* ]]
	[[ $output == *"not varied machine"* ]]
	nothing_left
}

@test "by a user with subordinate ids, who is found" {
	[ "$(id -u)" = 0 ] || skip "only root can build as another user"
	echo nobody:100000:65536 >"$dir/subid"
	# shellcheck disable=SC2016 # for the shell inside
	run unshare -m bash -c 'mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid &&
		exec "$2" rebuild --store "$3" "$4"' - "$dir/subid" "$posmedia" "$dir/store" \
		"oci:$dir/till.oci:1"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"varied user: root -> nobody"* ]]
	[[ $output == *"reproduced sha256:"* ]]
	nothing_left
}

@test "no user with subordinate ids: said, with the command that grants them" {
	[ "$(id -u)" = 0 ] || skip "only root can build as another user"
	# shellcheck disable=SC2016 # for the shell inside
	run unshare -m bash -c 'mount --bind /dev/null /etc/subuid &&
		exec "$1" rebuild --store "$2" "$3"' - "$posmedia" "$dir/store" \
		"oci:$dir/till.oci:1"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"not varied user (root): no user of this machine"*usermod* ]]
}

@test "an ordinary user rebuilds root's image" {
	[ "$(id -u)" = 0 ] || skip "the test before was by an ordinary user"
	mkdir -p "$dir/theirs/store/blobs"
	cp -r "$dir/store/blobs/sha256" "$dir/theirs/store/blobs/"
	cp "$posmedia" "$dir/theirs/posmedia"
	chown -R nobody "$dir/theirs"
	run unshare -m tests/system/as-nobody "$dir/subid2" env -C / \
		"$dir/theirs/posmedia" rebuild --store "$dir/theirs/store" "oci:$dir/till.oci"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"not varied user (nobody): only root can build as another user"* ]]
	[[ $output == *"reproduced $(sed 's/.*@//' "$dir/name")"* ]]
}

@test "--on and --as: where and as whom" {
	mkdir -p "$dir/on"
	rebuild --on "$dir/on" --as root "oci:$dir/till.oci" --json
	[ "$status" -eq 0 ]
	[ "$(jq -r .reproduced <<<"$output")" = true ]
	[[ $(jq -r '.varied[0].is' <<<"$output") == "$dir/on/posmedia-rebuild."* ]]
	[ "$(id -u)" != 0 ] || [ "as asked for" = \
		"$(jq -r '.varied[] | select(.name == "user")["why-not"]' <<<"$output")" ]
	[ -z "$(ls -A "$dir/on")" ]
	rebuild --as nobody-of-that-name "oci:$dir/till.oci"
	[ "$status" -eq 2 ]
	rebuild --on "$dir/absent" "oci:$dir/till.oci"
	[ "$status" -eq 1 ]
	mkdir -p "$dir/recipes/x"
	rebuild --on "$dir/recipes/x" "oci:$dir/till.oci"
	[ "$status" -eq 2 ]
	nothing_left
}

@test "an interrupt leaves nothing" {
	local pid status=0
	"$posmedia" rebuild --store "$dir/store" "oci:$dir/till.oci" >"$dir/int.out" \
		2>"$dir/int.err" 3>&- &
	pid=$!
	wait_for 20 grep -q 'building again' "$dir/int.err"
	kill -INT "$pid"
	wait "$pid" || status=$?
	cat "$dir/int.err"
	# the build may have been faster than we
	[ "$status" -eq 1 ] || grep -q '^reproduced' "$dir/int.out"
	nothing_left
	run ! pgrep -f 'posmedia-rebuild[.].*/posmedia build'
}

@test "a step that is never the same: exit 4, the files, the likely cause, the step" {
	# shellcheck disable=SC2016 # for the shell inside
	project noisy 'steps:
  - name: noise
    run:
      - sh
      - -c
      - |
        mkdir /opt
        cat /proc/sys/kernel/random/uuid >/opt/id
        read up rest </proc/uptime
        echo "$up" >/opt/up
        echo same >/opt/same
    writes: [/opt]'
	build noisy
	rebuild "oci:$dir/noisy.oci"
	[ "$status" -eq 4 ]
	[[ $output == *"layer 1 os-1: same"*" app: different"*" config: same"* ]]
	[[ $output == *"/opt/id: content"*"random: a key, a seed or an id; by: step noise"* ]]
	[[ $output == *"/opt/up: content"*"by: step noise"* ]]
	[[ $output != *"/opt/same"* ]]
	[[ $output == *"not reproduced sha256:"* ]]
	rebuild "oci:$dir/noisy.oci" --json
	[ "$status" -eq 4 ]
	[ "$(jq -c '[.files[] | [.path, .by]]' <<<"$output")" = \
		'[["opt/id","step noise"],["opt/up","step noise"]]' ]
	[ "$(jq -r .reproduced <<<"$output")" = false ]
	nothing_left
}

@test "a waiver that ran out since: the day is the lock's" {
	project waived ''
	sed -i 's/max: "0644"/max: "0744"/; s,/etc/motd,/etc/run.sh,' \
		"$dir/waived/recipes/profiles/tiny.yaml"
	local waiver='{control: MODE-1, reason: test, by: test, until: 2023-12-31}'
	sed -i "s/^hardening.*/hardening: {profiles: [tiny], waivers: [$waiver]}/" \
		"$dir/waived/recipes/waived.yaml"
	SOURCE_DATE_EPOCH=1700000001 build waived >"$dir/waived.name"
	rebuild "oci:$dir/waived.oci"
	[ "$status" -eq 0 ]
	[[ $output == *"not varied day (2023-11-14): the waiver of MODE-1 ran out on 2023-12-31"* ]]
}

# Replaces layer $2 of the only image in layout $1 by the file $3, in manifest and index; its
# diff_id too when $4 is given.
put_layer() {
	local l=$1 m c new size
	m=$(jq -r '.manifests[0].digest' "$l/index.json" | cut -d: -f2)
	new=$(sha256sum <"$3" | cut -c1-64)
	cp "$3" "$l/blobs/sha256/$new"
	jq -c --arg d "sha256:$new" --argjson s "$(stat -c %s "$3")" --argjson i "$2" \
		'.layers[$i].digest = $d | .layers[$i].size = $s' "$l/blobs/sha256/$m" >"$l/m"
	if [ -n "${4-}" ]; then
		c=$(jq -r .config.digest "$l/m" | cut -d: -f2)
		jq -c --arg d "sha256:$4" --argjson i "$2" '.rootfs.diff_ids[$i] = $d' \
			"$l/blobs/sha256/$c" >"$l/c"
		c=$(sha256sum <"$l/c" | cut -c1-64)
		jq -c --arg d "sha256:$c" --argjson s "$(stat -c %s "$l/c")" \
			'.config.digest = $d | .config.size = $s' "$l/m" >"$l/m2"
		mv "$l/m2" "$l/m"
		mv "$l/c" "$l/blobs/sha256/$c"
	fi
	m=$(sha256sum <"$l/m" | cut -c1-64)
	size=$(stat -c %s "$l/m")
	mv "$l/m" "$l/blobs/sha256/$m"
	jq -c --arg d "sha256:$m" --argjson s "$size" \
		'.manifests[0].digest = $d | .manifests[0].size = $s' "$l/index.json" >"$l/i"
	mv "$l/i" "$l/index.json"
}

# The first layer's blob of a layout.
first_layer() {
	local m
	m=$(jq -r '.manifests[0].digest' "$1/index.json" | cut -d: -f2)
	echo "$1/blobs/sha256/$(jq -r '.layers[0].digest' "$1/blobs/sha256/$m" | cut -d: -f2)"
}

@test "the same tar by another compressor is told from another tar" {
	cp -r "$dir/till.oci" "$dir/packed.oci"
	zcat "$(first_layer "$dir/packed.oci")" | gzip -1n >"$dir/packed.gz"
	put_layer "$dir/packed.oci" 0 "$dir/packed.gz"
	rebuild "oci:$dir/packed.oci"
	[ "$status" -eq 4 ]
	[[ $output == *"layer 1 os-1: same contents, other bytes: another version of the comp"* ]]
}

@test "the same tree in another tar: where the tars part" {
	cp -r "$dir/till.oci" "$dir/tar.oci"
	zcat "$(first_layer "$dir/tar.oci")" >"$dir/tar.tar"
	perl -e 'open my $f, "+<", $ARGV[0] or die; read $f, my $h, 512;
		substr $h, 265, 4, "root"; substr $h, 148, 8, " " x 8;
		substr $h, 148, 8, sprintf "%06o\0 ", unpack "%32C*", $h;
		seek $f, 0, 0; print $f $h' "$dir/tar.tar"
	gzip -1nc "$dir/tar.tar" >"$dir/tar.gz"
	put_layer "$dir/tar.oci" 0 "$dir/tar.gz" "$(sha256sum <"$dir/tar.tar" | cut -c1-64)"
	rebuild "oci:$dir/tar.oci"
	[ "$status" -eq 4 ]
	[[ $output == *'first in its tar: "'*'user name is "root" and "" in the header'* ]]
}

@test "an image without inputs, and a medium that is nowhere" {
	mkdir -p "$dir/plain"
	cp -r "$dir/till.oci" "$dir/bare.oci"
	zcat "$(first_layer "$dir/bare.oci")" >"$dir/bare.tar"
	local l=$dir/bare.oci m
	m=$(jq -r '.manifests[0].digest' "$l/index.json" | cut -d: -f2)
	tar -C "$dir/plain" -cf "$dir/empty.tar" .
	gzip -1nc "$dir/empty.tar" >"$dir/empty.gz"
	for i in $(seq 0 $(($(jq '.layers | length' "$l/blobs/sha256/$m") - 1))); do
		put_layer "$l" "$i" "$dir/empty.gz" "$(sha256sum <"$dir/empty.tar" | cut -c1-64)"
	done
	rebuild "oci:$dir/bare.oci"
	[ "$status" -eq 3 ]
	[[ $stderr == *"does not carry its inputs"* ]]
	run --separate-stderr "$posmedia" rebuild --store "$dir/other" "oci:$dir/till.oci"
	echo "$stderr"
	[ "$status" -eq 1 ]
	[[ $stderr == *"medium app (media/app.tar) is not in the store"*hint:* ]]
}

@test "packages that the store lost are fetched by the lock" {
	mkdir -p "$dir/part/blobs/sha256"
	local d
	d=$(jq -r '.media[0].sha256' "$dir/till/recipes/till.lock")
	cp "$dir/store/blobs/sha256/$d" "$dir/part/blobs/sha256/"
	run --separate-stderr "$posmedia" rebuild --store "$dir/part" "oci:$dir/till.oci"
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"fetching 3 files"* ]]
}

@test "a change of the inputs re-runs that stage, and no step" {
	local r=$dir/till/recipes/till.yaml
	cp -r "$dir/till" "$dir/kept"
	plan() {
		"$posmedia" plan "$r" --store "$dir/store" --json |
			jq -c '[.stages[] | select(.cached | not) | .name]'
	}
	[ "$(plan)" = '[]' ]
	echo '# a remark' >>"$r"
	[ "$(plan)" = '[]' ]
	cp "$dir/repo/other.gpg" "$dir/till/signing/key.gpg"
	[ "$(plan)" = '["inputs","image"]' ]
	echo >>"$dir/till/recipes/profiles/tiny.yaml"
	[ "$(plan)" = '["config","inputs","image"]' ]
	rm -rf "$dir/till"
	mv "$dir/kept" "$dir/till"
	sed -i 's/"solver": "/&x/' "$dir/till/recipes/till.lock"
	[ "$(plan)" = '["inputs","image"]' ]
}
