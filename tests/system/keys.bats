#!/usr/bin/env bats
# Keys as others have and want them, and one that takes another's place.

bats_require_minimum_version 1.5.0
load lib
load tiny
load sign

setup_file() {
	load lib
	load tiny
	load sign
	flock "$OUT/tests.flock" make -s "OUT=$OUT/faults" VARIANT=faults all
	sign_project "$(mktemp -d)"
	echo 'correct horse' >"$dir/words"
	export dir POSMEDIA_STORE
}

teardown_file() {
	rm -rf "$dir"
}

@test "a key of cosign's comes in, and one of ours goes out to cosign" {
	need_cosign
	export HOME=$dir
	(cd "$dir" && COSIGN_PASSWORD='correct horse' "$cosign" generate-key-pair)
	posmedia key import cosign.key mine --passphrase-file words
	succeeded
	cmp "$dir/cosign.pub" "$dir/mine.pub"
	echo wrong >"$dir/wrong"
	posmedia key import cosign.key nobodys --passphrase-file wrong
	refused 4 'wrong passphrase, or a damaged file'
	[ ! -e "$dir/nobodys" ]

	posmedia key export k --as cosign --output k.cosign --export-passphrase-file words
	succeeded
	[ "$(stat -c %a "$dir/k.cosign")" = 600 ]
	COSIGN_PASSWORD='correct horse' "$cosign" public-key --key "$dir/k.cosign" >"$dir/said.pub"
	diff "$dir/k.pub" "$dir/said.pub"
	run env COSIGN_PASSWORD=wrong "$cosign" public-key --key "$dir/k.cosign"
	[ "$status" -ne 0 ]
	posmedia key export k --as cosign --output k.cosign --export-passphrase-file words
	refused 7 'is there already'
}

@test "openssl reads the request and the PKCS#8, gpg the keyring" {
	posmedia key export k --as request --output k.csr --subject C=DE,O=Example,CN=release
	succeeded
	openssl req -in "$dir/k.csr" -verify -noout -subject >"$dir/subject" 2>&1
	grep -q 'O = Example, CN = release' "$dir/subject"
	posmedia key export k --as request --output bad.csr --subject C=Deutschland
	refused 2 'subject: C=Deutschland'
	posmedia key export k --as pkcs8 --output k.closed --export-passphrase-file words
	succeeded
	openssl asn1parse -in "$dir/k.closed" | grep -q scrypt
	openssl pkey -in "$dir/k.closed" -passin "file:$dir/words" -pubout >"$dir/said.pub"
	diff "$dir/k.pub" "$dir/said.pub"
	posmedia key export k --as openpgp --output ring.gpg
	succeeded
	mkdir -m 700 "$dir/gnupg"
	gpg --homedir "$dir/gnupg" --no-autostart --import <"$dir/ring.gpg"
	gpg --homedir "$dir/gnupg" --no-autostart --list-keys >"$dir/listed"
	grep -q 'Release <release@example.org>' "$dir/listed"
	posmedia key show k.pub --json
	[ "$(jq -r .openpgp <<<"$output")" = "$(gpg --homedir "$dir/gnupg" --no-autostart \
		--with-colons --list-keys | sed -n 's/^fpr:*\([0-9A-F]*\):/\1/p')" ]
}

@test "a new key signs what the old one has signed, as all that it was called" {
	posmedia sign oci:out/till:1 --key k
	posmedia sign oci:out/till:1 --key k --identity registry.example.org/pos/till:1
	# who dies when the key is made has noted it, and the next one goes on
	POSMEDIA_LEDGER=$dir/noted POSMEDIA_DIE_AT='rotate: made' \
		run env -C "$dir" "$OUT/faults/posmedia" key rotate next --key k oci:out/till:1
	[ "$status" -eq 86 ]
	POSMEDIA_LEDGER=$dir/noted posmedia key rotate next --key k oci:out/till:1
	succeeded
	diff - <(jq -r '[.kind, .fields.action, (.fields.identities // [] | length)] | @csv' \
		"$dir"/noted/*.jsonl | tail -n +2) <<-CSV
		"key","new",0
		"sign",,2
		"key","rotate",0
	CSV
	[[ $output == *'{file: k.pub, until: '* ]]
	for id in localhost/till:1 registry.example.org/pos/till:1; do
		for key in k next; do
			posmedia verify oci:out/till:1 --key "$key.pub" --identity "$id"
			succeeded
		done
	done
	# a policy's days are real ones
	SOURCE_DATE_EPOCH=0 posmedia key rotate next --key k --overlap 3
	succeeded
	[[ $output == *"until $(date -u -d '+3 days' +%F):"* ]]
	posmedia key rotate third --key other oci:out/till:1
	refused 4 'the old key has not signed it'
}

@test "what a build signs is noted as what it is" {
	POSMEDIA_LEDGER=$dir/built posmedia build recipes/till.yaml -o oci:out/own:1 --key k
	succeeded
	[[ $(jq -r 'select(.kind == "sign") | .subject, .fields.key' "$dir"/built/*.jsonl) == \
		"${output##*@}"$'\n'sha256:* ]]
}

@test "a key on a disk that is full: an error, and nothing of it" {
	local size n=0
	mkdir "$dir/full"
	for size in 4k 8k 12k 16k; do
		# shellcheck disable=SC2016 # expanded inside
		run unshare --mount sh -c 'mount -t tmpfs -o size="$1" none "$0" &&
			head -c 1000 /dev/zero >"$0/other" && shift &&
			{ "$@" "$0/key"; echo "status $?"; ls -A "$0"; }' "$dir/full" "$size" \
			"$posmedia" key new
		case $output in
		*'status 0'*) [[ $output == *key.pub* ]] ;;
		*)
			[[ $output == *'No space left'*$'status 1\nother' ]] ||
				{ echo "$size: $output"; false; }
			n=$((n + 1))
			;;
		esac
	done
	[ "$n" -ge 1 ]
}

@test "the age of keys" {
	posmedia key age k.pub other.pub
	succeeded
	[ "${lines[0]}" = 'k: 0 days' ]
	jq '.created -= 400 * 86400' "$dir/k.json" >"$dir/aged.json"
	cp "$dir/k.pub" "$dir/aged.pub"
	posmedia key age other.pub aged.pub
	refused 4 'older than 365 days'
	posmedia key age aged.pub --max-age 500 --json
	succeeded
	[ "$(jq '.[0].days' <<<"$output")" = 400 ]
	# the time of what is made does not make a key younger
	SOURCE_DATE_EPOCH=$(($(date +%s) - 400 * 86400)) posmedia key age aged.pub
	refused 4 'older than 365 days'
}
