// The page of a study: what one chooses, the state that was chosen, and news while the search goes on.
"use strict";
const FIRST_WAIT_MS = 5000, LONGEST_WAIT_MS = 300000;
const get = (id) => document.getElementById(id);
let study = JSON.parse(get("study").textContent);
let trials = new Map(), curveNumbers = new Map();
let chosen = null;
let isFollowing = true; // nobody has chosen a point yet: the knee is shown, wherever it moves
const asked = {}; // what a slider was set to by its reader

function make(tag, text, parent) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

// ---- choosing -------------------------------------------------------------------------------------------

/** Return the points that may be chosen, as the command `frontier` does: confirmed ones where there are any. */
function listCandidates() {
  return study.points.filter((point) => point.candidate);
}

function chooseAtLeast(value) {
  const fitting = listCandidates().filter((point) => point.value >= value);
  fitting.sort((first, second) => first.cost - second.cost || second.value - first.value);
  return fitting[0];
}

function chooseWithin(cost) {
  const fitting = listCandidates().filter((point) => point.cost <= cost);
  fitting.sort((first, second) => second.value - first.value || first.cost - second.cost);
  return fitting[0];
}

/** Return the point of a key: one of the frontier, of the overlay, or the end of a trial by its number. */
function findPoint(key) {
  const foreign = study.overlay ? study.overlay.points.find((point) => point.key === key) : undefined;
  if (foreign) return Object.assign({ foreign: true }, foreign);
  return study.points.find((point) => point.key === key) || makeEnd(trials.get(key));
}

function makeEnd(trial) {
  if (!trial || trial.value === null) return null;
  const curve = curves[curveNumbers.get(trial.number)] || [[trial.cost, 1 - trial.value]];
  const [x, y] = curve[curve.length - 1];
  return Object.assign({}, trial, { key: trial.number, trial: trial.number, x, y, knee: false,
    text: `trial ${trial.number} at epoch ${trial.epochs}, ${trial.state}: behind the frontier, or a part of a trial on it` });
}

function showPoint(point) {
  const isNew = JSON.stringify(point) !== JSON.stringify(chosen); // what has not changed is not read out again
  chosen = point;
  if (isNew) writeChosen(point);
  for (const row of document.querySelectorAll("#points tbody tr")) {
    row.setAttribute("aria-selected", String(row.dataset.key === point.key));
  }
  if (get("frontier").layout) Plotly.relayout(get("frontier"), makeMarks());
}

function writeChosen(point) {
  const panel = get("chosen");
  panel.hidden = false;
  panel.replaceChildren();
  make("h2", `${point.shown} for ${point.seconds} device-seconds${point.knee ? ", the knee" : ""}`, panel);
  make("p", point.text, panel).className = "dim";
  const list = make("dl", undefined, panel);
  for (const [key, value] of Object.entries(point.params)) {
    make("dt", key, list);
    make("dd", String(value), list);
  }
  make("pre", point.command, panel);
  const copy = make("button", "Copy the command", panel);
  copy.id = "copy";
  copy.type = "button";
  copy.onclick = () => copyText(point.command, copy);
  if (study.runs && point.run) {
    panel.append(" ");
    const link = make("a", "its run in MLflow", panel);
    link.href = study.runs + encodeURIComponent(point.run) + study.suffix;
  }
}

function choose(point) {
  if (!point) return;
  isFollowing = false;
  showPoint(point);
}

function copyText(text, button) {
  const done = () => { button.textContent = "Copied"; };
  const select = () => {
    getSelection().selectAllChildren(document.querySelector("#chosen pre"));
    button.textContent = "Selected: press Ctrl-C";
  };
  if (navigator.clipboard && isSecureContext) navigator.clipboard.writeText(text).then(done, select);
  else select();
}

// ---- sliders and table ------------------------------------------------------------------------------------

function showSlider(id, position) {
  const slider = get(id), values = study.sliders[id];
  const entry = values[Math.max(0, Math.min(position, values.length - 1))];
  slider.max = String(values.length - 1);
  slider.value = String(position);
  slider.setAttribute("aria-valuetext", entry.shown);
  get(`${id}-shown`).textContent = entry.shown;
  return entry.value;
}

/** Put a slider where its reader has left it: at the same value, or the next one that there is. */
function placeSlider(id, usual) {
  const values = study.sliders[id].map((entry) => entry.value);
  if (asked[id] === undefined) return showSlider(id, usual);
  const later = values.findIndex((value) => value >= asked[id]);
  return showSlider(id, later < 0 ? values.length - 1 : later);
}

