#!/bin/bash
# Words of a text by frequency, sentence lengths, a join with a list: nothing but the system's tools.
set -euo pipefail
mkdir -p results
tr -cs '[:alpha:]' '\n' < data/origin.txt | tr '[:upper:]' '[:lower:]' | sed '/^$/d' |
  sort | uniq -c | sort -k1,1nr -k2 | awk '{ printf "%s\t%d\n", $2, $1 }' > results/words.tsv
sed -e 's/[.;]/\n/g' data/origin.txt | awk 'NF { n++; s += NF; if (NF > m) m = NF }
  END { printf "sentences %d mean %.3f longest %d\n", n, s / n, m }' > results/sentences.txt
join -t $'\t' <(sort data/classes.tsv) <(sort results/words.tsv) |
  awk -F'\t' '{ sum[$2] += $3 } END { for (c in sum) print c "\t" sum[c] }' | sort > results/classes.tsv
paste -sd+ <(cut -f2 results/words.tsv) | xargs -I{} bash -c 'echo "$(({}))"' > results/total.txt
grep -c . data/classes.tsv | tee results/count.txt | od -c | head -1 > results/bytes.txt
find data -type f -print0 | sort -z | xargs -0 sha256sum > results/inputs.sha256
date -u -d @86400 +%F > results/day.txt
gzip -nc results/words.tsv > results/words.tsv.gz
diff <(seq 3) <(seq 2) > results/difference.txt || true
