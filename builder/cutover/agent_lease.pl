#!/usr/bin/perl
# agent_lease - who may fence, for how long, and what becomes of a fence that nobody looks after.
use strict;
use warnings;
use Fcntl qw(:DEFAULT :flock);

use constant { WITNESS_MAX => 4 << 20, LINE_MAX => 65536 };

# The lock and the record, for a request that changes something.
sub enter {
	my ($q) = @_;
	my $epoch = want_number($q, 'epoch');
	my $id = want_text($q, 'run');
	refuse('usage', 'this is no epoch') unless $epoch =~ /^[1-9]\d{0,8}$/;
	refuse('usage', 'this is no run') unless $id =~ /^[A-Za-z0-9-]{1,64}$/;
	my $lock = take_lock('lock', want_number($q, 'patience', 10));
	refuse('busy', 'another request is being worked on') unless $lock;
	my $r = load_record();
	refuse('refused', "epoch $epoch is older than epoch $r->{epoch}") if $epoch < $r->{epoch};
	refuse('refused', "epoch $epoch is of another run")
	    if $epoch == $r->{epoch} && $id ne $r->{id};
	return ($lock, $r, $epoch, $id);
}

sub answer_of {
	my ($r) = @_;
	my $left = $r->{state} eq 'LEASED' ? $r->{expiry} - uptime() : 0;
	return (state => $r->{state}, epoch => number($r->{epoch}), run => $r->{id},
		left_ms => number($left > 0 && !is_over($r) ? $left * 1000 : 0),
		undoing => truth($r->{undoing}), complete => truth($r->{complete}),
		closed => truth($r->{closed}), boot => boot_id(),
		uptime_ms => number(uptime() * 1000), trouble => [ want_texts($r, 'trouble') ]);
}

# What another epoch or an end that came too early leaves for a new fence.
sub start_record {
	my ($r, $epoch, $id, $q) = @_;
	undo_all($r, 'the lease was over') if $r->{state} ne 'FREE' && is_over($r);
	if ($r->{state} ne 'FREE') {
		refuse('refused', "epoch $r->{epoch} has this server fenced", answer_of($r))
		    if $r->{epoch} != $epoch;
		return $r;
	}
	# what fell may have sold since, and a request that was late would hide that
	refuse('refused', "epoch $epoch was fenced, and that is over", answer_of($r))
	    if $r->{epoch} == $epoch;
	my $lease = want_number($q, 'lease');
	refuse('usage', 'a lease has 5 s to 1 h') if $lease < 5 || $lease > 3600;
	return { state => 'LEASED', epoch => $epoch, id => $id, lease => $lease, steps => [],
		expiry => uptime() + $lease, boot => boot_id(), undoing => 0,
		closed => 0, complete => 0, plan => $q->{plan} || {} };
}

sub renew_record {
	my ($r) = @_;
	$r->{expiry} = uptime() + $r->{lease};
	save_record($r);
}

# A plan is looked at before anything is touched.
sub check_plan {
	my ($plan) = @_;
	refuse('usage', 'the plan is none') unless ref $plan eq 'HASH';
	data_dirs($plan);
	commands($plan, $_) for qw(stop start);
	check_address($plan->{address}) if ref $plan->{address} eq 'HASH';
	for my $name (want_texts($plan, 'services')) {
		refuse('failed', "there is no service $name") if service_kind($name) eq 'none';
	}
	for my $port (want_texts($plan, 'ports')) {
		refuse('usage', 'this is no port') unless $port =~ /^\d{1,5}$/ && $port < 65536;
	}
	refuse('usage', 'holders: kill or report')
	    unless want_text($plan, 'holders', 'report') =~ /^(?:kill|report)$/;
}

sub told {
	my ($name, $r) = @_;
	return { name => $name, exit => number($r->{exit}), late => truth($r->{late}),
		said => $r->{said}, ms => number($r->{seconds} * 1000) };
}

