#!/usr/bin/env bats
# The store under real builds: damage is found and mended, what builds need is kept, and builds
# and the cleaning of the store keep out of each other's way.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	need_demo
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/store.XXXXXX")
	export dir
	cp -r recipes overlays signing "$dir/"
	cp "$(cat "$OUT/demo.lock.used")" "$dir/demo.lock"
	rm -f "$dir"/recipes/*.lock
	# a store of our own with what the demo made; nobody cleans the other one meanwhile
	mkdir "$dir/store"
	flock -s "$POSMEDIA_STORE/cache/lock" \
		cp -al "$POSMEDIA_STORE/blobs" "$POSMEDIA_STORE/cache" "$dir/store/"
	rm -f "$dir/store/cache/lock"
	export POSMEDIA_STORE=$dir/store
	mkdir -p "$dir/files"
	echo one >"$dir/files/one"
	tar -C "$dir/files" -cf "$dir/medium.tar" one
	printf 'posmedia: 1\nname: till\nextends: [demo.yaml]\n' >"$dir/recipes/till.yaml"
	cat >>"$dir/recipes/till.yaml" <<-YAML
		media: {disc: {url: medium.tar, sha256: $(sum "$dir/medium.tar")}}
		steps:
		  - name: copy
		    mount: {disc: /media/disc}
		    run: [cp, /media/disc/one, /srv/one]
		    writes: [/srv]
	YAML
	cp "$dir/demo.lock" "$dir/recipes/till.lock"
	env -C "$dir" "$posmedia" lock recipes/till.yaml
	build first
	[ "$status" -eq 0 ] || { echo "$stderr" && false; }
	till_digest=${output##*@}
	export till_digest
}

teardown_file() {
	rm -rf "$dir"
}

sum() {
	sha256sum <"$1" | cut -c1-64
}

posmedia() {
	run --separate-stderr env -C "$dir" "$posmedia" "$@"
}

# Builds the till into a layout of its own.
build() {
	posmedia build recipes/till.yaml -o "oci:$dir/$1:1" "${@:2}"
}

same_image() {
	echo "$stderr"
	[ "$status" -eq 0 ] && [ "${output##*@}" = "$till_digest" ]
}

# The till's layer of that name in the store.
layer() {
	local manifest=$POSMEDIA_STORE/blobs/sha256/${till_digest#sha256:}
	echo "$POSMEDIA_STORE/blobs/sha256/$(jq -r --arg name "$1" '.layers[] |
		select(.annotations."org.posmedia.layer" == $name).digest[7:]' "$manifest")"
}

@test "a medium that is damaged in the store is fetched again for the step that mounts it" {
	flip "$POSMEDIA_STORE/blobs/sha256/$(sum "$dir/medium.tar")"
	rm -rf "$POSMEDIA_STORE/cache/images" "$POSMEDIA_STORE/cache/media"
	sed -i 's,/srv/one],/srv/one.txt],' "$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	build medium
	echo "$stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"medium disc: the store's copy was damaged; it is fetched again"* ]]
	sed -i 's,/srv/one.txt],/srv/one],' "$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	build medium
	same_image
}

@test "a layer that is damaged in the store: the image is made again, the same" {
	build layer
	same_image
	flip "$(layer app)"
	build layer-again
	same_image
	[[ $stderr == *"the store's copy of this image was damaged; the image is made again"* ]]
	posmedia verify "oci:$dir/layer-again:1" --key "$demo_key.pub"
	[[ $stderr != *app* && $stderr == *signature* ]] # the blobs are right; nobody signed it
	posmedia store verify
	[ "$status" -eq 0 ]
}

@test "a layer that is damaged in the store and used again for a new image: the same" {
	flip "$(layer app)"
	rm -rf "$POSMEDIA_STORE/cache/images"
	build layer-recalled
	same_image
	[[ $stderr == *"the store's copy of this image was damaged; the image is made again"* ]]
}

@test "a build waits for the cleaning of the store, and cleaning refuses while it builds" {
	cp "$dir/recipes/till.yaml" "$dir/recipes/till.lock" "$dir/"
	# its step ends when this test says so: it is at work until then
	sed -i "s#run: .cp.*#run: [sh, -c, 'cp /media/disc/one /srv/two; sleep 98762 || :']#" \
		"$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	exec 8>>"$POSMEDIA_STORE/cache/lock"
	flock 8
	env -C "$dir" "$posmedia" build recipes/till.yaml -o "oci:$dir/waits:1" \
		>"$dir/waits.out" 2>"$dir/waits.err" 3>&- 8>&- &
	local pid=$!
	wait_for 10 grep -q 'being cleaned: waiting' "$dir/waits.err"
	exec 8>&-
	wait_for 10 pgrep -xf 'sleep 98762'
	posmedia store gc --lock recipes/till.lock
	echo "$status $stderr"
	[ "$status" -eq 7 ]
	pkill -xf 'sleep 98762'
	wait "$pid"
	build waits-again
	[ "$status" -eq 0 ] && [[ $stderr != *'step copy: '* ]]
	[ "${output##*@}" = "$(sed 's/.*@//' "$dir/waits.out")" ]
	mv "$dir/till.yaml" "$dir/till.lock" "$dir/recipes/"
}

@test "gc keeps what the last build needs: it is up to date, or runs from its stages" {
	build kept
	posmedia store gc --lock recipes/till.lock --keep 1
	echo "$output $stderr"
	[ "$status" -eq 0 ]
	posmedia plan recipes/till.yaml
	run -1 grep -v -e cached -e 'all is in the store' <<<"$output"
	build after-gc
	same_image
	posmedia store gc --lock recipes/till.lock --keep 0
	[ "$status" -eq 0 ]
	posmedia plan recipes/till.yaml
	[[ $output == *'nothing, all is in the store'* && $output == *'base '*'will run'* ]]
	posmedia verify "oci:$dir/after-gc:1" --key "$demo_key.pub"
	[[ $stderr == *signature* ]]
}
