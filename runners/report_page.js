"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function tell(v) {
  if (v === null || v === undefined || Number.isNaN(v)) return "unknown";
  const size = Math.abs(v);
  return v === 0 || (size >= 1e-3 && size < 1e5) ? String(Number(Number(v).toPrecision(3))) : v.toExponential(2).replace(/\.?0+e/, "e");
}
const tellTime = (v) => Number(v.toPrecision(7)).toLocaleString("en", { maximumFractionDigits: 3 });
const N = data.names.length;
let T = data.times.length;
const CIVIDIS = [[0, 32, 76], [60, 77, 110], [124, 123, 120], [188, 174, 108], [255, 234, 70]];

/* Figures of players: a row of numbers a time, NaN for what is unknown. */
function unpack(m) {
  const text = atob(m.codes), bytes = new Uint8Array(text.length), rows = [], values = new Float64Array(65536);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  const codes = new Uint16Array(bytes.buffer);
  values[0] = NaN;
  for (let code = 1; code < 65536; code++) values[code] = m.low * (m.high / m.low) ** ((code - 1) / 65534);
  for (let t = 0; t < m.times; t++) {
    const row = new Float64Array(N);
    for (let k = 0; k < N; k++) row[k] = values[codes[t * N + k]];
    rows.push(row);
  }
  return { label: m.label, low: m.low, high: m.high, rows };
}
const measures = Object.fromEntries(Object.entries(data.measures).map(([k, m]) => [k, unpack(m)]));
const valueOf = (m, t, k) => m.rows[Math.min(t, m.rows.length - 1)][k];
const share = ([low, high], v) => (v > 0 && high > low ? Math.log(v / low) / Math.log(high / low) : 0);
function rangeOf(m) {
  if ($("span").value === "run" || !m.rows.length) return [m.low, m.high];
  const seen = [...m.rows[Math.min(now, m.rows.length - 1)]].filter((v) => v > 0);
  return seen.length ? [seen.reduce((a, b) => Math.min(a, b)), seen.reduce((a, b) => Math.max(a, b))] : [m.low, m.high];
}
let now = Math.max(0, T - 1), chosen = Object.keys(measures)[0], picked = -1;

function colour(x) {
  const y = Math.max(0, Math.min(1, x)) * 4, i = Math.min(3, Math.floor(y)), f = y - i;
  return `rgb(${CIVIDIS[i].map((c, k) => Math.round(c + f * (CIVIDIS[i + 1][k] - c))).join(",")})`;
}

/* The graph: edges are drawn once to a canvas of their own, players at each move of the slider. */
const canvas = $("graph");
let edges = null;
const place = (k, w, h) => [18 + data.graph.x[k] * (w - 36), 18 + data.graph.y[k] * (h - 36)];
const radius = () => Math.max(2.5, Math.min(11, 60 / Math.sqrt(N)));
function sized(target, w, h, scale) { target.width = w * scale; target.height = h * scale; const c = target.getContext("2d"); c.scale(scale, scale); return c; }
function drawEdges(w, h, scale) {
  edges = document.createElement("canvas");
  const c = sized(edges, w, h, scale);
  c.strokeStyle = css("--quiet");
  c.globalAlpha = Math.max(0.12, Math.min(0.6, 6 / Math.sqrt(data.graph.edges.length + 1)));
  for (const [i, j, alpha] of data.graph.edges) {
    const [x, y] = place(i, w, h), [u, v] = place(j, w, h);
    c.lineWidth = 0.5 + 3 * alpha;
    c.beginPath(); c.moveTo(x, y); c.lineTo(u, v); c.stroke();
  }
}
function drawGraph() {
  if (!data.graph) return;
  const w = canvas.clientWidth, h = canvas.clientHeight, scale = window.devicePixelRatio || 1;
  if (!w) return;
  if (!edges || edges.width !== Math.floor(w * scale)) drawEdges(w, h, scale);
  const c = sized(canvas, w, h, scale), m = measures[chosen], range = m && rangeOf(m), r = radius();
  c.drawImage(edges, 0, 0, w, h);
  const order = [...Array(N).keys()];
  if (picked >= 0) order.push(picked);
  for (const k of order) {
    const [x, y] = place(k, w, h), v = m && m.rows.length ? valueOf(m, now, k) : NaN;
    c.beginPath(); c.arc(x, y, r, 0, 7);
    c.fillStyle = Number.isNaN(v) ? css("--card") : colour(share(range, v));
    c.fill(); c.strokeStyle = css("--ink"); c.lineWidth = k === picked ? 4 : 1; c.stroke();
  }
  if (N > 40) return;
  c.font = "12px system-ui"; c.lineJoin = "round"; c.lineWidth = 3; c.strokeStyle = css("--card"); c.fillStyle = css("--ink");
  for (let k = 0; k < N; k++) {
    const [x, y] = place(k, w, h), left = x > w - 60, text = data.names[k].slice(0, 12), u = left ? x - r - 3 : x + r + 3;
    c.textAlign = left ? "right" : "left";
    c.strokeText(text, u, y + 4); c.fillText(text, u, y + 4);
  }
}
function pick(event) {
  if (!data.graph) return;
  const box = canvas.getBoundingClientRect();
  let best = 400; picked = -1;
  for (let k = 0; k < N; k++) {
    const [x, y] = place(k, box.width, box.height), d = (x - event.clientX + box.left) ** 2 + (y - event.clientY + box.top) ** 2;
    if (d < best) { best = d; picked = k; }
  }
  $("player").value = picked;
  update();
}

