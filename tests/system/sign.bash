#!/bin/bash
# A signed image of a small project, for tests of signatures; they load this after lib and tiny.
# shellcheck disable=SC2154 # lib.bash and tiny.bash set what is used

# Builds oci:out/till:1 in $1 and makes the keys k and other; sets image, its digest.
sign_project() {
	tiny_project "$1"
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/till:1
	succeeded
	image=${output##*@}
	posmedia key new k --uid 'Release <release@example.org>'
	posmedia key new other
	succeeded
	export image
}

# An authority with its certificate, ca.pem; a certificate for the key $1 of purpose $2 in $1.pem.
certify() {
	local purpose=$2
	[ -f "$dir/ca.pem" ] || openssl req -x509 -nodes \
		-newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-keyout "$dir/ca.key" -out "$dir/ca.pem" -subj /C=DE/ST=Berlin/O=Test/CN=ca \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
		-days 100 2>/dev/null
	printf '%s\n' keyUsage=critical,digitalSignature basicConstraints=critical,CA:FALSE \
		"extendedKeyUsage=$purpose" >"$dir/ext"
	openssl req -new -key "$dir/$1" -subj "/C=DE/ST=Berlin/O=Test/CN=$1" -out "$dir/$1.csr"
	openssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" \
		-CAcreateserial -extfile "$dir/ext" -days 90 -out "$dir/$1.pem" 2>/dev/null
}

# The bundle (its manifest's digest) of predicate type $1 in the layout's list of referrers.
bundle_of() {
	local list
	list=$(jq -r --arg tag "sha256-${image#*:}" '.manifests[] |
		select(.annotations["org.opencontainers.image.ref.name"] == $tag).digest' \
		"$dir/out/till/index.json")
	jq -r --arg type "$1" '.manifests[] | select(.artifactType ==
		"application/vnd.dev.sigstore.bundle.v0.3+json" and
		.annotations["dev.sigstore.bundle.predicateType"] == $type).digest' \
		"$(blob "$list")"
}

# The file of a digest in the layout.
blob() {
	echo "$dir/out/till/blobs/sha256/${1#*:}"
}

# A statement about the image of predicate type $1 with predicate $2.
statement() {
	jq -n --arg type "$1" --argjson predicate "$2" --arg hex "${image#*:}" '{
		_type: "https://in-toto.io/Statement/v1", predicateType: $type,
		subject: [{name: "till", digest: {sha256: $hex}}], predicate: $predicate}'
}

# Leaves of all signatures and statements only the bundle of predicate type $1.
only_bundle() {
	local list tag=sha256-${image#*:}
	list=$(jq -r --arg tag "$tag" '.manifests[] |
		select(.annotations["org.opencontainers.image.ref.name"] == $tag).digest' \
		"$dir/out/till/index.json")
	jq -cj --arg type "$1" '.manifests |= map(
		select(.annotations["dev.sigstore.bundle.predicateType"] == $type))' \
		"$(blob "$list")" >"$dir/list"
	list=$(sha256sum "$dir/list" | cut -d ' ' -f 1)
	cp "$dir/list" "$(blob "$list")"
	jq -c --arg tag "$tag" --arg list "sha256:$list" \
		--argjson size "$(stat -c %s "$dir/list")" '
		.manifests |= (map(select(.annotations["org.opencontainers.image.ref.name"] |
			startswith("sha256-") | not)) +
			[{mediaType: "application/vnd.oci.image.index.v1+json", digest: $list,
			size: $size, annotations: {"org.opencontainers.image.ref.name": $tag}}])' \
		"$dir/out/till/index.json" >"$dir/changed.json"
	cp "$dir/changed.json" "$dir/out/till/index.json"
}
