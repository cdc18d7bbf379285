#!/usr/bin/perl
# agent_list - what the data is, entry by entry, in a text that the new side makes too: lines of
# posmedia-manifest(5), with times in whole seconds and without ACLs and attributes.
use strict;
use warnings;
use Fcntl qw(:DEFAULT :mode);

use constant { BATCH => 256, LARGE => 1 << 20, ENTRIES_MAX => 20_000_000 };

# As base/glob.h: '?' and '*' within a component, "**" across them, classes, '\' quotes.
sub glob_regex {
	my ($glob) = @_;
	my $re = '';
	(my $base = $glob) =~ s{/\*\*\z}{};
	for my $g ($base eq $glob ? ($glob) : ($base, $glob)) {
		$re .= '|' if $re ne '';
		$re .= glob_body($g);
	}
	return qr/\A(?:$re)\z/s;
}

sub glob_body {
	my ($g) = @_;
	my $re = '';
	pos($g) = 0;
	while (pos($g) < length $g) {
		if ($g =~ /\G\*\*/gc) { $re .= '.*' }
		elsif ($g =~ /\G\*/gc) { $re .= '[^/]*' }
		elsif ($g =~ /\G\?/gc) { $re .= '[^/]' }
		elsif ($g =~ /\G\[(!?)(\]?[^\]]*)\]/gcs) { $re .= glob_class($1, $2) }
		elsif ($g =~ /\G\\(.)/gcs) { $re .= quotemeta $1 }
		elsif ($g =~ /\G(.)/gcs) { $re .= quotemeta $1 }
	}
	return $re;
}

sub glob_class {
	my ($not, $body) = @_;
	$body =~ s/([\\\[\]^])/\\$1/g;
	$body =~ s/\A-/\\-/;
	$body =~ s/-\z/\\-/;
	return $not ? "[^/$body]" : "(?!/)[$body]";
}

