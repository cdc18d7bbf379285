#!/usr/bin/env bats
# What recipes/profiles/pa-dss-3.2-el9.yaml has programs judge, with Debian's of the same names in a
# tree that has the files of Enterprise Linux.

load lib
load gates

setup_file() {
	bats_require_minimum_version 1.5.0
	export tree_dir tools
	tree_dir=$(mktemp -d "${TMPDIR:-/var/tmp}/hardened-el.XXXXXX")
	load lib
	tools=$OUT/tests/pwscore
	[ -d "$tools" ] || flock "$OUT/tests.flock" tests/system/fetch-tool bookworm \
		libpwquality-tools "$tools" >"$OUT/tests-pwscore.log" 2>&1 ||
		skip "no pwscore: $(tail -n 1 "$OUT/tests-pwscore.log")"
	need_demo
	umoci raw unpack --image "$OUT/demo:0.1.0" "$tree_dir/root" >"$tree_dir/umoci.log" 2>&1
	cp "$tools/usr/bin/pwscore" "$tree_dir/root/usr/bin/"
	mkdir "$tree_dir/root/etc/sysconfig"
	cp "$tree_dir/root/etc/"{nftables.conf,sysconfig/}
}

teardown_file() {
	rm -rf "$tree_dir"
}

# shellcheck disable=SC2034 # of gates.bash
setup() {
	root=$tree_dir/root
	only='NET-01b PAM-04b'
	profile=recipes/profiles/pa-dss-3.2-el9.yaml
}

@test "both are run, and pass" {
	gates
	[ "$failed" = '' ] || { echo "$said"; false; }
	[ "$(jq -c '[.results[] | select(.status == "pass").id] | map(select(. == "NET-01b" or
		. == "PAM-04b"))' "$tree_dir/gates.json")" = '["NET-01b","PAM-04b"]' ]
}

@test "NET-01b PAM-04b: rules that are none, and a dictionary that is not there" {
	mv "$root/etc/sysconfig/nftables.conf" "$tree_dir/nftables.conf"
	breaks NET-01b etc/sysconfig/nftables.conf 600 'table inet x { chain y { nosuch } }' \
		'nft -c -f /etc/sysconfig/nftables.conf: exit status 1'
	mv "$tree_dir/nftables.conf" "$root/etc/sysconfig/nftables.conf"
	lacks PAM-04b var/cache/cracklib/cracklib_dict.pwd 'pwscore: exit status'
	sed -i.before 's/^minlen.*/minlen = 8/' "$root/etc/security/pwquality.conf"
	gates
	mv "$root/etc/security/pwquality.conf.before" "$root/etc/security/pwquality.conf"
	[ "$failed" = PAM-04b ]
	[[ $said == *'pwscore: accepts what it must refuse'* ]] || { echo "$said"; false; }
}
