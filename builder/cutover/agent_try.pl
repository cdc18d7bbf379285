#!/usr/bin/perl
# agent_try - a trial: the application of a server that is held runs on the data that came back, and
# nobody can come, since the server has not got its address. It ends with its lease, with a boot,
# and when data comes once more; what it wrote is no more than that.
use strict;
use warnings;

sub is_tried {
	my ($r) = @_;
	my $t = $r->{trial};
	return ref $t eq 'HASH' && $t->{boot} eq boot_id() && uptime() < $t->{expiry};
}

# Whether somebody has to look after it still.
sub has_trial {
	my ($r) = @_;
	return ref $r->{trial} eq 'HASH';
}

# A moment of our clock, as long as that is the one it was read from.
sub moment {
	my ($m) = @_;
	refuse('usage', 'this is no moment') unless ref $m eq 'HASH';
	my $at = want_number($m, 'uptime_ms') / 1000;
	refuse('refused', 'it was started again meanwhile')
	    if want_text($m, 'boot') ne boot_id();
	refuse('refused', 'the time for that is over') if $at <= uptime();
	refuse('usage', 'a lease has 1 h at most') if $at > uptime() + 3600;
	return $at;
}

sub lengthen_trial {
	my ($r, $until) = @_;
	my $at = eval { moment($until) };
	return unless defined $at && $at > $r->{trial}{expiry};
	$r->{trial}{expiry} = $at;
	save_record($r);
}

# The application as at a release, but for the address and what a boot begins with.
sub lift_fence {
	my ($r) = @_;
	my %lift = (service => \&unmask_service, mount => \&unmount, mode => \&restore_mode);
	for my $s (reverse grep { $lift{ $_->{do} } } @{ $r->{steps} }) {
		$lift{ $s->{do} }->($s);
	}
	give_privileges();
	fault('lifted');
	remove_file(fence_path());
	# nobody else can end it as long as this is at work
	my @trouble = start_all($r->{plan}, $r->{trial}{expiry});
	fault('tried');
	refuse('failed', "not all of it started: $trouble[0]") if @trouble;
}

sub verb_try {
	my ($q) = @_;
	my ($lock, $r, $epoch) = enter($q);
	refuse('refused', "no data came back for epoch $epoch", answer_of($r))
	    if $r->{state} ne 'HELD' || $r->{undoing} || !$r->{receives} ||
	    $epoch != $r->{epoch};
	refuse('refused', 'it keeps its address, and who comes would be let in', answer_of($r))
	    unless grep { $_->{do} eq 'address' } @{ $r->{steps} };
	return { answer_of($r) } if is_tried($r);
	end_trial($r) if has_trial($r);
	my $until = moment($q->{until});
	shut_views();
	$r->{trial} = { boot => boot_id(), expiry => $until };
	save_record($r);
	start_aside('watch');
	return { answer_of($r) } if eval { lift_fence($r); 1 };
	my $why = $@;
	end_trial($r);
	refuse(ref $why eq 'HASH' ? $why->{kind} : 'failed', failure($why), answer_of($r));
}

# It is as a server is that is held, soon: what is written now is nobody's. What fails is tried
# again by whoever comes next, and keeps nothing else from being done: on a full disk there is no
# room for a fence file, and whoever writes there is to be ended all the same.
sub end_trial {
	my ($r) = @_;
	my @services = grep { $_->{do} eq 'service' } @{ $r->{steps} };
	kill_running();
	attempt(sub { raise_fence($r) });
	# or it starts again what is killed; a script has to be one to stop anything
	attempt(sub { mask_service($_) }) for grep { $_->{kind} eq 'systemd' } @services;
	end_holders($r->{plan}, 0.2);
	my $stopped = attempt(sub { stop_all($r) });
	attempt(sub { mask_service($_) unless is_masked($_) }) for @services;
	drop_spare();
	shut_tried($r);
	raise_fence($r);
	# it masks as it goes, and may have ended at the first
	attempt(sub { stop_all($r) }) unless $stopped;
	mask_service($_) for grep { !is_masked($_) } @services;
	fault('untried');
	delete $r->{trial};
	save_record($r);
	attempt(\&keep_spare);
}

sub attempt {
	my ($do) = @_;
	return 1 if eval { $do->(); 1 };
	say_log('the end of the trial: ' . failure($@));
	return 0;
}

# Nobody holds the data, and it is read only.
sub shut_tried {
	my ($r) = @_;
	my @left = end_holders($r->{plan}, 5);
	refuse('failed', tell_holder($left[0]), answer_of($r)) if @left;
	for my $s (grep { $_->{do} eq 'mount' } @{ $r->{steps} }) {
		mount_read_only($r, $s) if data_fault($r, $s->{what}) ne '';
	}
	@left = end_holders($r->{plan}, 5);
	refuse('failed', tell_holder($left[0]), answer_of($r)) if @left;
}

1;
