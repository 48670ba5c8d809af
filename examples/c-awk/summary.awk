# Mean and extremes per base.
{ n[$1]++; sum[$1] += $2; if (!($1 in low) || $2 < low[$1]) low[$1] = $2
  if ($2 > high[$1]) high[$1] = $2; far[$1] += $3 }
END { for (b in n) printf "%s\t%d\t%.4f\t%.4f\t%.4f\t%.4f\n", b, n[b], sum[b] / n[b], low[b], high[b], far[b] / n[b] }