/* A chart on a logarithmic axis. */
const NS = "http://www.w3.org/2000/svg";
function add(svg, kind, attributes, text) {
  const e = document.createElementNS(NS, kind);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  svg.append(e);
  return e;
}
function ticksOf(low, high) {
  const wanted = high - low > 3 ? [1] : high - low > 1.2 ? [1, 3] : high - low > 0.5 ? [1, 2, 5] : [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9], found = [];
  const step = Math.max(1, Math.ceil((high - low) / 7));
  for (let e = Math.floor(low); e <= high; e += step) for (const m of wanted) if (Math.log10(m * 10 ** e) >= low && Math.log10(m * 10 ** e) <= high) found.push(m * 10 ** e);
  return found.length > 1 ? found : [0, 1, 2].map((k) => 10 ** (low + (high - low) * (0.1 + 0.4 * k)));
}
function chart(svg, lines, unit) {
  svg.replaceChildren();
  const w = svg.clientWidth || 320, h = svg.clientHeight || 320, L = 68, R = 12, B = 42, P = 14 + 17 * lines.length;
  svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
  const values = lines.filter((l) => !l.guide).flatMap((l) => l.points.map((p) => p[1])).filter((v) => v > 0);
  if (!values.length || T < 1) { add(svg, "text", { x: 20, y: 30 }, "nothing is known"); return null; }
  const low = Math.log10(values.reduce((a, b) => Math.min(a, b))) - 0.1, high = Math.log10(values.reduce((a, b) => Math.max(a, b))) + 0.1;
  const t0 = data.times[0], t1 = data.times[T - 1];
  const X = (t) => L + (w - L - R) * (t1 > t0 ? (t - t0) / (t1 - t0) : 0.5), Y = (v) => P + (h - P - B) * (high - Math.log10(v)) / (high - low);
  for (const v of ticksOf(low, high)) {
    add(svg, "line", { x1: L, x2: w - R, y1: Y(v), y2: Y(v), class: "axis" });
    add(svg, "text", { x: L - 5, y: Y(v) + 4, "text-anchor": "end" }, tell(v));
  }
  for (let k = 0; k <= 4; k++) add(svg, "text", { x: X(t0 + (t1 - t0) * k / 4), y: h - B + 16, "text-anchor": k === 4 ? "end" : "middle" }, tellTime(Number((t0 + (t1 - t0) * k / 4).toPrecision(3))));
  add(svg, "text", { x: (L + w) / 2, y: h - 6, "text-anchor": "middle" }, "moves per player");
  add(svg, "text", { x: 13, y: (P + h - B) / 2, transform: `rotate(-90 13 ${(P + h - B) / 2})`, "text-anchor": "middle" }, unit);
  lines.forEach((l, k) => {
    let d = "", pen = false;
    for (const [t, v] of l.points) {
      const fits = v > 0 && Math.log10(v) >= low - 1e-9;
      if (fits) d += `${pen ? "L" : "M"}${X(t).toFixed(1)} ${Y(v).toFixed(1)}`;
      pen = fits;
    }
    const style = { stroke: `var(${l.colour})`, "stroke-width": 1.8, "stroke-dasharray": l.dash || "none", fill: "none" };
    add(svg, "path", { d, ...style });
    add(svg, "line", { x1: L, x2: L + 22, y1: 12 + 17 * k, y2: 12 + 17 * k, ...style });
    add(svg, "text", { x: L + 28, y: 16 + 17 * k }, l.name);
  });
  const cursor = add(svg, "line", { y1: P, y2: h - B, class: "cursor" });
  return () => { const x = X(data.times[now]); cursor.setAttribute("x1", x); cursor.setAttribute("x2", x); };
}
const series = (name) => (data.curves[name] || []).map((v, k) => [data.times[k], v]);
let cursors = [];
function drawCurves() {
  const { floor, rate } = data.predicted, mode = series("amplitude").filter((p) => p[1] > 0), lines = [];
  lines.push({ name: "RMS error, all players", points: series("error_rms"), colour: "--blue" });
  if (floor) lines.push({ name: `predicted floor ${tell(floor)}`, points: data.times.map((t) => [t, floor]), colour: "--ink", dash: "6 4" });
  if (mode.length) lines.push({ name: "slowest measurable mode", points: mode, colour: "--green" });
  if (mode.length && rate) lines.push({ name: `predicted slope ${tell(rate)}`, guide: true, dash: "2 3", colour: "--green", points: data.times.map((t) => [t, mode[0][1] * Math.exp(rate * (t - mode[0][0]))]) });
  const regrets = [{ name: "largest regret (Nash gap)", points: series("nash_gap"), colour: "--red" }, { name: "mean regret", points: series("regret_mean"), colour: "--blue", dash: "5 3" }].filter((l) => l.points.length);
  cursors = [chart($("errors"), lines, "RMS error"), chart($("regrets"), regrets, "nats")].filter(Boolean);
}

