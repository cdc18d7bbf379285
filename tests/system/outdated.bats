#!/usr/bin/env bats
# What of an image is behind its repositories: a newer version, a security update, what no
# repository knows, and repositories that lie, are gone, or are not there at all.

bats_require_minimum_version 1.5.0
load lib
load tiny
load rpm

setup_file() {
	load lib
	load tiny
	load rpm
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/outdated.XXXXXX")
	export dir
	chmod 755 "$dir"
	tiny_project "$dir"
	export POSMEDIA_STORE
	cp "$dir/apt/mirror/dists/bookworm/main/binary-amd64/Packages" "$dir/packages"
	: >"$dir/none"
	suite bookworm "$dir/packages"
	suite bookworm-security "$dir/none"
	sed -i 's/suite: bookworm,/suite: bookworm, pockets: [security],/' "$dir/recipes/till.yaml"
	posmedia lock recipes/till.yaml
	posmedia build recipes/till.yaml -o oci:out/till:1
}

teardown_file() {
	rm -rf "$dir"
}

# Suite $1 of the mirror with the index $2, signed by the key $3.
suite() {
	local dist=$dir/apt/mirror/dists/$1 index=main/binary-amd64/Packages
	mkdir -p "$dist/main/binary-amd64"
	cp "$2" "$dist/$index"
	cat >"$dist/Release" <<-RELEASE
		Suite: $1
		Codename: $1
		Components: main
		Architectures: amd64
		Date: $(date -u -R -d "${released:-2024-05-06 07:08:09}")
		SHA256:
		 $(sha256sum <"$2" | cut -c1-64) $(stat -c %s "$2") $index
	RELEASE
	GNUPGHOME=$dir/apt/gpg gpg --batch --quiet --yes --local-user "${3:-tiny}" --clearsign \
		-o "$dist/InRelease" "$dist/Release"
	GNUPGHOME=$dir/apt/gpg gpgconf --kill all
}

# An entry of an index for package $1 in version $2.
entry() {
	printf 'Package: %s\nVersion: %s\nArchitecture: %s\nFilename: pool/x.deb\nSize: 1\n' \
		"$1" "$2" "${3:-amd64}"
	printf 'SHA256: %064d\n\n' 0
}

setup() {
	suite bookworm "$dir/packages"
	suite bookworm-security "$dir/none"
}

@test "an image that is as new as its repositories" {
	posmedia outdated oci:out/till:1
	succeeded
	[[ $output == *'0 of 3 packages are behind, 0 by a security update'* ]]
	[[ $output == *'looked in bookworm of 2024-05-06T07:08:09Z'* ]]
	no_traces
}

@test "a newer version, and the newest of several" {
	{
		cat "$dir/packages"
		entry tiny-app 1.0-2
		entry tiny-app 1.0~rc1
		entry tiny-app 1.10-1 arm64
		entry tiny-lib 1.0-10
		entry tiny-lib 1.0-9
		entry unknown 7
	} >"$dir/newer"
	suite bookworm "$dir/newer"
	posmedia outdated oci:out/till:1
	refused 4 '2 packages are behind'
	[[ $output == *'update   tiny-app 1.0-1 -> 1.0-2 bookworm'* ]]
	[[ $output == *'update   tiny-lib 1.0-1 -> 1.0-10 bookworm'* ]]
	posmedia outdated oci:out/till:1 --fail-on security --json
	succeeded
	[ "$(jq -c '[.packages, .security, .strange, (.behind[0] | .package, .version, .candidate,
		.security)]' <<<"$output")" = '[3,0,[],"tiny-app","1.0-1","1.0-2",false]' ]
	[ "$(jq -r .digest <<<"$output")" = "$(jq -r '.manifests[0].digest' \
		"$dir/out/till/index.json")" ]
}

@test "a security update is marked, though there is something newer still" {
	entry tiny-app 1.0-1+deb12u1 >"$dir/fix"
	suite bookworm-security "$dir/fix"
	{
		cat "$dir/packages"
		entry tiny-app 2.0-1
	} >"$dir/newer"
	suite bookworm "$dir/newer"
	posmedia outdated oci:out/till:1 --fail-on security
	refused 4 '1 security updates are pending'
	[[ $output == *'security tiny-app 1.0-1 -> 2.0-1 bookworm'* ]]
	posmedia outdated oci:out/till:1 --fail-on never
	succeeded
}

