#!/usr/bin/env bats
# posmedia report and the ledger that verbs write: figures that were worked out by hand, ledgers
# that somebody changed, and SQL that only reads.

bats_require_minimum_version 1.5.0
load lib

setup() {
	small_project
	unset POSMEDIA_LEDGER
	export SOURCE_DATE_EPOCH=1793059200 # 2026-10-27T00:00:00Z
}

teardown() {
	rm -rf "$dir"
}

report() {
	in_project report "$@"
}

# Events on standard input, as make-ledger takes them but with blanks for tabs, become $dir/l.
ledger() {
	rm -rf "$dir/l"
	sed 's/ /\t/; s/ /\t/; s/ /\t/' | tests/lib/make-ledger "$dir/l"
}

run_of() {
	echo "$1 start - {\"shop\":\"$3\",\"env\":\"${4:-prod}\"}"
	echo "$2 stop - {\"shop\":\"$3\",\"env\":\"${4:-prod}\"}"
}

# Cells of the report's first table, one row a line.
rows() {
	report "$@" --ledger l --csv
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	tail -n +2 <<<"$output" | tr -d '\r'
}

@test "verbs note what they did, beside the store" {
	in_project key new k
	in_project key export k --as pkcs8 -o copy
	[ "$status" -eq 0 ]
	report ledger --verify
	[[ $output == 'ledger: 3 lines in 1 segments are one chain'* ]] ||
		[[ $output == *'/ledger: 3 lines in 1 segments are one chain'* ]]
	report sql "SELECT kind, fields ->> 'action', subject <> '' FROM event"
	[ "${lines[2]}" = $'key\tnew\t1' ]
	[ "${lines[3]}" = $'key\texport\t1' ]
	POSMEDIA_LEDGER=$dir/other in_project key new k2
	POSMEDIA_LEDGER=$dir/other in_project key new k3 --ledger third
	report ledger --verify --ledger other --ledger third --json
	[ "$(jq -c '[.[].lines]' <<<"$output")" = '[2,2]' ]
}

@test "what cannot be noted is told, and stays done" {
	touch "$dir/file"
	in_project key new k --ledger file/ledger
	refused 1 'it is done, but not noted'
	[ -s "$dir/k" ]
}

@test "billing: months, and the nights in which clocks change" {
	{
		run_of 2026-02-28T22:00:00Z 2026-03-01T00:30:00Z winter
		run_of 2026-03-01T00:00:00Z 2026-03-31T21:59:59Z march
		run_of 2026-10-24T22:00:00Z 2026-10-25T23:00:00Z autumn
		run_of 2026-03-28T23:00:00Z 2026-03-29T22:00:00Z spring
	} | ledger
	# 25 hours of the one day, 23 of the other; March there begins an hour before that of UTC
	diff - <(rows billing --zone Europe/Berlin) <<-CSV
		autumn,prod,2026-10,90000,1,0
		march,prod,2026-03,2671199,1,0
		spring,prod,2026-03,82800,1,0
		winter,prod,2026-02,3600,1,0
		winter,prod,2026-03,5400,0,0
	CSV
	diff - <(rows billing) <<-CSV
		autumn,prod,2026-10,90000,1,0
		march,prod,2026-03,2671199,1,0
		spring,prod,2026-03,82800,1,0
		winter,prod,2026-02,7200,1,0
		winter,prod,2026-03,1800,0,0
	CSV
	diff - <(rows billing --from 2026-03-29 --until 2026-03-30 --zone Europe/Berlin) <<-CSV
		march,prod,2026-03,82800,0,0
		spring,prod,2026-03,82800,1,0
	CSV
	report billing --zone ../../etc/passwd --ledger l
	refused 2 'is no time zone'
}

