// Eruptions of Old Faithful: waiting time by duration, two groups, a digest of the table.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const zlib = require('node:zlib');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { line, mean } = require('./lib-statistics');

if (!isMainThread) {
  parentPort.postMessage(line(workerData.map((r) => r[0]), workerData.map((r) => r[1])));
} else {
  const text = fs.readFileSync('data/faithful.csv', 'utf8');
  const rows = text.trim().split('\n').slice(1).map((l) => l.split(',').map(Number));
  const groups = { short: rows.filter((r) => r[0] < 3), long: rows.filter((r) => r[0] >= 3) };
  fs.mkdirSync('results', { recursive: true });
  new Worker(__filename, { workerData: rows }).on('message', (fit) => {
    const said = {
      rows: rows.length,
      slope: Number(fit.slope.toFixed(8)),
      intercept: Number(fit.intercept.toFixed(8)),
      waiting: Object.fromEntries(Object.entries(groups).map(([k, g]) => [k, mean(g.map((r) => r[1]))])),
      sha256: crypto.createHash('sha256').update(text).digest('hex'),
      total: new Intl.NumberFormat('de-DE').format(rows.reduce((s, r) => s + r[1], 0)),
      day: new Date(0).toLocaleDateString('en-GB', { timeZone: 'Europe/Berlin', dateStyle: 'full' }),
    };
    fs.writeFileSync('results/fit.json', JSON.stringify(said, null, 2) + '\n');
    fs.writeFileSync('results/table.csv.deflate', zlib.deflateSync(text));
  });
}
