"use strict";

// what all parts of the page use, and its charts

const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const sum = values => values.reduce((a, b) => a + b, 0);
const known = values => values.filter(v => v !== null);

function make(tag, attributes = {}, ...inside) {
  const drawn = /^(svg|g|path|rect|line|text|title|circle)$/.test(tag);
  const element = drawn ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

const whole = value => Math.round(value).toLocaleString("en");

function short(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  for (const [scale, unit] of [[1e9, " G"], [1e6, " M"], [1e4, " k"]])
    if (size >= scale) return +(value / (unit === " k" ? 1e3 : scale)).toPrecision(3) + unit;
  return size >= 100 ? whole(value) : String(+value.toPrecision(3));
}

function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds)), two = n => String(n).padStart(2, "0");
  const hours = Math.floor(s / 3600), minutes = Math.floor(s / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

const spent = s => s === null ? "–" : s >= 90 ? clock(s) + " min" : `${+s.toFixed(s < 10 ? 2 : 0)} s`;

// charts

const LEFT = 46, RIGHT = 8, FOOT = 20;

// round numbers between the ends, whole ones where nothing else makes sense
function ticks(low, high, n, counts) {
  const raw = (high - low) / n, scale = 10 ** Math.floor(Math.log10(raw));
  const step = Math.max(counts ? 1 : 0, scale * [1, 2, 5, 10].find(s => s * scale >= raw * 0.999));
  const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
  return Array.from({length: last - first + 1}, (_, k) => (first + k) * step);
}

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

function moments(seconds, n) {
  const step = STEPS.find(s => seconds / s <= n) || 86400 * Math.ceil(seconds / 86400 / n);
  return Array.from({length: Math.floor(seconds / step) + 1}, (_, k) => k * step);
}

// axes, and what places things on them
function frame(id, title, seconds, low, high, {height = 170, head = 8, counts = false} = {}) {
  const figure = $(id), old = figure.querySelector("output");
  const wide = Math.max(240, figure.clientWidth || figure.parentNode.clientWidth);
  const svg = make("svg", {height, viewBox: `0 0 ${wide} ${height}`, role: "img", "aria-label": title});
  const x = s => LEFT + Math.min(1, Math.max(0, s / seconds)) * (wide - LEFT - RIGHT);
  const y = v => height - FOOT - (v - low) / (high - low) * (height - FOOT - head);
  for (const tick of ticks(low, high, 4, counts)) {
    const at = y(tick);
    svg.append(make("line", {class: "rule", x1: LEFT, x2: wide - RIGHT, y1: at, y2: at}),
      make("text", {x: LEFT - 6, y: at + 4, "text-anchor": "end"}, short(tick)));
  }
  svg.append(make("line", {class: "axis", x1: LEFT, x2: wide - RIGHT, y1: height - FOOT, y2: height - FOOT}));
  for (const s of moments(seconds, wide / 90))
    svg.append(make("text", {x: x(s), y: height - 5, "text-anchor": s ? "middle" : "start"}, clock(s)));
  const output = old || make("output", {});
  figure.replaceChildren(make("figcaption", {}, make("span", {}, title), output), svg);
  return {figure, svg, x, y, wide, seconds, output, foot: height - FOOT, head};
}

// the values under the pointer, in words
function hover(chart, words) {
  const hair = make("line", {class: "hair", y1: chart.head, y2: chart.foot, visibility: "hidden"});
  chart.svg.append(hair);
  chart.svg.onpointermove = event => {
    const box = chart.svg.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width * chart.wide;
    const s = Math.min(1, Math.max(0, (at - LEFT) / (chart.wide - LEFT - RIGHT))) * chart.seconds;
    for (const [name, value] of [["x1", at], ["x2", at], ["visibility", "visible"]])
      hair.setAttribute(name, value);
    chart.output.textContent = `${clock(s)}  ${words(s)}`;
  };
  chart.svg.onpointerleave = () => {
    hair.setAttribute("visibility", "hidden");
    chart.output.textContent = "";
  };
}

// fewer, wider stretches: enough commits in each that a rate means something, no thinner than 4 px
function coarse(series, ended, wide) {
  const n = series.commits.length - (ended ? 0 : 1);
  const few = Math.ceil(3 * n / Math.max(1, sum(series.commits)));
  const by = Math.max(1, Math.ceil(n / (wide / 6)), Math.min(few, Math.ceil(n / 24)),
    Math.min(Math.ceil(0.5 / series.width), Math.ceil(n / 24)));
  const cut = (values, join) => Array.from({length: Math.floor(n / by) || (n > 0 ? 1 : 0)},
    (_, k) => join(values.slice(k * by, (k + 1) * by)));
  const most = v => known(v).length ? Math.max(...known(v)) : null;
  const mean = v => known(v).length ? sum(known(v)) / known(v).length : null;
  const last = v => known(v).length ? known(v).at(-1) : null;
  return {
    width: series.width * by,
    commits: cut(series.commits, sum), blocks: cut(series.blocks, sum),
    dropped: cut(series.dropped, sum), void: cut(series.void, sum),
    late: cut(series.late, most), backup: cut(series.backup, mean), loss: cut(series.loss, last),
    train_loss: cut(series.train_loss, mean),
  };
}

const legend = (chart, ...items) => chart.svg.before(make("div", {class: "legend"}, ...items));

function box(kind, name) {
  const svg = make("svg", {width: 11, height: 11, viewBox: "0 0 11 11"},
    make("rect", {class: kind, width: 11, height: 11, rx: 3}));
  svg.style.cssText = "width:11px;display:inline-block;margin-right:5px;vertical-align:-1px";
  return make("span", {}, svg, name);
}

const SIGNS = {death: "▼", back: "▲", joined: "+", term: "↻", rollback: "↶", snapshot: "◆",
  error: "!", began: "▶", ended: "■"};

function timeline(state, rows, seconds) {
  const per = rows.commits.map((_, k) =>
    [rows.commits[k], rows.dropped[k], rows.void[k]].map(v => v / rows.width));
  const high = (Math.max(0, ...per.map(sum)) || 1) * 1.05;
  const chart = frame("timeline", "Per second", seconds, 0, high, {height: 220, head: 40});
  const names = ["commits", "dropped", "requeued"];
  const gap = chart.x(rows.width) - chart.x(0) > 4 ? 1 : 0;
  per.forEach((values, k) => {
    const x = chart.x(k * rows.width), stop = chart.x((k + 1) * rows.width);
    let below = 0;
    values.forEach((value, i) => {
      if (value) chart.svg.append(make("rect", {class: `bar-${["one", "two", "bad"][i]}`, x,
        width: Math.max(0.7, stop - x - gap), y: chart.y(below + value),
        height: chart.y(below) - chart.y(below + value)}));
      below += value;
    });
  });
  for (const mark of state.marks.filter(m => m.time >= state.begun)) draw(chart, mark, state.begun);
  hover(chart, s => {
    const values = per[Math.min(per.length - 1, Math.floor(s / rows.width))] || [0, 0, 0];
    return names.map((name, i) => `${name} ${short(values[i])}`).join("  ");
  });
  const key = (kind, name) => make("span", {}, make("b", {class: kind}, SIGNS[kind]), name);
  legend(chart, box("bar-one", "commits"), box("bar-two", "gradients dropped"),
    box("bar-bad", "blocks requeued"), key("death", "death"), key("back", "back"),
    key("snapshot", "snapshot"));
}

function draw(chart, mark, begun) {
  const x = chart.x(mark.time - begun), row = chart.head - 19;
  const note = make("title", {}, `${clock(mark.time - begun)} ${mark.kind} ${mark.name} ${mark.words}`);
  const shapes = {
    death: `M${x - 5} ${row - 8}h10l-5 9z`, back: `M${x - 5} ${row + 12}h10l-5 -9z`,
    snapshot: `M${x} ${chart.foot - 3}l3 3l-3 3l-3 -3z`,
  };
  if (shapes[mark.kind]) chart.svg.append(make("path", {class: mark.kind, d: shapes[mark.kind]}, note));
  if (mark.kind === "rollback" || mark.kind === "term") chart.svg.append(make("line",
    {class: mark.kind === "term" ? "turn" : "cut", x1: x, x2: x, y1: row, y2: chart.foot}, note));
}

// options: `from` where the axis begins (null: below the least value), `steps`: values hold for their
// whole stretch, `counts`: whole numbers, `name`: in the legend where there is another curve
// `beside`, {values, kind, name}
function curve(id, title, values, rows, seconds, options = {}) {
  const {area = false, from = 0, steps = false, counts = false, kind = "one", unit = "", name = "",
    beside = null} = options;
  const there = known(values).concat(beside ? known(beside.values) : [], from === null ? [] : [from], counts ? [1] : []);
  const least = there.length ? Math.min(...there) : 0;
  const most = there.length ? Math.max(...there) || (from === null ? 0 : 1) : 1;
  const room = (most - least || Math.abs(most) || 1) * 0.08;
  const chart = frame(id, title, seconds, from === null ? least - room : from, most + room, options);
  line(chart, values, rows, kind, steps, area);
  if (beside) line(chart, beside.values, rows, beside.kind, steps, false);
  if (beside) legend(chart, box(`bar-${kind}`, name), box(`bar-${beside.kind}`, beside.name));
  const at = (each, s) => each[Math.min(each.length - 1, Math.floor(s / rows.width))];
  const told = value => value === null || value === undefined ? "" : `${short(value)}${unit}`;
  const both = s => `${name} ${told(at(values, s)) || "–"}  ${beside.name} ${told(at(beside.values, s)) || "–"}`;
  hover(chart, beside ? both : s => told(at(values, s)));
}

function line(chart, values, rows, kind, steps, area) {
  const runs = [[]];  // a gap where nothing is known
  values.forEach((value, k) => {
    if (value === null) return steps && runs.at(-1).length ? runs.push([]) : 0;
    const at = steps ? [k, k + 1] : [k + 0.5];
    for (const each of at) runs.at(-1).push([chart.x(each * rows.width), chart.y(value)]);
  });
  for (const points of runs.filter(run => run.length)) {
    const path = points.map(p => p.map(v => v.toFixed(1)).join(" ")).join("L");
    if (area) chart.svg.append(make("path", {class: "area",
      d: `M${path}V${chart.foot}H${points[0][0].toFixed(1)}Z`}));
    chart.svg.append(make("path", {class: `line ${kind}`, d: points.length > 1 ? `M${path}` : `M${path}h1`}));
  }
}

// that of training as it goes, with that of evaluations beside it; or the one there is
function losses(rows, seconds) {
  const trained = known(rows.train_loss).length > 0, judged = known(rows.loss).length > 0;
  $("loss").hidden = !trained && !judged;
  $("loss").parentNode.classList.toggle("three", $("loss").hidden);
  const beside = judged ? {values: rows.loss, kind: "good", name: "evaluated"} : null;
  if (trained) curve("loss", judged ? "Loss" : "Training loss", rows.train_loss, rows, seconds,
    {from: null, name: "of training", beside});
  else if (judged) curve("loss", "Loss", rows.loss, rows, seconds, {from: null, kind: "good"});
}

function charts(state) {
  const ended = state.phase === "ended", wide = $("timeline").clientWidth;
  const rows = coarse(state.series, ended, wide);
  const seconds = Math.max(1, state.series.commits.length * state.series.width);
  timeline(state, rows, seconds);
  const halves = coarse(state.series, ended, $("throughput").clientWidth);
  const per = state.n_samples && state.n_blocks ? state.n_samples / state.n_blocks : 0;
  const each = per || 1, unit = per ? " samples/s" : " blocks/s";
  curve("throughput", per ? "Samples a second" : "Blocks a second",
    halves.blocks.map(v => v * each / halves.width), halves, seconds, {area: true, unit});
  losses(halves, seconds);
  curve("backup", "Backup workers b: those a commit did without", halves.backup, halves, seconds,
    {kind: "two", steps: true, counts: true});
  curve("late", "Staleness: commits between reading and applying, at most", halves.late, halves, seconds,
    {steps: true, counts: true});
}
