#!/usr/bin/perl
# agent - what a cutover does on the old server, as that server is: Perl 5.8.8 and its own modules.
# `agent serve SHOP` takes one request a line and gives one answer a line, JSON both; `agent tick`
# is cron's, and `agent watch SHOP` the process that ends a lease that nobody renewed. The parts
# agent_*.pl are one program: this one has what all of them use.
use strict;
use warnings;
use Fcntl qw(:DEFAULT :flock);
use IO::Handle;
use POSIX ();

use constant { TEXT_MAX => 1 << 20, SAID_MAX => 4096, DEEP_MAX => 24, STOPPED_S => 5 };

# Where things are; tests have them elsewhere.
sub setting {
	my ($name, $usual) = @_;
	my $v = $ENV{"POSMEDIA_CUTOVER_$name"};
	return defined $v && $v ne '' ? $v : $usual;
}

sub top_dir { return setting('STATE', '/var/lib/posmedia-cutover') }

{
	my $shop = '';

	sub choose_shop {
		my ($name) = @_;
		refuse('usage', "this is no name of a shop: $name")
		    unless $name =~ /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
		$shop = $name;
		for my $d (top_dir(), state_dir()) {
			mkdir $d, 0700 or $!{EEXIST} or refuse('failed', "$d: $!");
		}
	}

	sub state_dir { return top_dir() . "/$shop" }
	sub shop { return $shop }
}

# Ends the request: kind is usage, refused, busy, unproven or failed.
sub refuse {
	my ($kind, $text, %more) = @_;
	die { kind => $kind, error => $text, %more };
}

# Test runs die at the n-th point, or at the first of a name.
{
	my $n = 0;

	sub fault {
		my ($what) = @_;
		my $at = setting('DIE_AT', '');
		return if $at eq '' || ($at ne ++$n && $at ne $what);
		kill 'KILL', $$;
		sleep 1 while 1;
	}
}

