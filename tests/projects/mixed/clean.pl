use strict;
use warnings;
# The rate of the last year that has one.
my $rate;
while (<>) {
    chomp;
    my ($year, $value) = split /\s*[,;]\s*/;
    $rate = $value if $year =~ /^\d{4}$/ && defined $value && $value =~ /^[\d.]+$/;
}
print "$rate\n";
