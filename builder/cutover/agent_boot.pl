#!/usr/bin/perl
# agent_boot - a boot of a server that is held begins with its fence: before anything of its own is
# started, whoever starts it, its data is read only again. Its address comes with its network and
# is taken off as it comes; cron looks again each minute.
use strict;
use warnings;

use constant { GUARD_SECONDS => 300, BOOT_S => 20 };

sub boot_script { return setting('INIT', '/etc/init.d') . '/posmedia-cutover' }

# What the boot runs first: the unit and what wants it, or the script and its links.
sub boot_files {
	my $units = setting('UNITS', '/etc/systemd/system');
	return ("$units/posmedia-cutover.service",
		"$units/sysinit.target.wants/posmedia-cutover.service")
	    if -d setting('SYSTEMD', '/run/systemd/system');
	my $rc = setting('RC', '/etc');
	return (boot_script(), map { "$_/S00posmedia-cutover" }
	    grep { -d } map { "$rc/rc$_.d" } 2 .. 5);
}

sub boot_text {
	my ($path) = @_;
	return <<"END" if $path =~ /\.service$/;
[Unit]
Description=The fence of a server whose shop went elsewhere
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target network-pre.target
Wants=network-pre.target
[Service]
Type=oneshot
RemainAfterExit=yes
KillMode=process
ExecStart=$^X $0 boot
END
	return <<"END";
#!/bin/sh
# The fence of a server whose shop went elsewhere, before all else.
# chkconfig: 2345 00 99
[ "\$1" = start ] || exit 0
exec $^X $0 boot
END
}

sub install_boot {
	my ($file, @links) = boot_files();
	my $text = boot_text($file);
	my $now = get_file($file);
	put_file($file, $text, $file =~ /\.service$/ ? 0644 : 0755)
	    unless defined $now && $now eq $text;
	for my $at (@links) {
		(my $dir = $at) =~ s{/[^/]*$}{};
		mkdir $dir, 0755;
		symlink $file, $at or $!{EEXIST} or die "$at: $!\n";
		sync_dir($dir);
	}
	fault('boot');
}

# Another shop of this server may be held still.
sub remove_boot {
	for my $other (grep { $_ ne shop() } shops()) {
		my $text = get_file(top_dir() . "/$other/record");
		return if defined $text && $text =~ /"state":"HELD"/;
	}
	remove_file($_) for grep { -l || -e } reverse boot_files();
}

# Of each shop; whoever waits for the boot does not wait for its guard, but does for another agent
# that is at the same (cron's, at its start): what is started next is to find the fence whole.
sub boot {
	for my $shop (shops()) {
		choose_shop($shop);
		my $state = eval { tick(BOOT_S) };
		say_log('boot: ' . failure($@)) unless defined $state;
		start_aside('guard') if !defined $state || $state ne 'FREE';
	}
}

sub guard {
	my $lock = take_lock('guard', 10) or return;
	my $end = uptime_now() + GUARD_SECONDS;
	while (uptime_now() < $end) {
		my $state = eval { tick() };
		return if defined $state && $state eq 'FREE';
		nap(0.5);
	}
}

1;
