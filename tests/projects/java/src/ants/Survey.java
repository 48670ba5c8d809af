package ants;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Ants of each species per site, Shannon's index, and a bootstrap of it with a fixed seed. */
public final class Survey {
    private Survey() {}

    public static void main(String[] words) throws IOException {
        Map<String, TreeMap<String, Integer>> sites = new TreeMap<>();
        List<String> lines = Files.readAllLines(Path.of("data/ants.csv"), StandardCharsets.UTF_8);
        for (String line : lines.subList(1, lines.size())) {
            String[] cells = line.split(",");
            sites.computeIfAbsent(cells[0], site -> new TreeMap<>())
                .merge(cells[1], Integer.parseInt(cells[2]), Integer::sum);
        }
        StringBuilder table = new StringBuilder("site,species,ants,shannon,low,high\n");
        sites.forEach((site, counts) -> table.append(row(site, counts)));
        Files.createDirectories(Path.of("results"));
        Files.writeString(Path.of("results/diversity.csv"), table);
        Files.writeString(Path.of("results/words.txt"), String.format(Locale.GERMANY,
            "%,d ants%n%tA%n", sites.values().stream().flatMap(m -> m.values().stream())
                .mapToInt(Integer::intValue).sum(), java.time.LocalDate.of(1970, 1, 1)));
    }

    private static String row(String site, TreeMap<String, Integer> counts) {
        int[] abundance = counts.values().stream().mapToInt(Integer::intValue).toArray();
        int total = java.util.Arrays.stream(abundance).sum();
        java.util.Random random = new java.util.Random(1926);
        double[] drawn = java.util.stream.IntStream.range(0, 2000)
            .mapToDouble(i -> shannon(resample(abundance, total, random))).sorted().toArray();
        return String.format(Locale.ROOT, "%s,%d,%d,%.6f,%.6f,%.6f%n", site, abundance.length,
            total, shannon(abundance), drawn[50], drawn[1949]);
    }

    private static int[] resample(int[] abundance, int total, java.util.Random random) {
        int[] found = new int[abundance.length];
        for (int i = 0; i < total; i++) {
            int at = random.nextInt(total);
            int species = 0;
            while (at >= abundance[species]) {
                at -= abundance[species++];
            }
            found[species]++;
        }
        return found;
    }

    private static double shannon(int[] abundance) {
        double total = java.util.Arrays.stream(abundance).sum();
        return java.util.Arrays.stream(abundance).filter(n -> n > 0)
            .mapToDouble(n -> -n / total * StrictMath.log(n / total)).sum();
    }
}