sub stop_all {
	my ($r) = @_;
	my $plan = $r->{plan};
	my @told;
	for my $c (commands($plan, 'stop')) {
		my $ran = run_program(@$c);
		push @told, told("@{ $c->[0] }", $ran);
		check_stop("@{ $c->[0] }", $ran) unless $c->[2];
		fault('stopped');
	}
	for my $name (reverse want_texts($plan, 'services')) {
		my $s = service_step($r, $name);
		push @told, told($name, stop_service($s, want_number($plan, 'within', 60)));
		fault('stopped');
		mask_service($s);
	}
	return @told;
}

sub check_stop {
	my ($name, $ran) = @_;
	refuse('failed', "$name: took too long") if $ran->{late};
	refuse('failed', "$name: exit $ran->{exit}: $ran->{said}") if $ran->{exit} != 0;
}

sub clear_holders {
	my ($plan) = @_;
	my @left = want_text($plan, 'holders', 'report') eq 'kill'
	    ? end_holders($plan, want_number($plan, 'patience', 5)) : holders($plan);
	refuse('failed', tell_holder($left[0]), holders => show_holders(@left)) if @left;
}

sub shut_data {
	my ($r) = @_;
	for my $dir (data_dirs($r->{plan})) {
		mount_read_only($r, data_step($r, $dir));
	}
}

sub shut_address {
	my ($r) = @_;
	my $a = $r->{plan}{address};
	take_address(address_step($r, $a)) if ref $a eq 'HASH';
}

sub verb_fence {
	my ($q) = @_;
	my ($lock, $old, $epoch, $id) = enter($q);
	check_plan($q->{plan} || {});
	my $r = start_record($old, $epoch, $id, $q);
	renew_record($r) if $r->{complete} && $r->{state} eq 'LEASED';
	return { answer_of($r), stopped => [] } if $r->{complete};
	my @told;
	keep_spare();
	install_cron();
	save_record($r);
	start_aside('watch');
	my $done = eval {
		raise_fence($r);
		@told = stop_all($r);
		clear_holders($r->{plan});
		shut_data($r);
		clear_holders($r->{plan});
		$r->{complete} = 1;
		renew_record($r);
		1;
	};
	return { answer_of($r), stopped => \@told } if $done;
	my $why = $@;
	undo_all($r, 'it failed: ' . failure($why));
	refuse(ref $why eq 'HASH' ? $why->{kind} : 'failed', failure($why),
		(ref $why eq 'HASH' ? %$why : ()), answer_of($r), stopped => \@told);
}

# A lease that may still be lengthened or held; the state that an answer lost before has left too.
sub leased {
	my ($q, @states) = @_;
	my ($lock, $r, $epoch) = enter($q);
	refuse('refused', "nothing is fenced for epoch $epoch", answer_of($r))
	    unless $epoch == $r->{epoch} && grep { $_ eq $r->{state} } @states;
	refuse('refused', 'the lease is over', answer_of($r)) if is_over($r);
	refuse('refused', 'the fence was not finished', answer_of($r)) unless $r->{complete};
	return ($lock, $r);
}

sub verb_renew {
	my ($q) = @_;
	my ($lock, $r) = leased($q, 'LEASED', 'HELD');
	renew_record($r) if $r->{state} eq 'LEASED';
	lengthen_trial($r, $q->{trial}) if is_tried($r) && ref $q->{trial} eq 'HASH';
	return { answer_of($r) };
}

# The address goes last: until then who comes is told at once that nobody serves, and behind that
# hangs until another has it.
sub verb_yield {
	my ($q) = @_;
	my ($lock, $r) = leased($q, 'LEASED', 'HELD');
	shut_address($r);
	renew_record($r) if $r->{state} eq 'LEASED';
	return { answer_of($r) };
}

sub verb_hold {
	my ($q) = @_;
	my ($lock, $r) = leased($q, 'LEASED', 'HELD');
	my @faults = faults_of($r);
	my @yielded = grep { $_->{do} eq 'address' } @{ $r->{steps} };
	push @faults, 'it has its address' if ref $r->{plan}{address} eq 'HASH' && !@yielded;
	refuse('unproven', $faults[0], faults => \@faults, answer_of($r)) if @faults;
	if ($r->{state} eq 'LEASED') {
		plan_step($r, { do => 'boot', what => 'boot' });
		install_boot();
		$r->{state} = 'HELD';
		save_record($r);
		say_log("epoch $r->{epoch}: held");
	}
	return { answer_of($r) };
}

