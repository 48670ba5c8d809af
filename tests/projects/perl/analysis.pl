#!/usr/bin/perl
# Codons of a gene: counts, the GC share of each position, a least-squares trend. JSON from CPAN.
use strict;
use warnings;
use utf8;
use File::Path qw(make_path);
use JSON;
use List::Util qw(sum);
use Math::MatrixReal;

open my $in, '<:encoding(UTF-8)', 'data/gene.fa' or die "data/gene.fa: $!";
my ($name, $bases) = ('', '');
while (my $line = <$in>) {
    chomp $line;
    if ($line =~ /^>(\S+)/) { $name = $1 } else { $bases .= uc $line }
}
close $in;
my (%codons, @gc);
for my $codon ($bases =~ /(...)/g) {
    $codons{$codon}++;
    $gc[$_] += substr($codon, $_, 1) =~ /[GC]/ ? 1 : 0 for 0 .. 2;
}
my $total = sum values %codons;
my @ranked = sort { $codons{$b} <=> $codons{$a} || $a cmp $b } keys %codons;
# Zipf: log count against log rank, by the normal equations.
my @rows = map { [1, log($_ + 1), log($codons{$ranked[$_]})] } 0 .. $#ranked;
my $x = Math::MatrixReal->new_from_rows([map { [@$_[0, 1]] } @rows]);
my $y = Math::MatrixReal->new_from_cols([[map { $_->[2] } @rows]]);
my $beta = ((~$x) * $x)->inverse * (~$x) * $y;
make_path('results');
open my $out, '>:encoding(UTF-8)', 'results/codons.json' or die $!;
print {$out} JSON->new->canonical->pretty->encode({
    gene => $name, codons => \%codons, total => $total,
    gc => [map { sprintf '%.4f', $_ / $total } @gc],
    zipf => sprintf('%.8f', $beta->element(2, 1)),
});
close $out;
