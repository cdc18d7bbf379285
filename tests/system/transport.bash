# Registries and images for the tests of transport.
# shellcheck shell=bash disable=SC2154 # dir is the test's

# A registry of Debian in directory $1, with $2 as more of its configuration, the storage $3, more
# of the storage's configuration $4, on the address $5; sets served (HOST:PORT).
serve_registry() {
	local port data=${3:-$1/data} host=${5:-127.0.0.1}
	port=$(free_port)
	served=$host:$port
	mkdir -p "$1"
	cat >"$1/config.yml" <<-YAML
		version: 0.1
		log: {level: warn}
		storage: {${4-}filesystem: {rootdirectory: $data}, delete: {enabled: true}}
		http: {addr: "$served", secret: test}
		${2-}
	YAML
	docker-registry serve "$1/config.yml" >"$1/log" 2>&1 3>&- &
	echo $! >>"$dir/served"
	wait_for 20 curl -s "http://$served/v2/"
}

end_served() {
	local pid
	while read -r pid; do
		kill "$pid" 2>/dev/null || true
	done <"$dir/served"
}

# Attaches to the image of digest $2 in the layout $1 an artifact with the annotation who=$3, listed
# under the tag of referrers.
add_referrer() {
	tests/lib/add-referrer "$@"
}

# The digest of a tag in a layout.
tagged() {
	jq -r --arg t "$2" '.manifests[] |
		select(.annotations["org.opencontainers.image.ref.name"] == $t) | .digest' \
		"$1/index.json"
}

# Who attached something to the image $2 in the layout $1.
referrers() {
	local list
	list=$(tagged "$1" "sha256-${2#sha256:}")
	[ -z "$list" ] || jq -r '.manifests[].annotations.who | strings' \
		"$1/blobs/sha256/${list#sha256:}"
}

# Makes an index of tags in the layout $1 and gives it the tag $2; prints its digest.
make_index() {
	local layout=$1 tag=$2 list=() t hex
	shift 2
	for t in "$@"; do
		list+=("$(jq -c --arg t "$t" '.manifests[] |
			select(.annotations["org.opencontainers.image.ref.name"] == $t) |
			del(.annotations) | .platform = {os: "linux", architecture: $t}' \
			"$layout/index.json")")
	done
	printf '%s\n' "${list[@]}" | jq -sc '{schemaVersion: 2,
		mediaType: "application/vnd.oci.image.index.v1+json", manifests: .}' |
		tr -d '\n' >"$layout/new"
	hex=$(sha256sum <"$layout/new" | cut -c 1-64)
	jq -c --arg d "sha256:$hex" --argjson size "$(stat -c %s "$layout/new")" --arg t "$tag" \
		'.manifests += [{mediaType: "application/vnd.oci.image.index.v1+json", digest: $d,
		size: $size, annotations: {"org.opencontainers.image.ref.name": $t}}]' \
		"$layout/index.json" >"$layout/index.new"
	mv "$layout/index.new" "$layout/index.json"
	mv "$layout/new" "$layout/blobs/sha256/$hex"
	echo "sha256:$hex"
}
