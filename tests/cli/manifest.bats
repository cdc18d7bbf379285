#!/usr/bin/env bats
# manifest: what it writes, what it refuses, and how it tells a difference.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d)
	export POSMEDIA_STORE=$dir/store
	mkdir -p "$dir/tree/sub"
	echo hello >"$dir/tree/sub/a b"
	ln -s sub "$dir/tree/link"
	touch -d @1000.5 "$dir/tree/sub/a b"
}

teardown() {
	rm -rf "$dir"
}

@test "the text goes to standard output, its SHA-256 is the root hash" {
	in_project manifest dir:tree
	[ "$status" -eq 0 ]
	[ -z "$stderr" ]
	[[ $output == '#mtree posmedia 1'$'\n. type=dir '* ]]
	[[ $output == *$'\n./sub/a\\040b type=file '*' time=1000.500000000 sha256digest='* ]]
	sum=$(sha256sum <<<"$output" | cut -c1-64)
	in_project manifest --root dir:tree
	[ "$output" = "$sum" ]
	in_project manifest -o m dir:tree
	[ "$status" -eq 0 ]
	[[ $output == "manifest sha256:$sum m: 4 entries, 1 files, "* ]]
	[ "$(sha256sum <"$dir/m" | cut -c1-64)" = "$sum" ]
	in_project manifest --root m
	[ "$output" = "$sum" ]
	in_project manifest --json dir:tree
	[ "$(jq -r '.root, .entries, .files, .bytes' <<<"$output" | xargs)" = "sha256:$sum 4 1 6" ]
}

@test "a device or a pipe is written to and stays what it is" {
	in_project manifest dir:tree
	local text=$output
	mkfifo "$dir/pipe"
	timeout 20 cat "$dir/pipe" >"$dir/read" &
	in_project manifest -o pipe dir:tree
	[ "$status" -eq 0 ]
	wait
	[ -p "$dir/pipe" ]
	[ "$(cat "$dir/read")" = "$text" ]
	if [ "$(id -u)" -eq 0 ] && mknod "$dir/null" c 1 3; then
		in_project manifest -o null dir:tree
		[ "$status" -eq 0 ]
		[ -c "$dir/null" ]
	fi
	if [ "$(id -u)" -eq 0 ]; then
		mkdir "$dir/dev"
		ln -s /proc/self/fd/1 "$dir/dev/stdout"
		# shellcheck disable=SC2016 # the inner shell's
		run --separate-stderr unshare --mount sh -c 'mount --bind "$1/dev" /dev &&
			exec "$2" manifest -o /dev/stdout "dir:$1/tree"' sh "$dir" "$posmedia"
		[ "$status" -eq 0 ]
		[ "$output" = "$text" ]
		[ -L "$dir/dev/stdout" ]
	fi
	in_project manifest -o pipe --key k dir:tree
	[ "$status" -eq 2 ]
	[[ $stderr == *'--key wants --output FILE'* ]]
	in_project manifest -o tree dir:tree
	[ "$status" -eq 2 ]
	[[ $stderr == *'tree is no file that can be replaced'* ]]
}

@test "no difference is 0, a difference is a line and 4" {
	in_project manifest -o m dir:tree
	in_project manifest --compare m dir:tree
	[ "$status" -eq 0 ]
	[ "$output" = 'the same: 4 entries' ]
	chmod 4711 "$dir/tree/sub/a b"
	ln -sfn elsewhere "$dir/tree/link"
	touch -hd @5 "$dir/tree/link"
	touch -d @6 "$dir/tree"
	in_project manifest --compare m dir:tree
	refused 4 '4 differences'
	grep -qx 'mode    ./sub/a\\040b 0644 -> 4711' <<<"$output"
	grep -qx 'target  ./link sub -> elsewhere' <<<"$output"
	grep -q '^mtime   . .* -> 6.000000000$' <<<"$output"
	in_project manifest --compare --json m dir:tree
	[ "$status" -eq 4 ]
	[ "$(jq -r '.count, (.differences[] | select(.field == "mode") | .path, .a, .b)' \
		<<<"$output" | xargs -d '\n')" = '4 ./sub/a\040b 0644 4711' ]
}

@test "compared without reading again what is as it was" {
	sleep 2.1 # else it was changed just now, and is not remembered
	in_project manifest -o m --seen seen dir:tree
	[ "$status" -eq 0 ]
	in_project manifest --compare --seen seen m dir:tree
	[ "$status" -eq 0 ]
	[ -z "$(find "$dir/tree" -type f -newer "$dir/m")" ]
	echo more >>"$(find "$dir/tree" -type f | head -n 1)"
	in_project manifest --compare --seen seen m dir:tree
	[ "$status" -eq 4 ]
}

@test "what is no manifest is named with its line" {
	in_project manifest -o m dir:tree
	sed 's/mode=0644/mode=644/' "$dir/m" >"$dir/other"
	in_project manifest --root other
	refused 3 'other:5: not as a manifest is written'
	head -c 100 "$dir/m" >"$dir/other"
	in_project manifest --root other
	refused 3 'other:3: the last line has no end'
	in_project manifest --root nowhere
	refused 1 'open nowhere'
	[[ $stderr == *'hint: a directory is named dir:PATH'* ]]
}

