#!/usr/bin/perl
# agent_near - the blocks of large files that are others than the new side has of them. That said
# before the fence what it has: lines "SIZE SHA256 PATH", each followed by 16 bytes of MD5 for each
# block. Whatever goes wrong here costs time and no more: what it is believed to have then is proven
# by all of its content.
use strict;
use warnings;
use Fcntl qw(:DEFAULT :mode);

use constant { NEAR_BLOCK => 4096, NEAR_READ => 1 << 18, NEAR_RUN => 1 << 20 };

sub near_path { return state_dir() . '/near' }

# Takes what the new side says.
sub near_take {
	my $path = near_path();
	open my $f, '>', "$path.$$" or die "$path: $!\n";
	binmode $f;
	while (my $n = sysread STDIN, my $chunk, 1 << 16) {
		print $f $chunk or die "$path: $!\n";
	}
	close $f or die "$path: $!\n";
	rename "$path.$$", $path or die "$path: $!\n";
}

sub blocks_of { return int(($_[0] + NEAR_BLOCK - 1) / NEAR_BLOCK) }

# Share $which of $of of them, by their order and sizes; a file's number is its line's.
sub near {
	my ($digest, $which, $of) = @_;
	die "the new side has something else\n" unless digest_of_file(near_path()) eq $digest;
	open my $f, '<', near_path() or die "near: $!\n";
	binmode $f;
	binmode STDOUT;
	my ($cache, @load, @done) = (load_cache(), (0) x $of);
	for (my $i = 0; defined(my $line = <$f>); $i++) {
		my ($size, $sha, $path) = $line =~ /^(\d+) ([0-9a-f]{64}) (\S+)$/
		    or die "near: line $i\n";
		my ($least) = sort { $load[$a] <=> $load[$b] || $a <=> $b } 0 .. $of - 1;
		my $n = 16 * blocks_of($size);
		my $sums = '';
		die "near: too short\n" unless read($f, $sums, $n) == $n;
		$load[$least] += $size;
		$path =~ s/\\([0-7]{3})/chr oct $1/ge;
		next unless $least == $which;
		my $is = near_file($i, $path, $sha, \$sums, $cache);
		push @done, [ $i, $path, $is ] if $is;
	}
	near_ends(@done);
	print "END\n" or die "near: $!\n";
}

# Which file it was; false where there is nothing to do, or it is no such file any more: rsync(1)
# sees to that.
sub near_file {
	my ($i, $path, $sha, $sums, $cache) = @_;
	my @st = look($path) or return 0;
	return 0 unless S_ISREG($st[2]) && $st[3] == 1;
	my ($known, $identity) = ($cache->{"$st[0]:$st[1]"}, identity(@st));
	return 0 if defined $known && $known eq "$identity $sha";
	sysopen my $in, $path, O_RDONLY | O_NOFOLLOW or return 0;
	binmode $in;
	require Digest::MD5;
	print "FILE $i\n" or die "near: $!\n";
	my ($at, $from, $run) = (0, 0, '');
	for (;;) {
		my $n = sysread $in, my $buf, NEAR_READ;
		die "$path: $!\n" unless defined $n;
		for (my $k = 0; $k < $n; $k += NEAR_BLOCK) {
			my $block = substr $buf, $k, NEAR_BLOCK;
			my $b = 16 * (($at + $k) / NEAR_BLOCK);
			if ($b < length $$sums &&
			    Digest::MD5::md5($block) eq substr $$sums, $b, 16) {
				near_run($from, \$run);
				next;
			}
			near_run($from, \$run) if length $run >= NEAR_RUN;
			$from = $at + $k if $run eq '';
			$run .= $block;
		}
		$at += $n;
		last if $n < NEAR_READ;
	}
	near_run($from, \$run);
	return $identity;
}

sub near_run {
	my ($from, $run) = @_;
	return if $$run eq '';
	print 'AT ', number_text($from), ' ', length $$run, "\n", $$run or die "near: $!\n";
	$$run = '';
}

sub number_text { return ${ number($_[0]) } }

# What stat(1) says of them, to the nanosecond where it can. What changed meanwhile, and a name with
# an end of a line, has no end here: rsync(1) finds another time and compares it.
sub near_ends {
	my (@done) = @_;
	my @plain = grep { $_->[1] !~ /\n/ } @done;
	while (my @some = splice @plain, 0, BATCH()) {
		my $pid = open my $f, '-|';
		die "fork: $!\n" unless defined $pid;
		if ($pid == 0) {
			open STDERR, '>', '/dev/null';
			my @argv = (qw(stat -c), '%s %Y %y', '--', map { $_->[1] } @some);
			{ no warnings 'exec'; exec { $argv[0] } @argv; }
			POSIX::_exit(127);
		}
		my @lines = <$f>;
		close $f;
		next if $? != 0 || @lines != @some;
		for my $k (0 .. $#some) {
			my ($i, $path, $was) = @{ $some[$k] };
			my ($size, $s, $ns) =
			    $lines[$k] =~ /^(\d+) (\d+) \S+ \S+?(?:\.(\d{9}))?\s/;
			my @st = look($path);
			next unless defined $s && @st && identity(@st) eq $was;
			print "ENDS $i $size $s ", defined $ns ? $ns + 0 : 0, "\n"
			    or die "near: $!\n";
		}
	}
}

1;
