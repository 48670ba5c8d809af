bins = load ("bins.txt");
file = fopen ("check.txt", "w");
fprintf (file, "%.6f\n", sum ((bins(:, 1) + 0.5) .* bins(:, 2)) / sum (bins(:, 2)));
fclose (file);