# Bytes as they stand in a manifest.
sub shown {
	my ($s) = @_;
	$s =~ s/([^!-~]|[\\#*?\[=])/sprintf '\\%03o', ord $1/ge;
	return $s;
}

# Names of numbers by a passwd(5) or group(5): the first row of each name and number, and no name
# that is a number.
sub names_of {
	my ($path) = @_;
	my (%name, %seen);
	for my $row (split /\n/, get_file($path) || '') {
		my ($name, undef, $number) = split /:/, $row;
		next unless defined $number && $number =~ /^\d+$/;
		next if $name eq '' || $name =~ /^\d+$/;
		next if $seen{$name}++;
		$name{$number} = $name unless defined $name{$number};
	}
	return \%name;
}

# Digests of this process's Perl, or of the program where that has none.
{
	my $have;

	sub digest_new {
		$have = eval { require Digest::SHA; 1 } ? 1 : 0 unless defined $have;
		return $have ? Digest::SHA->new(256) : undef;
	}
}

sub digest_of_file {
	my ($path) = @_;
	open my $f, '<', $path or return '';
	binmode $f;
	my $sha = digest_new();
	return $sha->addfile($f)->hexdigest if $sha;
	my $text = output_of('sha256sum', '-b', '--', $path);
	return $text =~ /^\\?([0-9a-f]{64}) / ? $1 : '';
}

# Of many files, [path, bytes]; what cannot be read has ''. Large ones by openssl, which knows what
# this processor can.
sub digests_of {
	my (@files) = @_;
	my %of;
	my @large = grep { $_->[1] >= LARGE && $_->[0] !~ /\n/ } @files;
	sums_by(\%of, [ qw(openssl dgst -sha256) ], map { $_->[0] } @large)
	    if @large && has_program('openssl');
	my @paths = grep { !defined $of{$_} } map { $_->[0] } @files;
	while (!digest_new() && (my @some = splice @paths, 0, BATCH)) {
		sums_by(\%of, [ qw(sha256sum -b --) ], @some);
	}
	for my $path (grep { !defined $of{$_} } map { $_->[0] } @files) {
		$of{$path} = eval { digest_of_file($path) };
	}
	return map { defined $of{ $_->[0] } ? $of{ $_->[0] } : '' } @files;
}

# "SHA256(PATH)= DIGEST" or "DIGEST *PATH", a line a path in their order, or nothing is believed.
sub sums_by {
	my ($of, $program, @paths) = @_;
	my $pid = open my $f, '-|';
	die "fork: $!\n" unless defined $pid;
	if ($pid == 0) {
		open STDERR, '>', '/dev/null';
		{ no warnings 'exec'; exec { $program->[0] } @$program, @paths; }
		POSIX::_exit(127);
	}
	my @got = map { /^\\?([0-9a-f]{64}) \*|\)= ([0-9a-f]{64})$/ ? $1 || $2 : () } <$f>;
	close $f;
	return if $? != 0 || @got != @paths;
	@$of{@paths} = @got;
}

# What was digested before, as long as it is the same file of the same size and times:
# {"dev:ino" => "size mtime ctime digest"}.
sub cache_path { return state_dir() . '/hashes' }

sub load_cache {
	my %cache;
	open my $f, '<', cache_path() or return \%cache;
	while (my $line = <$f>) {
		$cache{$1} = $2 if $line =~ /^(\d+:\d+) (\d+ \S+ \S+ [0-9a-f]{64})$/;
	}
	return \%cache;
}

sub save_cache {
	my ($cache) = @_;
	my $path = cache_path();
	open my $f, '>', "$path.$$" or die "$path: $!\n";
	print $f "$_ $cache->{$_}\n" or die "$path: $!\n" for keys %$cache;
	close $f or die "$path: $!\n";
	rename "$path.$$", $path or die "$path: $!\n";
}

# Times as exactly as this Perl tells them.
{
	my $fine;

	sub look {
		my ($path) = @_;
		$fine = eval { require Time::HiRes; Time::HiRes::lstat('/'); 1 } ? 1 : 0
		    unless defined $fine;
		return $fine ? Time::HiRes::lstat($path) : lstat $path;
	}
}

sub identity {
	my (@st) = @_;
	return sprintf '%d %.6f %.6f', @st[ 7, 9, 10 ];
}

# Files that a process has mapped shared may change without another time: never remembered.
sub mapped_files {
	my %mapped;
	for my $pid (processes()) {
		open my $f, '<', "/proc/$pid/maps" or next;
		while (my $line = <$f>) {
			$mapped{$1} = 1 if $line =~ m{^\S+ ..[-x]s \S+ \S+ (\d+)\s+/};
		}
	}
	return \%mapped;
}

# One directory's walk: {at, skip, lines: ["path\0words"], todo: [[path, key, identity, bytes]]}.
sub walk {
	my ($w, $rel) = @_;
	my @todo = ($rel);
	while (defined(my $r = pop @todo)) {
		my $dir = $r eq '' ? $w->{at} : "$w->{at}/$r";
		opendir my $d, $dir or gone($w, "$dir: $!") && next;
		for my $name (grep { $_ ne '.' && $_ ne '..' } readdir $d) {
			my $path = $r eq '' ? $name : "$r/$name";
			next if grep { "$w->{named}/$path" =~ $_ } @{ $w->{skip} };
			push @todo, $path if add_entry($w, $path);
		}
	}
}

# What went away meanwhile is an error only when nothing may change.
sub gone {
	my ($w, $text) = @_;
	refuse('failed', $text) unless $w->{living};
	return 1;
}

sub type_of {
	my ($mode) = @_;
	return S_ISREG($mode) ? 'file' : S_ISDIR($mode) ? 'dir' : S_ISLNK($mode) ? 'link'
	    : S_ISFIFO($mode) ? 'fifo' : S_ISCHR($mode) ? 'char' : S_ISBLK($mode) ? 'block' : '';
}

# True for a directory.
sub add_entry {
	my ($w, $path) = @_;
	my $full = $path eq '' ? $w->{at} : "$w->{at}/$path";
	my @st = look($full);
	return !gone($w, "$full: $!") unless @st;
	my $type = type_of($st[2]);
	return 0 if $type eq '';
	if ($type =~ /^(?:char|block)$/) { # the data of an instance has none
		$w->{devices}++;
		return 0;
	}
	refuse('failed', 'there are too many entries') if @{ $w->{lines} } >= ENTRIES_MAX;
	my $key = "$st[0]:$st[1]";
	my $words = sprintf ' type=%s uname=%s gname=%s mode=%04o', $type,
	    owner($w->{users}, $st[4]), owner($w->{groups}, $st[5]), mode_of($w, $type, @st);
	$words .= sprintf ' size=%d', $st[7] if $type eq 'file';
	$words .= ' link=' . shown(readlink $full) if $type eq 'link';
	$words .= sprintf ' time=%d', POSIX::floor($st[9]);
	push @{ $w->{lines} }, "$path\0$words\0" . ($type eq 'file' ? $key : '') .
	    ($type ne 'dir' && $st[3] > 1 ? "\0$key" : '');
	want_digest($w, $full, $key, \@st) if $type eq 'file';
	return $type eq 'dir';
}

# What came back is without what would run it as root.
sub mode_of {
	my ($w, $type, @st) = @_;
	return 0777 if $type eq 'link';
	my $off = !$w->{plain} || $type ne 'file' ? 0
	    : ($st[4] == 0 ? 04000 : 0) | ($st[5] == 0 ? 02000 : 0);
	return $st[2] & 07777 & ~$off;
}

sub owner {
	my ($names, $number) = @_;
	return defined $names->{$number} ? shown($names->{$number}) : $number;
}

sub want_digest {
	my ($w, $full, $key, $st) = @_;
	my $identity = identity(@$st);
	my $known = $w->{cache}{$key};
	$w->{entries}++;
	$w->{bytes} += $st->[7];
	if (defined $known && $known =~ /^\Q$identity\E ([0-9a-f]{64})$/) {
		$w->{digest}{$key} = $1;
		$w->{keep}{$key} = $known;
	} elsif (!$w->{asked}{$key}++) {
		push @{ $w->{todo} }, [ $full, $key, $identity, $st->[7], $st->[10] ];
	}
}

sub workers {
	my $n = () = (get_file('/proc/cpuinfo') || '') =~ /^processor\s*:/mg;
	return $n < 1 ? 1 : $n > 4 ? 4 : $n;
}

# Reads what has to be read, by a process a processor; each writes "index digest" lines to a file.
sub hash_all {
	my ($w) = @_;
	my @todo = sort { $b->[3] <=> $a->[3] } @{ $w->{todo} };
	my $n = @todo < 8 ? (@todo > 1 ? 2 : 1) : workers();
	my (@pids, @load, @share);
	my $parent = $$;
	return unless @todo;
	@load = (0) x $n;
	for my $t (@todo) {
		my ($least) = sort { $load[$a] <=> $load[$b] } 0 .. $n - 1;
		$load[$least] += $t->[3] + 20000;
		push @{ $share[$least] }, $t;
	}
	for my $i (0 .. $n - 1) {
		my $pid = fork;
		die "fork: $!\n" unless defined $pid;
		hash_share(share_path($parent, $i), $share[$i] || []) if $pid == 0;
		push @pids, $pid;
	}
	my $bad = 0;
	for my $pid (@pids) {
		waitpid $pid, 0;
		$bad = 1 if $? != 0;
	}
	die "the files could not be read\n" if $bad;
	take_share($w, $_, $share[$_] || []) for 0 .. $n - 1;
}

# One that was killed may still be at it beside the next.
sub share_path { return state_dir() . "/share-$_[0]-$_[1]" }

sub hash_share {
	my ($path, $share) = @_;
	my $ok = eval {
		my @sums = digests_of(map { [ @$_[ 0, 3 ] ] } @$share);
		open my $f, '>', $path or die "share: $!\n";
		print $f map { "$_\n" } @sums or die "share: $!\n";
		close $f or die "share: $!\n";
		1;
	};
	POSIX::_exit($ok ? 0 : 1);
}

sub take_share {
	my ($w, $i, $share) = @_;
	my $path = share_path($$, $i);
	my @sums = split /\n/, get_file($path) || '';
	unlink $path;
	for my $k (0 .. $#$share) {
		my ($full, $key, $identity, undef, $ctime) = @{ $share->[$k] };
		my @st = look($full);
		my $same = @st && identity(@st) eq $identity && $sums[$k] ? 1 : 0;
		gone($w, "$full changed while it was read") unless $same;
		$w->{digest}{$key} = $same ? $sums[$k] : '0' x 64;
		# what was written just now may be written again without another time
		$w->{keep}{$key} = "$identity $sums[$k]"
		    if $same && $ctime + 2 < $w->{now} && $ctime <= $w->{now};
	}
}

# All of a directory, to the file of its text. Of the living, digests are all that it is for.
sub list_dir {
	my ($d, $index, $living, $shared) = @_;
	my $named = want_text($d, 'at');
	my %w = (at => real_dir($named), named => $named, living => $living, now => time,
		lines => [], todo => [], bytes => 0, entries => 0, devices => 0,
		%$shared,
		skip => [ map { glob_regex($_) } want_texts($d, 'exclude') ]);
	add_entry(\%w, '');
	walk(\%w, '');
	hash_all(\%w);
	my $root = $living ? '' : write_listing(\%w, $index);
	return { at => $named, root => $root, entries => number(scalar @{ $w{lines} }),
		bytes => number($w{bytes}), files => number($w{entries}),
		read => number(scalar @{ $w{todo} }), devices => number($w{devices}) };
}

sub listing_path { return state_dir() . "/listing-$_[0]" }

sub write_listing {
	my ($w, $index) = @_;
	my $path = listing_path($index);
	my %first;
	open my $f, '>', $path or die "$path: $!\n";
	for my $line (sort @{ $w->{lines} }) {
		my ($name, $words, $key, $linked) = split /\0/, $line;
		my $shown = $name eq '' ? '.' : './' . shown($name);
		$words .= " sha256digest=$w->{digest}{$key}" if defined $key && $key ne '';
		if (defined $linked && defined $first{$linked}) {
			$words .= " hardlink=$first{$linked}";
		} elsif (defined $linked) {
			$first{$linked} = $shown;
		}
		print $f "$shown$words\n" or die "$path: $!\n";
	}
	close $f or die "$path: $!\n";
	return digest_of_file($path);
}

sub list_all {
	my ($q, $living) = @_;
	my @dirs = want_list($q, 'data');
	my $mapped = $living ? mapped_files() : {};
	my %shared = (plain => $q->{plain}, cache => load_cache(), keep => {}, digest => {},
		asked => {}, users => names_of('/etc/passwd'), groups => names_of('/etc/group'));
	my (@told, $n);
	for my $d (@dirs) {
		refuse('usage', 'data has what is no directory') unless ref $d eq 'HASH';
		push @told, list_dir($d, $n++ || 0, $living, \%shared);
	}
	$mapped = { %$mapped, %{ mapped_files() } };
	for my $key (keys %{ $shared{keep} }) {
		delete $shared{keep}{$key} if $mapped->{ (split /:/, $key)[1] };
	}
	eval { save_cache($shared{keep}); 1 } or say_log("hashes: $@");
	return { data => \@told };
}

sub verb_list { return list_all($_[0], 0) }
sub verb_prehash { return list_all($_[0], 1) }

# The text of a listing, in pieces.
sub verb_listing {
	my ($q, $send) = @_;
	my $path = listing_path(want_number($q, 'index'));
	require MIME::Base64;
	open my $f, '<', $path or refuse('refused', 'there is no such listing');
	binmode $f;
	while (my $n = read $f, my $chunk, 49152) {
		$send->({ chunk => MIME::Base64::encode_base64($chunk, '') });
	}
	return {};
}

1;
