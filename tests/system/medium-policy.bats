#!/usr/bin/env bats
# A medium held against a policy: whose signatures, of what time, and what of the image it was made
# of; and that what was judged is what is read and signed.

bats_require_minimum_version 1.5.0
load lib
load medium

setup_file() {
	dir=$(mktemp -d "${TMPDIR:-/var/tmp}/policy.XXXXXX")
	export dir POSMEDIA_STORE=$dir/store
	mkdir "$dir/root"
	head -c 3000000 /dev/urandom >"$dir/root/a"
	image "$dir/root" "$dir/till"
	(cd "$dir" && for key in k other tsa; do "$posmedia" key new "$key"; done) >/dev/null
	# a key of some years
	jq '.created = 1580000000' "$dir/k.json" >"$dir/k.old"
	mv "$dir/k.old" "$dir/k.json"
	"$posmedia" media "oci:$dir/till:1" --format erofs -o "$dir/disk" >/dev/null
	"$posmedia" sign "$dir/disk" --key "$dir/k" >/dev/null
	openssl req -x509 -key "$dir/tsa" -subj /CN=tsa -days 30 -out "$dir/tsa.pem" \
		-addext extendedKeyUsage=critical,timeStamping
}

teardown_file() {
	rm -rf "$dir"
}

teardown() {
	[ -z "${held-}" ] || kill -KILL "$held" || true
}

# A policy of one rule for till with the keys $1 and the lines $2.
rule() {
	printf '%s\n' 'posmedia: 1' repositories: '  - match: localhost/till' "    keys: $1" \
		>"$dir/policy.yaml"
	[ -z "${2-}" ] || printf '    %s\n' "$2" >>"$dir/policy.yaml"
}

verify() {
	run --separate-stderr "$posmedia" verify "$dir/disk" --policy "$dir/policy.yaml" "$@"
}

@test "a rule's key: the signatures are named, and the blocks are read" {
	rule '[k.pub]'
	verify
	says 0 'made of localhost/till:1@sha256:'
	says 0 'cosign: 1 of 1 keys, 1 wanted'
	says 0 'bundle signature of disk.medium.json by key'
	says 0 'verified sha256:'
	verify --json
	[ "$(jq -c '[.identity, .wrong, .signatures[].form, (.checked | length)]' \
		<<<"$output")" = '["localhost/till:1",0,"openpgp","cosign","bundle",3]' ]
	cp "$dir/disk" "$dir/bad"
	flip "$dir/bad" 2000000
	run --separate-stderr "$posmedia" verify "$dir/bad" --policy "$dir/policy.yaml" \
		--manifest "$dir/disk.medium.json"
	says 4 'differs: erofs,'
}

@test "another's key, no rule, another name, and two keys where one signed" {
	rule '[other.pub]'
	verify
	says 4 'policy.yaml:3: localhost/till:1: '
	rule '[k.pub]'
	sed -i 's/till/daisy/' "$dir/policy.yaml"
	verify
	says 4 'no rule for localhost/till, and the default is to reject'
	echo 'default: accept' >>"$dir/policy.yaml"
	verify
	says 4 'no rule for localhost/till, which is only what the file says'
	verify --identity localhost/till:1
	says 0 'accepted unverified, by default'
	run --separate-stderr "$posmedia" verify "$dir/disk" --policy "$dir/policy.yaml" \
		--key "$dir/k.pub"
	says 2 'either --key, or --policy'
	# without an option the usual policy, which has no rule for it
	run --separate-stderr "$posmedia" verify "$dir/disk"
	says 4 'signing/policy.yaml: no rule for localhost/till'
	rule '[k.pub]'
	verify --identity localhost/till:2
	says 4 'the medium was made of localhost/till:1, not of localhost/till:2'
	verify --identity localhost/till:1
	says 0 'verified'
	rule '[k.pub, other.pub]' 'require: 2'
	verify
	says 4 'wants OpenPGP signatures by 2 of its 2 keys, found 1'
	run --separate-stderr "$posmedia" verify "$dir/root/a" --policy "$dir/policy.yaml"
	says 2 'a file is verified by --key'
}

