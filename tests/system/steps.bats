#!/usr/bin/env bats
# Steps with all that they can ask for, and steps that do what they should not: in an image of a few
# megabytes, so that each is a build of a second.
# shellcheck disable=SC2016 # what is in single quotes is for the shells of the steps

bats_require_minimum_version 1.5.0
load lib
load media

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/steps.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	tests/lib/apt-repo "$dir/repo" bookworm '' perl >"$dir/repo.log" 2>&1
	mkdir -p "$dir/recipes/base" "$dir/answers"
	tiny_base
	# the lock of one is the lock of all: their packages are the same
	recipe first <<<'tests: [{name: t, run: [tiny-app]}]'
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	name=t$BATS_TEST_NUMBER
	POSMEDIA_STORE=$dir/store
}

# A recipe $1 from standard input, over the tiny one, and its lock.
recipe() {
	{
		printf 'posmedia: 1\nname: %s\nextends: [base/tiny.yaml]\n' "$1"
		cat
	} >"$dir/recipes/$1.yaml"
	env -C "$dir" "$OUT/posmedia" lock -q "recipes/$1.yaml" >"$dir/lock.log" 2>&1 ||
		{ cat "$dir/lock.log" && false; }
}

# A recipe $1 with a step, at line 5, that is the shell text $2 and has more keys.
step() {
	local key
	{
		printf 'steps:\n  - name: work\n'
		printf '    run: [sh, -c, %s]\n' "$(jq -n --arg t "$2" '$t')"
		for key in "${@:3}"; do
			printf '    %s\n' "$key"
		done
	} | recipe "$1"
}

in_dir() {
	run --separate-stderr env -C "$dir" "$posmedia" "$@"
}

build() {
	in_dir build "recipes/$1.yaml" "${@:2}"
}

# No image, no scratch, no mount, no process.
nothing_left() {
	if grep -F "$dir" /proc/self/mounts || pgrep -f 'sleep 54321' || pgrep -x tilld; then
		return 1
	fi
	[ ! -e "$dir/out/$name" ] && [ -z "$(ls "$POSMEDIA_STORE/tmp")" ]
}

# ---------------------------------------------------------------- answers

installer='stty size; tty
printf "Licence text\nDo you accept? [y/n] "; read a
printf "\033[1mDirec"; sleep 0.3; printf "tory\033[0m for /etc files: "; read d
stty -echo; printf "Key: "; read k; stty echo; echo
stty -icanon; printf "Press any key"; head -c 1 >/dev/null; stty icanon; echo
[ "$a $k" = "y $(cat /run/secrets/key)" ] && mkdir -p "/opt/$d" && echo "for $d" >"/opt/$d/conf"'

answers() {
	printf 'posmedia-answers: 1\nquiet: 500ms\nanswers:\n'
	cat
}

@test "a dialogue: prompts in pieces, with escapes, passwords and single keys" {
	answers >"$dir/answers/$name.yaml" <<-'YAML'
		  - {prompt: "never asked", reply: no, optional: true}
		  - {prompt: "accept? [y/n]", reply: "y"}
		  - {pattern: "Directory for * files:", reply: till}
		  - {prompt: "Key:", secret: key}
		  - {prompt: "any key", reply: " ", enter: false}
	YAML
	echo super-secret-licence >"$dir/key"
	step "$name" "$installer" "answers: answers/$name.yaml" 'secrets: [key]' 'writes: [/opt]'
	build "$name" --secret "key=key"
	ok
	unpacked "$name"
	[ "$(cat "$dir/tree/opt/till/conf")" = 'for till' ]
	[[ $(log_of) == '24 80'$'\n''/dev/pts/0'* ]]
	[[ $(log_of) == *$'\nDirectory for /etc files: till\nKey: \n'* ]]
}

@test "the contents of an answers file count, not its name" {
	answers >"$dir/answers/$name.yaml" <<<'  - {prompt: "Name:", reply: one}'
	step "$name" 'printf "Name: "; read n; echo $n >/opt' "answers: answers/$name.yaml" \
		'writes: [/opt]'
	build "$name"
	ok
	answers >"$dir/answers/$name.yaml" <<<'  - {prompt: "Name:", reply: two}'
	in_dir plan "recipes/$name.yaml"
	[[ $output == *'step work'*'will run: answers changed'* ]]
	build "$name"
	ok
	unpacked "$name"
	[ "$(cat "$dir/tree/opt")" = two ]
}

