#!/usr/bin/perl
# agent_look - what this machine is, who writes, and whether nobody does.
use strict;
use warnings;
use Cwd ();
use Fcntl qw(:DEFAULT);

# A directory as the kernel names it; refused when it is none.
sub real_dir {
	my ($dir) = @_;
	refuse('usage', "$dir is no absolute path") unless $dir =~ m{^/} && $dir !~ /\0/;
	my $real = -d $dir ? Cwd::abs_path($dir) : undef;
	refuse('failed', "$dir is no directory") unless defined $real;
	refuse('usage', "$dir is the root") if $real eq '/';
	return $real;
}

sub data_dirs {
	my ($plan) = @_;
	return map { real_dir($_) } want_texts($plan, 'data');
}

# /proc/mounts in order: [where, type, options].
sub mounts {
	my @all;
	for my $line (split /\n/, get_file('/proc/mounts') || '') {
		my (undef, $at, $type, $options) = split / /, $line;
		next unless defined $options;
		$at =~ s/\\([0-7]{3})/chr oct $1/ge;
		push @all, [ $at, $type, $options ];
	}
	return @all;
}

sub mounts_at {
	my ($dir) = @_;
	return grep { $_->[0] eq $dir } mounts();
}

# Mount points at or below a directory, each once, outermost first.
sub mount_points {
	my ($dir) = @_;
	my %seen;
	return sort grep { !$seen{$_}++ && ($_ eq $dir || index($_, "$dir/") == 0) }
	    map { $_->[0] } mounts();
}

# What only a try shows: the last one made at a place is the one that counts.
sub is_read_only {
	my ($dir) = @_;
	my @at = mounts_at($dir);
	return 0 unless @at && $at[-1][2] =~ /(?:^|,)ro(?:,|$)/;
	my $try = "$dir/.posmedia-cutover-$$";
	if (sysopen my $f, $try, O_WRONLY | O_CREAT | O_EXCL, 0600) {
		unlink $try;
		return 0;
	}
	return $!{EROFS} ? 1 : 0;
}

sub command_of {
	my ($pid) = @_;
	my $text = get_file("/proc/$pid/cmdline");
	$text = '' unless defined $text;
	$text =~ tr/\0/ /;
	$text = substr $text, 0, 200;
	return $text if $text =~ /\S/;
	my $stat = get_file("/proc/$pid/stat");
	return defined $stat && $stat =~ /(\(.*\))/s ? $1 : '?';
}

sub processes {
	opendir my $d, '/proc' or die "/proc: $!\n";
	return sort { $a <=> $b } grep { /^\d+$/ } readdir $d;
}

# Sockets of the ports by inode; one that only waits for the end belongs to nobody.
sub port_sockets {
	my (@ports) = @_;
	my %want = map { $_ => 1 } @ports;
	my %found;
	for my $file ('/proc/net/tcp', '/proc/net/tcp6') {
		for my $line (split /\n/, get_file($file) || '') {
			my @w = split ' ', $line;
			next unless @w > 9 && $w[1] =~ /:([0-9A-F]{4})$/;
			my $port = hex $1;
			next unless $want{$port} && $w[3] ne '06';
			my $what = $w[3] eq '0A' ? 'listens on port' : 'has a client on port';
			$found{ $w[9] } = "$what $port" if $w[9] != 0 || $w[3] eq '0A';
		}
	}
	return \%found;
}

sub open_files {
	my ($pid, $below, $sockets) = @_;
	my @why;
	opendir my $d, "/proc/$pid/fd" or return ();
	for my $n (grep { /^\d+$/ } readdir $d) {
		my $at = "/proc/$pid/fd/$n";
		my $to = readlink $at;
		next unless defined $to;
		if ($to =~ /^socket:\[(\d+)\]$/) {
			push @why, [ $sockets->{$1}, $1 ] if defined $sockets->{$1};
		} elsif ($to =~ $below) {
			my @st = lstat $at; # of which the owner's bits say how it is open
			push @why, [ "writes $to", 0 ] if @st && $st[2] & 0200;
		}
	}
	return @why;
}

# A shared mapping counts even where it is only read: it may be made writable later.
sub shared_maps {
	my ($pid, $below) = @_;
	my @why;
	open my $f, '<', "/proc/$pid/maps" or return ();
	while (my $line = <$f>) {
		my ($to) = $line =~ m{^\S+ ..[-x]s \S+ \S+ \d+\s+(/.*)$} or next;
		push @why, [ "has mapped $to", 0 ] if $to =~ $below;
	}
	return @why;
}

# Who could still write or answer: [{pid, start, command, why}]. pid 0: nobody's that we can see.
sub holders {
	my ($plan) = @_;
	my $dirs = join '|', map { quotemeta } data_dirs($plan);
	my $below = $dirs eq '' ? qr/^\z.^/ : qr{^(?:$dirs)(?:/| \(deleted\)$|$)};
	my $sockets = port_sockets(want_texts($plan, 'ports'));
	my (@found, %owned);
	for my $pid (processes()) {
		next if $pid == $$;
		my $start = start_time($pid);
		my @why = (open_files($pid, $below, $sockets), shared_maps($pid, $below));
		next unless @why;
		$owned{ $_->[1] } = 1 for @why;
		push @found, { pid => $pid, start => $start, command => command_of($pid),
			why => $why[0][0] };
	}
	push @found, { pid => 0, start => '', command => '?', why => $sockets->{$_} }
	    for grep { !$owned{$_} } sort keys %$sockets;
	return @found;
}