/* What players generated, as last seen at the time of the slider. */
function drawSheet() {
  const box = $("sheet"), time = T ? data.times[now] : 0;
  box.hidden = !data.sheets.length;
  if (box.hidden) return;
  const seen = data.sheets.filter((s) => s.time <= time + 1e-9), sheet = seen.length ? seen[seen.length - 1] : data.sheets[0];
  const image = box.querySelector("img"), names = sheet.players;
  if (image.getAttribute("src") !== sheet.url) image.src = sheet.url;
  box.querySelector("ol").replaceChildren(...names.map((name) => Object.assign(document.createElement("li"), { textContent: name, title: name })));
  image.onload = () => { image.style.maxWidth = `${Math.max(24, 1.8 * names.length) * image.naturalWidth / image.naturalHeight}rem`; };
  box.querySelector("figcaption").textContent = `What players generate after ${tellTime(sheet.time)} moves each, ${names.length ? `player ${names.join(", ")} from above` : "a line a player"}; ${data.sheets.length} such sheets follow the slider.`;
}

function update() {
  const m = measures[chosen];
  $("when").textContent = T ? `${tellTime(data.times[now])} moves/player` : "no record";
  $("slider").setAttribute("aria-valuetext", $("when").textContent);
  $("legend").hidden = !m;
  if (m) { const [low, high] = rangeOf(m); $("scale").textContent = `Colour: ${m.label}, on a logarithmic scale`; $("low").textContent = tell(low); $("high").textContent = tell(high); }
  $("told").textContent = picked >= 0 && T ? `Player ${data.names[picked]}: ${Object.values(measures).map((x) => `${x.label} ${tell(valueOf(x, now, picked))}`).join(", ")}` : "";
  drawGraph();
  drawSheet();
  for (const move of cursors) move();
}
function redraw() { edges = null; drawCurves(); update(); }
function moveTo(t) { now = Math.max(0, Math.min(T - 1, t)); $("slider").max = Math.max(0, T - 1); $("slider").value = now; }
function offerMeasures() { for (const [name, m] of Object.entries(measures)) if (![...$("measure").options].some((o) => o.value === name)) $("measure").append(new Option(m.label, name)); }

moveTo(T - 1);
offerMeasures();
$("player").append(...data.names.map((name, k) => new Option(name, k)));
$("bar").style.background = `linear-gradient(90deg,${CIVIDIS.map((c) => `rgb(${c})`).join(",")})`;
$("slider").addEventListener("input", () => { now = Number($("slider").value); update(); });
$("measure").addEventListener("change", () => { chosen = $("measure").value; update(); });
$("span").addEventListener("change", update);
$("player").addEventListener("change", () => { picked = Number($("player").value); update(); });
canvas.addEventListener("click", pick);
if (!data.graph) { canvas.hidden = true; $("scale").hidden = true; $("legend").hidden = true; }
for (const query of ["(prefers-color-scheme: dark)", "print"]) window.matchMedia(query).addEventListener("change", redraw);
new ResizeObserver(redraw).observe($("play"));
redraw();