@test "a prompt that no answer fits fails the step and is shown" {
	answers >"$dir/answers/$name.yaml" <<<'  - {prompt: "Name:", reply: one}'
	step "$name" 'echo hello; printf "Really? "; read n' "answers: answers/$name.yaml"
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: it asks \"Really?\"" \
		"\"Name:\", $dir/answers/$name.yaml:4:5" $'it said:\n  hello\n  Really?'
}

@test "a question after the last answer fails the step" {
	answers >"$dir/answers/$name.yaml" <<<'  - {prompt: "Name:", reply: one, times: 2}'
	step "$name" 'for i in 1 2 3; do printf "Name: "; read n; done' \
		"answers: answers/$name.yaml"
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: it asks \"Name:\", and all answers are used" \
		"$dir/answers/$name.yaml:4:5"
}

@test "an answer that was not needed fails the step, unless it is optional" {
	answers >"$dir/answers/$name.yaml" <<-'YAML'
		  - {prompt: "Name:", reply: one}
		  - {prompt: "Town:", reply: two, times: 2}
	YAML
	step "$name" 'printf "Name: "; read n; printf "Town: "; read t' \
		"answers: answers/$name.yaml"
	build "$name"
	refused 6 "$dir/answers/$name.yaml:5:5: it ended and did not ask \"Town:\" as often"
	sed -i 's/times: 2/times: 2, optional: true/' "$dir/answers/$name.yaml"
	build "$name"
	ok
}

@test "a program that works in silence is given its time" {
	answers >"$dir/answers/$name.yaml" <<<'  - {prompt: "Name:", reply: one}'
	step "$name" 'sleep 1.5; printf "Name: "; read n' "answers: answers/$name.yaml"
	build "$name"
	ok
}

@test "a fault in an answers file is one of the recipe" {
	answers >"$dir/answers/$name.yaml" <<<'  - {prompt: "Name:", replay: one}'
	cat >"$dir/recipes/$name.yaml" <<-YAML
		posmedia: 1
		name: x
		extends: [base/tiny.yaml]
		steps: [{name: a, run: [b], answers: answers/$name.yaml}]
	YAML
	in_dir lock "recipes/$name.yaml"
	[ "$status" -eq 3 ]
	[[ $stderr == *"answers/$name.yaml:4:23: unknown key \"replay\""*'Did you mean "reply"?'* ]]
}

@test "without answers a step that asks for a terminal gets none" {
	step "$name" 'echo "Name: " >/dev/tty; read n </dev/tty'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: exit status" '/dev/tty'
	step "$name" 'while ! read n; do sleep 0.1; done' 'timeout: 1s'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: took too long"
}

# ---------------------------------------------------------------- secrets

@test "a secret is read, and is in no log, key, layer or environment" {
	echo "tulip-0123456789" >"$dir/secret"
	step "$name" 'cat /run/secrets/key; cat /run/secrets/key >&2; env; exit $1' \
		'secrets: [key]' 'writes: [/opt]'
	build "$name" --secret key=secret -v
	ok
	[[ $stderr == *'***'* ]]
	[[ $(log_of) == $'***\n***\n'* ]]
	[[ $stderr != *tulip-0123* ]]
	run ! grep -rqF tulip-0123 "$dir/out/$name" "$dir/out/$name.logs" "$POSMEDIA_STORE"
	# another value is no other key: it would have to be in there
	echo "other-0123456789" >"$dir/secret"
	in_dir plan "recipes/$name.yaml"
	[[ $output == *'step work'*cached* ]]
}

@test "a secret in an error's last lines is hidden" {
	echo "tulip-0123456789" >"$dir/secret"
	step "$name" 'cat /run/secrets/key; printf tulip-; sleep 0.2; echo 0123456789; exit 3' \
		'secrets: [key]'
	build "$name" --secret key=secret
	refused 6 $'exit status 3; it said:\n  ***\n  ***'
	[[ $(log_of) == $'***\n***' ]]
}

@test "a secret that is left in the tree is refused" {
	echo "tulip-0123456789" >"$dir/secret"
	step "$name" 'mkdir -p /opt/a
		{ head -c 300000 /dev/zero; cat /run/secrets/key; } >/opt/a/f' \
		'secrets: [key]' 'writes: [/opt]'
	build "$name" --secret key=secret
	refused 4 "recipes/$name.yaml:5:5: step work: the secret key is in /opt/a/f"
	step "$name" 'ln -s "$(cat /run/secrets/key)" /opt' 'secrets: [key]' 'writes: [/opt]'
	build "$name" --secret key=secret
	refused 4 'the secret key is in /opt'
	step "$name" 'mkdir -p "/opt/$(cat /run/secrets/key)"' 'secrets: [key]' 'writes: [/opt]'
	build "$name" --secret key=secret
	refused 4 'the secret key is in the name of /***'
	[[ $stderr != *tulip-0123* ]]
}

