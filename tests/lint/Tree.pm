# Tree - what the linters share: the files of the tree, C text without its comments, and faults.
package Tree;
use strict;
use warnings;
use FindBin;
use Exporter 'import';
our @EXPORT = qw(files slurp bare fault faults_end floors);

my $faults = 0;

# Files of the tree that match the pattern: tracked ones and new ones, or all when there is no git.
sub files {
	my ($want) = @_;
	chomp(my @all = qx("$FindBin::Bin/files"));
	return grep { $_ =~ $want } @all;
}

sub slurp {
	my ($path) = @_;
	open my $f, '<', $path or die "$path: $!\n";
	local $/;
	my $text = <$f>;
	return defined $text ? $text : '';
}

# C text with comments and the insides of literals blanked out, every line and column kept.
sub bare {
	my ($text) = @_;
	my $blank = sub { my $s = shift; $s =~ s/[^\n]/ /g; $s };
	$text =~ s{(/\*.*?\*/|//[^\n]*)|("(?:\\.|[^"\\\n])*")|('(?:\\.|[^'\\\n])*')}
	          { defined $1 ? $blank->($1)
	            : defined $2 ? '"' . $blank->(substr $2, 1, -1) . '"'
	            : "'" . $blank->(substr $3, 1, -1) . "'" }gse;
	return $text;
}

sub fault {
	my ($path, $line, $what) = @_;
	print "$path:$line: $what\n";
	$faults++;
}

sub faults_end {
	exit($faults ? 1 : 0);
}

# builder/FLOORS as rows, bottom first: {floor, dir, peers, headers, pkgs}.
sub floors {
	my @rows;
	for my $line (split /\n/, slurp('builder/FLOORS')) {
		$line =~ s/#.*//;
		my ($floor, $dir, @lists) = split ' ', $line;
		next unless defined $dir;
		my ($peers, $headers, $pkgs) =
		    map { [ grep { $_ ne '-' } split /,/, $_ // '-' ] } @lists[ 0 .. 2 ];
		push @rows, { floor => $floor, dir => $dir, peers => $peers, headers => $headers,
			pkgs => $pkgs };
	}
	return @rows;
}

1;
