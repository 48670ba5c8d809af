const fs = require('fs');
const [names, values] = fs.readFileSync('fit.csv', 'utf8').trim().split('\n').map((l) => l.split(','));
const fit = Object.fromEntries(names.map((n, i) => [n.replace(/"/g, ''), Number(values[i])]));
const mean = Number(fs.readFileSync('check.txt', 'utf8'));
fs.writeFileSync('report.json', JSON.stringify({ ...fit, mean, agree: Math.abs(fit.shape / fit.rate - mean) < 1e-4 }) + '\n');