@test "what no repository knows is counted apart" {
	sed '/^Package: tiny-lib$/,/^$/d' "$dir/packages" >"$dir/less"
	suite bookworm "$dir/less"
	posmedia outdated oci:out/till:1 --json
	succeeded
	[ "$(jq -c .strange <<<"$output")" = '["tiny-lib"]' ]
}

@test "an index that is not signed by the image's own key is refused, a damaged one too" {
	suite bookworm-security "$dir/none" other
	posmedia outdated oci:out/till:1
	refused 3 'a repository is refused'
	entry tiny-app 1.0-2 >"$dir/fix"
	suite bookworm-security "$dir/fix"
	echo more >>"$dir/apt/mirror/dists/bookworm-security/main/binary-amd64/Packages"
	posmedia outdated oci:out/till:1
	refused 4 'an index is not the one that was signed'
	no_traces
}

@test "an image that says nothing of its repositories, and words that are none" {
	tar -cf "$dir/plain.tar" -C "$dir/overlay" .
	tests/lib/make-layout "$dir/plain" 1 7 "@$dir/plain.tar"
	posmedia outdated oci:plain
	refused 3 'does not carry its recipe'
	posmedia outdated oci:out/till:1 --fail-on urgent
	refused 2 '--fail-on: any, security or never, not urgent'
}

@test "of rpm packages dnf says what is newer, and an advisory what is a security update" {
	rpm_repo "$dir"
	export POSMEDIA_DNF_MIRROR=file://$dir/rpm/mirror
	cat >"$dir/recipes/shop.yaml" <<-YAML
		posmedia: 1
		name: shop
		version: 1
		base:
		  dnf:
		    release: "9"
		    repos:
		      - {name: base, url: base, gpgkey: rpm/key.asc}
		      - {name: updates, url: news, gpgkey: rpm/key.asc}
		packages: {install: [till-app]}
	YAML
	mkdir "$dir/rpm/mirror/news"
	news
	posmedia lock recipes/shop.yaml
	succeeded
	posmedia build recipes/shop.yaml -o oci:out/shop:1
	succeeded
	posmedia outdated oci:out/shop:1
	succeeded
	cp "$dir"/rpm/mirror/updates/till-app-*.rpm "$dir/rpm/mirror/news/"
	news
	posmedia outdated oci:out/shop:1
	refused 4 '1 packages are behind'
	[[ $output == *'update   till-app 1-1 -> 2-1 updates'* ]]
	news TILL-2026:0001
	posmedia outdated oci:out/shop:1 --fail-on security --json
	refused 4 '1 security updates are pending'
	[ "$(jq -c '.behind[] | [.package, .candidate, .security, .advisories]' <<<"$output")" = \
		'["till-app","2-1",true,["TILL-2026:0001"]]' ]
}

# The repository news as it is, with an advisory $1 for till-app 2.
news() {
	local to=$dir/rpm/mirror/news
	rm -rf "$to/repodata"
	createrepo_c -q "$to" >/dev/null
	[ $# -eq 0 ] || {
		cat >"$dir/updateinfo.xml" <<-XML
			<updates><update from="till" status="final" type="security" version="1">
			<id>$1</id><title>till</title><severity>Important</severity>
			<issued date="2026-01-02 03:04:05"/>
			<pkglist><collection short="u"><name>u</name>
			<package name="till-app" version="2" release="1" epoch="0"
			 arch="x86_64">
			<filename>till-app-2-1.x86_64.rpm</filename></package></collection>
			</pkglist></update></updates>
		XML
		modifyrepo_c "$dir/updateinfo.xml" "$to/repodata" >/dev/null
	}
	GNUPGHOME=$dir/rpm/gpg gpg --batch --quiet --yes --armor --detach-sign \
		--local-user till@example.invalid "$to/repodata/repomd.xml"
	gpgconf --homedir "$dir/rpm/gpg" --kill all
}
