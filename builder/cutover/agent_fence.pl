#!/usr/bin/perl
# agent_fence - the steps of a fence. Each is recorded before it is taken, with what was there
# before, so that whoever finds the record can take it back; each may be taken, and taken back,
# again.
use strict;
use warnings;
use Fcntl qw(:DEFAULT);
use Socket;

use constant { PF_PACKET => 17, ETH_ARP => 0x0806 };

sub record_path { return state_dir() . '/record' }
sub fence_path { return state_dir() . '/fence' }

# {state, epoch, id, lease, expiry, boot, undoing, closed, complete, plan, steps}
sub load_record {
	my $text = get_file(record_path());
	return { state => 'FREE', epoch => 0, id => '', closed => 0, steps => [], plan => {} }
	    if !defined $text && $!{ENOENT};
	my $r = defined $text ? eval { parse_json($text) } : undef;
	# in doubt nobody writes: what is fenced stays so
	refuse('failed', record_path() . ' cannot be read') unless ref $r eq 'HASH' &&
	    defined $r->{state} && $r->{state} =~ /^(?:FREE|LEASED|HELD)$/ &&
	    ref $r->{steps} eq 'ARRAY' && ref $r->{plan} eq 'HASH';
	return $r;
}

sub save_record {
	my ($r) = @_;
	fault('record');
	put_file(record_path(), json($r) . "\n", 0600);
	fault("recorded");
}

# Room for the records of an undo on a disk that filled up meanwhile.
sub keep_spare {
	put_file(state_dir() . '/spare', '.' x 65536, 0600);
}

sub drop_spare {
	unlink map { state_dir() . $_ } '/spare', '/spare.new';
}

sub is_over {
	my ($r) = @_;
	return 1 if $r->{undoing};
	return $r->{state} eq 'LEASED' && ($r->{boot} ne boot_id() || uptime() >= $r->{expiry});
}

# What is over may not be taken back at once behind a boot: the new host has the address, once it
# was taken off here, for as long as the lease was renewed, and how long ago that was nobody here
# knows.
sub may_fall {
	my ($r) = @_;
	return 1 if $r->{undoing} || !$r->{complete} || $r->{boot} eq boot_id();
	return 1 if ref $r->{plan}{address} eq 'HASH' &&
	    !grep { $_->{do} eq 'address' } @{ $r->{steps} };
	return uptime() >= $r->{lease};
}

# Adds a step, unless it was recorded before: what was there before that is what counts.
sub plan_step {
	my ($r, $step) = @_;
	for my $s (@{ $r->{steps} }) {
		return $s if $s->{do} eq $step->{do} && $s->{what} eq $step->{what};
	}
	push @{ $r->{steps} }, $step;
	save_record($r);
	return $step;
}

# The file that start scripts honour.
sub raise_fence {
	my ($r) = @_;
	my $text = "epoch $r->{epoch}\nid $r->{id}\n";
	my $now = get_file(fence_path());
	put_file(fence_path(), $text, 0644) unless defined $now && $now eq $text;
	fault('fence');
}

# Services: masked where systemd is; else the init script is one that rc and service(8) pass over.
sub systemd_state {
	my ($name) = @_;
	my $said = run_program([ 'systemctl', 'is-enabled', $name ], 20)->{said};
	return $said =~ /^(\S+)\s*\z/m ? $1 : '';
}

sub service_step {
	my ($r, $name) = @_;
	my $kind = service_kind($name);
	refuse('failed', "there is no service $name") if $kind eq 'none';
	my $before = $kind eq 'systemd' ? systemd_state($name)
	    : sprintf '%04o', (stat init_script($name))[2] & 07777;
	return plan_step($r, { do => 'service', what => $name, kind => $kind, before => $before });
}

sub stop_service {
	my ($s, $within) = @_;
	my @argv = $s->{kind} eq 'systemd' ? ('systemctl', 'stop', $s->{what})
	    : (init_script($s->{what}), 'stop');
	return { exit => 0, late => 0, said => '', seconds => 0 }
	    if $s->{kind} eq 'sysv' && !-x $argv[0];
	return run_program(\@argv, $within);
}

