#!/usr/bin/env bats
# Strangers read the evidence about the demo image and about a broken, hostile tree: the XCCDF
# schema and OpenSCAP, the SARIF schema, JUnit and OSCAL readers, a browser.

load ../system/lib

setup_file() {
	bats_require_minimum_version 1.5.0
	load ../system/lib
	need_demo
	export dir
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/interop.XXXXXX")
	hostile_tree "$dir/tree"
	"$posmedia" audit "oci:$OUT/demo:0.1.0" --recipe recipes/demo.yaml --evidence "$dir/demo" \
		--key "$demo_key.pub" >"$dir/demo.audit"
	"$posmedia" audit "dir:$dir/tree" --fail-on never --evidence "$dir/hostile" >"$dir/audit"
}

teardown_file() {
	rm -rf "$dir"
}

# What names and contents in an image can do to a page, an XML or a JSON file.
hostile_tree() {
	mkdir -p "$1/etc/ssh" "$1/srv/<img src=http:x onerror=alert(1)>"
	mkdir -m 777 "$1/srv/<img src='http:\\127.0.0.1:9\x.png'>"
	chmod 777 "$1"/srv/*
	printf 'x:x:0:0:]]></script><script>document.title=1</script>:/:/bin/sh\n' >"$1/etc/passwd"
	printf 'PermitRootLogin \033[2J\377]]>\n' >"$1/etc/ssh/sshd_config"
	head -c 1000000 /dev/zero | tr '\0' '<' >>"$1/etc/ssh/sshd_config"
	printf '#!\n' >"$1/srv/"$'\001\377\342\200\256]]>&"'
	chmod 4755 "$1/srv/"$'\001\377\342\200\256]]>&"'
}

# The page as the browser has it after everything ran that could.
dom() {
	chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$dir/browser" \
		--virtual-time-budget=2000 "${@:2}" --dump-dom "file://$1" 2>"$dir/browser.log"
}

@test "XCCDF: the schema, OpenSCAP's rules, and OpenSCAP shows it" {
	for d in demo hostile; do
		xmllint --noout --nonet \
			--schema /usr/share/openscap/schemas/xccdf/1.2/xccdf_1.2.xsd \
			"$dir/$d/xccdf-results.xml"
		oscap xccdf validate "$dir/$d/xccdf-results.xml"
		oscap info "$dir/$d/xccdf-results.xml" | grep -q 'Result ID: xccdf_org.posmedia'
		oscap xccdf generate report "$dir/$d/xccdf-results.xml" >"$dir/report.html"
		grep -q 'PA-DSS 3.2 control set' "$dir/report.html"
	done
}

@test "SARIF: the schema" {
	command -v npm >/dev/null || skip "no npm here to bring the schema"
	cd "$dir" || return
	npm pack --silent @microsoft/jest-sarif@1.0.0-beta.0
	tar xzf microsoft-jest-sarif-*.tgz
	for d in demo hostile; do
		/usr/bin/python3 -m jsonschema -i "$d/audit.sarif" \
			package/lib/schemas/sarif-2.1.0-rtm.5.json
	done
}

@test "OSCAL: the structure of assessment-results" {
	schema=tests/interop/oscal-ar.schema.json
	for d in demo hostile; do
		/usr/bin/python3 -m jsonschema -i "$dir/$d/oscal-ar.json" "$schema"
	done
	# and the schema notices
	jq 'del(."assessment-results".results[0].observations[0].collected)' \
		"$dir/demo/oscal-ar.json" >"$dir/bad.json"
	run ! /usr/bin/python3 -m jsonschema -i "$dir/bad.json" "$schema"
	# what is referred to is there
	for d in demo hostile; do
		jq -e '[.. | ."observation-uuid"?, ."risk-uuid"?, ."subject-uuid"? | strings] -
			[.. | .uuid? | strings] == []' "$dir/$d/oscal-ar.json"
	done
}

@test "JUnit: a reader counts what we counted" {
	for d in demo hostile; do
		/usr/bin/python3 - "$dir/$d/junit.xml" >"$dir/counts" <<-PY
			import sys
			from junitparser import JUnitXml, Failure, Skipped
			suite = next(iter(JUnitXml.fromfile(sys.argv[1])))
			kinds = [type(r) for case in suite for r in case.result]
			assert suite.failures == kinds.count(Failure)
			assert suite.skipped == kinds.count(Skipped)
			print(suite.tests, suite.failures)
		PY
		[ "$(cat "$dir/counts")" = "$(jq -r \
			'"\(.results | length) \(.summary.fail)"' "$dir/$d/audit.json")" ]
	done
}

@test "HTML: a browser shows the text, runs nothing and asks for nothing" {
	# the browser asks its maker things of its own; what a page asks for would be told as well
	printf '<img src="http://127.0.0.1:9/x.png">\n' >"$dir/asks.html"
	dom "$dir/asks.html" --log-net-log="$dir/net.json" >/dev/null
	grep -q 127.0.0.1:9 "$dir/net.json"
	for d in demo hostile; do
		dom "$dir/$d/audit.html" --log-net-log="$dir/net.json" >"$dir/page"
		run ! grep 127.0.0.1:9 "$dir/net.json"
		run ! grep -oE '<[^>]* (src|href)="?[^#"][^>]*>|url\([^>]*|@import' "$dir/page"
		run ! grep -iE '<script|<img|<iframe|<link|<object' "$dir/page"
		run ! grep -iE 'Content Security Policy|refused' "$dir/browser.log"
		grep -q '<title>Hardening evidence' "$dir/page"
	done
	dom "$dir/demo/audit.html" >"$dir/page"
	grep -q "$demo_digest" "$dir/page"
	grep -q 'cosign signature of localhost/demo:0.1.0' "$dir/page"
	grep -q 'PA-DSS requirement 3: Provide secure authentication' "$dir/page"
	for id in $(jq -r '.results[].id' "$dir/demo/audit.json"); do
		grep -q ">$id<" "$dir/page" || { echo "no $id" && return 1; }
	done
}

@test "HTML: on paper nothing is lost" {
	page=$dir/demo/audit.html
	chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$dir/browser" \
		--no-pdf-header-footer --print-to-pdf="$dir/page.pdf" "file://$page" 2>/dev/null
	pdftotext -layout "$dir/page.pdf" "$dir/page.txt"
	for id in $(jq -r '.results[].id' "$dir/demo/audit.json"); do
		grep -q -e "$id" "$dir/page.txt" || { echo "no $id" && return 1; }
	done
	grep -q "${demo_digest#*:}" "$dir/page.txt"
}