@test "billing: crashes, ends that nobody saw, what runs now, and what is gone" {
	ledger <<-EVENTS
		2026-10-01T00:00:00Z start - {"shop":"a","env":"prod"}
		2026-10-01T01:00:00Z crash - {"shop":"a","env":"prod","exit":137}
		2026-10-01T02:00:00Z start - {"shop":"a","env":"prod"}
		2026-10-01T02:30:00Z start - {"shop":"l","env":"prod"}
	2026-10-01T09:00:00Z crash - {"shop":"l","env":"prod","ended":"2026-10-01T04:30:00Z"}
		2026-10-01T09:00:00Z start - {"shop":"l","env":"prod"}
		2026-10-01T10:00:00Z start - {"shop":"twice","env":"qa"}
		2026-10-01T10:00:00Z destroy - {"shop":"l","env":"prod"}
		2026-10-01T11:00:00Z start - {"shop":"twice","env":"qa"}
		2026-10-01T11:00:10Z stop - {"shop":"twice","env":"qa"}
		2026-10-01T11:00:20Z stop - {"shop":"twice","env":"qa"}
	EVENTS
	diff - <(rows billing) <<-CSV
		a,prod,2026-10,$((3600 + 26 * 86400 - 7200)),2,1
		l,prod,2026-10,$((7200 + 3600)),2,1
		twice,qa,2026-10,10,2,0
	CSV
	report billing --ledger l --html html
	grep -q 'not billed' "$dir/html/billing.html"
}