sub mask_service {
	my ($s) = @_;
	if ($s->{kind} eq 'sysv') {
		my $script = init_script($s->{what});
		chmod oct($s->{before}) & ~0111, $script or die "$script: $!\n";
	} else {
		my $r = run_program([ 'systemctl', 'mask', $s->{what} ], 30);
		drop_in($s->{what}) if $r->{exit} != 0 || !is_masked($s);
	}
	fault('masked');
}

# A unit that is a file of /etc itself cannot be masked: it gets a condition that does not hold.
sub drop_in_path {
	my ($name) = @_;
	$name .= '.service' unless $name =~ /\.[a-z]+$/;
	return setting('UNITS', '/etc/systemd/system') . "/$name.d";
}

sub drop_in {
	my ($name) = @_;
	my $dir = drop_in_path($name);
	mkdir $dir, 0755;
	put_file("$dir/posmedia-cutover.conf",
	    "[Unit]\nConditionPathExists=!" . fence_path() . "\n", 0644);
	output_of('systemctl', 'daemon-reload');
}

sub is_masked {
	my ($s) = @_;
	if ($s->{kind} eq 'sysv') {
		my @st = stat init_script($s->{what});
		return @st && !($st[2] & 0111);
	}
	return 1 if -f drop_in_path($s->{what}) . '/posmedia-cutover.conf';
	return systemd_state($s->{what}) =~ /^masked/ ? 1 : 0;
}

sub unmask_service {
	my ($s) = @_;
	if ($s->{kind} eq 'sysv') {
		my $script = init_script($s->{what});
		chmod oct $s->{before}, $script or $!{ENOENT} or die "$script: $!\n";
		return;
	}
	my $dir = drop_in_path($s->{what});
	if (-f "$dir/posmedia-cutover.conf") {
		remove_file("$dir/posmedia-cutover.conf");
		rmdir $dir;
		output_of('systemctl', 'daemon-reload');
	}
	output_of('systemctl', 'unmask', $s->{what})
	    if $s->{before} !~ /^masked/ && systemd_state($s->{what}) =~ /^masked/;
}

# Data: a mount of a directory on itself, read only, with what is mounted below; where the kernel
# cannot do that, a directory that only root enters.
sub data_step {
	my ($r, $dir) = @_;
	return plan_step($r, { do => 'mount', what => $dir, before => scalar mounts_at($dir) });
}

sub mount_read_only {
	my ($r, $s) = @_;
	my $dir = $s->{what};
	return if is_read_only($dir);
	if (mounts_at($dir) <= $s->{before}) {
		output_of('mount', '--rbind', $dir, $dir);
		run_program([ 'mount', '--make-rprivate', $dir ], 20);
	}
	fault('mounted');
	for my $at (mount_points($dir)) {
		run_program([ 'mount', '-o', 'remount,ro,bind', $at ], 20);
	}
	fault('read-only');
	return if is_read_only($dir) && !setting('NO_RO', '');
	unmount($s);
	my $mode = sprintf '%04o', (stat $dir)[2] & 07777;
	plan_step($r, { do => 'mode', what => $dir, before => $mode });
	chmod 0, $dir or die "$dir: $!\n";
	fault('mode');
}

sub unmount {
	my ($s) = @_;
	my $dir = $s->{what};
	my $tries = 16;
	while (mounts_at($dir) > $s->{before}) {
		run_program([ 'umount', '-l', $dir ], 20);
		die "$dir cannot be unmounted\n" if --$tries == 0;
	}
}

sub restore_mode {
	my ($s) = @_;
	chmod oct $s->{before}, $s->{what} or $!{ENOENT} or die "$s->{what}: $!\n";
}

# "" when the data is shut, else what is not so.
sub data_fault {
	my ($r, $dir) = @_;
	return '' if is_read_only($dir);
	my @mode = grep { $_->{do} eq 'mode' && $_->{what} eq $dir } @{ $r->{steps} };
	return '' if @mode && ((stat $dir)[2] & 07777) == 0;
	return "$dir can be written";
}

