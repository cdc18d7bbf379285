#!/usr/bin/env bats
# The files of evidence: all of one run, the same bytes again, bound to the image, and refused when
# they say something else than the image.

load lib
load tiny

setup_file() {
	bats_require_minimum_version 1.5.0
	export dir
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/evidence.XXXXXX")
	load lib
	load tiny
	tiny_project "$dir"
	profile=$PWD/recipes/profiles/pa-dss-3.2.yaml
	export profile
	env -C "$dir" "$posmedia" lock recipes/till.yaml
	env -C "$dir" "$posmedia" build recipes/till.yaml -o oci:out:1
}

teardown_file() {
	rm -rf "$dir"
}

teardown() {
	stop_registry
}

setup() {
	export POSMEDIA_STORE=$dir/store
	files="audit.html audit.json audit.sarif junit.xml oscal-ar.json statement.json"
	files="$files xccdf-results.xml"
}

# Writes evidence about oci:out:1 into $1 with further options.
evidence() {
	local to=$1
	shift
	posmedia audit oci:out:1 --profile "$profile" --fail-on never --evidence "$to" "$@"
	succeeded
}

check() {
	local from=$1
	shift
	posmedia audit oci:out:1 --profile "$profile" --verify-evidence "$from" "$@"
}

@test "all files, small, and the same bytes again" {
	evidence one
	evidence two
	# shellcheck disable=SC2086 # names
	[ "$(ls "$dir/one")" = "$(printf '%s\n' $files)" ]
	diff -r "$dir/one" "$dir/two"
	[ "$(cat "$dir"/one/* | wc -c)" -lt 1000000 ]
	run -0 env -C "$dir" SOURCE_DATE_EPOCH=1000000000 TZ=Asia/Tokyo LC_ALL=C.UTF-8 \
		"$posmedia" audit oci:out:1 --profile "$profile" --fail-on never --evidence two
	diff -r "$dir/one" "$dir/two"
}