@test "billing: slices of time have prices" {
	cat >"$dir/prices.yaml" <<-YAML
		posmedia-prices: 1
		currency: EUR
		zone: Europe/Berlin
		prices:
		  - {name: night, from: "22:00", until: "06:00", days: [fri], per-hour: "0.50"}
		  - name: day
		    from: "06:00"
		    until: "22:00"
		    ended: 2026-10-24
		    per-hour: "1.000001"
		  - {name: dear, from: "06:00", until: "22:00", per-hour: "2"}
		  - {name: tests, env: qa, per-hour: "0.01"}
	YAML
	# from Friday noon to Sunday noon, the clocks of Sunday show 02:00 twice
	run_of 2026-10-23T10:00:00Z 2026-10-25T11:00:00Z a | ledger
	report billing --ledger l --prices prices.yaml --json
	[ "$(jq -c '.tables.slices[] | [.price, .seconds, .amount]' <<<"$output")" = \
'["no price",32400,"0.00"]
["night",28800,"4.00"]
["day",93600,"26.00"]
["dear",21600,"12.00"]' ]
	[ "$(jq -r '.tables.months[].amount, .currency' <<<"$output")" = '42.00
EUR' ]
	for wrong in 's/0.50/0.5O/' 's/"22:00", until/"22:10", until/' 's/fri/Fri/' 's/EUR/Eur/' \
		's/env: qa/env: test/' 's/2026-10-24/2026-10-32/' 's/name/nmae/'; do
		sed "$wrong" "$dir/prices.yaml" >"$dir/wrong.yaml"
		report billing --ledger l --prices wrong.yaml
		refused 3 'wrong.yaml:'
	done
}

@test "inventory, patches, keys, compliance, backups and performance of a year" {
	tests/lib/demo-ledger | tests/lib/make-ledger "$dir/l" --per 100
	export SOURCE_DATE_EPOCH=1795694400
	[ "$(rows inventory | cut -d, -f3 | sort | uniq -c | xargs)" = \
		'1 crashed 12 runs 1 stopped' ]
	[ "$(rows patches | grep -c ',security,"rebuild of rti, security"')" -eq 6 ]
	[ "$(rows keys | cut -d, -f2,3)" = 'keys/release-2025,replaced
keys/release-2026,ok' ]
	[ "$(rows compliance | grep -c ',failed,')" -eq 4 ]
	report compliance --ledger l --json
	[ "$(jq -c '[.tables.waivers[0] | .until, .days, .state]' <<<"$output")" = \
		'["2026-12-15",19,"ends soon"]' ]
	[ "$(rows backups | grep -c ',late,')" -eq 1 ]
	[ "$(rows backups --backup-every 120h | grep -c ',late,')" -eq 0 ]
	[ "$(rows performance | grep -c '^build,')" -eq 12 ]
	report inventory --ledger l
	[[ ${lines[1]} == 'Shop '*'Digest' ]]
}

@test "a ledger that was changed is found, and what is whole is told all the same" {
	tests/lib/demo-ledger | tests/lib/make-ledger "$dir/l" --per 100
	report ledger --verify --ledger l
	[ "$status" -eq 0 ]
	mv "$dir/l/head" "$dir/head"
	report ledger --verify --ledger l
	refused 4 'no head record'
	mv "$dir/head" "$dir/l/head"
	cp -r "$dir/l" "$dir/good"
	for wrong in '3s/"kind":"/"kind":"x/' '3d' '3p' '3{h;d};4{p;x}' '3s/host1/host2/' \
		'3s/Z"}$/Z" }/' '3s/$/ /' '3s/"schema":1/"schema":2/'; do
		sed "$wrong" "$dir/good/00000004.jsonl" >"$dir/l/00000004.jsonl"
		report ledger --verify --ledger l
		refused 4 '00000004.jsonl:'
		report inventory --ledger l --csv
		refused 4 'l/00000004.jsonl:'
		[[ $stderr == *'the ledger is damaged: '* ]]
		[ "$(wc -l <<<"$output")" -ge 14 ]
	done
	# the line that was changed is not told, and all others are
	sed '3s/host1/host2/' "$dir/good/00000004.jsonl" >"$dir/l/00000004.jsonl"
	report sql 'SELECT count(*), sum(host <> (SELECT max(host) FROM event WHERE seq = 1))
		FROM event' --ledger l
	[ "$status" -eq 4 ]
	[ "${lines[1]}" = "$(($(cat "$dir"/good/*.jsonl | wc -l) - 1))"$'\t0' ]
	report ledger --ledger l --json
	[ "$status" -eq 4 ]
	[ "$(jq -r '.tables.ledgers[0].state, ."not-known"[]' <<<"$output")" = \
"damaged
l/00000004.jsonl:3: line $(sed -n '3s/.*"seq":\([0-9]*\).*/\1/p' "$dir/good/00000004.jsonl"\
) is not what the line behind it says: what was noted there is not in it" ]
	report all --ledger l --html damaged
	[ "$status" -eq 4 ]
	[ "$(grep -l 'The ledger is damaged: 1 place' "$dir"/damaged/*.html | wc -l)" -eq 8 ]
	rm "$dir/l/00000004.jsonl"
	report ledger --verify --ledger l
	refused 4 '00000004.jsonl is missing'
	report inventory --ledger l --csv
	refused 4 '00000004.jsonl:1: it is missing'
	cp "$dir/good/00000005.jsonl" "$dir/l/00000004.jsonl"
	report ledger --verify --ledger l
	refused 4 '00000004.jsonl:1: is number'
	report ledger --verify --ledger good --ledger good
	[ "$status" -eq 0 ]
	report ledger --ledger good --ledger good
	refused 2 'is in another ledger too'
}

@test "SQL only reads" {
	in_project key new k
	for wrong in 'DELETE FROM raw' 'CREATE TABLE x(a)' "ATTACH '$dir/x' AS x" \
		'PRAGMA user_version' 'WITH x AS (SELECT 1) DELETE FROM raw' \
		'SELECT 1; SELECT 2' '' 'SELECT nothing' 'VACUUM'; do
		report sql "$wrong"
		refused 2 'SQLite: '
	done
	[ ! -e "$dir/x" ]
	report sql "SELECT char(27) || 'x' AS y" --json
	[ "$(jq -c . <<<"$output")" = '{"columns":["y"],"rows":[["\u001bx"]]}' ]
	report sql "SELECT char(27) || 'x' AS y"
	[ "$output" = $'y\n?x' ]
}

@test "what is told twice counts once, and what was told later when it was" {
	local once='"once":"0123456789abcdef"' at='"shop":"a","env":"prod"'
	local engine='"ended":"2026-10-01T01:00:00Z","ended-by":"engine"'
	ledger <<-EVENTS
		2026-10-01T00:00:00Z start - {$at,$once}
		2026-10-01T00:00:02Z snapshot - {$at,"once":"of another"}
		2026-10-01T00:00:02Z snapshot - {$at,"once":"and one more"}
		2026-10-01T00:00:03Z snapshot - {$at,"once":"0123456789abcdee"}
		2026-10-01T00:00:03Z snapshot - {$at,"once":"1123456789abcdef"}
		2026-10-01T00:00:04Z snapshot - {$at,$once}
		2026-10-01T00:00:04Z snapshot - {"shop":"b","env":"prod",$once}
		2026-10-01T00:00:05Z start - {$at,$once}
		2026-10-01T09:00:00Z stop - {$at,$once,$engine}
		2026-10-01T09:00:01Z stop - {$at,$once,$engine}
		2026-10-01T12:00:00Z start - {$at,"began":"2026-10-01T11:00:00Z"}
		2026-10-01T13:00:00Z crash - {$at,${engine//T01:*/T11:30:00Z\"}}
	EVENTS
	[ "$(rows billing)" = 'a,prod,2026-10,5400,2,1' ]
	report sql 'SELECT count(*) FROM event' --ledger l
	[ "${lines[1]}" = 11 ]
	report billing --ledger l
	[[ ${lines[-1]} == 'Not known: of 1 ends nobody knows'*'last seen' ]]
}

@test "what a ledger says is shown, and never obeyed" {
	ledger <<-'EVENTS'
	2026-10-01T00:00:00Z start - {"shop":"<script>x","env":"=x","identity":"a,\"b\u001b"}
	EVENTS
	report inventory --ledger l
	[[ $output != *$'\033'* ]]
	report inventory --ledger l --csv
	[[ $output == *$'<script>x,"\'=x",runs,'* ]]
	[[ $output == *'"a,""b'* ]]
	report inventory --ledger l --html html
	run ! grep -q '<script>x' "$dir/html/inventory.html"
	grep -q '&lt;script&gt;x' "$dir/html/inventory.html"
}

@test "pages: the same bytes again, and each asks for nothing" {
	tests/lib/demo-ledger | tests/lib/make-ledger "$dir/l"
	report all --ledger l --html one
	[ "$status" -eq 0 ]
	diff - <(cd "$dir/one" && printf '%s\n' *) <<-FILES
		backups.html
		billing.html
		compliance.html
		index.html
		inventory.html
		keys.html
		ledger.html
		patches.html
		performance.html
	FILES
	TZ=Asia/Tokyo LC_ALL=C.UTF-8 report all --ledger l --html two
	diff -r "$dir/one" "$dir/two"
	grep -ohE '(src|href)="[^"#]*"' "$dir"/one/*.html >"$dir/asks"
	run ! grep -vE '^href="[a-z]+\.html"$' "$dir/asks"
	run ! grep -oE 'url\(|@import|https?://[^/]' "$dir"/one/*.html
	[ "$(grep -l "default-src 'none'" "$dir"/one/*.html | wc -l)" -eq 9 ]
}

@test "a clock that was set back makes no run without end" {
	ledger <<-'EVENTS'
		2026-10-01T10:00:00Z start - {"shop":"12345600","env":"prod"}
		2026-10-01T09:59:50Z stop - {"shop":"12345600","env":"prod"}
	EVENTS
	[ "$(rows billing)" = '12345600,prod,2026-10,0,1,0' ]
	[[ $(rows inventory) != *runs* ]]
}

@test "what a bill does not know is said in text and JSON" {
	ledger <<-'EVENTS'
		2026-10-01T10:00:00Z start - {"shop":"12345600","env":"prod"}
		2026-10-02T10:00:00Z start - {"shop":"12345600","env":"prod"}
		2026-10-02T11:00:00Z stop - {"shop":"12345600","env":"prod"}
	EVENTS
	report billing --ledger l
	[[ ${lines[-1]} == 'Not known: an end is missing'* ]]
	report billing --ledger l --json
	[ "$(jq '."not-known" | length' <<<"$output")" -eq 1 ]
	run_of 2026-10-01T10:00:00Z 2026-10-01T11:00:00Z 12345600 | ledger
	report billing --ledger l
	[[ $output != *'Not known'* ]]
}

@test "text that looks like a number is no formula either" {
	ledger <<<'2026-10-01T10:00:00Z start - {"shop":"-1+cmd","env":"prod"}'
	[[ $(rows inventory) == *"\"'-1+cmd\""* ]]
}

@test "a day that no month has" {
	run_of 2026-10-01T10:00:00Z 2026-10-01T11:00:00Z 12345600 | ledger
	report billing --ledger l --from 2026-02-31
	refused 2 '"2026-02-31" is no day'
}

@test "SQL without an end ends: at a million rows, and at a signal" {
	run_of 2026-10-01T10:00:00Z 2026-10-01T11:00:00Z 12345600 | ledger
	local endless='WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)'
	report sql "$endless SELECT x FROM c" --ledger l
	refused 2 'more than 1000000 rows'
	run env -C "$dir" timeout -k 20 1 "$posmedia" report sql --ledger l \
		"$endless SELECT count(*) FROM c"
	[ "$status" -eq 124 ]
	[[ $output == *interrupted* ]]
}
