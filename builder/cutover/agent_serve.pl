#!/usr/bin/perl
# agent_serve - requests and answers.
use strict;
use warnings;

my %verbs = (hello => \&verb_hello, run => \&verb_run, holders => \&verb_holders,
	fence => \&verb_fence, renew => \&verb_renew, prove => \&verb_prove, list => \&verb_list,
	listing => \&verb_listing, prehash => \&verb_prehash, yield => \&verb_yield,
	hold => \&verb_hold, receive => \&verb_receive, shut => \&verb_shut, try => \&verb_try,
	release => \&verb_release, witness => \&verb_witness, status => \&verb_status,
	forget => \&verb_forget);

sub send_line {
	my ($o) = @_;
	my $text = json($o) . "\n";
	while (length $text) {
		my $n = syswrite STDOUT, $text;
		exit 1 unless defined $n; # nobody listens
		substr $text, 0, $n, '';
	}
}

sub work {
	my ($line) = @_;
	my $q = eval { parse_json($line) };
	my %said = (id => number(0));
	my $ok = eval {
		refuse('usage', 'this is no request') unless ref $q eq 'HASH';
		$said{id} = number(want_number($q, 'id', 0));
		my $verb = want_text($q, 'verb');
		refuse('usage', "this is no verb: $verb") unless $verbs{$verb};
		my $more = $verbs{$verb}->($q, sub { send_line({ id => $said{id}, %{ $_[0] } }) });
		%said = (%$more, %said, ok => \'true');
		1;
	};
	return \%said if $ok;
	my $e = $@;
	return { %$e, %said, ok => \'false' } if ref $e eq 'HASH';
	return { %said, ok => \'false', kind => 'failed', error => failure($e) };
}

sub serve {
	my $in = '';
	$SIG{PIPE} = 'IGNORE';
	for (;;) {
		while ($in =~ s/^([^\n]*)\n//) {
			send_line(work($1));
		}
		exit 1 if length $in > TEXT_MAX();
		my $n = sysread STDIN, $in, 65536, length $in;
		exit 0 unless $n;
	}
}

my %of_shop = (serve => \&serve, watch => \&watch, guard => \&guard, take => \&near_take,
	near => \&near);

sub main {
	my ($verb, $name, @more) = @_;
	umask 077;
	$ENV{PATH} = setting('PATH',
	    '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
	$ENV{LC_ALL} = 'C';
	if (defined $verb && $verb eq 'tick') {
		for my $shop (defined $name ? ($name) : shops()) {
			choose_shop($shop);
			my $state = eval { tick() };
			say_log('tick: ' . failure($@)) unless defined $state;
			# a boot ended the one that there was
			start_aside('watch') if defined $state && $state =~ /^(?:LEASED|TRIED)$/;
		}
	} elsif (defined $verb && $verb eq 'boot') {
		boot();
	} elsif (defined $verb && defined $name && $of_shop{$verb}) {
		eval { choose_shop($name); 1 } or die failure($@) . "\n";
		$of_shop{$verb}->(@more);
	} else {
		die 'agent serve|watch|guard|take SHOP | near SHOP DIGEST I N | tick [SHOP] | ',
		    "boot\n";
	}
}

main(@ARGV) unless caller;

1;