@test "only the forms that are wanted are looked at" {
	mkdir "$dir/forms"
	cp "$dir"/disk* "$dir/forms"
	rm "$dir/forms/disk.medium.json.sig"
	echo x >"$dir/forms/disk.medium.json.sigstore.json"
	rule '[k.pub]' 'forms: [openpgp]'
	run --separate-stderr "$posmedia" verify "$dir/forms/disk" --policy "$dir/policy.yaml"
	says 0 'openpgp: 1 of 1 keys'
	rule '[k.pub]' 'forms: [cosign]'
	run --separate-stderr "$posmedia" verify "$dir/forms/disk" --policy "$dir/policy.yaml"
	says 4 'disk.medium.json.sig is not there'
	rule '[k.pub]' 'forms: [bundle]'
	run --separate-stderr "$posmedia" verify "$dir/forms/disk" --policy "$dir/policy.yaml"
	says 4 'disk.medium.json.sigstore.json'
}

@test "a key's time: what says none is of today, and an authority's stamp goes before" {
	rule '[{file: k.pub, from: 2020-01-01}]'
	verify
	says 0 'verified'
	rule '[{file: k.pub, from: 2020-01-01, until: 2020-12-31}]'
	verify
	says 4 "found 0; some are not of their key's time"
	cp "$dir/disk" "$dir/old"
	cp "$dir/disk.medium.json" "$dir/old.medium.json"
	SOURCE_DATE_EPOCH=1590000000 "$posmedia" sign "$dir/old" --key "$dir/k" >/dev/null
	run --separate-stderr "$posmedia" verify "$dir/old" --policy "$dir/policy.yaml"
	says 4 'wants cosign signatures by 1 of its 1 keys, found 0'
	rule '[{file: k.pub, from: 2020-01-01, until: 2020-12-31}]' 'forms: [openpgp]'
	run --separate-stderr "$posmedia" verify "$dir/old" --policy "$dir/policy.yaml"
	says 0 'verified'
	rule '[{file: k.pub, from: 2020-01-01}]' 'tsa: tsa.pem'
	verify
	says 4 'wants bundle signatures by 1 of its 1 keys, found 0'
	"$posmedia" sign "$dir/old" --key "$dir/k" --tsa-key "$dir/tsa" \
		--tsa-cert "$dir/tsa.pem" >/dev/null
	run --separate-stderr "$posmedia" verify "$dir/old" --policy "$dir/policy.yaml"
	says 0 'verified'
}

@test "what a rule wants of the image is looked at in the image, when that is the medium's" {
	local digest type=https://example.org/test
	digest=$(jq -r .predicate.image "$dir/disk.medium.json")
	rule '[k.pub]' "attestations: [{type: \"$type\", where: {result: PASSED}}]"
	verify
	says 4 'wants attestations of the image, which a file has not got'
	says 4 'Name the image that it was made of by --image'
	verify --image "oci:$dir/till:1"
	says 4 'OpenPGP signature'
	"$posmedia" sign "oci:$dir/till:1" --key "$dir/k" >/dev/null
	verify --image "oci:$dir/till:1"
	says 4 'wants an attestation https://example.org/test'
	jq -n --arg digest "${digest#sha256:}" --arg type "$type" '{
		_type: "https://in-toto.io/Statement/v1", predicateType: $type,
		subject: [{name: "x", digest: {sha256: $digest}}],
		predicate: {result: "PASSED"}}' >"$dir/passed.json"
	"$posmedia" sign "oci:$dir/till:1" --key "$dir/k" --attest "$dir/passed.json" >/dev/null
	verify --image "oci:$dir/till:1"
	says 0 'verified'
	echo more >"$dir/root/b"
	image "$dir/root" "$dir/another"
	verify --image "oci:$dir/another:1"
	says 4 'is not the image that the medium was made of'
	rule '[k.pub]' 'stage: qa'
	verify
	says 4 'wants a promotion of the image'
	verify --image "oci:$dir/till:1"
	says 4 'is not promoted'
}