# What is not as the fence has to be.
sub faults_of {
	my ($r) = @_;
	my @faults;
	push @faults, 'there is no fence file' unless -f fence_path();
	push @faults, grep { $_ ne '' } map { data_fault($r, $_) } data_dirs($r->{plan});
	for my $s (grep { $_->{do} eq 'service' } @{ $r->{steps} }) {
		push @faults, "$s->{what} can be started" unless is_masked($s);
	}
	for my $s (grep { $_->{do} eq 'address' } @{ $r->{steps} }) {
		push @faults, "$s->{what} is there" if has_address(split / /, $s->{what});
	}
	for my $look (1, 2) {
		nap(0.3) if $look == 2;
		push @faults, map { tell_holder($_) } holders($r->{plan});
	}
	return @faults;
}

sub verb_prove {
	my ($q) = @_;
	my ($lock, $r) = leased($q, 'LEASED', 'HELD');
	my @faults = faults_of($r);
	refuse('unproven', $faults[0], faults => \@faults, answer_of($r)) if @faults;
	my %weak = map { $_->{what} => 1 } grep { $_->{do} eq 'mode' } @{ $r->{steps} };
	return { answer_of($r), weak => [ sort keys %weak ] };
}

# After a release no fence of its epoch can follow.
sub verb_release {
	my ($q) = @_;
	my ($lock, $r, $epoch, $id) = enter($q);
	if ($epoch > $r->{epoch}) {
		refuse('refused', "epoch $r->{epoch} has this server fenced", answer_of($r))
		    unless $r->{state} eq 'FREE';
		%$r = (%$r, epoch => $epoch, id => $id);
	}
	refuse('refused', "epoch $epoch was committed", answer_of($r))
	    if $r->{state} eq 'HELD' && !$q->{reversed} && is_committed($epoch);
	check_back($r, $epoch, $q->{reversed});
	$r->{closed} = 1;
	if ($r->{state} eq 'FREE') {
		save_record($r);
	} else {
		undo_all($r, 'released');
	}
	return { answer_of($r) };
}

# The journal's copy here.
sub witness_path { return state_dir() . '/journal' }

sub witness_lines {
	my $text = get_file(witness_path());
	return () unless defined $text;
	$text =~ s/[^\n]*\z//;
	return split /\n/, $text;
}

sub is_committed {
	my ($epoch) = @_;
	for my $line (witness_lines()) {
		my $o = eval { parse_json($line) };
		next unless ref $o eq 'HASH' && defined $o->{epoch} && $o->{epoch} eq $epoch;
		my @words = map { defined $_ && !ref $_ ? $_ : '' } @$o{qw(phase event)};
		return 1 if "@words" eq 'commit ok';
	}
	return 0;
}

# Keeps a line, once; what a kill left of one is cut off first.
sub verb_witness {
	my ($q) = @_;
	my ($lock, $r) = enter($q);
	my $line = want_text($q, 'line');
	refuse('usage', 'this is no line')
	    if $line eq '' || $line =~ /\n/ || length $line > LINE_MAX;
	my @lines = witness_lines();
	unless (grep { $_ eq $line } @lines) {
		my $text = join '', map { "$_\n" } @lines, $line;
		refuse('failed', 'the journal is full') if length $text > WITNESS_MAX;
		put_file(witness_path(), $text, 0600);
		push @lines, $line;
	}
	return { lines => number(scalar @lines), answer_of($r) };
}

sub verb_status {
	my @lines = witness_lines();
	my $r = load_record();
	return { answer_of($r), lines => number(scalar @lines),
		receives => truth($r->{receives}), last => @lines ? $lines[-1] : '',
		fence => truth(-f fence_path()),
		why => defined $r->{why} ? $r->{why} : '' };
}

