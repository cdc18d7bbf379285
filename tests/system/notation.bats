#!/usr/bin/env bats
# Signatures of the Notary Project under a policy: by whom a certificate vouches for, and each way
# in which one is not to be believed. The envelopes are made by openssl, not by us.

bats_require_minimum_version 1.5.0
load lib
load tiny
load sign

# NAME OF-CA OPENSSL-OPTION...: a certificate of a key of its own, NAME.pem, by an issuer.
certificate() {
	local name=$1 ca=$2
	shift 2
	openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
		-out "$dir/$name.key" 2>/dev/null
	signed_by "$name" "$ca" "$@"
}

# The same for a key that is there.
signed_by() {
	local name=$1 ca=$2 extensions=$3
	shift 3
	printf '%b\n' "$extensions" >"$dir/ext"
	openssl req -new -key "$dir/$name.key" -subj "/C=DE/ST=Berlin/O=Test/CN=$name" \
		-out "$dir/csr"
	faketime "${from:-1 minute ago}" openssl x509 -req -in "$dir/csr" -CA "$dir/$ca.pem" \
		-CAkey "$dir/$ca.key" -CAcreateserial -extfile "$dir/ext" -out "$dir/$name.pem" \
		"$@" 2>/dev/null
	cat "$dir/$name.pem" "$dir/$ca.pem" >"$dir/$name.chain"
}

authority() {
	openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-keyout "$dir/$1.key" -out "$dir/$1.pem" -subj "/C=DE/ST=Berlin/O=Test/CN=$1" \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
		-days 100 2>/dev/null
}

leaf='keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE'
code="$leaf\nextendedKeyUsage=codeSigning"

setup_file() {
	load lib
	load tiny
	load sign
	sign_project "$(mktemp -d)"
	export dir POSMEDIA_STORE
	authority ca
	authority foreign
	certificate good ca "$code" -days 90
	cp -r "$dir/out/till" "$dir/plain"
}

teardown_file() {
	rm -rf "$dir"
}

setup() {
	rm -rf "$dir/out/till"
	cp -r "$dir/plain" "$dir/out/till"
	policy 'trust: ca.pem'
}

policy() {
	printf '%s\n' 'posmedia: 1' 'repositories:' '  - match: "localhost/*"' \
		"    notation: {$1}" "${@:2}" >"$dir/policy.yaml"
}

# KEY EDIT...: attaches an envelope by the key.
attach() {
	local name=$1
	shift
	tests/lib/make-jws "$dir/$name.key" "$dir/$name.chain" "$(blob "$image")" "$@" >"$dir/jws"
	tests/lib/add-referrer "$dir/out/till" "$image" "$name" \
		application/vnd.cncf.notary.signature application/jose+json "$dir/jws"
}

verify() {
	posmedia verify oci:out/till:1 --policy policy.yaml
}

# WHY KEY EDIT...: an image with only this envelope is refused, and says why.
bad() {
	local why=$1
	shift
	setup
	attach "$@"
	verify
	refused 4 "$why"
}

@test "one by whom the certificates vouch for is enough, and said" {
	verify
	refused 4 'it has no notation signature'
	attach good
	verify
	succeeded
	[[ $output == *'notation: by CN=good,O=Test,ST=Berlin,C=DE'* ]]
	policy 'trust: ca.pem, subject: "O=Test,CN=good"'
	verify
	succeeded
	policy 'trust: ca.pem, subject: "O=Test,CN=release"'
	verify
	refused 4 'was signed by CN=good,O=Test,ST=Berlin,C=DE, not by O=Test,CN=release'
	# the very certificate, without its issuer
	policy 'trust: good.pem'
	verify
	succeeded
}

@test "our own pass, beside signatures by keys that the rule wants too" {
	cp "$dir/k" "$dir/k.key"
	signed_by k ca "$code" -days 90
	posmedia sign oci:out/till:1 --key k --chain k.chain
	succeeded
	policy 'trust: ca.pem' '    keys: [k.pub]' '    require: 1'
	verify
	succeeded
	[[ $output == *'openpgp: 1 of 1 keys'*'notation: by CN=k'* ]]
	policy 'trust: foreign.pem' '    keys: [k.pub]'
	verify
	refused 4 'lead to none that is trusted'
}

@test "a bad one beside a good one does no harm" {
	attach good flip
	attach good
	verify
	succeeded
}

@test "what is signed must be this image, unchanged" {
	bad 'the signature is wrong' good flip
	bad 'is of another artifact' good "target.digest=\"sha256:$(printf '0%.0s' {1..64})\""
	bad 'is of another artifact' good target.size=7
	bad 'is of another artifact' good 'target.mediaType="text/plain"'
	bad 'the signature is wrong' good "raw=$(printf '00%.0s' {1..64})"
	bad 'the signature is wrong' good "raw=$(printf 'ff%.0s' {1..64})"
	bad 'not the length of two numbers' good "raw=$(printf '11%.0s' {1..63})"
}

@test "what the header says must be known and be of the specification" {
	bad 'does not go with the key' good 'head.alg="none"'
	bad 'does not go with the key' good 'head.alg="ES384"'
	bad 'does not go with the key' good 'head.alg="HS256"'
	bad 'is no payload of the Notary Project' good 'head.cty="text/plain"'
	bad 'the scheme is not notary.x509' good \
		'head.io.cncf.notary.signingScheme="notary.x509.signingAuthority"'
	bad 'the critical "x" is not known' good 'head.x=1' \
		'head.crit=["io.cncf.notary.signingScheme","x"]'
	bad 'is not critical' good 'head.crit=[]'
	bad 'the critical "io.cncf.notary.expiry" is not known' good \
		'head.crit=["io.cncf.notary.signingScheme","io.cncf.notary.expiry"]'
}