function listenToRows() {
  for (const row of document.querySelectorAll("#points tbody tr")) {
    const point = () => findPoint(row.dataset.key);
    row.onclick = () => choose(point());
    row.onkeydown = (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(point()); }
      if (event.key === "ArrowDown" && row.nextElementSibling) row.nextElementSibling.focus();
      if (event.key === "ArrowUp" && row.previousElementSibling) row.previousElementSibling.focus();
    };
  }
}

// ---- a state of the study -----------------------------------------------------------------------------------

/** Show a state of the study; what the reader has chosen, zoomed and opened stays. */
function showStudy(table) {
  trials = new Map(study.trials.map((trial) => [trial.number, trial]));
  curveNumbers = new Map(study.trials.filter((trial) => trial.value !== null).map((trial, index) => [trial.number, index]));
  get("spent").textContent = study.spent;
  get("live").textContent = study.feed ? `live, as of ${study.written}` : "";
  get("none").hidden = study.points.length > 0;
  document.querySelector(".choose").hidden = listCandidates().length === 0;
  drawCharts();
  if (table !== undefined) replaceTable(table);
  listenToRows();
  if (listCandidates().length) {
    placeSlider("at-least", 0);
    placeSlider("within", study.sliders.within.length - 1);
  }
  if (study.points.length) {
    const best = chooseWithin(Infinity) || study.points[study.points.length - 1];
    const knee = study.points.find((point) => point.knee) || best;
    const before = isFollowing ? null : findPoint(chosen.key) || findPoint(chosen.trial);
    showPoint(before || knee);
  }
  listenToChart();
}

function replaceTable(table) {
  const focused = document.activeElement && document.activeElement.dataset.key;
  get("table").innerHTML = table;
  const row = [...document.querySelectorAll("#points tbody tr")].find((each) => each.dataset.key === focused);
  if (row) row.focus();
}

function listenToChart() {
  const chart = get("frontier");
  if (!chart.on || chart.dataset.listens) return;
  chart.dataset.listens = "yes";
  chart.on("plotly_click", (event) => choose(findPoint(event.points[0].customdata)));
}

// ---- news -----------------------------------------------------------------------------------------------

/** Take a state from the feed: `frontier.js` calls this. */
function receiveStudy(state) {
  study = state;
  showStudy(state.table);
}

/** Load the feed as a script: a page in a folder may not read files in any other way. */
function loadNews(wait) {
  if (!study.feed) return;
  if (document.hidden) {
    setTimeout(loadNews, wait, wait);
    return;
  }
  const began = performance.now(), script = make("script");
  const end = (isThere) => {
    script.remove();
    const next = isThere ? FIRST_WAIT_MS : 2 * wait;
    setTimeout(loadNews, Math.min(LONGEST_WAIT_MS, Math.max(next, 20 * (performance.now() - began))), next);
  };
  script.onload = () => end(true);
  script.onerror = () => end(false);
  script.src = `${study.feed}?${Date.now()}`;
  document.head.append(script);
}

// ---- the start --------------------------------------------------------------------------------------------

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  get("theme").textContent = name === "dark" ? "Light" : "Dark";
  get("theme").setAttribute("aria-label", `Show the page in ${name === "dark" ? "light" : "dark"} colours`);
}

get("theme").onclick = () => {
  setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  drawCharts();
};
for (const details of document.querySelectorAll("details[data-chart]")) {
  details.ontoggle = () => { if (details.open) openChart(details.dataset.chart); };
}
for (const [id, chooseBy] of [["at-least", chooseAtLeast], ["within", chooseWithin]]) {
  get(id).oninput = () => {
    asked[id] = showSlider(id, Number(get(id).value));
    choose(chooseBy(asked[id]));
  };
}
let lastWidth = innerWidth;
addEventListener("resize", () => { // a phone that is turned; its keyboard and bars change the height alone
  if (innerWidth === lastWidth) return;
  lastWidth = innerWidth;
  drawCharts();
});
let themeOfScreen = null;
addEventListener("beforeprint", () => {
  themeOfScreen = document.documentElement.dataset.theme;
  setTheme("light");
  drawCharts();
  for (const chart of document.querySelectorAll("#frontier, details[open] .chart")) {
    if (chart.layout) Plotly.relayout(chart, PRINTED);
  }
});
addEventListener("afterprint", () => {
  for (const chart of document.querySelectorAll(".chart")) {
    if (chart.layout) Plotly.relayout(chart, { width: null, height: null });
  }
  setTheme(themeOfScreen);
  drawCharts();
});
setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
showStudy();
loadNews(FIRST_WAIT_MS); // the page itself may be a minute old
