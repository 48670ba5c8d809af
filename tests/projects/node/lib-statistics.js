'use strict';
exports.mean = (xs) => xs.reduce((a, b) => a + b, 0) / xs.length;
exports.line = (xs, ys) => {
  const mx = exports.mean(xs), my = exports.mean(ys);
  const top = xs.reduce((sum, x, i) => sum + (x - mx) * (ys[i] - my), 0);
  const slope = top / xs.reduce((sum, x) => sum + (x - mx) ** 2, 0);
  return { slope, intercept: my - slope * mx };
};
