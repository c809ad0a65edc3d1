"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const tell = (v) => (v === null || v === undefined || Number.isNaN(v) ? "unknown" : Number(v).toPrecision(3).replace(/\.?0+(e|$)/, "$1"));
const T = data.times.length, N = data.names.length;
const CIVIDIS = [[0, 32, 76], [60, 77, 110], [124, 123, 120], [188, 174, 108], [255, 234, 70]];

function unpack(m) {
  const bytes = Uint8Array.from(atob(m.codes), (c) => c.charCodeAt(0));
  const codes = new Uint16Array(bytes.buffer);
  const at = (t, k) => codes[Math.min(t, m.times - 1) * N + k];
  return { ...m, code: at, value: (t, k) => (at(t, k) ? m.low * (m.high / m.low) ** ((at(t, k) - 1) / 65534) : NaN) };
}
const measures = Object.fromEntries(Object.entries(data.measures).map(([k, m]) => [k, unpack(m)]));
let now = Math.max(0, T - 1), chosen = Object.keys(measures)[0], picked = -1;

function colour(share) {
  const x = Math.max(0, Math.min(1, share)) * 4, i = Math.min(3, Math.floor(x)), f = x - i;
  return `rgb(${CIVIDIS[i].map((c, k) => Math.round(c + f * (CIVIDIS[i + 1][k] - c))).join(",")})`;
}

