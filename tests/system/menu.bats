#!/usr/bin/env bats
# posmedia menu at a terminal, as a person sees it: a pseudo-terminal whose screen is what an
# emulator makes of the output. What it begins runs on a real engine.

bats_require_minimum_version 1.5.0
load lib
load tiny
load engines
load stage

setup_file() {
	load lib
	load tiny
	load engines
	load stage
	dir=$(mktemp -d)
	export made=$dir
	make_image
	cp -r recipes/profiles "$dir/recipes/"
	posmedia sign oci:out/till:1 --key k
	succeeded
	start_service "$dir/engine" podman
	export engine_socket engine_pid
}

teardown_file() {
	load engines
	stop_service "$made/engine" || true
	rm -rf "$made"
}

# an engine that a test has stopped would keep it from ending
teardown() {
	kill -CONT "$engine_pid" 2>/dev/null || true
}

setup() {
	dir=$made
	export POSMEDIA_STORE=$dir/store
	cd "$dir" || return
	[ -e token ] || install -m 600 /dev/stdin token <<<'the token of shop 123'
	site dev
	there="$posmedia menu --engine $engine_socket --state $dir/srv --runtime $dir/run"
}

# Runs the menu with arguments at a terminal and does what standard input says.
menu() {
	# shellcheck disable=SC2086 # words
	"$BATS_TEST_DIRNAME/../lib/terminal" $terminal $there "$@"
}

sites_of_all() {
	site qa
	site prod
	cp recipes/sites/dev.yaml recipes/sites/wrong.yaml
	echo 'colour: red' >>recipes/sites/wrong.yaml
}

@test "what there is and what can be done fits 80 columns and 24 rows" {
	sites_of_all
	terminal=80x24
	menu --sites recipes/sites >screen <<-'END' || { cat screen; false; }
		wait wrong file
		column 2 SHOP      ENV  NAME             STATE      UP       VPN   FREE     IMAGE
		column 0 > 123       dev  shop123-dev
		column 2 123       qa   shop123-qa
		wait s status: how it is
		wait x destroy: archive and remove it *
		wait q quit
		key down
		column 0 > 123       prod shop123-prod
		wait g stage: bring its image to run *
		key up
		key up
		wait g stage: bring its image to run
		gone g stage: bring its image to run *
		key end
		type v
		wait wrong.yaml:12:1: unknown key "colour"
		screen
		type q
		end 0
	END
	[ "$(wc -l <screen)" -eq 24 ]
	[ "$(wc -L <screen)" -le 80 ]
}

