#!/usr/bin/perl
# agent_back - a server that is held takes data back: by mounts of its data that only who is told of
# them finds, beside those that are read only. What it has then is neither what it had nor what it
# is to have, so nothing but a release for a COMMIT lets it work again.
use strict;
use warnings;
use Cwd ();
use Fcntl qw(:DEFAULT :mode);

use constant { NOTED_MAX => 10000 };

sub view_top {
	my $dir = state_dir() . '/view';
	mkdir $dir, 0700;
	return Cwd::abs_path($dir);
}

sub views {
	my $top = view_top();
	return grep { index($_, "$top/") == 0 } map { $_->[0] } mounts();
}

# What a control that died left at work: its place or a file of it is in a view.
sub writers {
	my $top = view_top();
	my @found;
	for my $pid (grep { $_ != $$ } processes()) {
		my @at = readlink "/proc/$pid/cwd";
		if (opendir my $d, "/proc/$pid/fd") {
			push @at, map { readlink "/proc/$pid/fd/$_" } grep { /^\d+$/ } readdir $d;
		}
		push @found, $pid if grep { defined && index("$_/", "$top/") == 0 } @at;
	}
	return @found;
}

# What a view was mounted in: directories with nothing else in them.
sub empty_dirs {
	my ($dir) = @_;
	opendir my $d, $dir or return;
	for my $at (map { "$dir/$_" } grep { !/^\.\.?$/ } readdir $d) {
		empty_dirs($at) if -d $at && !-l $at;
		rmdir $at;
	}
}

# Nobody writes by a view any more, and there is none.
sub shut_views {
	my $end = uptime_now() + 5;
	while (my @pids = writers()) {
		refuse('failed', "process $pids[0] still writes the data") if uptime_now() > $end;
		kill 'KILL', @pids;
		nap(0.02);
	}
	for my $at (reverse views()) {
		run_program([ 'umount', '-l', $at ], 20);
	}
	refuse('failed', 'a view of the data cannot be unmounted') if views();
	empty_dirs(view_top());
	fault('shut');
}

# One way to write a directory that is read only everywhere else, below a view of all of them.
sub open_view {
	my ($dir, $top, $named) = @_;
	my $at = $top;
	for my $part (grep { $_ ne '' } split m{/}, $named) {
		$at .= "/$part";
		mkdir $at, 0700 or $!{EEXIST} or die "$at: $!\n";
	}
	output_of('mount', '--rbind', $dir, $at);
	run_program([ 'mount', '--make-rprivate', $at ], 20);
	for my $m (mount_points($at)) {
		run_program([ 'mount', '-o', 'remount,rw,bind', $m ], 20);
	}
	fault('view');
}

# What goes to a new host without them, and must not come back so: devices, and the bits by which a
# file of root's runs as root.
sub privileged {
	my (@st) = @_;
	return S_ISREG($st[2]) &&
	    (($st[2] & 04000 && $st[4] == 0) || ($st[2] & 02000 && $st[5] == 0));
}

sub note_special {
	my (@dirs) = @_;
	my %noted = (devices => [], privileges => []);
	while (defined(my $dir = shift @dirs)) {
		opendir my $d, $dir or die "$dir: $!\n";
		for my $at (map { "$dir/$_" } grep { $_ ne '.' && $_ ne '..' } readdir $d) {
			my @st = lstat $at or next;
			push @dirs, $at if S_ISDIR($st[2]);
			push @{ $noted{devices} }, $at if S_ISCHR($st[2]) || S_ISBLK($st[2]);
			push @{ $noted{privileges} }, { at => $at, mode => number($st[2] & 07777),
				digest => digest_of_file($at) } if privileged(@st);
		}
		refuse('failed', 'there are too many devices, or programs of root, in the data')
		    if @{ $noted{devices} } + @{ $noted{privileges} } > NOTED_MAX;
	}
	return \%noted;
}

sub special_path { return state_dir() . '/special' }

# Once: what was there before the first byte came back is what counts.
sub special_of {
	my ($plan) = @_;
	my $text = get_file(special_path());
	unless (defined $text) {
		$text = json(note_special(data_dirs($plan))) . "\n";
		put_file(special_path(), $text, 0600);
	}
	return parse_json($text);
}

# Of a file that is what it was.
sub give_privileges {
	my $text = get_file(special_path());
	return unless defined $text;
	for my $p (@{ parse_json($text)->{privileges} }) {
		my @st = lstat $p->{at};
		next unless @st && S_ISREG($st[2]) && digest_of_file($p->{at}) eq $p->{digest};
		chmod $p->{mode}, $p->{at} or die "$p->{at}: $!\n";
	}
}

sub same_data {
	my ($r, $q) = @_;
	my @asked = map { ref $_ eq 'HASH' ? want_text($_, 'at') : '' } want_list($q, 'data');
	return join("\0", @asked) eq join("\0", want_texts($r->{plan}, 'data'));
}

# Each time the views have other names: who still has those of before writes nowhere.
sub verb_receive {
	my ($q) = @_;
	my ($lock, $r, $epoch, $id) = enter($q);
	refuse('refused', 'this server is not held', answer_of($r))
	    if $r->{state} ne 'HELD' || $r->{undoing};
	refuse('refused', 'it was fenced with other data', answer_of($r)) unless same_data($r, $q);
	end_trial($r) if has_trial($r);
	shut_views();
	my $special = special_of($r->{plan});
	%$r = (%$r, epoch => $epoch, id => $id, receives => 1 + ($r->{receives} || 0));
	save_record($r);
	keep_fenced($r);
	my $top = view_top() . "/$epoch-$r->{receives}";
	mkdir $top, 0700 or die "$top: $!\n";
	open_view(real_dir($_), $top, $_) for want_texts($r->{plan}, 'data');
	my @unknown = grep { !defined getpwnam $_ } want_texts($q, 'users');
	push @unknown, grep { !defined getgrnam $_ } want_texts($q, 'groups');
	return { answer_of($r), view => $top, devices => $special->{devices},
		unknown => \@unknown };
}

# From here on the data stays as it is.
sub verb_shut {
	my ($q) = @_;
	my ($lock, $r, $epoch) = enter($q);
	end_trial($r) if has_trial($r);
	shut_views() if $r->{receives};
	return { answer_of($r) };
}

# Whose data is half another's goes back to work for that other's COMMIT only.
sub check_back {
	my ($r, $epoch, $reversed) = @_;
	return unless $r->{receives};
	refuse('refused', "epoch $r->{epoch} was not committed: the data is not whole",
		answer_of($r))
	    unless $reversed && $epoch == $r->{epoch} && is_committed($epoch);
	shut_views();
}

1;
