#!/usr/bin/env bats
# What posmedia vpn writes, and what it refuses. The tunnels themselves: tests/system/vpn.bats.

bats_require_minimum_version 1.5.0
load lib

setup() {
	dir=$(mktemp -d)
	mkdir -p "$dir/recipes/sites" "$dir/signing"
	cp signing/policy.yaml "$dir/signing/"
	echo 'a secret of twenty-four b' >"$dir/psk"
	chmod 600 "$dir/psk"
	peers a
}

teardown() {
	rm -rf "$dir"
}

# The site with these peers; the second and later have networks of their own.
peers() {
	local p n=0
	cat >"$dir/recipes/sites/s.yaml" <<-YAML
		posmedia: 1
		shop: "123"
		environment: dev
		image: {reference: "oci:out/tiny:1", policy: signing/policy.yaml}
		hostname: h
		data: [{name: d, at: /d}]
		secrets:
		  - {name: s, ${from:-file: $dir/psk}}
		vpn:
		  id: us.example
		  networks: [10.0.0.0/24]
		  peers:
	YAML
	for p; do
		n=$((n + 1))
		echo "    - {name: $p, address: 192.0.2.$n, id: $p.example," \
			"networks: [10.$n.0.0/24], secret: s}" >>"$dir/recipes/sites/s.yaml"
	done
}

vpn() {
	in_project vpn "$@" -o out recipes/sites/s.yaml
}

@test "connections, secrets and a sheet in three forms for each store" {
	peers a b
	vpn
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	(cd "$dir/out" && find . -type f -printf '%m %P\n' | sort -k2) >"$dir/files"
	diff "$dir/files" - <<-'END'
		644 conf.d/posmedia-123-dev.conf
		600 posmedia/123-dev.secrets
		644 posmedia/sheets/123-dev/a.html
		644 posmedia/sheets/123-dev/a.md
		644 posmedia/sheets/123-dev/a.txt
		644 posmedia/sheets/123-dev/b.html
		644 posmedia/sheets/123-dev/b.md
		644 posmedia/sheets/123-dev/b.txt
	END
	[[ $output == *'finding: '*'two stores share a secret'* ]]
	grep -q 'secret = 0s' "$dir/out/posmedia/123-dev.secrets"
	[ "$(grep -c 'version = 2' "$dir/out/conf.d/posmedia-123-dev.conf")" -eq 2 ]
	run grep -r 'sha1\|modp1024\|3des\|version = 1\|secret = ' "$dir/out/conf.d"
	[ "$status" -ne 0 ]
}

@test "the three forms of a sheet say the same" {
	vpn
	local at=$dir/out/posmedia/sheets/123-dev/a
	sed -n 's/^  \(.\{32\}\) \(.*\)/\1|\2/p' "$at.txt" | sed 's/ *|/|/' >"$dir/text"
	[ "$(wc -l <"$dir/text")" -eq 19 ]
	sed -n 's/^| \([A-Z].*\) | \(.*\) |$/\1|\2/p' "$at.md" | sed 's/&quot;/"/g' >"$dir/markdown"
	diff "$dir/text" "$dir/markdown"
	xmllint --html --xpath '//tr' "$at.html" 2>/dev/null |
		sed 's,<tr><th>\(.*\)</th><td>\(.*\)</td></tr>,\1|\2,; s/&quot;/"/g' >"$dir/html"
	diff "$dir/text" "$dir/html"
}

@test "a second time nothing changes; a peer that goes takes its sheets along" {
	peers a b
	vpn
	find "$dir/out" -printf '%p %i %T@\n' | sort >"$dir/before"
	vpn
	[[ $output == 'nothing changed'* ]]
	find "$dir/out" -printf '%p %i %T@\n' | sort | cmp - "$dir/before"
	peers a
	vpn --dry-run
	[[ $output == *'would change out/posmedia/sheets/123-dev/b.html'* ]]
	find "$dir/out" -printf '%p %i %T@\n' | sort | cmp - "$dir/before"
	vpn --json
	[ "$(jq -c '[.files[]|select(.changed)|.path|sub(".*/";"")]|sort' <<<"$output")" = \
		'["123-dev.secrets","b.html","b.md","b.txt","posmedia-123-dev.conf"]' ]
	[ ! -e "$dir/out/posmedia/sheets/123-dev/b.txt" ]
	chmod 644 "$dir/out/posmedia/123-dev.secrets"
	vpn
	[ "$output" = 'changed out/posmedia/123-dev.secrets' ]
	[ "$(stat -c %a "$dir/out/posmedia/123-dev.secrets")" = 600 ]
}

@test "a secret that others may read, a pipe, a link, a short or an empty one is refused" {
	chmod 640 "$dir/psk"
	vpn
	refused 4 'others may read this secret (mode 0640)'
	rm "$dir/psk"
	mkfifo -m 600 "$dir/psk"
	vpn
	refused 4 'must be a regular file'
	rm "$dir/psk"
	vpn
	refused 1 "read the secret $dir/psk"
	install -m 600 /dev/null "$dir/other"
	echo 'a secret of twenty-four b' >"$dir/other"
	ln -s other "$dir/psk"
	vpn
	refused 1 "read the secret $dir/psk"
	rm "$dir/psk"
	install -m 600 /dev/null "$dir/psk"
	vpn
	refused 4 'the secret is empty'
	echo short >"$dir/psk"
	vpn
	refused 4 'the secret "s" has 5 bytes, not 20 to 256'
	printf 'a secret with a \033 in it, long' >"$dir/psk"
	vpn
	refused 4 'bytes that nobody can type'
	printf 'a secret with more \0 behind it' >"$dir/psk"
	vpn
	refused 4 'bytes of 0'
	[ ! -e "$dir/out" ]
}

@test "a secret from a credential and from a command" {
	from='credential: psk' peers a
	vpn
	refused 1 'no CREDENTIALS_DIRECTORY'
	CREDENTIALS_DIRECTORY=$dir vpn
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	cp "$dir/out/posmedia/123-dev.secrets" "$dir/first"
	rm -r "$dir/out"
	from="command: [/bin/cat, $dir/psk]" peers a
	vpn
	[ "$status" -eq 0 ]
	cmp "$dir/first" "$dir/out/posmedia/123-dev.secrets"
	from="command: [/bin/sh, -c, 'echo hunter2; echo hunter2 >&2; exit 3']" peers a
	vpn
	refused 1 '/bin/sh gave no secret: exit 3'
	[[ $output$stderr != *hunter2* ]]
}

@test "what a site without tunnels had is removed, and it is told so" {
	vpn
	: >"$dir/out/conf.d/other.conf"
	sed -i '/^vpn/,$d' "$dir/recipes/sites/s.yaml"
	vpn --dry-run
	[[ $output == *'would change out/conf.d/posmedia-123-dev.conf'* ]]
	[ "$(find "$dir/out" -type f | wc -l)" -eq 6 ]
	vpn
	[ "$status" -eq 0 ] || { echo "$stderr"; false; }
	[[ $output == *'changed out/posmedia/123-dev.secrets'*'no "vpn"'* ]]
	[ "$(find "$dir/out" -type f)" = "$dir/out/conf.d/other.conf" ]
	vpn
	[ "$status" -eq 0 ]
	[[ $output == 'nothing changed'*'finding: recipes/sites/s.yaml: no "vpn"'* ]]
}

@test "an unknown place is refused" {
	peers a
	: >"$dir/file"
	in_project vpn -o file recipes/sites/s.yaml
	refused 1 file
}
