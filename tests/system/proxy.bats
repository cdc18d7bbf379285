#!/usr/bin/env bats
# Steps with network: {proxy: record}: real curl in a small image, against an HTTP and an HTTPS
# server of this machine. What is recorded and locked is built again with both servers gone.

bats_require_minimum_version 1.5.0
load lib

# The servers stand on an address of loopback that is not the step's own.
host=127.0.0.2

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/proxy.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	unset http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy
	tests/lib/apt-repo "$dir" bookworm "Label: tiny" curl wget >"$dir/apt-repo.log" 2>&1 3>&-
	mkdir -p "$dir/recipes" "$dir/web/files"
	echo alpha >"$dir/web/files/a.txt"
	echo beta >"$dir/web/files/b.txt"
	head -c 3000000 /dev/urandom >"$dir/web/files/big.bin"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=up \
		-addext "subjectAltName=IP:$host" -keyout "$dir/web/key.pem" \
		-out "$dir/web/cert.pem" 2>"$dir/openssl.log"
	start_servers
}

setup() {
	[ -e "$dir/web/pids" ] || start_servers
}

teardown_file() {
	stop_servers
	rm -rf "$dir"
}

start_servers() {
	[ -n "${http-}" ] || http=$host:$(free_port) https=$host:$(free_port)
	tests/lib/web-server "$http" "$dir/web" >"$dir/web/log" 2>&1 3>&- &
	echo $! >"$dir/web/pids"
	wait_for 20 curl -s "http://$http/a.txt"
	(cd "$dir/web/files" && exec openssl s_server -accept "$https" -WWW -quiet \
		-cert ../cert.pem -key ../key.pem </dev/null >../tls.log 2>&1 3>&-) &
	echo $! >>"$dir/web/pids"
	wait_for 20 curl -s --cacert "$dir/web/cert.pem" "https://$https/a.txt"
	export http https
}

stop_servers() {
	local pid
	[ -e "$dir/web/pids" ] || return 0
	while read -r pid; do
		kill "$pid" 2>/dev/null || true
	done <"$dir/web/pids"
	rm -f "$dir/web/pids"
}

# A recipe $1 with one step that runs the shell text on standard input, and its lock.
recipe() {
	cat >"$dir/recipes/$1.yaml" <<-YAML
		posmedia: 1
		name: $1
		version: 1
		base:
		  apt: {suite: bookworm, keyring: key.gpg, mirrors: ["file://$dir/mirror"]}
		packages: {install: [tiny-app]}
		steps:
		  - name: fetch
		    run:
		      - sh
		      - -c
		      - |
		$(sed 's/^/        /')
		    writes: [/opt]
		    network: {proxy: record${2-", allow: [\"$http\", \"$https\"]"}}
		run: {entrypoint: [/bin/sh]}
	YAML
	lock "$1"
}

lock() {
	run --separate-stderr env -C "$dir" "$posmedia" lock "recipes/$1.yaml" "${@:2}"
	[ "$status" -eq 0 ] || { echo "$stderr" && false; }
}

build() {
	run --separate-stderr env -C "$dir" SSL_CERT_FILE="$dir/web/cert.pem" \
		"$posmedia" build "recipes/$1.yaml" -o "oci:$dir/out/$1:1" "${@:2}"
}

built() {
	build "$@"
	[ "$status" -eq 0 ] || { echo "$stderr" && false; }
}

gc() {
	run --separate-stderr env -C "$dir" "$posmedia" store gc "$@"
	echo "$stderr"
	[ "$status" -eq 0 ]
}

# posmedia in $dir/nobody as the user of that name.
humbly() {
	run --separate-stderr unshare -m tests/system/as-nobody "$dir/nobody.ids" \
		env -C "$dir/nobody" "HOME=$dir/nobody" SSL_CERT_FILE="$dir/nobody/cert.pem" \
		./posmedia "$@"
	[ "$status" -eq 0 ] || { echo "$stderr" && false; }
}

# Whether the JSON in $output has the URL $1 with what the jq filter $2 says.
recorded() {
	jq -e --arg u "$1" ".recorded[] | select(.url == \$u) | $2" <<<"$output"
}

refused() {
	echo "status $status, wanted 6: $stderr"
	[ "$status" -eq 6 ] && [[ $stderr == *"$1"* ]]
	[ ! -e "$dir/out/$2" ]
}

