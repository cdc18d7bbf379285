#!/usr/bin/env bats
# The pages of reports in a browser: what their program does when somebody types and clicks, how
# they look in light, in dark and on paper, and that they ask for nothing.

bats_require_minimum_version 1.5.0
load ../system/lib

setup_file() {
	load ../system/lib
	export dir
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/report.XXXXXX")
	export SOURCE_DATE_EPOCH=1795694400
	tests/lib/demo-ledger | tests/lib/make-ledger "$dir/ledger"
	"$posmedia" report all --ledger "$dir/ledger" --zone Europe/Berlin --html "$dir/html"
}

teardown_file() {
	rm -rf "$dir"
}

browser() {
	chromium --headless=new --no-sandbox --disable-gpu --user-data-dir="$dir/browser" \
		--virtual-time-budget=2000 "$@" 2>"$dir/browser.log"
}

# What a program in a page makes of the report $1: it is given `row`, the cells of the rows that are
# to be seen of the first table, and tells with `tell`. The page's own policy would not let it in.
act() {
	{
		sed 's/<meta http-equiv="Content-Security-Policy"[^>]*>//; /<\/html>/d' \
			"$dir/html/$1.html"
		cat <<-'HTML'
			<pre id="told"></pre><script>
			const told = document.getElementById('told');
			const first = document.querySelector('section');
			function tell(x) {
				told.textContent += JSON.stringify(x) + '\n';
			}
			function rows(n) {
				return Array.from(first.querySelectorAll('tbody tr'))
					.filter(r => !r.hidden).map(r => r.cells[n].textContent);
			}
			function heading(n) {
				return first.querySelectorAll('th')[n];
			}
			function type(text) {
				const f = document.querySelector('input');
				f.value = text;
				f.dispatchEvent(new Event('input'));
			}
		HTML
		cat
		echo '</script></html>'
	} >"$dir/act.html"
	browser --dump-dom "file://$dir/act.html" | sed -n '/<pre id="told">/,/<\/pre>/p' |
		sed 's/<[^>]*>//g; /^$/d; s/&amp;/\&/g; s/&lt;/</g'
}

@test "what is typed filters, a card does, and Escape shows all again" {
	act inventory >"$dir/told" <<-'JS'
		tell(rows(0).length);
		type('QA runs');
		tell(rows(1));
		tell(document.querySelector('output').textContent);
		type('');
		const card = document.querySelector('button.card[data-q=crashed]');
		card.click();
		tell(rows(2));
		tell(card.getAttribute('aria-pressed'));
		document.querySelector('input')
			.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}));
		tell(rows(0).length);
		document.dispatchEvent(new KeyboardEvent('keydown', {key: '/'}));
		tell(document.activeElement.tagName);
	JS
	diff - "$dir/told" <<-TOLD
		14
		["qa","qa"]
		"2 of 14 rows"
		["✗ crashed"]
		"true"
		14
		"INPUT"
	TOLD
}

@test "a heading sorts, numbers by what they are, and says so" {
	act billing >"$dir/told" <<-'JS'
		tell(heading(3).getAttribute('aria-sort'));
		heading(3).querySelector('button').click();
		tell([heading(3).getAttribute('aria-sort'), rows(3)[0]]);
		heading(3).querySelector('button').click();
		tell([heading(3).getAttribute('aria-sort'), rows(3)[0]]);
		heading(2).querySelector('button').click();
		tell([heading(3).getAttribute('aria-sort'), rows(2)[0]]);
		type('12345607 2026-03');
		heading(0).querySelector('button').click();
		tell(rows(3));
	JS
	diff - "$dir/told" <<-TOLD
		"none"
		["ascending","9:59:56"]
		["descending","745:00:00"]
		["none","2025-12"]
		["742:59:48"]
	TOLD
}

@test "each page runs its program under its own policy, and asks for nothing" {
	for f in "$dir"/html/*.html; do
		browser --log-net-log="$dir/net.json" --dump-dom "file://$f" >"$dir/page"
		grep -q '<html lang="en" class="js">' "$dir/page"
		run ! grep -iE 'Content Security Policy|refused|uncaught' "$dir/browser.log"
		run ! grep -oE '<(img|iframe|link|object)|url\(|@import' "$dir/page"
	done
	grep -q 'aria-current="page">billing' "$dir/html/billing.html"
}

# The colours of a screenshot of $1, the most frequent first: "COUNT (R,G,B) ...".
colours() {
	browser --hide-scrollbars --window-size=1200,1300 "${@:2}" --screenshot="$dir/shot.png" \
		"file://$dir/html/$1.html"
	pngtopnm "$dir/shot.png" | ppmhist -noheader | awk '{ print $1 "," $2 "," $3 }' >"$dir/hist"
}

@test "light and dark: the ground, and bars of a chart on it" {
	colours inventory
	[ "$(head -1 "$dir/hist")" = 255,255,255 ]
	grep -qx 47,111,183 "$dir/hist"
	grep -qx 58,167,109 "$dir/hist"
	grep -qx 214,69,65 "$dir/hist"
	colours inventory --blink-settings=preferredColorScheme=0
	[ "$(head -1 "$dir/hist")" = 20,24,31 ]
	grep -qx 110,168,230 "$dir/hist"
}

@test "on paper nothing is lost" {
	for f in inventory billing compliance; do
		browser --no-pdf-header-footer --print-to-pdf="$dir/$f.pdf" \
			"file://$dir/html/$f.html"
		pdftotext -layout "$dir/$f.pdf" "$dir/$f.txt"
	done
	"$posmedia" report inventory --ledger "$dir/ledger" --csv >"$dir/csv"
	for s in $(tail -n +2 "$dir/csv" | cut -d, -f1); do
		grep -q "$s" "$dir/inventory.txt"
		grep -q "$s" "$dir/billing.txt"
	done
	grep -q 'A. Assessor' "$dir/compliance.txt"
	run ! grep -q Filter "$dir/inventory.txt"
	# each page of a table has its headings
	[ "$(grep -c 'Shop *Environment *Month' "$dir/billing.txt")" -gt 1 ]
}