@test "other terminals, and none" {
	site dev
	for t in xterm vt100 linux screen tmux-256color; do
		infocmp "$t" >/dev/null 2>&1 || continue
		terminal="80x24 $t" menu recipes/sites/dev.yaml <<-'END'
			column 0 > 123       dev  shop123-dev
			size 60 16
			wait x destroy
			size 132 50
			wait letter act (* asks for the shop's code)
			size 20 5
			size 80 24
			column 0 > 123       dev  shop123-dev
			key ctrl-c
			end 0
		END
	done
	for t in dumb unknown-thing; do
		terminal="80x24 $t" menu recipes/sites/dev.yaml <<-END
			wait the terminal "$t" cannot show a menu
			end 2
		END
	done
	# shellcheck disable=SC2086 # words
	run --separate-stderr $there recipes/sites/dev.yaml
	refused 2 'the menu wants a terminal'
	[ -z "$output" ]
}

@test "an image is staged, and its output can be scrolled through" {
	terminal=80x24
	menu recipes/sites/dev.yaml <<-'END'
		column 0 > 123       dev
		size 80 6
		gone x destroy
		column 0 > 123       dev
		type g
		wait stage 123 dev: done
		wait runs sha256:
		key home
		wait loaded sha256:
		key pagedown
		wait runs sha256:
		key up
		key end
		wait q back
		type q
		wait stage 123 dev: done
		type q
		end 0
	END
	[[ $(running) == pos-123-dev-* ]]
}

@test "what an instance has said is shown by its engine" {
	[ -n "$(running)" ] || { stage recipes/sites/dev.yaml; succeeded; }
	inside 'printf "sold \033[31mroses\033[0m\n" >/proc/1/fd/1; echo trouble >/proc/1/fd/2'
	posmedia logs --engine "$engine_socket" --state "$dir/srv" -n 1 recipes/sites/dev.yaml
	succeeded
	[[ $output == [0-9]*' trouble' ]]
	posmedia logs --engine "$engine_socket" --state "$dir/srv" --json recipes/sites/dev.yaml
	jq -re .logs <<<"$output" | grep -q 'sold .*roses'
	terminal=80x24 menu recipes/sites/dev.yaml <<-'END'
		column 0 > 123       dev
		type l
		wait logs 123 dev: done
		wait sold ?[31mroses?[0m
		wait trouble
		type q
		type q
		end 0
	END
	# lines are not forged, and the direction of writing stays
	inside 'printf "a\rposmedia: \2331mb\342\200\256c\n" >/proc/1/fd/1'
	posmedia logs --engine "$engine_socket" --state "$dir/srv" -n 1 recipes/sites/dev.yaml
	succeeded
	[[ $output == [0-9]*' a?posmedia: ?1mb?c' ]]
	# more than an answer may have
	inside "yes $(printf %01200d 7) | head -n 10000 >/proc/1/fd/1; echo last >/proc/1/fd/1"
	posmedia logs --engine "$engine_socket" --state "$dir/srv" -n 10000 recipes/sites/dev.yaml
	succeeded
	# the engine breaks long ones where it likes
	[ "$(wc -l <<<"$output")" -eq 5000 ]
	[[ $output == *last && $stderr == *'only the last 5000 lines are shown'* ]]
	site qa
	posmedia logs --engine "$engine_socket" --state "$dir/srv" recipes/sites/qa.yaml
	refused 7 'nothing was staged'
	posmedia logs --engine "$engine_socket" -n many recipes/sites/qa.yaml
	refused 2 lines
}

@test "a dangerous action wants the code of the shop" {
	[ -n "$(running)" ] || { stage recipes/sites/dev.yaml; succeeded; }
	local before
	before=$(running)
	site dev 'limits: {processes: 100}'
	stage recipes/sites/dev.yaml
	succeeded
	[ "$(running)" != "$before" ]
	containers >before
	terminal=80x24
	menu recipes/sites/dev.yaml <<-'END'
		column 0 > 123       dev
		type b
		wait rollback 123 dev: type the code of the shop:
		type 124
		key enter
		wait that is not the code of the shop: nothing was done
		type b
		wait type the code of the shop:
		key enter
		wait that is not the code of the shop: nothing was done
		type b
		wait type the code of the shop:
		type 123
		key escape
		wait nothing was done
		type q
		end 0
	END
	containers | diff before -
	[ "$(running)" != "$before" ]
	menu recipes/sites/dev.yaml <<-'END'
		column 0 > 123       dev
		type b
		wait type the code of the shop:
		type 124
		key backspace
		type 3
		key enter
		wait rollback 123 dev: done
		type q
		wait rollback 123 dev: done
		type q
		end 0
	END
	[ "$(running)" = "$before" ]
}

@test "what a file became while its question was asked is not acted on" {
	stage recipes/sites/dev.yaml
	succeeded
	local before
	before=$(running)
	site dev 'limits: {processes: 101}'
	stage recipes/sites/dev.yaml
	succeeded
	containers >before
	terminal=80x24 menu recipes/sites/dev.yaml <<-'END'
		column 0 > 123       dev  shop123-dev      runs
		type b
		wait rollback 123 dev: type the code of the shop:
		run sed -i 's/^environment: .*/environment: qa/' recipes/sites/dev.yaml
		type 123
		key enter
		wait recipes/sites/dev.yaml is of shop 123 in qa now: nothing was done
		column 0 > 123       qa   shop123-dev      none
		run sed -i 's/^environment: .*/environment: prod/' recipes/sites/dev.yaml
		type g
		wait recipes/sites/dev.yaml is of shop 123 in prod now: nothing was done
		type q
		end 0
	END
	containers | diff before -
	[ "$(running)" != "$before" ]
}

@test "what was typed before a question was seen does not answer it" {
	[ "$(containers | grep -c pos-123-dev)" -eq 2 ] || {
		stage recipes/sites/dev.yaml
		site dev 'limits: {processes: 102}'
		stage recipes/sites/dev.yaml
		succeeded
	}
	running >before
	terminal=80x24 menu recipes/sites/dev.yaml <<-'END'
		column 0 > 123       dev
		paste b123
		wait rollback 123 dev: type the code of the shop:
		type 123
		wait type the code of the shop: 123
		key escape
		wait nothing was done
		type q
		end 0
	END
	running | diff before -
}

@test "an engine that hangs holds up its action, and not the menu" {
	[ -n "$(running)" ] || { stage recipes/sites/dev.yaml; succeeded; }
	terminal=80x24 menu recipes/sites/dev.yaml <<-END
		column 0 > 123       dev  shop123-dev      runs
		run kill -STOP $engine_pid
		type u
		wait audit 123 dev: at work
		type q
		wait still at work: wait for its end
		run kill -CONT $engine_pid
		wait audit 123 dev: failed, status 4
		type q
		type q
		end 0
	END
}

@test "an action that was killed is not taken for one that goes on" {
	site dev "health: [{name: slow, run: [/bin/busybox, sleep, '2'], within: 20s}]"
	terminal=80x24 menu recipes/sites/dev.yaml <<-END
		column 0 > 123       dev
		type g
		wait stage 123 dev: at work
		run pkill -KILL -f '^/proc/self/exe stage .*$dir'
		wait stage 123 dev: ended by signal 9
		type q
		gone q back
		wait stage 123 dev: ended by signal 9
		type q
		end 0
	END
	site dev
	stage recipes/sites/dev.yaml
	succeeded
}

@test "the state of instances is on top; one is stopped by its code, and started" {
	stage recipes/sites/dev.yaml
	succeeded
	terminal=80x24 menu recipes/sites/dev.yaml <<-'END'
		column 0 > 123       dev  shop123-dev      runs
		wait till:1@
		type s
		wait not all is well
		wait its tunnels are not known
		wait status 123 dev: failed, status 1
		type q
		wait > 123
		type p
		wait stop 123 dev: type the code of the shop:
		type 321
		key enter
		wait that is not the code of the shop: nothing was done
		type q
		end 0
	END
	[ -n "$(running)" ]
	terminal=80x24 menu recipes/sites/dev.yaml <<-'END'
		column 0 > 123       dev  shop123-dev      runs
		type p
		wait type the code of the shop:
		type 123
		key enter
		wait stop 123 dev: done
		type q
		column 0 > 123       dev  shop123-dev      stopped
		type u
		wait does not run
		wait audit 123 dev: failed, status 7
		type q
		type t
		wait start 123 dev: done
		type q
		column 0 > 123       dev  shop123-dev      runs
		type u
		wait controls of severity high or above failed
		wait audit 123 dev: failed, status 4
		key home
		wait object   instance:
		type q
		type q
		end 0
	END
	[ -n "$(running)" ]
}

@test "what is destroyed wants the code, and in production a word more" {
	stage recipes/sites/dev.yaml
	succeeded
	site prod
	terminal=80x24 menu recipes/sites/prod.yaml recipes/sites/dev.yaml <<-'END'
		column 0 > 123       prod shop123-prod     none
		type x
		wait destroy 123 prod: type the code of the shop:
		type 123
		key enter
		wait This is production. Type "really":
		type yes
		key enter
		wait nothing was done
		key down
		column 0 > 123       dev  shop123-dev      runs
		type x
		wait destroy 123 dev: type the code of the shop:
		type 12
		key enter
		wait that is not the code of the shop: nothing was done
		type x
		wait destroy 123 dev: type the code of the shop:
		type 123
		key enter
		wait destroy 123 dev: done
		type q
		column 0 > 123       dev  shop123-dev      none
		type q
		end 0
	END
	[ -z "$(containers)" ]
	[ ! -e "$dir/srv/123/dev" ]
	find "$dir/srv/.destroyed" -name '123-dev-*.tar.zst' | grep -q .
}

nobody_stages() {
	! pgrep -f "^/proc/self/exe stage .*$dir"
}

@test "what was begun ends well, whatever becomes of the terminal" {
	site qa
	local end
	# a program of the site's check takes its time, and the user goes
	for end in hangup 'signal TERM' 'signal HUP'; do
		site dev "health: [{name: slow, run: [/bin/busybox, sleep, '0.5'], within: 20s}]
limits: {files: $((1000 + ${#end}))}"
		terminal=80x24 menu recipes/sites/dev.yaml <<-END
			column 0 > 123       dev
			type g
			wait stage 123 dev: at work
			key ctrl-c
			wait still at work: wait for its end
			type q
			$end
			end 0
		END
		wait_for 20 nobody_stages
		stage recipes/sites/dev.yaml
		succeeded
		[[ $output == 'nothing changed'* ]] || { echo "$end: $output"; false; }
	done
}

@test "what an instance or a file says is shown, and never obeyed" {
	printf 'posmedia: 1\nshop: "1\\e[2J\\e]0;title\\a\\u202etxt"\n' >recipes/sites/dev.yaml
	terminal=80x24 menu recipes/sites/dev.yaml <<-'END'
		wait wrong file
		wait q quit
		type v
		wait recipes/sites/dev.yaml:2:7
		wait posmedia
		type q
		end 0
	END
}