@test "a signed manifest is verified, and a changed one is not" {
	in_project key new k
	in_project manifest dir:tree --key k
	refused 2 '--key wants --output'
	in_project manifest -o m --key k dir:tree
	[ "$status" -eq 0 ]
	in_project verify m --key k.pub
	[ "$status" -eq 0 ]
	sed -i 's/mode=0644/mode=0600/' "$dir/m"
	in_project verify m --key k.pub
	[ "$status" -eq 4 ]
}

@test "compared with a manifest that must be signed, by either verb" {
	local verb
	in_project key new k
	in_project key new other
	in_project manifest -o plain dir:tree
	in_project manifest -o m --key k dir:tree
	in_project manifest dir:tree --pub k.pub
	refused 2 '--pub goes with --compare'
	for verb in 'manifest --compare' 'restore --verify'; do
		# shellcheck disable=SC2086 # two words
		in_project $verb --pub other.pub --pub k.pub m dir:tree
		[ "$status" -eq 0 ] || { echo "$verb: $stderr"; false; }
		# shellcheck disable=SC2086
		in_project $verb --pub other.pub m dir:tree
		refused 4 m
		# shellcheck disable=SC2086
		in_project $verb --pub k.pub dir:tree plain
		refused 4 plain
		# shellcheck disable=SC2086
		in_project $verb --pub k.pub dir:tree dir:tree
		refused 2 "--pub wants a manifest's file"
	done
	# one that was made to fit a tree that was changed
	echo more >"$dir/tree/added"
	in_project manifest -o fits dir:tree
	cp "$dir/fits" "$dir/m"
	for verb in 'manifest --compare' 'restore --verify'; do
		# shellcheck disable=SC2086
		in_project $verb m dir:tree
		[ "$status" -eq 0 ]
		# shellcheck disable=SC2086
		in_project $verb --pub k.pub m dir:tree
		refused 4 m
	done
}

@test "names of owners are those of the files that are given" {
	printf 'till:x:%s:0::/:\n' "$(id -u)" >"$dir/passwd"
	printf 'tills:x:%s:\n' "$(id -g)" >"$dir/group"
	in_project manifest --passwd passwd --group group dir:tree
	[ "$status" -eq 0 ]
	grep -q '^./link type=link uname=till gname=tills ' <<<"$output"
	in_project manifest --passwd passwd dir:tree
	refused 2 'go together'
}

@test "an archive is what is in it, with its own names" {
	mkdir "$dir/tree/etc"
	printf 'odd:x:4711:4712::/:\n' >"$dir/tree/etc/passwd"
	printf 'odds:x:4712:\n' >"$dir/tree/etc/group"
	tar -C "$dir/tree" --numeric-owner --owner=4711 --group=4712 -czf "$dir/t.tar.gz" .
	in_project manifest -o m tar:t.tar.gz
	[ "$status" -eq 0 ]
	grep -q '^./link type=link uname=odd gname=odds ' "$dir/m"
	in_project manifest --compare m tar:t.tar.gz
	[ "$status" -eq 0 ]
	mkfifo "$dir/fifo"
	tar -C "$dir" -cf "$dir/fifo.tar" fifo
	in_project manifest tar:fifo.tar
	refused 3 fifo
	head -c 150 "$dir/t.tar.gz" >"$dir/half.tar.gz"
	in_project manifest tar:half.tar.gz
	[ "$status" -eq 3 ]
	[ -z "$output" ]
	[ -z "$(ls "$dir/store/tmp")" ]
}

@test "of a site its data directories and nothing else" {
	local data=$dir/state/87654300/dev
	mkdir -p "$data/d/x" "$data/home" "$data/.posmedia" "$data/dd"
	run --separate-stderr "$posmedia" manifest --state "$dir/state" \
		site:recipes/sites/daisy-87654300-dev.yaml
	[ "$status" -eq 0 ]
	[ "$(grep -o '^[.][^ ]*' <<<"$output" | xargs)" = '. ./d ./d/x ./home' ]
}

@test "options that do not go together" {
	in_project manifest dir:tree dir:tree
	refused 2 'with --compare two'
	in_project manifest --compare dir:tree
	refused 2 'with --compare two'
	in_project manifest --compare --root dir:tree dir:tree
	refused 2 '--compare writes no manifest'
	in_project manifest --seen s tar:t.tar
	refused 2 '--seen is for a directory or a site'
	in_project manifest --threads 65 dir:tree
	refused 2 threads
	in_project manifest dir:nowhere
	refused 1 nowhere
	in_project manifest -o nowhere/m dir:tree
	refused 1 nowhere
}

@test "a full disk leaves no part of a manifest" {
	run bash -c 'exec "$1" manifest "dir:$2/tree" >/dev/full' - "$posmedia" "$dir"
	[ "$status" -eq 1 ]
	mkdir "$dir/out"
	run bash -c 'ulimit -f 0; exec "$1" manifest -o "$2/out/m" "dir:$2/tree"' - \
		"$posmedia" "$dir"
	[ "$status" -eq 1 ]
	[ -z "$(ls -A "$dir/out")" ]
}