/* The graph: edges are drawn once to a canvas of their own, players at each move of the slider. */
const canvas = $("graph");
let edges = null;
const place = (k, w, h) => [16 + data.graph.x[k] * (w - 32), 16 + data.graph.y[k] * (h - 32)];
const radius = () => Math.max(2.5, Math.min(11, 60 / Math.sqrt(N)));
function sized(target, w, h, scale) { target.width = w * scale; target.height = h * scale; const c = target.getContext("2d"); c.scale(scale, scale); return c; }
function drawEdges(w, h, scale) {
  edges = document.createElement("canvas");
  const c = sized(edges, w, h, scale);
  c.strokeStyle = css("--quiet");
  c.globalAlpha = Math.max(0.12, Math.min(0.6, 60 / Math.sqrt(data.graph.edges.length + 1) / 10));
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
  const c = sized(canvas, w, h, scale), m = measures[chosen], r = radius();
  c.drawImage(edges, 0, 0, w, h);
  for (let k = 0; k < N; k++) {
    const [x, y] = place(k, w, h), code = m ? m.code(now, k) : 0;
    c.beginPath(); c.arc(x, y, r, 0, 7);
    c.fillStyle = code ? colour((code - 1) / 65534) : css("--card");
    c.fill(); c.strokeStyle = css("--ink"); c.lineWidth = k === picked ? 4 : 1; c.stroke();
    if (N <= 40) { c.fillStyle = css("--ink"); c.font = "11px system-ui"; const left = x > w - 60; c.textAlign = left ? "right" : "left"; c.fillText(data.names[k].slice(0, 12), left ? x - r - 2 : x + r + 2, y + 4); }
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
function chart(svg, lines, unit) {
  svg.replaceChildren();
  const w = svg.clientWidth || 320, h = svg.clientHeight || 320, L = 56, R = 10, B = 40, P = 12 + 16 * lines.length;
  svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
  const values = lines.filter((l) => !l.guide).flatMap((l) => l.points.map((p) => p[1])).filter((v) => v > 0);
  if (!values.length || T < 1) { add(svg, "text", { x: 20, y: 30 }, "nothing is known"); return null; }
  const low = Math.log10(values.reduce((a, b) => Math.min(a, b))) - 0.1, high = Math.log10(values.reduce((a, b) => Math.max(a, b))) + 0.1;
  const t0 = data.times[0], t1 = data.times[T - 1];
  const X = (t) => L + (w - L - R) * (t1 > t0 ? (t - t0) / (t1 - t0) : 0.5), Y = (v) => P + (h - P - B) * (high - Math.log10(v)) / (high - low);
  const step = Math.max(1, Math.ceil((high - low) / 6));
  let ticks = [];
  for (let e = Math.ceil(low); e <= high; e += step) ticks.push(10 ** e);
  if (ticks.length < 2) ticks = [0, 1, 2, 3].map((k) => 10 ** (low + (high - low) * (0.1 + 0.27 * k)));
  for (const v of ticks) {
    add(svg, "line", { x1: L, x2: w - R, y1: Y(v), y2: Y(v), class: "axis" });
    add(svg, "text", { x: L - 4, y: Y(v) + 4, "text-anchor": "end" }, tell(v));
  }
  for (let k = 0; k <= 4; k++) add(svg, "text", { x: X(t0 + (t1 - t0) * k / 4), y: h - B + 15, "text-anchor": k === 4 ? "end" : "middle" }, tell(t0 + (t1 - t0) * k / 4));
  add(svg, "text", { x: (L + w) / 2, y: h - 6, "text-anchor": "middle" }, "moves per player");
  add(svg, "text", { x: 12, y: (P + h - B) / 2, transform: `rotate(-90 12 ${(P + h - B) / 2})`, "text-anchor": "middle" }, unit);
  lines.forEach((l, k) => {
    let d = "", pen = false;
    for (const [t, v] of l.points) {
      const fits = v > 0 && Math.log10(v) >= low - 1e-9;
      if (fits) d += `${pen ? "L" : "M"}${X(t).toFixed(1)} ${Y(v).toFixed(1)}`;
      pen = fits;
    }
    const style = { stroke: `var(${l.colour})`, "stroke-width": 1.6, "stroke-dasharray": l.dash || "none", fill: "none" };
    add(svg, "path", { d, ...style });
    add(svg, "line", { x1: L, x2: L + 22, y1: 12 + 16 * k, y2: 12 + 16 * k, ...style });
    add(svg, "text", { x: L + 28, y: 16 + 16 * k }, l.name);
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
  const regrets = [{ name: "largest regret (Nash gap)", points: series("nash_gap"), colour: "--red" }, { name: "mean regret", points: series("regret_mean"), colour: "--blue", dash: "5 3" }];
  cursors = [chart($("errors"), lines, "RMS error"), chart($("regrets"), regrets, "nats")].filter(Boolean);
}

function update() {
  const m = measures[chosen];
  $("when").textContent = T ? `${tell(data.times[now])} moves/player` : "no record";
  $("slider").setAttribute("aria-valuetext", $("when").textContent);
  if (m) $("scale").textContent = `${m.label}: dark ${tell(m.low)} to bright ${tell(m.high)}, logarithmic`;
  $("told").textContent = picked >= 0 && m ? `Player ${data.names[picked]}: ${m.label} ${tell(m.value(now, picked))}` : "";
  drawGraph();
  for (const move of cursors) move();
}
function redraw() { edges = null; drawCurves(); update(); }

$("slider").max = Math.max(0, T - 1);
$("slider").value = now;
$("slider").addEventListener("input", () => { now = Number($("slider").value); update(); });
for (const [name, m] of Object.entries(measures)) $("measure").append(new Option(m.label, name));
$("measure").addEventListener("change", () => { chosen = $("measure").value; update(); });
canvas.addEventListener("click", pick);
if (!data.graph) { canvas.hidden = true; $("scale").textContent = "No graph is drawn: the directory holds none, or it has more than 1,500 players."; }
for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending", rows = [...table.tBodies[0].rows];
    const key = (row) => row.cells[column].textContent, number = (text) => (text.trim() === "" ? NaN : Number(text));
    rows.sort((a, b) => { const x = number(key(a)), y = number(key(b)); return (up ? 1 : -1) * (Number.isNaN(x) || Number.isNaN(y) ? key(a).localeCompare(key(b)) : x - y); });
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  }));
}
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(redraw).observe($("play"));
redraw();