# The address: everything that goes away with it is written down.
sub address_lines {
	my ($if) = @_;
	my @all = split /\n/, output_of('ip', '-o', 'addr', 'show', 'dev', $if);
	return grep { defined } map { /\s(inet6?\s+\S+\s.*?)\s*(?:\\|$)/ ? $1 : undef } @all;
}

sub route_lines {
	my ($if) = @_;
	return map { s/\s+$//; $_ } grep { /\S/ }
	    map { split /\n/, output_of('ip', $_, 'route', 'show', 'dev', $if) } ('-4');
}

sub has_address {
	my ($if, $address) = @_;
	return scalar grep { /^inet6?\s+\Q$address\E(?:\/|\s)/ } address_lines($if);
}

sub check_address {
	my ($plan) = @_;
	my ($if, $address) = (want_text($plan, 'interface'), want_text($plan, 'address'));
	refuse('usage', 'this is no interface') unless $if =~ /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}$/;
	refuse('usage', 'this is no address') unless $address =~ /^[0-9a-fA-F.:]{2,45}$/;
	my (undef, undef, $ours) = split ' ', $ENV{SSH_CONNECTION} || '';
	refuse('refused', "we came by $address ourselves: old.host has to be another address")
	    if defined $ours && $ours eq $address;
	return ($if, $address);
}

sub address_step {
	my ($r, $plan) = @_;
	my ($if, $address) = check_address($plan);
	return plan_step($r, { do => 'address', what => "$if $address",
		lines => [ address_lines($if) ], routes => [ route_lines($if) ] });
}

