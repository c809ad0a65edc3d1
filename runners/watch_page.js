"use strict";
/* A run that goes on: records are appended as the server sends them, and the slider follows unless it was moved. */
const follow = $("follow"), source = new EventSource(data.live);
const say = (state, text) => { $("live").dataset.state = state; $("live").textContent = text; };
const most = Math.max(4, Math.min(1200, Math.floor(600000 / Math.max(1, N))));

function thinned() {
  const kept = [...Array(T).keys()].filter((t) => t % 2 === 0 || t === T - 1);
  const spot = kept.findIndex((t) => t >= now);
  data.times = kept.map((t) => data.times[t]);
  for (const name of Object.keys(data.curves)) data.curves[name] = kept.map((t) => data.curves[name][t]);
  for (const m of Object.values(measures)) if (m.rows.length === T) m.rows = kept.map((t) => m.rows[t]);
  T = kept.length;
  now = spot;
}
function append(fresh) {
  const before = T;
  data.times.push(...fresh.times);
  T = data.times.length;
  for (const [name, values] of Object.entries(fresh.curves)) {
    if (!data.curves[name] && values.every((v) => v === null)) continue;
    data.curves[name] = (data.curves[name] || Array(before).fill(null)).concat(values);
  }
  for (const [name, rows] of Object.entries(fresh.measures)) {
    const m = measures[name];
    if (!m) continue;
    for (const row of rows) {
      const values = Float64Array.from(row, (v) => (v === null ? NaN : v));
      for (const v of values) if (v > 0) { m.low = Math.min(m.low, v); m.high = Math.max(m.high, v); }
      m.rows.push(values);
    }
  }
}
function fill(table, rows) {
  const lines = new Map([...table.tBodies[0].rows].map((row) => [row.cells[0].textContent, row.cells]));
  for (const row of rows) {
    const cells = lines.get(row[0]);
    if (cells && cells.length === row.length) row.forEach((text, k) => { if (k && cells[k].textContent !== text) cells[k].textContent = text; });
  }
}
function said(notes) {
  const texts = notes.map((note) => { const p = document.createElement("p"); p.className = "note"; p.setAttribute("role", "note"); p.textContent = note; return p; });
  $("notes").replaceChildren(...texts);
}
source.addEventListener("records", (event) => {
  const fresh = JSON.parse(event.data);
  if (fresh.times.length) append(fresh);
  while (T > most) thinned();
  $("shown").textContent = `Shown are ${T.toLocaleString("en")} of ${fresh.records.toLocaleString("en")} records so far.`;
  if (fresh.happened) $("happened").textContent = fresh.happened;
  said(fresh.notes);
  const table = $("table");
  if (table && fresh.players) fill(table, fresh.players);
  moveTo(follow.checked ? T - 1 : now);
  redraw();
});
source.addEventListener("standing", (event) => {
  const told = JSON.parse(event.data), line = (kind, text) => Object.assign(document.createElement(kind), { textContent: text });
  $("reasons").replaceChildren(...told.reasons.map((text) => line("li", text)));
  const signs = told.signatures.map((sign) => { const p = line("p", `: ${sign.text}`); p.className = "note"; p.prepend(line("strong", sign.name)); return p; });
  $("signs").replaceChildren(...signs, Object.assign(line("p", told.looked_for), { className: "quiet" }));
});
source.addEventListener("sheet", (event) => { data.sheets.push(JSON.parse(event.data)); while (data.sheets.length > 60) data.sheets.splice(1, 1); drawSheet(); });
source.addEventListener("troubles", (event) => {
  const rows = JSON.parse(event.data).rows.map((row) => { const line = document.createElement("tr"); line.append(...row.map((text) => Object.assign(document.createElement("td"), { textContent: text }))); return line; });
  $("troublebox").hidden = !rows.length;
  $("troublebox").querySelector("tbody").replaceChildren(...rows);
});
source.addEventListener("open", () => (data.ended ? say("ended", "ended") : say("live", "live")));
/* A page that loads itself again comes back as it was left. */
let measured = null;
$("measure").addEventListener("change", () => { measured = chosen; });
source.addEventListener("reload", () => {
  source.close();
  const left = { measure: measured, span: $("span").value, player: picked >= 0 ? data.names[picked] : null, time: follow.checked || !T ? null : data.times[now] };
  history.replaceState(left, "");
  location.reload();
});
if (history.state) {
  const left = history.state;
  if (measures[left.measure]) { measured = chosen = left.measure; $("measure").value = chosen; }
  $("span").value = left.span;
  picked = data.names.indexOf(left.player);
  $("player").value = picked;
  if (left.time !== null && T) { follow.checked = false; moveTo(data.times.reduce((best, t, k) => (Math.abs(t - left.time) < Math.abs(data.times[best] - left.time) ? k : best), 0)); }
  history.replaceState(null, "");
  update();
}
source.addEventListener("bye", () => { source.close(); say("ended", "no longer live: the server has stopped"); });
source.addEventListener("error", () => say("lost", source.readyState === EventSource.CLOSED ? "no longer live: reload the page" : "connection lost, trying again"));
$("slider").addEventListener("input", () => { follow.checked = now === T - 1; });
follow.addEventListener("change", () => { if (follow.checked) { moveTo(T - 1); update(); } });