@test "a secret that is missing, not wanted or no file is a fault of the command line" {
	step "$name" 'cat /run/secrets/key' 'secrets: [key]'
	build "$name"
	refused 2 "recipes/$name.yaml:5:5: step work wants the secret \"key\"" \
		'hint: give --secret key=FILE'
	[[ $stderr != *'nothing like it'* ]] # not after hours of work
	build "$name" --secret kye=secret
	refused 2 '--secret kye: no step of'
	build "$name" --secret key=nowhere
	refused 2 '--secret key: nowhere: No such file'
	build "$name" --secret key
	refused 2 '--secret: wants NAME=FILE'
	: >"$dir/empty"
	build "$name" --secret key=empty
	refused 2 '--secret key: empty: is empty'
}

# ---------------------------------------------------------------- capture

@test "captured output is reused: without cache, after a reboot, and with what it removed" {
	step "$name" 'rm /etc/tiny.conf; rm -r /usr/lib/tiny; mkdir -p /usr/lib/tiny /opt
		echo new >/usr/lib/tiny/new; cat /proc/sys/kernel/random/uuid >/opt/id
		ln /opt/id /opt/other; ln -s id /opt/link; chmod 4711 /opt/id' \
		'writes: [/etc, /usr/lib, /opt]' 'capture: true'
	build "$name"
	ok
	[[ $stderr == *'output captured'* ]]
	first=$output
	in_dir plan "recipes/$name.yaml"
	[[ $output == *'step work'*cached* ]]
	build "$name" --no-cache
	ok
	[[ $stderr == *'step work: captured output reused'* ]]
	[ "$output" = "$first" ]
	for stage in "$dir"/store/cache/stages/*; do
		echo another boot >"$stage/boot"
	done
	rm "$dir"/store/cache/images/*
	in_dir plan "recipes/$name.yaml"
	[[ $output == *'step work'*'will unpack its captured output'* ]]
	build "$name"
	ok
	[[ $stderr == *'step work: captured output reused'* ]]
	[ "$output" = "$first" ]
	unpacked "$name"
	[ ! -e "$dir/tree/etc/tiny.conf" ] && [ ! -e "$dir/tree/usr/lib/tiny/lib" ]
	[ "$(cat "$dir/tree/usr/lib/tiny/new")" = new ]
	[ "$(stat -c '%a %h' "$dir/tree/opt/id")" = '4711 2' ]
}

@test "a capture is made anew when asked, and then all above it is" {
	cat >"$dir/two" <<-'YAML'
		steps:
		  - name: work
		    run: [sh, -c, "cat /proc/sys/kernel/random/uuid >/opt"]
		    writes: [/opt]
		    capture: true
		  - {name: copy, run: [sh, -c, "cat /opt >/srv"], writes: [/srv]}
	YAML
	recipe "$name" <"$dir/two"
	build "$name"
	ok
	first=$output
	unpacked "$name"
	id=$(cat "$dir/tree/opt")
	build "$name" --recapture work
	ok
	[ "$output" != "$first" ]
	[[ $stderr != *warning* ]]
	unpacked "$name"
	[ "$(cat "$dir/tree/opt")" != "$id" ]
	cmp "$dir/tree/opt" "$dir/tree/srv"
	second=$output
	build "$name"
	ok
	[ "$output" = "$second" ]
	build "$name" --no-cache
	[ "$output" = "$second" ]
	build "$name" --recapture copy
	[ "$status" -eq 2 ]
	[[ $stderr == *'--recapture copy'*'no such step with capture: true'* ]]
}

@test "gc keeps captures that kept images need, and damage is found" {
	step "$name" 'cat /proc/sys/kernel/random/uuid >/opt' 'writes: [/opt]' 'capture: true'
	POSMEDIA_STORE=$dir/gc-store
	build "$name"
	ok
	first=$output
	in_dir store gc --keep 1 --lock "recipes/$name.lock"
	ok
	blob=$(jq -r '.blob | sub("sha256:"; "")' "$dir"/gc-store/cache/captures/*.json)
	[ -e "$dir/gc-store/blobs/sha256/$blob" ]
	build "$name" --no-cache
	[ "$output" = "$first" ]
	flip "$dir/gc-store/blobs/sha256/$blob"
	build "$name" --no-cache
	ok
	[[ $stderr == *'captured output was damaged; it runs again'* ]]
	[ "$output" != "$first" ]
	in_dir store gc --keep 0 --lock "recipes/$name.lock"
	ok
	touch -d 2001-01-01 "$dir"/gc-store/cache/captures/*.json
	in_dir store list --keep 1 --lock "recipes/$name.lock"
	[[ $output == *captures* ]]
}

# ---------------------------------------------------------------- logs

@test "a log is beside the image, also of a cached stage, and its middle gives way" {
	step "$name" 'echo begin; perl -e "print q(x) x 1000000, qq(\n) for 1..20"; echo end'
	build "$name"
	ok
	log=$dir/out/$name.logs/1/step-work.log
	[ "$(head -n 1 "$log")" = begin ] && [ "$(tail -n 1 "$log")" = end ]
	[ "$(stat -c %s "$log")" -lt 16778000 ]
	[ "$(grep -c 'bytes are left out here' "$log")" = 1 ]
	[ -s "$dir/out/$name.logs/1/base.log" ]
	build "$name" -o "oci:out/$name-b:2"
	ok
	cmp "$log" "$dir/out/$name-b.logs/2/step-work.log"
	cp "$dir/recipes/$name.yaml" "$dir/recipes/$name-other.yaml"
	echo 'run: {workdir: /tmp}' >>"$dir/recipes/$name-other.yaml"
	in_dir lock -q "recipes/$name-other.yaml"
	in_dir build "recipes/$name-other.yaml" -o "oci:out/$name-d:4"
	ok
	[[ $stderr != *'step work:'* ]]
	cmp "$log" "$dir/out/$name-d.logs/4/step-work.log"
	in_dir build "recipes/$name.yaml" -o "oci:out/$name-c/:3" --no-cache
	ok
	cmp "$log" "$dir/out/$name-c.logs/3/step-work.log"
	[ ! -e "$dir/out/$name/logs" ]
}

@test "a failure shows the last lines, each on its own, and where the rest is" {
	step "$name" 'i=0; while [ $i -lt 40 ]; do echo "line $i"; i=$((i+1)); done; exit 5'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: exit status 5; it said:" \
		$'said:\n  line 28\n  line 29\n' $'\n  line 39\n' \
		"hint: all that it said is in out/$name.logs/1/step-work.log"
	[ "$(wc -l <"$dir/out/$name.logs/1/step-work.log")" = 40 ]
}

@test "tests are logged too" {
	recipe "$name" <<<'tests: [{name: says, run: [sh, -c, "echo tested; exit 1"]}]'
	build "$name"
	refused 6 "recipes/$name.yaml:4:9: test says: exit status 1; it said:"$'\n  tested'
	[ "$(cat "$dir/out/$name.logs/1/test-says.log")" = tested ]
}

@test "tests run side by side, and the first that fails is told of" {
	recipe "$name" <<'YAML'
tests:
  - {name: good, run: [sh, -c, "echo good"]}
  - {name: slow, run: [sh, -c, "sleep 1; echo slow; exit 1"]}
  - {name: quick, run: [sh, -c, "echo quick; exit 1"]}
  - {name: late, run: [sh, -c, "echo late"]}
YAML
	build "$name"
	refused 6 "recipes/$name.yaml:6:5: test slow: exit status 1; it said:"$'\n  slow'
	[[ $stderr != *quick:* ]]
	[ "$(cat "$dir/out/$name.logs/1/test-good.log")" = good ]
	[ "$(cat "$dir/out/$name.logs/1/test-slow.log")" = slow ]
	[ ! -e "$dir/out/$name.logs/1/test-late.log" ]
}

# ---------------------------------------------------------------- what should not be done

@test "a step that forks forever" {
	step "$name" 'f() { f & f & wait; }; f; sleep 54321' 'timeout: 20s' \
		'limits: {processes: 200}'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: "
	[[ $stderr == *'more than 200 processes at once'* || $stderr == *[Cc]'annot fork'* ]]
	step "$name" 'i=0; while [ $i -lt 300 ]; do sleep 54321 & i=$((i+1)); done' \
		'limits: {processes: 200}'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: "
	[[ $stderr == *'more than 200 processes at once'* || $stderr == *[Cc]'annot fork'* ]]
}

@test "a step that fills the disk" {
	step "$name" 'i=0; while :; do head -c 8M /dev/zero >/opt/$i; i=$((i+1)); done' \
		'writes: [/opt]' 'limits: {disk: 64M}'
	sed -i 's|run: \[sh, -c, "|&mkdir -p /opt; |' "$dir/recipes/$name.yaml"
	in_dir lock -q "recipes/$name.yaml"
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: wrote more than 67.1 MB" 'limits: disk:'
	step "$name" 'head -c 8M /dev/zero >/opt' 'writes: [/opt]' 'limits: {file: 1M}'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: a file grew beyond 1048576 bytes"
	step "$name" 'head -c 80M /dev/zero >/tmp/x' 'limits: {disk: 64M, file: 1G}'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: exit status" 'No space left on device'
}

@test "a step that fills a small disk whose size nobody said" {
	POSMEDIA_STORE=$dir/small
	mkdir "$dir/small"
	mount -t tmpfs -o size=100m tmpfs "$dir/small"
	step "$name" 'head -c 1G /dev/zero >/opt' 'writes: [/opt]'
	build "$name"
	umount "$dir/small"
	rmdir "$dir/small"
	echo "$status: $stderr"
	[ "$status" -eq 6 ]
	[[ $stderr == *"step work: "* ]]
	[[ $stderr == *'nearly full'* || $stderr == *'No space left'* ]]
}

@test "a step that eats memory" {
	step "$name" 'for i in 1 2 3 4; do
		perl -e "\$x = q(a) x 20000000; sleep 54321" & done; wait' \
		'limits: {memory: 100M}' 'timeout: 20s'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: sandbox: more than 104857600 bytes of memory"
	step "$name" 'perl -e "\$x = q(a) x 200000000"' 'limits: {memory: 100M}'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: exit status" 'Out of memory'
}

@test "a step that never stops talking" {
	step "$name" 'while :; do echo blah blah blah blah blah; done' 'limits: {output: 2M}'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: said more than 2.1 MB" 'blah blah' \
		'limits: output:'
}

@test "a step that leaves daemons" {
	step "$name" 'touch "/tmp/x"; sleep 54321 & exit 0'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: left 1 processes running: sleep"
	step "$name" 'perl -e "exit if fork; setpgrp; exit if fork; \$0 = q(tilld); sleep 54321"'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work: left 1 processes running: tilld"
	step "$name" 'sleep 0.5 & exit 0'
	build "$name"
	ok
}

@test "a step that writes outside of what it declared, with a terminal or without" {
	step "$name" 'echo x >/opt; echo y >/srv' 'writes: [/opt]'
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work changed what it did not declare: /srv"
	answers >"$dir/answers/$name.yaml" <<<'  - {prompt: "?", reply: x, optional: true}'
	step "$name" 'echo x >/opt; echo y >/srv' 'writes: [/opt]' "answers: answers/$name.yaml"
	build "$name"
	refused 6 "recipes/$name.yaml:5:5: step work changed what it did not declare: /srv"
}

@test "an ordinary user's steps have the same, and give the same image" {
	answers >"$dir/answers/$name.yaml" <<-'YAML'
		  - {prompt: "Name:", reply: till}
		  - {prompt: "Key:", secret: key}
	YAML
	echo super-secret-licence >"$dir/key"
	step "$name" 'rm -r /usr/lib/tiny; mkdir /usr/lib/tiny; rm /etc/tiny.conf
		printf "Name: "; read n; printf "Key: "; read k
		[ "$k" = "$(cat /run/secrets/key)" ] && echo $n >/opt' \
		"answers: answers/$name.yaml" 'secrets: [key]' 'writes: [/opt, /usr, /etc]' \
		'capture: true'
	build "$name" --secret key=key
	ok
	first=${output##*@}
	user=$dir/user
	mkdir "$user"
	cp -r "$dir/recipes" "$dir/answers" "$dir/repo" "$dir/key" "$posmedia" "$user"
	rm -rf "$user/repo/gpg"
	chmod 755 "$dir"
	chmod -R a+rX "$user"
	chown -R nobody "$user"
	for again in '' --no-cache; do
		run --separate-stderr unshare -m tests/system/as-nobody "$dir/subid" \
			env -C "$user" POSMEDIA_STORE="$user/store" \
			./posmedia build "recipes/$name.yaml" --secret key=key $again
		ok
		[ "${output##*@}" = "$first" ]
	done
	[[ $stderr == *'captured output reused'* ]]
}