sub take_address {
	my ($s) = @_;
	my ($if, $address) = split / /, $s->{what};
	for my $line (grep { /^inet6?\s+\Q$address\E\// } address_lines($if)) {
		output_of('ip', 'addr', 'del', (split ' ', $line)[1], 'dev', $if);
	}
	fault('address');
}

# "inet A/B brd C scope global secondary LABEL" as ip(8) wants it.
sub give_back_line {
	my ($if, $line) = @_;
	my ($family, $address) = split ' ', $line;
	my @argv = ('ip', 'addr', 'add', $address, 'dev', $if);
	push @argv, 'brd', $1 if $line =~ /\bbrd (\S+)/;
	push @argv, 'scope', $1 if $line =~ /\bscope (\S+)/;
	push @argv, 'label', $1 if $family eq 'inet' && $line =~ /\s(\Q$if\E:\S+)$/;
	output_of(@argv);
}

sub give_address {
	my ($s) = @_;
	my ($if, $address) = split / /, $s->{what};
	for my $line (@{ $s->{lines} }) {
		my ($bare) = (split ' ', $line)[1] =~ m{^([^/]+)};
		give_back_line($if, $line) unless has_address($if, $bare);
	}
	my %there = map { $_ => 1 } route_lines($if);
	for my $route (grep { !$there{$_} } @{ $s->{routes} }) {
		run_program([ 'ip', 'route', 'add', (split ' ', $route), 'dev', $if ], 20);
	}
	eval { announce($if, $address); 1 } or say_log("no announcement of $address: $@");
	announce_later($if, $address);
}

# Who has just heard of another card believes nobody for a second: told again, beside all else.
sub announce_later {
	my ($if, $address) = @_;
	my $pid = fork;
	return if !defined $pid || $pid != 0;
	POSIX::setsid();
	POSIX::close($_) for 0 .. 63; # the session and the lock are not ours
	for my $pause (1.1, 1.1, 3) {
		nap($pause);
		eval { announce($if, $address); 1 } if eval { has_address($if, $address) };
	}
	POSIX::_exit(0);
}

# Gratuitous ARP, as a request and as an answer: neighbours forget the card that had it meanwhile.
sub announce {
	my ($if, $address) = @_;
	return unless $address =~ /^\d+\.\d+\.\d+\.\d+$/;
	my ($index, $card) = output_of('ip', '-o', 'link', 'show', 'dev', $if)
	    =~ m{^(\d+):.*\slink/ether ([0-9a-f:]{17})\s};
	die "no card\n" unless defined $card;
	(my $mac = $card) =~ s/://g;
	$mac = pack 'H12', $mac;
	socket my $s, PF_PACKET, SOCK_DGRAM, unpack('n', pack 'S', ETH_ARP) or die "socket: $!\n";
	my $ip = inet_aton($address);
	my $to = pack 'SnlSCCa8', PF_PACKET, ETH_ARP, $index, 1, 0, 6, "\xff" x 6;
	for my $op (1, 2) {
		my $arp = pack('nnCCn', 1, 0x0800, 6, 4, $op) . $mac . $ip . "\xff" x 6 . $ip;
		send $s, $arp, 0, $to or die "send: $!\n";
	}
}

my %undo = (service => \&unmask_service, mount => \&unmount, mode => \&restore_mode,
	address => \&give_address, boot => \&remove_boot);

# Takes all steps back, last first, then the fence file, and starts what was stopped. From its first
# record on nobody may hold any more. Dies when a step did not work: the next one tries again.
sub undo_all {
	my ($r, $why) = @_;
	my @bad;
	drop_spare();
	kill_running();
	say_log("epoch $r->{epoch}: the fence goes: $why");
	$r->{undoing} = 1;
	save_record($r);
	for my $s (reverse @{ $r->{steps} }) {
		eval { $undo{ $s->{do} }->($s); 1 } or push @bad, failure($@);
		fault("undone");
	}
	if (@bad) {
		say_log("not undone: $bad[0]");
		refuse('failed', $bad[0]);
	}
	give_privileges() if $r->{receives};
	remove_file(fence_path());
	fault('down');
	my @trouble = start_all($r->{plan});
	fault('started');
	remove_file(special_path());
	my %free = (%$r, state => 'FREE', undoing => 0, complete => 0, receives => 0,
		trial => undef, steps => [], why => $why, trouble => \@trouble);
	save_record(\%free);
	%$r = %free;
}

sub failure {
	my ($e) = @_;
	my $text = ref $e eq 'HASH' ? $e->{error} : $e;
	$text =~ s/\s+$//;
	return $text;
}

# The plan's services, what was stopped last first, and behind them its commands.
# With a moment of our clock it ends by then, all of it started or not.
sub start_all {
	my ($plan, $until) = @_;
	my @trouble;
	my @services = map { [ start_argv($_), 60, 0 ] } want_texts($plan, 'services');
	for my $c (@services, commands($plan, 'start')) {
		my $r = try_start($c->[2] ? 1 : 3, @$c[ 0, 1 ], $until);
		push @trouble, "@{ $c->[0] }: " . ($r->{late} ? 'took too long' : "exit $r->{exit}")
		    if !$c->[2] && ($r->{exit} != 0 || $r->{late});
	}
	return @trouble;
}

sub start_argv {
	my ($name) = @_;
	return service_kind($name) eq 'systemd' ? [ 'systemctl', 'start', $name ]
	    : [ init_script($name), 'start' ];
}

sub try_start {
	my ($tries, $argv, $within, $until) = @_;
	my $r = { exit => -1, late => 1 };
	for my $try (1 .. $tries) {
		nap(1) if $try > 1;
		my $left = defined $until ? $until - uptime() : $within;
		last if $left <= 0;
		$r = run_program($argv, $left < $within ? $left : $within, 1);
		say_log("start @$argv: exit $r->{exit}");
		last if $r->{exit} == 0 && !$r->{late};
	}
	return $r;
}

# [{run, within, may_fail}] of a plan, as [[argv], seconds, may fail].
sub commands {
	my ($plan, $key) = @_;
	my @list;
	for my $c (want_list($plan, $key)) {
		refuse('usage', "$key has what is no command") unless ref $c eq 'HASH';
		my @argv = want_texts($c, 'run');
		refuse('usage', "$key has a command without a program") unless @argv;
		push @list, [ \@argv, want_number($c, 'within', 60), $c->{may_fail} ];
	}
	return @list;
}

1;