# All files of the image, unpacked to $2.
unpack() {
	mkdir -p "$2"
	umoci raw unpack --rootless --image "$dir/out/$1:1" "$2/root" >"$dir/umoci.log" 2>&1
}

nothing_left() {
	run ! grep -F "$dir" /proc/self/mountinfo
	[ -z "$(ls -A "$dir/store/tmp")" ]
	run ! pgrep -f "$dir/recipes"
}

@test "what a step fetches is recorded, locked, and built again without a network" {
	recipe online <<-SH
		set -e
		mkdir -p /opt
		curl -fsSL http://$http/moved -o /opt/moved
		curl -fsS https://$https/b.txt -o /opt/b
		wget -q -O /opt/w https://$https/b.txt
		curl -fsSI http://$http/big.bin >/opt/head
		curl -fsS -r 100- -H "Authorization: Basic c2VjcmV0" -H "Cookie: a=b" \\
			http://$http/big.bin -o /opt/big
		[ "\$(curl -s -o /dev/null -w '%{http_code}' http://$http/none)" = 404 ]
	SH
	[[ $stderr == *"step fetch: nothing recorded yet"* ]]
	built online --json
	first=$(jq -r .digest <<<"$output")
	[ "$(jq '.recorded | length' <<<"$output")" -eq 5 ]
	[[ $stderr == *"5 downloads recorded; run posmedia lock recipes/online.yaml"* ]]
	sha=$(sha256sum <"$dir/web/files/b.txt" | cut -c1-64)
	recorded "https://$https/b.txt" ".status == 200 and .sha256 == \"$sha\""
	recorded "http://$http/moved" '.status == 302 and .headers.location == "/a.txt"'
	recorded "http://$http/none" '.status == 404 and .size == 0'
	run ! grep '^header:' "$dir/web/requests" # nobody's password came through

	lock online
	[[ $output == *"+ recorded fetch http://$http/big.bin"* ]]
	jq -e '.recorded | length == 5' "$dir/recipes/online.lock"
	cp "$dir/recipes/online.lock" "$dir/before.lock"
	lock online
	[[ $output == *"up to date"* ]]
	cmp "$dir/recipes/online.lock" "$dir/before.lock"

	stop_servers
	built online --no-cache --json
	[ "$(jq -r .digest <<<"$output")" = "$first" ]
	[[ $stderr == *"network from the record, 5 entries"* ]]
	[[ $stderr != *"run posmedia lock"* ]]
	unpack online "$dir/online"
	cmp "$dir/online/root/opt/moved" "$dir/web/files/a.txt"
	cmp "$dir/online/root/opt/b" "$dir/web/files/b.txt"
	cmp "$dir/online/root/opt/w" "$dir/web/files/b.txt"
	cmp "$dir/online/root/opt/big" "$dir/web/files/big.bin"
	grep -q 'Content-Length: 3000000' "$dir/online/root/opt/head"
	nothing_left
}

@test "nothing of the proxy and its authority stays in the image" {
	[ -e "$dir/online/root/opt/big" ]
	[ -z "$(find "$dir/online/root/run" "$dir/online/root/tmp" -mindepth 1)" ]
	[ -z "$(find "$dir/online/root" -name ca.pem -o -name wgetrc)" ]
	cd "$dir/online/root"
	run ! grep -rF -e 'BEGIN CERTIFICATE' -e 'PRIVATE KEY' -e ':3128' etc opt root var
	cd "$dir/store"
	run ! grep -rF -e 'BEGIN CERTIFICATE' -e 'PRIVATE KEY' \
		cache/records cache/images cache/parts
}

@test "the keys of a step have what it can fetch, and the plan says what changed" {
	recipe planned <<-SH
		mkdir -p /opt; curl -fsSL http://$http/moved -o /opt/a
	SH
	built planned
	lock planned
	run -0 --separate-stderr env -C "$dir" "$posmedia" plan recipes/planned.yaml
	[[ $output == *"step fetch"*"will run: recorded added"* ]]
	built planned
	sed -i "s/$(sha256sum <"$dir/web/files/a.txt" | cut -c1-64)/$(printf '0%.0s' {1..64})/" \
		"$dir/recipes/planned.lock"
	run -0 --separate-stderr env -C "$dir" "$posmedia" plan recipes/planned.yaml
	[[ $output == *"1 files, 6 B"* ]]
	[[ $output == *"step fetch"*"will run: recorded http://$http/a.txt changed"* ]]
}

