# shellcheck shell=bash
# shared.bash - what machines have in common: Debian's docker-registry, and a bucket's radosgw. For
# a file's set-up, below $dir, with system/lib loaded.

start_shared() {
	start_registry "$dir/registry"
	export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=sesame-sesame
	export AWS_EC2_METADATA_DISABLED=true
	AWS_ENDPOINT_URL=$(tests/interop/radosgw "$dir/rgw" "$(free_port)")
	export AWS_ENDPOINT_URL registry registry_pid
}

stop_shared() {
	stop_registry
	[ ! -e "$dir/rgw/pids" ] || xargs kill <"$dir/rgw/pids" 2>/dev/null || true
	sleep 1
	rm -rf "$dir"
}
