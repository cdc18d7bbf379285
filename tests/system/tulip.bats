#!/usr/bin/env bats
# The POS application of the demo image by itself: what it takes, what it refuses, what it keeps.

load lib

setup() {
	dir=$(mktemp -d)
	data=$dir/data
	mkdir "$data"
	server=recipes/media/tulip-1.0/tulip/tulipd
}

teardown() {
	stop_tulip
	rm -rf "$dir"
}

start_tulip() {
	perl "$server" --listen 127.0.0.1:0 --data "$data" >"$dir/out" 2>"$dir/err" 3>&- &
	pid=$!
	wait_for 20 grep listening "$dir/out"
	port=$(sed -n 's/.*:\([0-9]*\)$/\1/p' "$dir/out")
}

stop_tulip() {
	[ -z "${pid-}" ] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
	pid=
}

# The status of a request, its body in $dir/body.
status() {
	curl -s -m 5 -o "$dir/body" -w '%{http_code}' "$@"
}

sell() {
	status --data-raw "$1" "http://127.0.0.1:$port/sales"
}

# The first line of the answer to raw bytes.
raw() {
	# shellcheck disable=SC2016 # perl's own variables
	printf %b "$1" | PORT=$port timeout 15 perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new("127.0.0.1:$ENV{PORT}") or die;
		local $/;
		print $s scalar <STDIN>;
		$s->shutdown(1);
		print scalar <$s>' | head -n 1 | tr -d '\r'
}