@test "the statement is about the image, and its digests are those of the files" {
	evidence one
	manifest=$(jq -r '.manifests[0].digest' "$dir/out/index.json")
	config=$(jq -r .config.digest "$dir/out/blobs/sha256/${manifest#*:}")
	cd "$dir/one" || return
	[ "$(jq -r '.subject[].digest.sha256' statement.json)" = "${manifest#*:}
${config#*:}" ]
	[[ $(jq -r .predicateType statement.json) == */attestation/test-result/v0.1 ]]
	[ "$(jq -r .predicate.result statement.json)" = FAILED ]
	jq -r '.predicate.evidence[] | "\(.digest.sha256)  \(.name)"' statement.json | sha256sum -c
	[ "$(jq '.predicate.evidence | length' statement.json)" -eq 6 ]
	grep -q "${manifest#*:}" audit.html
}

@test "the formats agree on what failed" {
	evidence one
	cd "$dir/one" || return
	jq -r '.results[] | select(.status == "fail").id' audit.json >../want
	[ -s ../want ]
	jq -r '.predicate.failedTests[]' statement.json | diff ../want -
	jq -r '.runs[].results[] | select(.kind == "fail").ruleId' audit.sarif | uniq |
		diff ../want -
	jq -r '."assessment-results".results[].findings[] | .target |
		select(.status.state == "not-satisfied")."target-id"' oscal-ar.json | diff ../want -
	xmllint --xpath '//testcase[failure]/@name' junit.xml |
		sed 's/^ *name="//; s/: .*//' | diff ../want -
	xmllint --xpath '//*[local-name()="rule-result"][*[local-name()="result"]="fail"]/@idref' \
		xccdf-results.xml | sed 's/.*_rule_//; s/"$//' | diff ../want -
}

@test "evidence that was written is verified" {
	evidence one
	check one
	succeeded
	evidence some --format html,intoto
	[ "$(ls "$dir/some")" = "audit.html
statement.json" ]
	check some --format html,intoto
	succeeded
	check some
	refused 4 audit.json
}

@test "a changed, a missing and another image's file are refused" {
	for f in $files; do
		evidence one
		sed -i 's/fail/pass/' "$dir/one/$f"
		check one
		refused 4 "one/$f: is not what this audit says"
		rm "$dir/one/$f"
		check one
		refused 4 "one/$f"
	done
	evidence one
	manifest=$(jq -r '.manifests[0].digest' "$dir/out/index.json")
	sed -i "s/${manifest#*:}/$(printf '%064d' 0)/" "$dir"/one/*
	check one
	refused 4 "one/audit.json: is not about image $manifest"
}

@test "a waiver that has ended since is told" {
	cat >"$dir/recipes/waived.yaml" <<-YAML
		posmedia: 1
		name: till
		version: 1
		base:
		  apt: {suite: bookworm, keyring: apt/key.gpg, mirrors: ["file://$dir/apt/mirror"]}
		hardening:
		  waivers: [{control: PKG-03, reason: no logs, by: A. Nyone, until: 2030-01-31}]
	YAML
	waived=(--recipe recipes/waived.yaml)
	evidence one "${waived[@]}" --date 2030-01-31
	[ "$(jq -r '."holds-until"' "$dir/one/audit.json")" = 2030-01-31 ]
	grep -q 'until 2030-01-31, by A. Nyone: no logs' "$dir/one/audit.html"
	check one "${waived[@]}" --date 2029-05-05
	succeeded
	check one "${waived[@]}" --date 2030-02-01
	refused 4 "is not what this audit says"
}

@test "a waiver is told in every form as long as it holds, and every control is in each" {
	cat >"$dir/recipes/run.yaml" <<-YAML
		posmedia: 1
		name: till
		version: 1
		base:
		  apt: {suite: bookworm, keyring: apt/key.gpg, mirrors: ["file://$dir/apt/mirror"]}
		hardening:
		  waivers:
		    - {control: OCI-05, reason: the engine says, by: A. Nyone, until: 2030-01-31}
	YAML
	waived=(--recipe recipes/run.yaml)
	evidence one "${waived[@]}" --date 2030-01-31
	[[ $output == *'waived         medium OCI-05 '* ]]
	[[ $output == *'(waived until 2030-01-31 by A. Nyone: the engine says)'* ]]
	[[ $output == *' 1 waived, '* ]]
	for f in $files; do
		[ "$f" = statement.json ] || grep -q 'the engine says' "$dir/one/$f" ||
			{ echo "not in $f"; return 1; }
		# those that judge what is in files, and those that run a program
		for id in $(jq -r '.results[].id' "$dir/one/audit.json"); do
			[ "$f" = statement.json ] || grep -q -e "$id" "$dir/one/$f" ||
				{ echo "$id is not in $f"; return 1; }
		done
	done
	cd "$dir/one" || return
	jq -e '.results[] | select(.id == "OCI-05") | .status == "waived" and
		.waiver.until == "2030-01-31"' audit.json
	jq -e '.predicate | (.warnedTests | index("OCI-05")) and
		(.failedTests | index("OCI-05") | not)' statement.json
	jq -e '.runs[].results[] | select(.ruleId == "OCI-05").suppressions[0].status ==
		"accepted"' audit.sarif
	jq -e '."assessment-results".results[].risks[] | select(.status == "deviation-approved") |
		.statement == "the engine says"' oscal-ar.json
	xmllint --xpath '//testcase[skipped and starts-with(@name, "OCI-05: ")]' junit.xml
	grep -q 'badge waived.*class="seen".*the engine says' audit.html
	cd - >/dev/null || return
	# the day after it fails everywhere, and the end of the waiver fails too
	posmedia audit oci:out:1 --profile "$profile" "${waived[@]}" --date 2030-02-01 \
		--fail-on medium --evidence two
	[ "$status" -eq 4 ]
	[[ $output == *'fail           medium OCI-05 '*'the waiver ended on 2030-01-31'* ]]
	[[ $output == *'fail           high   BLD-03 '* ]]
	jq -e '.predicate.failedTests | index("OCI-05") and index("BLD-03")' \
		"$dir/two/statement.json"
	xmllint --xpath '//testcase[failure and starts-with(@name, "OCI-05: ")]' \
		"$dir/two/junit.xml"
	# the word itself is in its legend
	run ! grep -q 'badge waived.*class="seen"' "$dir/two/audit.html"
}

@test "a directory has no digest, and its evidence says so" {
	mkdir -p "$dir/tree/etc"
	posmedia audit dir:tree --profile "$profile" --fail-on never --evidence one \
		--date 2026-01-02
	succeeded
	[ "$(jq -c .subject "$dir/one/statement.json")" = '[{"digest":{},"name":"dir:tree"}]' ]
	[ "$(jq -r .time "$dir/one/audit.json")" = 2026-01-02T00:00:00Z ]
	posmedia audit dir:tree --profile "$profile" --verify-evidence one --date 2026-01-02
	succeeded
}

@test "signatures by the given key are told" {
	env -C "$dir" "$posmedia" key new k --uid test
	cp -r "$dir/out" "$dir/signed"
	env -C "$dir" "$posmedia" sign oci:signed:1 --key k --identity shop.test/till:1
	posmedia audit oci:signed:1 --profile "$profile" --fail-on never --evidence one --key k.pub
	succeeded
	[ "$(jq '.signatures | length' "$dir/one/audit.json")" -ge 2 ]
	grep -q 'cosign signature of shop.test/till:1 by key sha256:' "$dir/one/audit.html"
	evidence one --key k.pub
	grep -q 'none by the given key' "$dir/one/audit.html"
}

@test "options that do not go together" {
	posmedia audit oci:out:1 --profile "$profile" --format html
	refused 2 "--format is for --evidence"
	posmedia audit oci:out:1 --profile "$profile" --evidence a --verify-evidence a
	refused 2 "exclude each other"
	posmedia audit oci:out:1 --profile "$profile" --evidence a --format html,pdf
	refused 2 'format "pdf" is not known'
	posmedia audit oci:out:1 --profile "$profile" --date 1.2.2026
	refused 2 'is no day'
}

@test "the statement is attached, signed, carried through a registry and demanded" {
	env -C "$dir" "$posmedia" key new a --uid test
	env -C "$dir" "$posmedia" key new b --uid test
	cp -r "$dir/out" "$dir/attached"
	posmedia audit oci:attached:1 --profile "$profile" --fail-on never --evidence bad
	succeeded
	posmedia sign oci:attached:1 --key a --attest bad/statement.json
	refused 4 "says that the image failed"
	[ "$(jq '.manifests | length' "$dir/attached/index.json")" -eq 1 ]
	# the few controls that pass with these files
	sed -n '/^posmedia-profile/,/^controls/p' "$profile" >"$dir/small.yaml"
	awk '/^ *# -/ { on = 0 } /^  - id: / { on = /SEC-0[12]$/ } on' "$profile" \
		>>"$dir/small.yaml"
	small=(--profile small.yaml --recipe recipes/till.yaml)
	posmedia audit oci:attached:1 "${small[@]}" --evidence good
	succeeded
	for _ in 1 2; do
		posmedia sign oci:attached:1 --key a --attest good/statement.json
		succeeded
	done
	att=$(jq -r '.manifests[] | select(.annotations[] | endswith(".att")).digest' \
		"$dir/attached/index.json")
	[ "$(jq '.layers | length' "$dir/attached/blobs/sha256/${att#*:}")" -eq 1 ]
	posmedia sign oci:out:1 --key a --attest good/statement.json --dry-run
	succeeded
	start_registry "$dir/registry"
	posmedia push oci:attached:1 "docker://$registry/till:1"
	succeeded
	posmedia pull "docker://$registry/till:1" oci:back:1
	succeeded
	stop_registry
	# OpenSSL agrees on what was signed (DSSE: type and payload, each after its length)
	envelope=$(jq -r '.layers[0].digest' "$dir/back/blobs/sha256/${att#*:}")
	envelope=$dir/back/blobs/sha256/${envelope#*:}
	jq -r .payload "$envelope" | base64 -d | cmp - "$dir/good/statement.json"
	type=application/vnd.in-toto+json
	{
		printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c <"$dir/good/statement.json")"
		cat "$dir/good/statement.json"
	} >"$dir/signed.bytes"
	jq -r '.signatures[].sig' "$envelope" | base64 -d >"$dir/der"
	openssl dgst -sha256 -verify "$dir/a.pub" -signature "$dir/der" "$dir/signed.bytes"
	posmedia verify oci:back:1 --key a.pub --identity localhost/attached:1 \
		--attested good/statement.json
	succeeded
	posmedia verify oci:back:1 --key a.pub --identity localhost/attached:1 \
		--attested bad/statement.json
	refused 4 "says that the image failed"
	jq .predicate.time=0 "$dir/good/statement.json" >"$dir/other.json"
	posmedia verify oci:back:1 --key a.pub --identity localhost/attached:1 --attested other.json
	refused 4 "no attestation of this content"
	posmedia verify oci:back:1 --attested good/statement.json
	refused 2 "--attested wants the --key"
}
