#!/usr/bin/perl
# install_tulip.pl - installs Tulip from the medium it stands on. Asks nothing.
use strict;
use warnings;
use Digest::SHA;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use Getopt::Long;

my $version = '1.0';
my %o = (prefix => '/opt/tulip', data => '/usr2/tulip/data', user => 'tulip',
	units => '/etc/systemd/system');
my $usage = "usage: install_tulip.pl [--prefix DIR] [--data DIR] [--user NAME] [--units DIR]\n";
GetOptions(\%o, 'prefix=s', 'data=s', 'user=s', 'units=s') && !@ARGV or die $usage;
for my $k (qw(prefix data units)) {
	$o{$k} =~ m{^(/[A-Za-z0-9._-]+)+$} && $o{$k} !~ m{/\.\.?(/|$)}
	    or die "install_tulip: --$k wants a plain absolute path, not '$o{$k}'\n";
}

my $medium = dirname(__FILE__);
my ($uid, $gid) = (getpwnam $o{user})[ 2, 3 ];
defined $uid or die "install_tulip: there is no user '$o{user}': create it first\n";

sub check_medium {
	open my $f, '<', "$medium/SHA256SUMS" or die "install_tulip: SHA256SUMS: $!\n";
	while (<$f>) {
		my ($want, $path) = /^([0-9a-f]{64})  (\S+)$/
		    or die "install_tulip: bad SHA256SUMS\n";
		my $have = Digest::SHA->new(256)->addfile("$medium/$path", 'b')->hexdigest;
		$have eq $want or die "install_tulip: $path on the medium is damaged\n";
	}
}

sub put {
	my ($path, $mode, $text) = @_;
	open my $f, '>', "$path.new" or die "install_tulip: $path: $!\n";
	print $f $text;
	close $f or die "install_tulip: $path: $!\n";
	chmod $mode, "$path.new" or die "install_tulip: $path: $!\n";
	rename "$path.new", $path or die "install_tulip: $path: $!\n";
}

sub get {
	my ($path) = @_;
	open my $f, '<', "$medium/$path" or die "install_tulip: $path: $!\n";
	local $/;
	return scalar <$f>;
}

check_medium();
umask 022;
make_path("$o{prefix}/bin", "$o{prefix}/doc", $o{data}, $o{units});
put("$o{prefix}/bin/tulipd", 0755, get('tulip/tulipd'));
put("$o{prefix}/doc/README.txt", 0644, get('README.txt'));
put("$o{prefix}/VERSION", 0644, "$version\n");

my $unit = get('tulip/tulip.service');
$unit =~ s/\@([A-Z]+)\@/$o{lc $1}/ge;
put("$o{units}/tulip.service", 0644, $unit);

chown $uid, $gid, $o{data} or die "install_tulip: $o{data}: $!\n";
chmod 0750, $o{data} or die "install_tulip: $o{data}: $!\n";
print "Tulip $version is in $o{prefix}, its data in $o{data}\n";