@test "a URL that is not in the record fails the step, whatever its program makes of it" {
	recipe strange <<-SH
		mkdir -p /opt; curl -fsS http://$http/a.txt -o /opt/a
	SH
	built strange
	lock strange
	rm -rf "$dir/out/strange"
	sed -i 's|a.txt -o /opt/a|a.txt -o /opt/a; curl -s http://'"$http"'/b.txt; true|' \
		"$dir/recipes/strange.yaml"
	lock strange
	: >"$dir/web/requests"
	build strange
	refused "http://$http/b.txt is not in the lock's record of this step" strange
	[[ $stderr == *"posmedia build RECIPE --record fetch"* ]]
	[ ! -s "$dir/web/requests" ]
	nothing_left
	built strange --record fetch
	lock strange
	[[ $output == *"+ recorded fetch http://$http/b.txt"* ]]
	built strange --no-cache
	[[ $stderr == *"from the record, 2 entries"* ]]
}

@test "a page that has changed: the lock's bytes until it is recorded anew" {
	echo first >"$dir/web/files/page.txt"
	recipe page <<-SH
		mkdir -p /opt; curl -fsS http://$http/page.txt -o /opt/page
	SH
	built page
	lock page
	echo second >"$dir/web/files/page.txt"
	built page --no-cache
	first=${output##*@}
	lock page --update
	built page --no-cache
	[ "${output##*@}" = "$first" ]
	built page --record fetch
	second=${output##*@}
	[ "$second" != "$first" ]
	lock page
	[[ $output == *"recorded fetch http://$http/page.txt: 200 "* ]]
	built page --no-cache
	[ "${output##*@}" = "$second" ]
	lock page
	[[ $output == *"up to date"* ]]
	run --separate-stderr env -C "$dir" "$posmedia" build recipes/page.yaml --record other
	[ "$status" -eq 2 ]
}

@test "the lock takes what the last build is made of, also from a cached step" {
	mkdir -p "$dir/overlays/twice"
	echo 1 >"$dir/overlays/twice/version"
	echo first >"$dir/web/files/page.txt"
	recipe twice <<-SH
		mkdir -p /opt; curl -fsS http://$http/page.txt -o /opt/page
	SH
	echo "overlays: [{from: overlays/twice, to: /srv}]" >>"$dir/recipes/twice.yaml"
	lock twice
	built twice
	whole=${output##*@}
	echo second >"$dir/web/files/page.txt"
	built twice --no-cache
	second=${output##*@}
	[ "$second" != "$whole" ]
	echo 2 >"$dir/overlays/twice/version"
	built twice # the step is cached: its page is the first
	first=${output##*@}
	cp "$dir/recipes/twice.lock" "$dir/twice.lock"
	lock twice
	stop_servers
	built twice --no-cache
	[ "${output##*@}" = "$first" ]
	cp "$dir/twice.lock" "$dir/recipes/twice.lock"
	echo 1 >"$dir/overlays/twice/version"
	built twice # the image is, and its page is the first, too
	[ "${output##*@}" = "$whole" ]
	lock twice
	built twice --no-cache
	[ "${output##*@}" = "$whole" ]
	cp "$dir/twice.lock" "$dir/recipes/twice.lock"
	rm -rf "$dir"/store/cache/stages/*
	start_servers
	built twice # no stage is, so the step fetches; but the image is
	[[ $stderr == *"makes no difference"* ]]
	[ "${output##*@}" = "$second" ]
	lock twice
	built twice --no-cache
	[ "${output##*@}" = "$second" ]
}

@test "an image names what it is made of, whatever another build records meanwhile" {
	echo mine >"$dir/web/files/between.txt"
	recipe between <<-SH
		mkdir -p /opt; curl -fsS http://$http/between.txt -o /opt/page
	SH
	sed -i 's/^run: /  - {name: wait, run: [sleep, "4"]}\n&/' "$dir/recipes/between.yaml"
	lock between
	env -C "$dir" "$posmedia" build recipes/between.yaml -o "oci:$dir/out/between:1" --json \
		>"$dir/between.json" 2>"$dir/between.err" 3>&- &
	local pid=$!
	wait_for 30 grep -qrF between.txt "$dir/store/cache/records"
	sed -i 's/between.txt/elsewhere.txt/' \
		"$(grep -lrF between.txt "$dir/store/cache/records" | head -n1)"
	wait "$pid"
	jq -e --arg u "http://$http/between.txt" '[.recorded[].url] == [$u]' "$dir/between.json"
	built between # from the cache: its own record is back
	lock between
	[[ $output == *"+ recorded fetch http://$http/between.txt"* ]]
}

@test "a cached step's record is taken by whatever lock finds it" {
	recipe found <<-SH
		mkdir -p /opt; curl -fsS http://$http/a.txt -o /opt/a
	SH
	cp "$dir/recipes/found.lock" "$dir/found.lock"
	built found
	lock found
	rm -rf "$dir"/store/cache/stages/*
	built found --record fetch # its record is to replace the lock's
	cp "$dir/found.lock" "$dir/recipes/found.lock"
	built found --json
	recorded "http://$http/a.txt" '.status == 200'
	lock found
	[[ $output == *"+ recorded fetch http://$http/a.txt"* ]]
}

@test "POST, hosts that are not allowed and the machine itself are refused" {
	recipe posts <<-SH
		curl -s -d pan=4111 http://$http/form; true
	SH
	: >"$dir/web/requests"
	build posts
	refused "POST http://$http/form: only GET and HEAD can be recorded" posts
	recipe elsewhere ', allow: ["mirror.test"]' <<-SH
		curl -s http://$http/a.txt; true
	SH
	build elsewhere
	refused "the step's network does not allow $http" elsewhere
	recipe machine '' <<-SH
		curl -s http://$http/a.txt; true
	SH
	build machine
	refused "$http is no public host" machine
	[ ! -s "$dir/web/requests" ]
	nothing_left
}

@test "around the proxy there is no network" {
	recipe around <<-SH
		mkdir -p /opt
		curl -fsS http://$http/a.txt -o /opt/a || exit 1
		! curl -s -m 5 --noproxy '*' http://$http/a.txt || exit 2
		! curl -s -m 5 --noproxy '*' http://127.0.0.1:${http##*:}/a.txt || exit 3
	SH
	built around
}

@test "a server that is not who it says, and one that is gone: the step's error says so" {
	recipe untrusted <<-SH
		curl -fsS https://$https/b.txt -o /opt/b
	SH
	run --separate-stderr env -C "$dir" "$posmedia" build recipes/untrusted.yaml \
		-o "oci:$dir/out/untrusted:1"
	refused "certificate" untrusted
	recipe gone ", allow: [\"$host:1\"]" <<-SH
		curl -fsS http://$host:1/x -o /opt/x
	SH
	build gone
	refused "http://$host:1/x" gone
}

@test "a body that the store has lost is fetched again, and only as it was" {
	recipe lost <<-SH
		mkdir -p /opt; curl -fsS http://$http/moved -L -o /opt/a
	SH
	echo alpha >"$dir/web/files/a.txt"
	built lost
	first=${output##*@}
	lock lost
	blob=$dir/store/blobs/sha256/$(sha256sum <"$dir/web/files/a.txt" | cut -c1-64)
	rm "$blob"
	built lost --no-cache
	[ "${output##*@}" = "$first" ]
	flip "$blob"
	built lost --no-cache
	[ "${output##*@}" = "$first" ]
	rm "$blob"
	echo other >"$dir/web/files/a.txt"
	build lost --no-cache
	echo "$stderr"
	[ "$status" -eq 4 ]
	[ ! -e "$blob" ]
	echo alpha >"$dir/web/files/a.txt"
}

@test "an ordinary user's build records and replays the same" {
	[ "$(id -u)" -eq 0 ] || skip "becomes another user, which only root may"
	local home=$dir/nobody
	recipe humble <<-SH
		mkdir -p /opt; curl -fsS http://$http/a.txt -o /opt/a
		curl -fsS https://$https/b.txt -o /opt/b
	SH
	built humble
	mkdir -p "$home/recipes"
	cp "$posmedia" "$dir/recipes/humble.yaml" "$dir/web/cert.pem" "$dir/key.gpg" "$home/"
	mv "$home/humble.yaml" "$home/recipes/"
	chmod 755 "$dir"
	chown -R nobody "$home"
	humbly lock recipes/humble.yaml --store store
	humbly build recipes/humble.yaml --store store -o oci:out/humble:1
	first=${output##*@}
	humbly lock recipes/humble.yaml --store store
	humbly build recipes/humble.yaml --store store -o oci:out/humble:1 --no-cache
	[[ $stderr == *"from the record, 2 entries"* ]]
	[ "${output##*@}" = "$first" ]
	lock humble
	built humble
	[ "${output##*@}" = "$first" ]
}

@test "a secret is neither in a recorded URL nor in what is said of one" {
	local secret=correct-horse-battery
	printf %s "$secret" >"$dir/token"
	recipe secretive <<-SH
		curl -fsS "http://$http/a.txt?t=\$(cat /run/secrets/token)" -o /dev/null; true
	SH
	sed -i 's/^    network:/    secrets: [token]\n&/' "$dir/recipes/secretive.yaml"
	lock secretive
	build secretive --secret "token=$dir/token"
	echo "$stderr"
	[ "$status" -eq 4 ]
	[[ $stderr == *"step fetch: a recorded URL has the secret token in it"* ]]
	[[ $stderr != *"$secret"* ]]
	sed -i "s/curl \\(.*\\)t=\\(.*)\\)\"/s=\\2; curl \\1t=%63\${s#c}\"/" \
		"$dir/recipes/secretive.yaml"
	lock secretive
	build secretive --secret "token=$dir/token"
	[ "$status" -eq 4 ]
	[[ $stderr == *"step fetch: a recorded URL has the secret token in it"* ]]
	echo "you sent $secret" >"$dir/web/files/echo.txt"
	sed -i 's/a.txt?t=[^"]*"/echo.txt"/' "$dir/recipes/secretive.yaml"
	lock secretive
	build secretive --secret "token=$dir/token"
	[ "$status" -eq 4 ]
	[[ $stderr == *"step fetch: what http://$http/echo.txt answered has the secret token"* ]]
	rm "$dir/web/files/echo.txt"
	sed -i 's/curl -fsS/curl -d x/; s/echo.txt"/a.txt?t=$s"/' "$dir/recipes/secretive.yaml"
	lock secretive
	build secretive --secret "token=$dir/token"
	refused "POST http://$http/a.txt?t=***: only GET and HEAD" secretive
	[[ $stderr != *"$secret"* ]]
	run ! grep -rF "$secret" "$dir/store/cache" "$dir/store/tmp"
}

@test "a captured step with a network: its record stays with what was captured" {
	recipe caught <<-SH
		mkdir -p /opt; curl -fsS http://$http/a.txt -o /opt/a
		cat /proc/sys/kernel/random/uuid >/opt/id
	SH
	sed -i 's/^    network:/    capture: true\n&/' "$dir/recipes/caught.yaml"
	lock caught
	built caught
	first=${output##*@}
	built caught --no-cache
	[ "${output##*@}" = "$first" ]
	lock caught
	built caught
	[[ $stderr == *"from the record, 1 entries"* ]]
	second=${output##*@}
	built caught --no-cache
	[ "${output##*@}" = "$second" ]
	built caught --record fetch
	[ "${output##*@}" != "$second" ]
	lock caught
	built caught
}

@test "rebuild makes an image with recorded downloads again, with no network" {
	recipe again <<-SH
		mkdir -p /opt; curl -fsS http://$http/a.txt -o /opt/a
	SH
	built again # the lock that it carries has what was recorded meanwhile
	stop_servers
	run --separate-stderr env -C "$dir" "$posmedia" rebuild "oci:$dir/out/again:1"
	echo "$output $stderr"
	[ "$status" -eq 0 ]
	[[ $stderr == *"from the record, 1 entries"* ]]
}

@test "gc keeps what locks and the last builds have recorded" {
	rm -rf "$dir/recipes" && mkdir "$dir/recipes"
	echo kept >"$dir/web/files/kept.txt"
	recipe kept <<-SH
		mkdir -p /opt; curl -fsS http://$http/kept.txt -o /opt/kept
	SH
	built kept
	blob=$dir/store/blobs/sha256/$(sha256sum <"$dir/web/files/kept.txt" | cut -c1-64)
	gc --keep 1
	[ -e "$blob" ]
	[ "$(find "$dir/store/cache/records" -type f | wc -l)" -eq 1 ]
	lock kept
	gc --keep 0
	[ -e "$blob" ]
	jq 'del(.recorded)' "$dir/recipes/kept.lock" >"$dir/recipes/without.lock"
	rm "$dir/recipes/kept.lock"
	gc --keep 0
	[ ! -e "$blob" ]
}