# JSON. A number or a word to be written is a reference to it; text is bytes, in UTF-8.
sub json_text {
	my ($s) = @_;
	my $copy = $s;
	$s =~ s/[\x80-\xff]/?/g
	    if !utf8::decode($copy) || $s =~ /\xed[\xa0-\xbf]|[\xf5-\xff]|\xf4[\x90-\xbf]/;
	$s =~ s/(["\\])/\\$1/g;
	$s =~ s/([\x00-\x1f\x7f])/sprintf '\\u%04x', ord $1/ge;
	return "\"$s\"";
}

sub json {
	my ($v) = @_;
	return 'null' unless defined $v;
	return json_text($v) unless ref $v;
	return $$v if ref $v eq 'SCALAR';
	return '[' . join(',', map { json($_) } @$v) . ']' if ref $v eq 'ARRAY';
	return '{' . join(',', map { json_text($_) . ':' . json($v->{$_}) } sort keys %$v) . '}';
}

sub number {
	my $n = sprintf '%.0f', $_[0];
	return \$n;
}

sub truth { return $_[0] ? \'true' : \'false' }

sub json_string {
	my ($t) = @_;
	my $s = '';
	my %plain = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");
	while ($$t !~ /\G"/gc) {
		if ($$t =~ /\G([^"\\\x00-\x1f]+)/gc) {
			$s .= $1;
		} elsif ($$t =~ /\G\\u[dD]([89abAB]..)\\u[dD]([c-fC-F]..)/gc) {
			$s .= json_character(
				0x10000 + ((hex($1) & 0x3ff) << 10) + (hex($2) & 0x3ff));
		} elsif ($$t =~ /\G\\u([0-9a-fA-F]{4})/gc) {
			$s .= json_character(hex $1);
		} elsif ($$t =~ /\G\\(["\\\/bfnrt])/gc) {
			$s .= defined $plain{$1} ? $plain{$1} : $1;
		} else {
			die "no text\n";
		}
	}
	return $s;
}

sub json_character {
	my $c = pack 'U', $_[0];
	utf8::encode($c);
	return $c;
}

sub json_list {
	my ($t, $deep) = @_;
	my @list;
	return \@list if $$t =~ /\G\s*\]/gc;
	for (;;) {
		push @list, json_value($t, $deep + 1);
		return \@list if $$t =~ /\G\s*\]/gc;
		die "no list\n" unless $$t =~ /\G\s*,/gc;
	}
}

sub json_object {
	my ($t, $deep) = @_;
	my %o;
	return \%o if $$t =~ /\G\s*\}/gc;
	for (;;) {
		die "no key\n" unless $$t =~ /\G\s*"/gc;
		my $key = json_string($t);
		die "no value\n" unless $$t =~ /\G\s*:/gc;
		die "a key twice\n" if exists $o{$key};
		$o{$key} = json_value($t, $deep + 1);
		return \%o if $$t =~ /\G\s*\}/gc;
		die "no object\n" unless $$t =~ /\G\s*,/gc;
	}
}

sub json_value {
	my ($t, $deep) = @_;
	die "nested too deep\n" if $deep > DEEP_MAX;
	return json_string($t) if $$t =~ /\G\s*"/gc;
	return json_list($t, $deep) if $$t =~ /\G\s*\[/gc;
	return json_object($t, $deep) if $$t =~ /\G\s*\{/gc;
	return $1 if $$t =~ /\G\s*(-?\d{1,15}(?:\.\d{1,9})?)(?![\d.eE])/gc;
	die "no value\n" unless $$t =~ /\G\s*(true|false|null)/gc;
	return $1 eq 'null' ? undef : $1 eq 'true' ? 1 : 0;
}

sub parse_json {
	my ($text) = @_;
	pos($text) = 0;
	my $v = json_value(\$text, 0);
	die "more than one value\n" unless $text =~ /\G\s*\z/gc;
	return $v;
}

# Members of a request, of a type each.
sub want_text {
	my ($o, $key, $usual) = @_;
	my $v = $o->{$key};
	$v = $usual unless defined $v;
	refuse('usage', "$key is no text") if !defined $v || ref $v || length $v > TEXT_MAX;
	return $v;
}

sub want_number {
	my ($o, $key, $usual) = @_;
	my $v = want_text($o, $key, $usual);
	refuse('usage', "$key is no number") unless $v =~ /^\d{1,15}(?:\.\d+)?$/;
	return $v;
}

sub want_list {
	my ($o, $key) = @_;
	my $v = $o->{$key};
	return () unless defined $v;
	refuse('usage', "$key is no list") unless ref $v eq 'ARRAY' && @$v <= 10000;
	return @$v;
}

sub want_texts {
	my ($o, $key) = @_;
	my @list = want_list($o, $key);
	for my $v (@list) {
		refuse('usage', "$key has what is no text") if !defined $v || ref $v;
	}
	return @list;
}

# Files: what is there after a kill is the old or the new.
sub sync_dir {
	my ($dir) = @_;
	sysopen my $d, $dir, O_RDONLY or die "$dir: $!\n";
	return if $d->sync;
	# where only what is open for writing can be synced
	my $w = IO::Handle->new_from_fd(fileno $d, 'w');
	return if $w && $w->sync;
	die "sync: $?\n" if system('sync') != 0;
}

sub put_file {
	my ($path, $text, $mode) = @_;
	(my $dir = $path) =~ s{/[^/]*$}{};
	sysopen my $f, "$path.new", O_WRONLY | O_CREAT | O_TRUNC, $mode or die "$path: $!\n";
	my $n = syswrite $f, $text;
	die "$path: $!\n" unless defined $n && $n == length $text;
	chmod $mode, "$path.new";
	$f->sync or die "$path: $!\n";
	close $f or die "$path: $!\n";
	fault('written');
	rename "$path.new", $path or die "$path: $!\n";
	sync_dir($dir);
}

sub remove_file {
	my ($path) = @_;
	(my $dir = $path) =~ s{/[^/]*$}{};
	unlink $path or $!{ENOENT} or die "$path: $!\n";
	sync_dir($dir);
}

# The file's bytes, undef where there is none.
sub get_file {
	my ($path) = @_;
	open my $f, '<', $path or return undef;
	binmode $f;
	local $/;
	my $text = <$f>;
	return defined $text ? $text : '';
}

sub say_log {
	my ($text) = @_;
	my $path = state_dir() . '/log';
	rename $path, "$path.1" if (-s $path || 0) > TEXT_MAX;
	open my $f, '>>', $path or return;
	print $f POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime), " $text\n";
	close $f;
}

# Seconds that this machine has been up, whatever its clock says; and which boot it is.
sub uptime {
	my $text = get_file(setting('UPTIME', '/proc/uptime'));
	die "there is no uptime\n" unless defined $text && $text =~ /^(\d+(?:\.\d+)?)/;
	return $1;
}

sub boot_id {
	my $text = get_file(setting('BOOT', '/proc/sys/kernel/random/boot_id'));
	die "there is no boot_id\n" unless defined $text && $text =~ /^(\S+)/;
	return $1;
}

# One at a time changes anything. The lock, or undef after so many seconds.
sub take_lock {
	my ($name, $seconds) = @_;
	my $path = state_dir() . "/$name";
	open my $f, '>>', $path or die "$path: $!\n";
	my $begun = uptime_now();
	my $asked = 0;
	until (flock $f, LOCK_EX | LOCK_NB) {
		my $waited = uptime_now() - $begun;
		return undef if $waited >= $seconds;
		end_stopped($path) if $name eq 'lock' && $waited >= STOPPED_S && !$asked++;
		nap(0.1);
	}
	return $f;
}

# An agent that was stopped, and not ended, has the lock for as long as it pleases somebody, and all
# others wait: the end of a lease, and who would undo it. What it was at is gone on with as behind
# any death of it. One that is traced is somebody's at work.
sub end_stopped {
	my ($path) = @_;
	my @lock = stat $path or return;
	opendir my $d, '/proc' or return;
	for my $pid (grep { /^\d+$/ && $_ != $$ } readdir $d) {
		my $text = get_file("/proc/$pid/stat");
		next unless defined $text && $text =~ /\) T [^)]*\z/ && has_open($pid, @lock);
		say_log("an agent that was stopped is ended: $pid");
		kill 'KILL', $pid;
	}
}

sub has_open {
	my ($pid, $dev, $ino) = @_;
	opendir my $d, "/proc/$pid/fd" or return 0;
	for my $fd (readdir $d) {
		my @st = stat "/proc/$pid/fd/$fd";
		return 1 if @st && $st[0] == $dev && $st[1] == $ino;
	}
	return 0;
}

# The true one, for our own waiting.
sub uptime_now {
	my $text = get_file('/proc/uptime');
	return defined $text && $text =~ /^(\d+\.\d+)/ ? $1 : time;
}

sub nap { select undef, undef, undef, $_[0] }

# Programs, without a shell, each in a session of its own.
sub start_time {
	my ($pid) = @_;
	my $text = get_file("/proc/$pid/stat");
	return '' unless defined $text && $text =~ /\)\s+(.*)/s;
	return (split ' ', $1)[19];
}

