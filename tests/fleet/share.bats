#!/usr/bin/env bats
# A night on machines that have no file in common: the project is a copy on each, as of a checkout;
# locks, what is known of each recipe and what became of it are in a bucket of Debian's radosgw.

# shellcheck disable=SC2030,SC2031 # each test is a shell of its own

bats_require_minimum_version 1.5.0
load ../system/lib
load ../system/tiny
load slurm

setup_file() {
	load ../system/lib
	load ../system/tiny
	load shared
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/share.XXXXXX")"
	unset POSMEDIA_STORE POSMEDIA_LEDGER
	export dir
	chmod 755 "$dir"
	"$posmedia" key new "$dir/key" --ledger "$dir/ledger"
	start_shared
}

teardown_file() {
	load ../system/lib
	load shared
	stop_shared
}

setup() {
	bucket=share-$BATS_TEST_NUMBER
	repository=share$BATS_TEST_NUMBER
	rm -rf "$dir"/m.* "$dir"/recipes/n*
	s3 PUT "$bucket" -f >/dev/null
	cat >"$dir/night.yaml" <<-YAML
		posmedia: 1
		name: fleet
		recipes: ["recipes/n*.yaml"]
		sign: {key: key}
		push: docker://$registry/$repository/{name}
		share: {at: s3://$bucket/night, ledger: s3://$bucket/ledger}
		slurm: {partition: night, store: $dir/m.here/store}
	YAML
}

teardown() {
	stop_slurm
}

s3() {
	local method=$1 path=$2
	shift 2
	curl -s --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame -X "$method" "$@" \
		-H "x-amz-content-sha256: $(sha256sum </dev/null | cut -c 1-64)" \
		"$AWS_ENDPOINT_URL/$path"
}

keys_in_bucket() {
	s3 GET "$bucket?list-type=2" | grep -o '<Key>[^<]*' | cut -c6- | grep "$1" || true
}

# A recipe whose step takes so many seconds.
recipe() {
	sed -e "s/name: till/name: $1/" "$dir/recipes/till.yaml" >"$dir/recipes/$1.yaml"
	echo "steps: [{name: work, run: [/bin/sh, -c, \"sleep $2; echo $1 >/etc/$1\"]," \
		"writes: [/etc]}]" >>"$dir/recipes/$1.yaml"
}

# Machines: each has a copy of the project, and nothing else.
machines() {
	local m
	for m; do
		mkdir -p "$dir/m.$m/apt"
		cp -r "$dir/recipes" "$dir/overlay" "$dir"/key* "$dir/night.yaml" "$dir/m.$m/"
		cp "$dir/apt/key.gpg" "$dir/m.$m/apt/"
	done
}

# Runs the night's verb on machine $1.
night() {
	local m=$1
	shift
	run --separate-stderr env -C "$dir/m.$m" "$posmedia" nightly night.yaml --json \
		--store store --ledger ledger "$@"
}

worker() {
	night "$1" --worker --only "$2" --night "$3"
}

said() {
	jq -r "$1" <<<"$output"
}

tags() {
	"$posmedia" tags "docker://$registry/$repository/$1" | sort | tr '\n' ' '
}

@test "what one machine has made the others know: its lock, its image, what became of it" {
	recipe n1 0
	machines a b c
	worker a n1 first
	succeeded
	[ "$(said '.recipes[0].status')" = built ]
	tag=$(said '.recipes[0].tag')
	[ ! -e "$dir/m.b/recipes/n1.lock" ]
	worker b n1 second
	succeeded
	[ "$(said '.recipes[0].status')" = unchanged ]
	cmp "$dir/m.a/recipes/n1.lock" "$dir/m.b/recipes/n1.lock"
	# nobody was asked what is new: the archive is the one that the other machine has seen
	! grep -q '^\$ posmedia lock' "$dir/m.b/out/nightly/log/n1.log" || return 1
	echo changed >"$dir/m.b/overlay/etc/motd"
	worker b n1 third
	succeeded
	[ "$(said '.recipes[0] | [.status, .tag] | join(" ")')" = "built $tag.2" ]
	digest=$(said '.recipes[0].digest')
	[ "$(tags n1)" = "1 $tag $tag.2 " ]
	# a third has what all of them left, and the lock
	night c --collect --night third
	succeeded
	[ "$(said '[.built, .recipes[0].tag] | join(" ")')" = "1 $tag.2" ]
	grep -q motd "$(said '.recipes[0].diff')"
	[[ $(said '.recipes[0].diff') == "$dir/m.c/"* ]]
	grep -q '^\$ posmedia push' "$dir/m.c/out/nightly/log/n1.log"
	cmp "$dir/m.a/recipes/n1.lock" "$dir/m.c/recipes/n1.lock"
	night c --collect --night second
	[ "$(said .unchanged)" = 1 ]
	# what the workers noted is in the bucket, a chain each
	run -0 "$posmedia" report sql "SELECT fields ->> 'tag' FROM event WHERE kind = 'nightly'" \
		--ledger "s3://$bucket/ledger"
	[ "$(sort <<<"${output#*$'\n'}" | tr '\n' ' ')" = "$tag $tag.2 " ]
	# an image that went from the repository is put back by a machine that never had it
	echo changed >"$dir/m.c/overlay/etc/motd"
	curl -sf -X DELETE "http://$registry/v2/$repository/n1/manifests/$digest"
	[ "$(tags n1)" = "$tag " ]
	worker c n1 fourth
	succeeded
	[ "$(said '.recipes[0].status')" = unchanged ]
	[ "$(tags n1)" = "1 $tag $tag.2 " ]
	run -0 "$posmedia" verify "docker://$registry/$repository/n1:1" --key "$dir/key.pub"
}

@test "a worker that is killed leaves nothing: that is noted once, whoever asks" {
	recipe n1 0
	machines a b c
	for m in b c b; do
		night $m --collect --night first
		[ "$status" -eq 1 ]
		[[ $(said '.recipes[0].why') == *'it has left nothing'* ]]
	done
	run -0 "$posmedia" report sql "SELECT count(*) FROM event WHERE kind = 'nightly'" \
		--ledger "$dir/m.b/ledger"
	[ "${lines[1]}" = 1 ]
	[ ! -e "$dir/m.c/ledger" ]
	worker a n1 first
	succeeded
	night b --collect --night first
	[ "$(said .built)" = 1 ]
}

step_runs() {
	[ "$(pgrep -fc "sleep 3; echo $1")" -ge "$2" ]
}

# A process and all that it has started.
tree_of() {
	local child
	echo "$1"
	for child in $(pgrep -P "$1"); do
		tree_of "$child"
	done
}

@test "two machines at one recipe: the second is told so, and a tag has one image" {
	recipe n1 3
	machines a b
	"$posmedia" lock "$dir/recipes/n1.yaml" --store "$dir/m.a/store" --ledger "$dir/ledger" \
		>/dev/null
	sed -i 's/^push:/lock: keep\n&/' "$dir/night.yaml"
	machines a b
	env -C "$dir/m.a" "$posmedia" nightly night.yaml --json --store store --ledger ledger \
		--worker --only n1 --night x >"$dir/a.out" 2>"$dir/a.err" 3>&- &
	first=$!
	wait_for 60 step_runs n1 1
	mapfile -t still < <(tree_of "$first")
	kill -STOP "${still[@]}"
	worker b n1 x
	kill -CONT "${still[@]}"
	succeeded
	late=0
	wait "$first" || late=$?
	[ "$late" = 7 ]
	[[ $(jq -r '.recipes[0].why' "$dir/a.out") == *'another worker is at work on it' ]]
	! grep -q '^\$ posmedia push' "$dir/m.a/out/nightly/log/n1.log" || return 1
	[ "$(tags n1 | wc -w)" = 2 ]
	# and what became of it is what the other one says
	night b --collect --night x
	succeeded
	[ "$(said .built)" = 1 ]
	run -0 "$posmedia" report sql "SELECT count(*) FROM event WHERE kind = 'nightly'" \
		--ledger "s3://$bucket/ledger"
	[ "${lines[1]}" = 1 ]
}

says() {
	grep -q "$2" "$dir/m.$1/out/nightly/log/n1.log" 2>/dev/null
}

@test "one machine pushes while another begins: of one image both say the same" {
	recipe n1 0
	machines a b
	env -C "$dir/m.a" "$posmedia" nightly night.yaml --json --store store --ledger ledger \
		--worker --only n1 --night x >"$dir/a.out" 2>"$dir/a.err" 3>&- &
	pid=$!
	until says a '^\$ posmedia push'; do sleep 0.01; done
	kill -STOP "$pid"
	worker b n1 x
	kill -CONT "$pid"
	succeeded
	wait "$pid"
	tag=$(said '.recipes[0].tag')
	[ "$(jq -r '.recipes[0].tag' "$dir/a.out")" = "$tag" ]
	[ "$(tags n1)" = "1 $tag " ]
	# no recipe has failed, whoever was last
	night b --collect --night x
	succeeded
}

@test "a bucket that lost what is known: the machine that made it knows" {
	recipe n1 0
	machines a b
	worker a n1 first
	succeeded
	tag=$(said '.recipes[0].tag')
	s3 DELETE "$bucket/$(keys_in_bucket '^night/recipes/')"
	[ "$(keys_in_bucket '^night/recipes/')" = '' ]
	echo changed >"$dir/m.a/overlay/etc/motd"
	worker a n1 second
	succeeded
	[ "$(said '.recipes[0] | [.status, .tag] | join(" ")')" = "built $tag.2" ]
	grep -q motd "$(said '.recipes[0].diff')"
	[ "$(tags n1)" = "1 $tag $tag.2 " ]
	# and the others know it again, with its lock
	cp "$dir/m.a/overlay/etc/motd" "$dir/m.b/overlay/etc/motd"
	worker b n1 third
	succeeded
	[ "$(said '.recipes[0].status')" = unchanged ]
	cmp "$dir/m.a/recipes/n1.lock" "$dir/m.b/recipes/n1.lock"
}

@test "what became of one recipe cannot be brought: the others are in the report" {
	recipe n1 0
	recipe n2 0
	machines a b
	worker a n1 first
	succeeded
	key=$(keys_in_bucket '^night/outcomes/')
	head -c 9000000 /dev/zero >"$dir/large"
	curl -sf --aws-sigv4 aws:amz:us-east-1:s3 -u tester:sesame-sesame -T "$dir/large" \
		-H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
		"$AWS_ENDPOINT_URL/$bucket/${key/n1/n2}"
	night b --collect --night first
	[ "$status" -eq 5 ]
	[ "$(said '.recipes | map(.status) | join(" ")')" = 'built failed' ]
	[ "$(said '.recipes[1].step')" = state ]
	[[ $(said '.recipes[1].why') == *'answer larger than '* ]]
	[ ! -e "$dir/m.b/ledger" ]
}

@test "a bucket that cannot be reached, and one name of two recipes" {
	recipe n1 0
	recipe n2 0
	sed -i 's/name: n2/name: n1/' "$dir/recipes/n2.yaml"
	machines a b
	AWS_ENDPOINT_URL=http://127.0.0.1:9 worker a n1 x
	[ "$status" -eq 5 ]
	[ "$(said '.recipes[0].step')" = state ]
	worker a n1 x
	succeeded
	worker b n2 x
	[ "$status" -eq 3 ]
	[[ $(said '.recipes[0].why') == *'its name "n1" is that of '*n1.yaml* ]]
}

@test "a Slurm whose nodes have no file in common" {
	recipe n1 0
	recipe n2 0
	recipe n3 0
	machines here one two
	# start_slurm reads these
	export node_sees=$dir/m.here node_has=$dir/m.
	start_slurm "$dir/slurm"
	run --separate-stderr env -C "$dir/m.here" "$posmedia" nightly night.yaml --submit slurm \
		--ledger "$dir/m.here/ledger"
	succeeded
	id=$(grep -o '20[0-9]*T[0-9]*Z-[0-9a-f]*' <<<"$stderr")
	wait_for 60 all_done
	[ -e "$dir/m.one/store" ] && [ -e "$dir/m.two/store" ]
	[ ! -e "$dir/m.here/store" ] && [ ! -e "$dir/m.here/recipes/n1.lock" ]
	night here --collect --night "$id"
	succeeded
	[ "$(said '.recipes | map(.status) | join(" ")')" = 'built built built' ]
	[ -s "$dir/m.here/recipes/n1.lock" ]
	# the next night, on whichever node, has nothing to do
	run --separate-stderr env -C "$dir/m.here" "$posmedia" nightly night.yaml --submit slurm \
		--ledger "$dir/m.here/ledger"
	id=$(grep -o '20[0-9]*T[0-9]*Z-[0-9a-f]*' <<<"$stderr")
	wait_for 60 all_done
	night here --collect --night "$id"
	[ "$(said .unchanged)" = 3 ]
	[ "$(keys_in_bucket '^night/recipes/' | wc -l)" = 3 ]
	[ "$(keys_in_bucket '^night/locks/' | wc -l)" = 3 ]
}