sub show_holders {
	my (@holders) = @_;
	splice @holders, 100;
	return [ map { { pid => number($_->{pid}), command => $_->{command}, why => $_->{why} } }
		@holders ];
}

sub tell_holder {
	my ($h) = @_;
	return "process $h->{pid} ($h->{command}) $h->{why}";
}

# We and what we came through are never ended.
sub spared {
	my %spared = (0 => 1, 1 => 1);
	my $pid = $$;
	while ($pid > 1 && !$spared{$pid}) {
		$spared{$pid} = 1;
		my $stat = get_file("/proc/$pid/stat");
		last unless defined $stat && $stat =~ /\)\s+\S+\s+(\d+)/s;
		$pid = $1;
	}
	return \%spared;
}

sub signal_holders {
	my ($signal, @holders) = @_;
	my $spared = spared();
	for my $h (grep { !$spared->{ $_->{pid} } } @holders) {
		next unless start_time($h->{pid}) eq $h->{start};
		say_log("$signal to " . tell_holder($h));
		kill $signal, $h->{pid};
	}
}

# Ends them: asked, and after so many seconds not asked any more. Returns who is left.
sub end_holders {
	my ($plan, $patience) = @_;
	my @left = holders($plan);
	for my $signal ('TERM', 'KILL') {
		last unless @left;
		signal_holders($signal, @left);
		my $end = uptime_now() + ($signal eq 'TERM' ? $patience : 5);
		do {
			nap(0.05);
			@left = holders($plan);
		} while (@left && uptime_now() < $end);
	}
	return @left;
}

# Services as this machine starts them: systemd, sysv, or none that it knows.
sub service_kind {
	my ($name) = @_;
	refuse('usage', "this is no name of a service: $name")
	    unless $name =~ /^[A-Za-z0-9_][A-Za-z0-9_.\@:-]{0,127}$/;
	if (-d setting('SYSTEMD', '/run/systemd/system')) {
		my $r = run_program([ 'systemctl', 'show', '-p', 'LoadState', $name ], 20);
		return 'systemd' if $r->{said} =~ /^LoadState=(?:loaded|masked)$/m;
	}
	return -f init_script($name) ? 'sysv' : 'none';
}

sub init_script {
	my ($name) = @_;
	return setting('INIT', '/etc/init.d') . "/$name";
}

sub cron_runs {
	return 0 unless -d setting('CRON', '/etc/cron.d');
	for my $pid (processes()) {
		my $stat = get_file("/proc/$pid/stat");
		return 1 if defined $stat && $stat =~ /^\d+ \((?:crond?|anacron|cronie)\)/;
	}
	return 0;
}

sub disk_of {
	my ($dir) = @_;
	my ($kb) = reverse split /\n/, output_of('df', '-Pk', $dir);
	my (undef, $total, $used, $free) = split ' ', $kb;
	my ($in) = reverse split /\n/, output_of('df', '-Pi', $dir);
	my (undef, $inodes, $inodes_used) = split ' ', $in;
	return { at => $dir, total => number($total * 1024), used => number($used * 1024),
		free => number($free * 1024),
		entries => number($inodes_used =~ /^\d+$/ ? $inodes_used : 0) };
}

sub verb_hello {
	my ($q) = @_;
	my $plan = $q->{plan} || {};
	my $rsync = has_program('rsync') ? output_of('rsync', '--version') : '';
	my $tells = $rsync =~ /version\s+(\S+)/ ? $1 : '';
	my @now = wall_clock();
	return { agent => digest_of_file($0), perl => sprintf('%vd', $^V), rsync => $tells,
		time_ms => number($now[0] * 1000 + $now[1]), uptime_ms => number(uptime() * 1000),
		boot => boot_id(), uid => number($>), cron => truth(cron_runs()),
		kernel => (POSIX::uname())[2], machine => (POSIX::uname())[4],
		services => [ map { { name => $_, kind => service_kind($_) } }
			want_texts($plan, 'services') ],
		data => [ map { disk_of($_) } data_dirs($plan) ] };
}

# Seconds and milliseconds.
sub wall_clock {
	my @now = eval { require Time::HiRes; Time::HiRes::gettimeofday() };
	return @now ? ($now[0], int $now[1] / 1000) : (time, 0);
}

sub verb_holders {
	my ($q) = @_;
	my $plan = $q->{plan} || {};
	my @left = $q->{kill} ? end_holders($plan, want_number($q, 'patience', 5)) : holders($plan);
	return { holders => show_holders(@left) };
}

sub verb_run {
	my ($q) = @_;
	my @argv = want_texts($q, 'argv');
	refuse('usage', 'there is no program') unless @argv && $argv[0] ne '';
	my $r = run_program(\@argv, want_number($q, 'within'), $q->{quiet});
	return { exit => number($r->{exit}), late => truth($r->{late}), said => $r->{said},
		ms => number($r->{seconds} * 1000) };
}

1;