# All of ours goes, but not while anything is fenced. Cron's line goes with the last shop.
sub verb_forget {
	my ($q) = @_;
	my ($lock, $r) = enter($q);
	refuse('refused', 'this server is fenced', answer_of($r)) unless $r->{state} eq 'FREE';
	my $dir = state_dir();
	opendir my $d, $dir or die "$dir: $!\n";
	unlink map { "$dir/$_" } grep { !/^\.\.?$/ } readdir $d;
	rmdir $dir or die "$dir: $!\n";
	return {} if shops();
	unlink cron_path();
	unlink top_dir() . '/agent';
	rmdir top_dir();
	return {};
}

# A lease that is over ends; what is held is fenced again after a boot. The boot, cron and
# watch call it. Waits so many seconds, or not at all, for another agent.
sub tick {
	my ($patience) = @_;
	my $lock = take_lock('lock', $patience // 0);
	my $r = load_record();
	unless ($lock) {
		end_stopped(state_dir() . '/lock') if $r->{state} ne 'FREE' && is_over($r);
		return 'LEASED';
	}
	return $r->{state} if $r->{state} eq 'FREE';
	if (is_over($r) && may_fall($r)) {
		undo_all($r, $r->{undoing} ? 'again' : $r->{boot} ne boot_id()
		    ? 'the lease was of another boot' : 'the lease is over');
	} elsif (is_tried($r)) {
		return 'TRIED';
	} elsif ($r->{state} eq 'HELD' || is_over($r)) {
		end_trial($r) if has_trial($r);
		keep_fenced($r);
	}
	return $r->{state};
}

# After a boot it is fenced again.
sub keep_fenced {
	my ($r) = @_;
	my @bad;
	for my $do (sub { raise_fence($r) }, map { my $s = $_; sub { keep_step($r, $s) } }
	    @{ $r->{steps} }) {
		eval { $do->(); 1 } or push @bad, failure($@);
	}
	start_again_stops($r);
	refuse('failed', $bad[0]) if @bad;
}

sub keep_step {
	my ($r, $s) = @_;
	mask_service($s) if $s->{do} eq 'service' && !is_masked($s);
	mount_read_only($r, $s) if $s->{do} eq 'mount' && data_fault($r, $s->{what}) ne '';
	take_address($s) if $s->{do} eq 'address';
}

# What came up all the same is stopped.
sub start_again_stops {
	my ($r) = @_;
	return unless holders($r->{plan});
	run_program(@$_) for commands($r->{plan}, 'stop');
	end_holders($r->{plan}, 5);
}

# A process of its own, which outlives us.
sub start_aside {
	my ($verb) = @_;
	my $pid = fork;
	return unless defined $pid;
	if ($pid == 0) {
		POSIX::setsid();
		my $child = fork;
		POSIX::_exit(0) if !defined $child || $child != 0;
		chdir '/';
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		delete $ENV{POSMEDIA_CUTOVER_DIE_AT};
		{ no warnings 'exec'; exec { $^X } $^X, $0, $verb, shop(); }
		POSIX::_exit(127);
	}
	waitpid $pid, 0;
}

sub watch {
	my $lock = take_lock('watch', 10) or return;
	for (;;) {
		my $state = eval { tick() };
		say_log('tick: ' . failure($@)) unless defined $state;
		return if defined $state && $state !~ /^(?:LEASED|TRIED)$/;
		nap(defined $state ? 0.5 : 2);
	}
}

sub cron_path { return setting('CRON', '/etc/cron.d') . '/posmedia-cutover' }

sub install_cron {
	return unless -d setting('CRON', '/etc/cron.d');
	my $line = "root $^X $0 tick >/dev/null 2>&1\n";
	my $text = "\@reboot $line* * * * * $line";
	my $now = get_file(cron_path());
	put_file(cron_path(), $text, 0644) unless defined $now && $now eq $text;
}

sub shops {
	opendir my $d, top_dir() or return ();
	return sort grep { /^[A-Za-z0-9]/ && -d top_dir() . "/$_" } readdir $d;
}

1;
