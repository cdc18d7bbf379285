#!/usr/bin/env bats
# What is imported is built: packages and scripts of a kickstart and a Dockerfile are in the image.

bats_require_minimum_version 1.5.0
load lib
load tiny

setup_file() {
	local made_in
	made_in=$(mktemp -d "${TMPDIR:-/var/tmp}/import.XXXXXX")
	tiny_project "$made_in"
	mkdir -p "$dir/recipes/base"
	cat >"$dir/recipes/base/tiny.yaml" <<-YAML
		posmedia: 1
		base:
		  apt: {suite: bookworm, keyring: apt/key.gpg, mirrors: ["file://$dir/apt/mirror"]}
	YAML
	export dir
}

teardown_file() {
	rm -rf "$dir"
}

# Locks and builds the recipe $1.
made() {
	posmedia lock "recipes/$1.yaml"
	succeeded
	posmedia build "recipes/$1.yaml" -o "oci:$dir/out/$1:1"
	succeeded
	rm -rf "$dir/tree"
	umoci unpack --image "$dir/out/$1:1" "$dir/tree" >"$dir/log" 2>&1
	tree=$dir/tree/rootfs
}

@test "a kickstart becomes an image" {
	cat >"$dir/shop.ks" <<-'KS'
		lang en_US.UTF-8
		timezone America/Chicago --isUtc
		rootpw --lock
		%packages
		tiny-app
		%end
		%post --erroronfail --interpreter=/usr/bin/sh
		mkdir -p /opt/pos
		cat >/opt/pos/made <<'xxxEOFxxx'
		by the old process, for 5 USD
		xxxEOFxxx
		%end
	KS
	posmedia import kickstart "$dir/shop.ks" --name shop --base base/tiny.yaml \
		--output "$dir/recipes"
	succeeded
	made shop
	[ "$(cat "$tree/opt/pos/made")" = 'by the old process, for 5 USD' ]
	[ -x "$tree/usr/bin/tiny-app" ]
	posmedia build recipes/shop.yaml -o "oci:$dir/out/again:1" --no-cache
	[ "${output##*@}" = "$(jq -r '.manifests[0].digest' "$dir/out/shop/index.json")" ]
}

@test "a Dockerfile becomes an image" {
	mkdir -p "$dir/context"
	echo menu >"$dir/context/menu.txt"
	cat >"$dir/context/Dockerfile" <<-'DF'
		FROM scratch
		RUN apt-get update && apt-get install -y tiny-app
		COPY menu.txt /srv/menu.txt
		RUN mkdir -p /opt/pos && echo made >/opt/pos/made
		EXPOSE 15022
		CMD ["/usr/bin/tiny-app"]
	DF
	posmedia import dockerfile "$dir/context/Dockerfile" --name till2 \
		--base base/tiny.yaml --output "$dir/recipes"
	succeeded
	made till2
	[ "$(cat "$tree/opt/pos/made")" = made ]
	[ "$(cat "$tree/srv/menu.txt")" = menu ]
	[ -x "$tree/usr/bin/tiny-app" ]
	skopeo inspect --config "oci:$dir/out/till2:1" >"$dir/config"
	[ "$(jq -c .config.Cmd "$dir/config")" = '["/usr/bin/tiny-app"]' ]
}
