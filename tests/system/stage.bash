#!/bin/bash
# A small POS, its site files, and the engine that they run on: tests load this after lib, tiny and
# engines.
# shellcheck disable=SC2154,SC2034 # those and the tests set and use the variables

# A till of one static program: it answers on port 8080, and keeps its sales in /usr2. Its project
# is in $dir, with a key and a policy; it is not signed. What is in $dir/root before is in it too,
# and $recipe_more in its recipe.
make_image() {
	local root=$dir/root
	export POSMEDIA_STORE=$dir/store
	mkdir -p "$root"/{bin,etc,proc,sys,dev,tmp,run,usr2} "$dir/recipes/sites" \
		"$dir/recipes/hosts" "$dir/signing"
	cp /bin/busybox "$root/bin/busybox"
	cat >"$root/bin/till" <<-'SH'
		#!/bin/busybox sh
		/bin/busybox httpd -p 8080 -h /usr2
		trap 'exit 0' TERM
		while :; do /bin/busybox sleep 0.1; done
	SH
	chmod 755 "$root/bin/till"
	cp "$root/bin/till" "$root/bin/init"
	echo roses >"$root/usr2/catalogue"
	chmod 640 "$root/usr2/catalogue"
	tar -C "$root" --owner=1500 --group=1500 -cf "$dir/root.tar" .
	cp recipes/hosts/seccomp.yaml "$dir/recipes/hosts/"
	cat >"$dir/recipes/till.yaml" <<-YAML
		posmedia: 1
		name: till
		version: 1
		base: {tar: {url: root.tar, sha256: $(sha256sum <"$dir/root.tar" | cut -c1-64)}}
		run: {entrypoint: [/bin/till]}
		ports: [8080/tcp]
		${recipe_more-}
	YAML
	posmedia lock recipes/till.yaml
	succeeded
	posmedia build recipes/till.yaml -o oci:out/till:1
	succeeded
	posmedia key new k --uid 'Release <release@example.org>'
	succeeded
	cat >"$dir/signing/policy.yaml" <<-'YAML'
		posmedia: 1
		repositories: [{match: "localhost/till", keys: [../k.pub]}]
		default: accept
	YAML
}

# A till for all tests of a file, in $made; its image is signed unless $1 is "unsigned".
stage_set_up_file() {
	dir=$(mktemp -d)
	export made=$dir
	make_image
	[ "${1-}" != unsigned ] || return 0
	posmedia sign oci:out/till:1 --key k
	succeeded
}

# A copy of it for one test in $dir, or with "shared" itself; with the token of the shop.
stage_set_up() {
	dir=$made
	[ "${1-}" = shared ] || {
		dir=$(mktemp -d)
		cp -a "$made/." "$dir"
	}
	export POSMEDIA_STORE=$dir/store
	install -m 600 /dev/null "$dir/token"
	echo 'the token of shop 123' >"$dir/token"
}

# A site file recipes/sites/ENV.yaml, with more lines.
site() {
	local well='health: [{name: web, tcp: 8080, within: 20s}]'
	cat >"$dir/recipes/sites/$1.yaml" <<-YAML
		posmedia: 1
		shop: "123"
		environment: $1
		image: {reference: "oci:out/till:1", policy: signing/policy.yaml}
		hostname: shop123-$1
		data: [{name: usr2, at: /usr2}, {name: log, at: /var/log}]
		users: [{name: clerk, uid: 1600}]
		secrets: [{name: token, file: $dir/token}, {name: tunnel, file: $dir/token}]
		vpn: {id: us, networks: [10.0.0.0/24], peers: [
		  {name: a, id: them, networks: [10.1.0.0/24], secret: tunnel}]}
		${2-$well}
	YAML
}

stage() {
	verb stage "$@"
}

# A verb ($1) of this host's instances.
verb() {
	local name=$1
	shift
	posmedia "$name" --engine "$engine_socket" --state "$dir/srv" --runtime "$dir/run" "$@"
}

# The containers of the site, and those that run. Asked often: jq takes ten times as long to start
# as what is here.
names() {
	perl -0777 -ne 'print map { "$_\n" } sort m{"Names":\["/([^"]+)"}g'
}
containers() {
	ask '/containers/json?all=1' | names
}
running() {
	ask '/containers/json' | names
}

# Ends what a test left in an engine that others use after it, with what is mounted in $dir.
containers_end() {
	local name
	for name in $(containers); do
		ask "/containers/$name/unpause" -X POST >/dev/null 2>&1 || true
		ask "/containers/$name?force=1" -X DELETE >/dev/null
	done
	awk -v at="$dir/" 'index($5, at) == 1 { print $5 }' /proc/self/mountinfo |
		sort -r | xargs -r umount -l
}

# Runs a script in the container that runs.
inside() {
	local pid
	pid=$(ask "/containers/$(running)/json" | sed -n 's/.*"Pid":\([0-9]*\).*/\1/p')
	nsenter -t "$pid" -m -u -i -n -p /bin/busybox sh -c "$1"
}