@test "sales get numbers and are listed" {
	start_tulip
	[ "$(sell 'amount=12.50&what=red+roses%21')" = 201 ]
	[ "$(cat "$dir/body")" = '{"number":1}' ]
	[ "$(status -H 'Content-Type: application/json' -d '{"amount":"3","till":7}' \
		"http://127.0.0.1:$port/sales")" = 201 ]
	[ "$(cat "$dir/body")" = '{"number":2}' ]
	[ "$(status "http://127.0.0.1:$port/sales")" = 200 ]
	[ "$(jq -c 'map([.number, .cents, .till, .what])' "$dir/body")" = \
		'[[1,1250,1,"red roses!"],[2,300,7,""]]' ]
	[ "$(status "http://127.0.0.1:$port/health")" = 200 ]
	[ "$(cat "$dir/body")" = '{"sales":2,"status":"ok"}' ]
}

@test "sales survive a stop, and a torn last line is dropped" {
	start_tulip
	sell 'amount=1'
	stop_tulip
	printf '{"number":2,"cen' >>"$data/sales.log"
	start_tulip
	[ "$(sell 'amount=2')" = 201 ]
	[ "$(cat "$dir/body")" = '{"number":2}' ]
	[ "$(jq -s -c 'map(.cents)' "$data/sales.log")" = '[100,200]' ]
}

@test "tills at once get different numbers" {
	start_tulip
	seq 40 | xargs -P 8 -I N curl -s -m 10 -o /dev/null -d amount=1 \
		"http://127.0.0.1:$port/sales"
	[ "$(jq -s -c 'map(.number) == [range(1; 41)]' "$data/sales.log")" = true ]
}

@test "a sale that is wrong is refused and not kept" {
	start_tulip
	local bad
	for bad in '' 'amount=' 'amount=-1' 'amount=1.5' 'amount=1e3' 'amount=999999999' 'what=x' \
		'amount=1&till=0' 'amount=1&till=100' 'amount=1&price=2' 'amount=1&what=a%00b' \
		"amount=1&what=$(printf 'x%.0s' $(seq 201))" 'amount=1&what=4111+1111+1111+1111'; do
		[ "$(sell "$bad")" = 422 ] || { echo "took: $bad"; false; }
	done
	[ "$(sell 'amount=1&amount=2')" = 400 ]
	[ "$(sell 'amount=1&what=%ff')" = 400 ]
	[ ! -s "$data/sales.log" ]
}

@test "a body that is not what it says is refused" {
	start_tulip
	local url=http://127.0.0.1:$port/sales
	[ "$(status -H 'Content-Type: application/json' -d '[1]' "$url")" = 400 ]
	[ "$(status -H 'Content-Type: application/json' -d '{"amount":' "$url")" = 400 ]
	[ "$(status -H 'Content-Type: application/json' -d '{"amount":[[[["1"]]]]}' "$url")" = 400 ]
	[ "$(status -H 'Content-Type: application/json' -d '{"amount":["1"]}' "$url")" = 422 ]
	[ "$(status -H 'Content-Type: text/plain' -d 'amount=1' "$url")" = 415 ]
	[ "$(status -X PUT -d 'amount=1' "$url")" = 405 ]
	[ "$(status "http://127.0.0.1:$port/etc/passwd")" = 404 ]
}

@test "malformed HTTP is answered, within limits" {
	start_tulip
	[ "$(raw 'hello\r\n\r\n')" = 'HTTP/1.1 400 Bad Request' ]
	[ "$(raw 'GET /sales HTTP/2.0\r\n\r\n')" = 'HTTP/1.1 400 Bad Request' ]
	[ "$(raw 'GET /sales HTTP/1.1\r\nbad\r\n\r\n')" = 'HTTP/1.1 400 Bad Request' ]
	[ "$(raw 'POST /sales HTTP/1.1\r\n\r\n')" = 'HTTP/1.1 411 Length Required' ]
	[ "$(raw 'POST /sales HTTP/1.1\r\nContent-Length: -1\r\n\r\n')" = \
		'HTTP/1.1 400 Bad Request' ]
	[ "$(raw 'POST /sales HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n')" = \
		'HTTP/1.1 413 Content Too Large' ]
	[ "$(raw 'POST /sales HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort')" = \
		'HTTP/1.1 400 Bad Request' ]
	[ "$(raw 'POST /sales HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')" = \
		'HTTP/1.1 501 Not Implemented' ]
	[ "$(raw "GET /$(printf 'x%.0s' $(seq 3000)) HTTP/1.1\\r\\n\\r\\n")" = \
		'HTTP/1.1 413 Content Too Large' ]
	[ "$(raw "GET /sales HTTP/1.1\\r\\n$(printf 'A: b\\r\\n%.0s' $(seq 40))\\r\\n")" = \
		'HTTP/1.1 431 Request Header Fields Too Large' ]
	[ "$(status "http://127.0.0.1:$port/health")" = 200 ]
}

@test "without a writable data directory it does not start" {
	run perl "$server" --listen 127.0.0.1:0 --data "$dir/nowhere"
	[ "$status" -eq 78 ]
	[[ $output == *"$dir/nowhere is not there or not writable"* ]]
	if [ "$(id -u)" = 0 ]; then
		chmod 755 "$dir" "$data"
		run setpriv --reuid nobody --regid nogroup --clear-groups \
			perl "$server" --listen 127.0.0.1:0 --data "$data"
		[ "$status" -eq 78 ]
	fi
}

@test "the installer puts everything in its place, and checks the medium" {
	local medium=$dir/medium me
	me=$(id -un)
	mkdir "$medium"
	xorriso -osirrox on -indev recipes/media/tulip-1.0.iso -extract / "$medium" 2>/dev/null
	run perl "$medium/install_tulip.pl" --prefix "$dir/opt" --data "$dir/usr2/data" \
		--units "$dir/units" --user "$me"
	[ "$status" -eq 0 ]
	[ -x "$dir/opt/bin/tulipd" ]
	[ "$(cat "$dir/opt/VERSION")" = 1.0 ]
	[ "$(stat -c %a "$dir/usr2/data")" = 750 ]
	grep -qx "ExecStart=$dir/opt/bin/tulipd --listen 0.0.0.0:2001 --data $dir/usr2/data" \
		"$dir/units/tulip.service"

	run perl "$medium/install_tulip.pl" --user no-such-user
	[ "$status" -ne 0 ]
	[[ $output == *"no user 'no-such-user'"* ]]
	run perl "$medium/install_tulip.pl" --prefix ../opt --user "$me"
	[ "$status" -ne 0 ]

	chmod u+w "$medium/tulip/tulipd"
	echo '# changed' >>"$medium/tulip/tulipd"
	run perl "$medium/install_tulip.pl" --prefix "$dir/opt2" --user "$me"
	[ "$status" -ne 0 ]
	[[ $output == *"tulip/tulipd on the medium is damaged"* ]]
	[ ! -e "$dir/opt2" ]
}

@test "the medium is made from its files, byte for byte" {
	tests/lib/make-medium recipes/media/tulip-1.0 "$dir/one.iso"
	cp -r recipes/media/tulip-1.0 "$dir/tulip-1.0"
	touch -d 2001-01-01 "$dir/tulip-1.0/README.txt"
	(umask 077 && TZ=Asia/Tokyo tests/lib/make-medium "$dir/tulip-1.0" "$dir/two.iso")
	cmp "$dir/one.iso" "$dir/two.iso"
	cmp "$dir/one.iso" recipes/media/tulip-1.0.iso
}