@test "a medium that does not say of which image it is has no rule" {
	cp "$dir/disk" "$dir/nameless"
	jq 'del(.predicate.identity)' "$dir/disk.medium.json" >"$dir/nameless.medium.json"
	"$posmedia" sign "$dir/nameless" --key "$dir/k" >/dev/null
	rule '[k.pub]'
	run --separate-stderr "$posmedia" verify "$dir/nameless" --policy "$dir/policy.yaml"
	says 4 'does not say what its image is called'
	run --separate-stderr "$posmedia" verify "$dir/nameless" --key "$dir/k.pub"
	says 0 'verified'
	# of a layout whose name no registry would take, and of one that gets another
	cp -r "$dir/till" "$dir/Till"
	"$posmedia" media "oci:$dir/Till:1" --format tar -o "$dir/named" >/dev/null
	[ "$(jq .predicate.identity "$dir/named.medium.json")" = null ]
	"$posmedia" media "oci:$dir/Till:1" --format tar -o "$dir/named" \
		--identity example.org/pos/till:1.0 >/dev/null
	[ "$(jq -r .predicate.identity "$dir/named.medium.json")" = example.org/pos/till:1.0 ]
}

# Runs a program to where it opens the file $1 for the $2-th time; then continue it by let_go.
hold_at() {
	local file=$1 nth=$2
	shift 2
	flock "$OUT/tests.flock" make -s "OUT=$OUT" "${OUT#"$PWD/"}/test/fault-shim.so"
	FAULT_SHIM="stop open $nth $file" LD_PRELOAD="$OUT/test/fault-shim.so" "$@" \
		>"$dir/said" 2>&1 3>&- &
	held=$!
	wait_for 30 grep -q '^State:.T' "/proc/$held/status" || { cat "$dir/said"; false; }
}

let_go() {
	kill -CONT "$held"
	status=0
	wait "$held" || status=$?
	held=
}

@test "a manifest that is another when its signatures are checked is refused" {
	mkdir "$dir/race"
	cp "$dir"/disk* "$dir/race"
	# a name for which the key counts, in place of the one that was signed
	sed -i 's|localhost/till:1|localhost/till:2|' "$dir/race/disk.medium.json"
	rule '[k.pub]'
	hold_at "$dir/race/disk.medium.json" 2 "$posmedia" verify "$dir/race/disk" \
		--policy "$dir/policy.yaml"
	cp "$dir/disk.medium.json" "$dir/race/disk.medium.json"
	let_go
	[ "$status" -eq 4 ]
	grep 'disk.medium.json changed while it was checked' "$dir/said"
	# in another's place between two readings for one form
	sed -i 's|localhost/till:1|localhost/till:2|' "$dir/race/disk.medium.json"
	rule '[k.pub]' 'forms: [openpgp]'
	hold_at "$dir/race/disk.medium.json" 4 "$posmedia" verify "$dir/race/disk" \
		--policy "$dir/policy.yaml"
	cp "$dir/disk.medium.json" "$dir/race/disk.medium.json"
	let_go
	[ "$status" -eq 4 ]
	grep 'disk.medium.json changed meanwhile' "$dir/said"
}

@test "a manifest is read once to be signed, and what was read is signed" {
	cp "$dir/disk" "$dir/once"
	cp "$dir/disk.medium.json" "$dir/once.medium.json"
	strace -f -qq -e trace=openat -o "$dir/trace" "$posmedia" sign "$dir/once" --key "$dir/k"
	[ "$(grep -c 'once.medium.json", O_RDONLY' "$dir/trace")" -eq 1 ]
	rule '[k.pub]'
	run --separate-stderr "$posmedia" verify "$dir/once" --policy "$dir/policy.yaml"
	says 0 'verified'
}
