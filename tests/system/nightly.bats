#!/usr/bin/env bats
# A night of several recipes: what is new is built, signed, pushed and compared; one that fails
# stops no other; a night that was killed is taken up where it stood.

bats_require_minimum_version 1.5.0
load lib
load tiny

setup_file() {
	load lib
	load tiny
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	tiny_project "$(mktemp -d "${TMPDIR:-/var/tmp}/nightly.XXXXXX")"
	export dir POSMEDIA_STORE
	chmod 755 "$dir"
	SOURCE_DATE_EPOCH=1780000000 "$posmedia" key new "$dir/key"
	cp "$dir/apt/mirror/dists/bookworm/main/binary-amd64/Packages" "$dir/packages"
	sed -e 's/name: till/name: desk/' "$dir/recipes/till.yaml" >"$dir/recipes/desk.yaml"
	start_registry "$dir/registry"
	export registry registry_pid
}

teardown_file() {
	stop_registry
	rm -rf "$dir"
}

# The archive as it was, and a night of one recipe with a repository of its own.
setup() {
	released=2024-05-06 release "$dir/packages"
	rm -rf "$dir/out" "$dir/ledger" "$dir"/recipes/*.lock
	export SOURCE_DATE_EPOCH=1790000000 # 2026-09-21
	repository=night$BATS_TEST_NUMBER
	night 'recipes: [recipes/till.yaml]'
}

night() {
	cat >"$dir/night.yaml" <<-YAML
		posmedia: 1
		name: shops
		sign: {key: key}
		push: docker://$registry/$repository/{name}
		$1
	YAML
}

# The index $1 as the archive's, signed by the key $2.
release() {
	local dist=$dir/apt/mirror/dists/bookworm index=main/binary-amd64/Packages
	cp "$1" "$dist/$index"
	cat >"$dist/Release" <<-RELEASE
		Suite: bookworm
		Codename: bookworm
		Components: main
		Architectures: amd64
		Date: $(date -u -R -d "${released:-now}")
		${until:+Valid-Until: $until}
		SHA256:
		 $(sha256sum <"$1" | cut -c1-64) $(stat -c %s "$1") $index
	RELEASE
	sed -i '/^$/d' "$dist/Release"
	GNUPGHOME=$dir/apt/gpg gpg --batch --quiet --yes --local-user "${2:-tiny}" --clearsign \
		-o "$dist/InRelease" "$dist/Release"
	GNUPGHOME=$dir/apt/gpg gpgconf --kill all
}

# A newer tiny-app, of version $1.
newer() {
	local p=tiny-app work=$dir/newer
	rm -rf "$work"
	dpkg-deb -R "$dir/apt/mirror/pool/${p}_1.0-1_amd64.deb" "$work"
	sed -i "s/^Version: .*/Version: $1/" "$work/DEBIAN/control"
	dpkg-deb --root-owner-group -b "$work" "$dir/apt/mirror/pool/${p}_new.deb" >/dev/null
	{
		cat "$dir/packages"
		dpkg-deb -f "$dir/apt/mirror/pool/${p}_new.deb"
		printf 'Filename: pool/%s_new.deb\nSize: %s\nSHA256: %s\n\n' "$p" \
			"$(stat -c %s "$dir/apt/mirror/pool/${p}_new.deb")" \
			"$(sha256sum <"$dir/apt/mirror/pool/${p}_new.deb" | cut -c1-64)"
	} >"$dir/packages.new"
	released=2024-05-07 release "$dir/packages.new"
}

tags() {
	"$posmedia" tags "docker://$registry/$repository/till" | tr '\n' ' '
}

digest_at() {
	curl -sI -H 'Accept: application/vnd.oci.image.index.v1+json' \
		-H 'Accept: application/vnd.oci.image.manifest.v1+json' \
		"http://$registry/v2/$repository/till/manifests/$1" |
		sed -n 's/^docker-content-digest: //Ip' | tr -d '\r'
}

of_recipe() { # KEY JQ
	jq -r --arg key "$1" ".recipes[] | select(.recipe == \$key) | $2" <<<"$output"
}

