% Logistic growth of yeast: least squares, the fitted equation integrated, spectrum and kurtosis of
% the residuals (a package of Octave's), a figure (by gnuplot, since there is no display).
1;
pkg load statistics
warning ("off", "Octave:gnuplot-graphics");
function dx = logistic (x, t, r, k)
  dx = r * x * (1 - x / k);
endfunction

data = dlmread ("data/yeast.csv", ",", 1, 0);
hours = data(:, 1);
mass = data(:, 2);
curve = @(p) p(2) ./ (1 + (p(2) / p(3) - 1) * exp (-p(1) * hours));
loss = @(p) sumsq (curve (p) - mass);
best = fminsearch (loss, [0.5, 650, 10], optimset ("TolX", 1e-10, "TolFun", 1e-10, "MaxIter", 2000));
path = lsode (@(x, t) logistic (x, t, best(1), best(2)), best(3), hours);
power = abs (fft (curve (best) - mass)) .^ 2;
if (! exist ("results", "dir"))
  mkdir ("results");
endif
csvwrite ("results/spectrum.csv", power(1:floor (end / 2)));
out = fopen ("results/fit.txt", "w");
fprintf (out, "rate      %.6f per hour\n", best(1));
fprintf (out, "capacity  %.4f\n", best(2));
fprintf (out, "start     %.6f\n", best(3));
fprintf (out, "rms       %.6f\n", sqrt (loss (best) / numel (hours)));
fprintf (out, "ode       %.3e off the closed form\n", round (max (abs (path - curve (best))) * 1e3) / 1e3);
fprintf (out, "kurtosis  %.6f\n", kurtosis (curve (best) - mass));
fprintf (out, "quantile  %.6f\n", norminv (0.975));
fclose (out);
graphics_toolkit ("gnuplot");
page = figure ("visible", "off");
plot (hours, mass, "o", hours, path);
xlabel ("hours");
print (page, "-dsvg", "results/curve.svg");
