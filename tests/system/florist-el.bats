#!/usr/bin/env bats
# The recipes of RTI and Daisy for Enterprise Linux 9, against a stand-in repository that has empty
# packages of the names that they ask for: they load, every name is one that dnf takes, and what
# they do is what those for Debian do.

bats_require_minimum_version 1.5.0
load lib

setup_file() {
	load lib
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/florist-el.XXXXXX")
	export dir GNUPGHOME=$dir/gnupg POSMEDIA_STORE=$dir/store
	export POSMEDIA_DNF_MIRROR=file://$dir/mirror
	mkdir -m 700 "$GNUPGHOME"
	mkdir -p "$dir/tests"
	cp -r recipes overlays signing "$dir/"
	cp -r tests/fixtures "$dir/tests/"
	gpg --batch --quiet --passphrase '' --quick-gen-key el rsa2048 sign never
	gpg --batch --quiet --armor --export el >"$dir/signing/keyrings/el-9.asc"
	repository BaseOS noarch "$(cat recipes/base/{el-9,*-el}.yaml |
		sed -n 's/^    - \([a-z][A-Za-z0-9+-]*\)$/\1/p' | sort -u)"
	repository AppStream i686 glibc
}

# An index, signed, of empty packages: NAME ARCHITECTURE PACKAGES.
repository() {
	local at=$dir/mirror/$1/x86_64/os
	{
		printf 'Name: stand-in\nVersion: 1\nRelease: 1\nSummary: For tests\nLicense: MIT\n'
		printf '%%description\nFor tests.\n'
		printf '%s\n' "$3" | sed 's/.*/%package -n &\nSummary: For tests\
%description -n &\nFor tests.\n%files -n &/'
	} >"$dir/$1.spec"
	mkdir -p "$at"
	rpmbuild --quiet -bb --target "$2" --define "_topdir $dir/rpmbuild" \
		--define "_rpmdir $at" --define '_build_name_fmt %%{NAME}-%%{ARCH}.rpm' \
		--define '_binary_payload w0.ufdio' "$dir/$1.spec" >"$dir/rpmbuild.log" 2>&1 ||
		{ cat "$dir/rpmbuild.log" && return 1; }
	createrepo_c -q "$at" >"$dir/createrepo.log" 2>&1
	gpg --batch --quiet --armor --detach-sign "$at/repodata/repomd.xml"
}

teardown_file() {
	gpgconf --kill all
	rm -rf "$dir"
}

resolved() {
	run --separate-stderr env -C "$dir" "$posmedia" lock "recipes/$1.yaml"
	[ "$status" -eq 0 ] || { echo "$stderr" && return 1; }
}

@test "each recipe is resolved by dnf, with a runtime of 32 bits" {
	local name
	for name in rti daisy; do
		resolved "$name-el9"
		jq -r '.packages[] | "\(.name).\(.arch)"' "$dir/recipes/$name-el9.lock" \
			>"$dir/names"
		for p in httpd.noarch sendmail.noarch samba.noarch systemd.noarch glibc.i686; do
			grep -qx "$p" "$dir/names" || { echo "no $p" && return 1; }
		done
	done
}

@test "each is planned with the profile of its system, and with no other" {
	local name profiles=$dir/recipes/profiles
	for name in rti daisy; do
		resolved "$name-el9"
		run --separate-stderr env -C "$dir" "$posmedia" plan "recipes/$name-el9.yaml"
		[ "$status" -eq 0 ] || { echo "$stderr" && return 1; }
	done
	# a profile of that name that does not extend the other one, which goes
	printf '%s\n' 'posmedia-profile: 1' 'id: el' 'version: 1.0.0' 'title: t' 'controls: []' \
		>"$profiles/pa-dss-3.2-el9.yaml"
	mv "$profiles/pa-dss-3.2.yaml" "$dir/"
	for name in rti daisy; do
		env -C "$dir" "$posmedia" plan "recipes/$name-el9.yaml"
		run --separate-stderr env -C "$dir" "$posmedia" plan "recipes/$name.yaml"
		[ "$status" -ne 0 ]
		[[ $stderr == *'no profile "pa-dss-3.2"'* ]]
	done
	mv "$dir/pa-dss-3.2.yaml" "$profiles/"
	rm "$profiles/pa-dss-3.2-el9.yaml"
	run ! --separate-stderr env -C "$dir" "$posmedia" plan recipes/rti-el9.yaml
	[[ $stderr == *pa-dss-3.2-el9* ]]
	cp recipes/profiles/pa-dss-3.2-el9.yaml "$profiles/"
}

@test "media and steps are those of Debian" {
	local name what
	for name in rti daisy; do
		for what in "$name" "$name-el9"; do
			env -C "$dir" "$posmedia" lock "recipes/$what.yaml" --json >"$dir/lock.json"
			jq -S '[.media, .steps.sha256]' "$dir/recipes/$what.lock" \
				>"$dir/$what.parts"
			[ "$(jq -r '.[1] | length' "$dir/$what.parts")" = 64 ]
		done
		cmp "$dir/$name.parts" "$dir/$name-el9.parts"
	done
}