@test "its times: an expiry, the future, before the certificate was good" {
	local crit='head.crit=["io.cncf.notary.signingScheme","io.cncf.notary.expiry"]'
	attach good "$crit" 'head.io.cncf.notary.expiry="2100-01-01T00:00:00Z"'
	verify
	succeeded
	bad 'expired at 2020-01-01T00:00:00Z' good "$crit" \
		'head.io.cncf.notary.expiry="2020-01-01T00:00:00Z"'
	bad 'is not critical' good 'head.io.cncf.notary.expiry="2100-01-01T00:00:00Z"'
	bad 'in the future' good 'head.io.cncf.notary.signingTime="2100-01-01T00:00:00Z"'
	bad 'when its certificate was not good' good \
		'head.io.cncf.notary.signingTime="2020-01-01T00:00:00Z"'
	bad 'no time of signing' good head.io.cncf.notary.signingTime-
}

@test "certificates: of others, for something else, run out, no chain" {
	certificate theirs foreign "$code" -days 90
	bad 'lead to none that is trusted' theirs
	certificate server ca "$leaf\nextendedKeyUsage=serverAuth" -days 90
	bad 'not for codeSigning alone' server
	certificate both ca "$leaf\nextendedKeyUsage=codeSigning,serverAuth" -days 90
	bad 'not for codeSigning alone' both
	certificate nouse ca 'basicConstraints=critical,CA:FALSE' -days 90
	bad 'not the critical key usage' nouse
	certificate soft ca 'keyUsage=digitalSignature' -days 90
	bad 'not the critical key usage' soft
	certificate issuer ca 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign' \
		-days 90
	bad 'is an issuer' issuer
	certificate sha1 ca "$code" -days 90 -sha1
	bad 'digest algorithm too weak' sha1
	from='2020-01-01' certificate old ca "$code" -days 90
	bad 'certificate has expired' old 'head.io.cncf.notary.signingTime="2020-02-01T00:00:00Z"'
	cat "$dir/good.pem" "$dir/foreign.pem" >"$dir/good.chain"
	bad 'are no chain' good
	cat "$dir/good.pem" "$dir/theirs.pem" >"$dir/good.chain"
	bad 'no issuer' good
	cat "$dir/good.pem" "$dir/ca.pem" >"$dir/good.chain"
	# whoever is not an issuer has issued it
	certificate below good "$code" -days 90
	cat "$dir/below.pem" "$dir/good.pem" "$dir/ca.pem" >"$dir/below.chain"
	bad 'no issuer' below
}

@test "larger curves and RSA, each with its own hash only" {
	local curve bits
	for curve in 384 521; do
		openssl genpkey -quiet -algorithm EC -pkeyopt "ec_paramgen_curve:P-$curve" \
			-out "$dir/large.key" 2>/dev/null
		signed_by large ca "$code" -days 90
		setup
		attach large "head.alg=\"ES${curve/521/512}\""
		verify
		succeeded
	done
	for bits in 2048 3072; do
		openssl genpkey -quiet -algorithm RSA -pkeyopt "rsa_keygen_bits:$bits" \
			-out "$dir/rsa.key" 2>/dev/null
		signed_by rsa ca "$code" -days 90
		setup
		attach rsa "head.alg=\"PS$((bits / 8))\""
		[ "$bits" = 2048 ] || { setup && attach rsa 'head.alg="PS384"'; }
		verify
		succeeded
	done
	bad 'does not go with the key' rsa 'head.alg="PS256"'
}

@test "what is no envelope, and no referrer of this image" {
	tests/lib/add-referrer "$dir/out/till" "$image" x application/vnd.cncf.notary.signature \
		application/cose "$dir/policy.yaml"
	verify
	refused 4 'is not one JWS envelope'
	setup
	tests/lib/add-referrer "$dir/out/till" "$image" x application/vnd.cncf.notary.signature \
		application/jose+json "$dir/policy.yaml"
	verify
	refused 4 'none of its 1 notation signatures is good'
	# cut off at many a length
	tests/lib/make-jws "$dir/good.key" "$dir/good.chain" "$(blob "$image")" >"$dir/whole"
	local n
	for n in 0 1 17 100 500 1000; do
		setup
		head -c "$n" "$dir/whole" >"$dir/cut"
		tests/lib/add-referrer "$dir/out/till" "$image" x \
			application/vnd.cncf.notary.signature application/jose+json "$dir/cut"
		verify
		refused 4 'none of its 1 notation signatures is good'
	done
}

@test "a policy that cannot be meant has its place" {
	policy 'trust: missing.pem'
	verify
	refused 3 'policy.yaml:4:'
	policy 'subject: "O=Test"'
	verify
	refused 3 'wants trust, a file of certificates'
	policy 'trust: ca.pem, subject: Test'
	verify
	refused 3 'wants a subject'
	policy 'trust: ca.pem' '    stage: prod'
	verify
	refused 3 'stage wants keys'
	policy 'trust: ca.pem' '    forms: [cosign]'
	verify
	refused 3 'the rule has none'
}