@test "a new image is signed, pushed under its day and its version, compared, and told of" {
	listen
	night "recipes: [recipes/till.yaml]
mail: {to: [ops@example.invalid], from: night@example.invalid, program: sendmail, when: change}
webhook: {url: \"http://127.0.0.1:$(cat "$dir/port")/x\", secret-file: secret, when: always}"
	posmedia nightly night.yaml --json --junit out.xml
	succeeded
	[ "$stderr" = 'posmedia: till: built' ]
	[ "$(of_recipe till '.status, .tag')" = "built
1-20260921" ]
	[ "$(tags)" = '1 1-20260921 ' ]
	posmedia verify "docker://$registry/$repository/till:1" --key key.pub
	succeeded
	xmllint --noout "$dir/out.xml" "$dir/out/nightly/report.xml"
	[ "$(xmllint --xpath 'string(//testsuite/@failures)' "$dir/out.xml")" = 0 ]
	[ "$(find "$dir/out/nightly/statements/till" -name '*.json' | wc -l)" -ge 4 ]
	[ "$(jq -r 'select(.kind == "sign").subject' "$dir"/ledger/*.jsonl)" = \
		"$(digest_at 1)" ]
	run jq -r 'select(.kind == "nightly").fields | .recipe, .outcome' "$dir"/ledger/*.jsonl
	[ "$output" = "till
built" ]
	was_told

	rm "$dir/mail" # nothing is new, and nobody listens any more
	posmedia nightly night.yaml --json
	succeeded
	[ "$(of_recipe till .status)" = unchanged ]
	! grep -q '^\$ posmedia lock' "$dir/out/nightly/log/till.log" || return 1
	grep -q 'it was up to date' "$dir/out/nightly/log/till.log"
	[ ! -e "$dir/mail" ]
	[[ $stderr == *'the webhook was not told: POST http://'*/...* ]]

	newer 1.0-2
	echo 'keep: 1' >>"$dir/night.yaml" # the older one goes
	posmedia nightly night.yaml --json
	succeeded
	[ "$(of_recipe till '.status, .tag, (.notes | length)')" = "built
1-20260921.2
0" ]
	[ "$(tags)" = '1 1-20260921.2 ' ]
	grep -q 'tiny-app.*1.0-1.*1.0-2' "$(of_recipe till .diff)"

	newer 1.0-3 # of three the newest two are here
	echo 'prune: true' >>"$dir/night.yaml"
	posmedia nightly night.yaml --json
	[ "$(of_recipe till '.status, (.notes | length)')" = "built
0" ]
	[ "$(jq -r '.manifests[].annotations."org.opencontainers.image.ref.name"' \
		"$dir/out/nightly/images/till/index.json" | grep -v ^sha256- | sort |
		tr '\n' ' ')" = '1-20260921.2 1-20260921.3 next ' ]
	[ "$(ls "$dir/out/nightly/images")" = 'till
till.logs' ]
	grep -q '^\$ posmedia store gc --keep=2 --lock=.*till.lock --layout=.*/images/till' \
		"$dir/out/nightly/workers.log"
	[[ $stderr != *'was not pruned'* ]]
	posmedia verify oci:out/nightly/images/till:1-20260921.3 --key key.pub \
		--identity "$registry/$repository/till:1"
	succeeded
	posmedia nightly night.yaml --json
	[ "$(of_recipe till .status)" = unchanged ]
	grep -q 'it was up to date' "$dir/out/nightly/log/till.log"
}

# A program that takes mail, and a server that takes one request.
listen() {
	cat >"$dir/sendmail" <<-SH
		#!/bin/sh
		{ echo "\$@"; cat; } >"$dir/mail"
	SH
	chmod 755 "$dir/sendmail"
	perl -MIO::Socket::INET -e '
		$l = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1);
		print $l->sockport, "\n"; close STDOUT; $c = $l->accept; open $f, ">", $ARGV[0];
		while (<$c>) { print $f $_; $n = $1 if /^content-length: (\d+)/i; last if /^\r?$/ }
		read $c, $b, $n; print $f $b; close $f;
		print $c "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n"' "$dir/hook" \
		>"$dir/port" 3>&- &
	wait_for 10 test -s "$dir/port"
	echo secret >"$dir/secret"
}

was_told() {
	[ "$(head -n 1 "$dir/mail")" = '-i -t' ]
	grep -qx 'Subject: shops: done' "$dir/mail"
	grep -q '^built     till:1-2026' "$dir/mail"
	tail -n 1 "$dir/hook" >"$dir/body"
	[ "$(jq -r .nightly "$dir/body")" = shops ]
	grep -qi "^x-posmedia-signature: sha256=$(openssl dgst -sha256 -hmac secret -r \
		< <(tr -d '\n' <"$dir/body") | cut -c1-64)" "$dir/hook"
}

@test "a mirror that dates its index anew changes no image; an old index is asked for again" {
	posmedia nightly night.yaml
	succeeded
	released=2024-05-08 until='Wed, 21 Oct 2099 07:28:00 UTC' release "$dir/packages"
	posmedia nightly night.yaml --json
	succeeded
	[ "$(of_recipe till .status)" = unchanged ]
	grep -q '^\$ posmedia lock' "$dir/out/nightly/log/till.log"
	posmedia nightly night.yaml
	! grep -q '^\$ posmedia lock' "$dir/out/nightly/log/till.log" || return 1
	# as if it had been verified when it was good still
	until='Wed, 21 Oct 2015 07:28:00 UTC' release "$dir/packages"
	sed -i "s/\"bookworm\": \".*\"/\"bookworm\": \"$(sha256sum \
		<"$dir/apt/mirror/dists/bookworm/InRelease" | cut -c1-64)\"/" \
		"$dir/out/nightly/recipes/till.json"
	posmedia nightly night.yaml --json
	[ "$status" -ne 0 ]
	[[ $(of_recipe till '.step, .why') == lock*expired* ]]
}

@test "one that fails stops no other, and the status says of which kind they are" {
	sed -e 's/name: till/name: broken/; s/overlays:/overlais:/' "$dir/recipes/till.yaml" \
		>"$dir/recipes/broken.yaml"
	night 'recipes: ["recipes/*.yaml", recipes/gone.yaml]'
	posmedia nightly night.yaml --json --junit out.xml
	[ "$status" -eq 3 ]
	[ "$(jq -c '[.built, .failed]' <<<"$output")" = '[2,2]' ]
	[[ $(of_recipe broken .why) == *broken.yaml:7:1:*overlais*overlays* ]]
	[ "$(of_recipe gone .step)" = recipe ]
	[ "$(xmllint --xpath 'count(//failure)' "$dir/out.xml")" = 2 ]
	released=2024-05-09 release "$dir/packages" other # nobody's key
	rm "$dir/recipes/desk.lock"
	posmedia nightly night.yaml --only desk --only broken --json
	[ "$status" -eq 3 ]
	[[ $(of_recipe desk .why) == *'a repository is refused'* ]]
	rm "$dir/recipes/broken.yaml"
}

@test "two nights at once: one works, one says so, nothing is done twice or by half" {
	local first second ends=
	rm -rf "$dir/store" # what runs then is what is built
	env -C "$dir" "$posmedia" nightly night.yaml >"$dir/one" 2>&1 3>&- &
	first=$!
	env -C "$dir" "$posmedia" nightly night.yaml >"$dir/two" 2>&1 3>&- &
	second=$!
	wait "$first" || ends=$?
	wait "$second" || ends+=$?
	cat "$dir/one" "$dir/two"
	[ "$ends" = 7 ]
	grep -q 'another nightly is at work' "$dir/one" "$dir/two"
	grep -q '1 built' "$dir/one" "$dir/two"
	[ "$(jq -s 'map(select(.kind == "build" and .fields."stages-run" > 0)) | length' \
		"$dir"/ledger/*.jsonl)" = 1 ]
	[ "$(jq -s 'map(select(.kind == "nightly")) | length' "$dir"/ledger/*.jsonl)" = 1 ]
	[ "$(tags)" = '1 1-20260921 ' ]
	[ "$(digest_at 1)" = "$(digest_at 1-20260921)" ]
	posmedia verify "docker://$registry/$repository/till:1" --key key.pub
	succeeded
	"$posmedia" report ledger --verify --ledger "$dir/ledger"
}

@test "two files of one name: the second is a failure of its own, and takes nothing" {
	cp "$dir/recipes/till.yaml" "$dir/recipes/zwei.yaml"
	night 'recipes: [recipes/till.yaml, recipes/zwei.yaml]'
	posmedia nightly night.yaml --json
	[ "$status" -eq 3 ]
	[ "$(of_recipe till .status)" = built ]
	[[ $(of_recipe zwei .why) == *'its name "till" is that of '*/recipes/till.yaml* ]]
	[ "$(tags)" = '1 1-20260921 ' ]
	rm "$dir/recipes/zwei.yaml"
}

@test "a version that somebody went back with stays where it is; what is gone is pushed again" {
	posmedia nightly night.yaml
	local first
	first=$(digest_at 1)
	newer 1.0-2
	posmedia nightly night.yaml
	succeeded
	[ "$(digest_at 1)" != "$first" ]
	posmedia copy "docker://$registry/$repository/till:1-20260921" \
		"docker://$registry/$repository/till:1"
	succeeded
	posmedia nightly night.yaml --json
	[ "$(of_recipe till .status)" = unchanged ]
	[ "$(digest_at 1)" = "$first" ]
	# the repository is another, and empty
	repository=empty$BATS_TEST_NUMBER
	night 'recipes: [recipes/till.yaml]'
	posmedia nightly night.yaml --json
	succeeded
	[ "$(tags)" = '1 1-20260921.2 ' ]
}

@test "reports that cannot be written: who wants to be told is, and what was done is noted" {
	printf '#!/bin/sh\ncat >%s\n' "$dir/mail" >"$dir/sendmail"
	chmod 755 "$dir/sendmail"
	mkdir -p "$dir/out/nightly/report.txt/x"
	night 'recipes: [recipes/till.yaml]
mail: {to: [ops@example.invalid], program: sendmail, when: always}'
	posmedia nightly night.yaml
	[ "$status" -eq 1 ]
	[[ $stderr == *'its reports are not written'* ]]
	grep -q '^built     till:1-2026' "$dir/mail"
	[ "$(jq -r 'select(.kind == "nightly").fields.outcome' "$dir"/ledger/*.jsonl)" = built ]
}

@test "what a signer is told is not in the log" {
	printf '#!/bin/sh\nexit 1\n' >"$dir/signer"
	chmod 755 "$dir/signer"
	night 'recipes: [recipes/till.yaml]'
	sed -i 's/^sign: .*/sign: {key: key, signer: signer, signer-args: [sesame]}/' \
		"$dir/night.yaml"
	posmedia nightly night.yaml --json
	[ "$(of_recipe till .step)" = sign ]
	grep -q -e '--signer-arg=\.\.\.' "$dir/out/nightly/log/till.log"
	run ! grep -r sesame "$dir/out/nightly"
}

@test "a night dies at each of its steps, and the next one ends it: one tag, nothing built twice" {
	local point want
	for point in built tagged told finished; do
		rm -rf "$dir/out" "$dir/ledger" "$dir/recipes/till.lock"
		repository=died-$point
		night 'recipes: [recipes/till.yaml]'
		run --separate-stderr env -C "$dir" POSMEDIA_DIE_AT="night $point" \
			"$OUT/faults/posmedia" nightly night.yaml --json
		[ "$status" -ne 0 ]
		[ "$(of_recipe till .step)" = worker ] || { echo "$point: $output"; false; }
		case $point in
		told | finished)
			jq -se 'any(.kind == "nightly" and .fields.outcome == "built")' \
				"$dir"/ledger/*.jsonl
			;;
		esac
		# the next day: a tag that was chosen stays
		SOURCE_DATE_EPOCH=1790086400 posmedia nightly night.yaml --json
		succeeded
		[[ $(of_recipe till .status) == @(built|unchanged) ]]
		case $point in built) want='1 1-20260922 ' ;; *) want='1 1-20260921 ' ;; esac
		[ "$(tags)" = "$want" ] || { echo "$point: $(tags)"; false; }
		[ "$(jq -r .digest "$dir/out/nightly/recipes/till.json")" = \
			"$(of_recipe till .digest)" ]
		grep -q 'it was up to date' "$dir/out/nightly/log/till.log" ||
			{ echo "$point: built again"; false; }
	done
}

@test "a tag of a night that died stays its image's: a newer one of that day gets the next" {
	run env -C "$dir" POSMEDIA_DIE_AT='night tagged' "$OUT/faults/posmedia" nightly night.yaml
	[ "$status" -ne 0 ]
	local first
	first=$(digest_at 1-20260921)
	[[ $first == sha256:* ]]
	newer 1.0-3
	posmedia nightly night.yaml --json
	succeeded
	[ "$(of_recipe till .tag)" = 1-20260921.2 ]
	[ "$(digest_at 1-20260921)" = "$first" ]
	[ "$(digest_at 1-20260921.2)" != "$first" ]
}

@test "a night that is killed takes all it started with it" {
	sed -e 's/tiny-app/tiny-slow/; s/name: till/name: slow/' "$dir/recipes/till.yaml" \
		>"$dir/slow.yaml"
	night 'recipes: [slow.yaml]'
	env -C "$dir" "$posmedia" nightly night.yaml 2>/dev/null 3>&- &
	local night=$!
	wait_for 20 pgrep -f "$dir/store/tmp|tiny-slow.postinst"
	kill -9 "$night"
	wait_for 10 no_process
	no_process
}

no_process() {
	! pgrep -f "$dir/(night|slow|store)|tiny-slow.postinst"
}