sub become {
	my ($argv, $out) = @_;
	POSIX::setsid();
	chdir '/';
	umask 022;
	$SIG{$_} = 'DEFAULT' for qw(PIPE HUP TERM INT ALRM CHLD);
	%ENV = (PATH => $ENV{PATH}, HOME => '/root', TERM => 'dumb', LC_ALL => 'C');
	open STDIN, '<', '/dev/null';
	if ($out) {
		open STDOUT, '>&', $out;
	} else {
		open STDOUT, '>', '/dev/null';
	}
	open STDERR, '>&', \*STDOUT;
	{ no warnings 'exec'; exec { $argv->[0] } @$argv; }
	print STDERR "$argv->[0]: $!";
	POSIX::_exit(127);
}

sub kill_group {
	my ($pid) = @_;
	kill 'KILL', -$pid;
	kill 'KILL', $pid;
}

# What a killed agent left running.
sub kill_running {
	my $path = state_dir() . '/running';
	my $text = get_file($path);
	return unless defined $text;
	my ($pid, $start) = split ' ', $text;
	kill_group($pid) if defined $start && $pid =~ /^\d+$/ && start_time($pid) eq $start;
	unlink $path;
}

sub note_running {
	my ($pid) = @_;
	open my $f, '>', state_dir() . '/running' or return;
	print $f "$pid ", start_time($pid), "\n";
	close $f;
}

# Keeps the end of what is said.
sub hear {
	my ($in, $said, $wait) = @_;
	my $bits = '';
	vec($bits, fileno $in, 1) = 1;
	return 0 unless select $bits, undef, undef, $wait;
	my $n = sysread $in, my $chunk, 65536;
	return 0 unless $n;
	$$said .= $chunk;
	$$said = substr $$said, -SAID_MAX() if length $$said > SAID_MAX;
	return 1;
}

# {exit, late, said, seconds}. What a program that stays leaves open is not waited for; quiet: it
# has no pipe of ours, so that a service that it starts does not lose its output later.
sub run_program {
	my ($argv, $within, $quiet) = @_;
	my ($in, $out);
	pipe $in, $out or die "pipe: $!\n";
	my $from = uptime_now();
	my $pid = fork;
	die "fork: $!\n" unless defined $pid;
	become($argv, $quiet ? undef : $out) if $pid == 0;
	close $out;
	note_running($pid);
	my ($said, $late, $pause) = ('', 0, 0.001);
	until (waitpid($pid, POSIX::WNOHANG()) == $pid) {
		if (uptime_now() - $from > $within) {
			$late = 1;
			kill_group($pid);
		}
		next if hear($in, \$said, 0.02);
		nap($pause);
		$pause *= 2 if $pause < 0.02;
	}
	my $status = $?;
	kill_group($pid) if $late;
	my $more = 64;
	1 while $more-- > 0 && hear($in, \$said, 0);
	unlink state_dir() . '/running';
	my $exit = $status & 127 ? 128 + ($status & 127) : $status >> 8;
	return { exit => $exit, late => $late, said => $said, seconds => uptime_now() - $from };
}

sub has_program {
	my ($name) = @_;
	return scalar grep { -x "$_/$name" } split /:/, $ENV{PATH};
}

# Output of a program that has to end well.
sub output_of {
	my (@argv) = @_;
	my $r = run_program(\@argv, 20);
	die "$argv[0]: took too long\n" if $r->{late};
	die "@argv: exit $r->{exit}: $r->{said}\n" if $r->{exit} != 0;
	return $r->{said};
}

1;
