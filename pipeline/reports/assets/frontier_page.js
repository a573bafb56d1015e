// The page of a study: what one chooses, the state that was chosen, and further charts. No network, no library but plotly.
"use strict";
const study = JSON.parse(document.getElementById("study").textContent);
const get = (id) => document.getElementById(id);
const chart = get("frontier");
const drawn = new Set();
let chosen = null;

function make(tag, text, parent) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

// ---- choosing -------------------------------------------------------------------------------------------

function chooseAtLeast(value) {
  const fitting = study.points.filter((point) => point.value >= value);
  return fitting.reduce((best, point) => (!best || point.cost < best.cost ? point : best), null);
}

function chooseWithin(cost) {
  const fitting = study.points.filter((point) => point.cost <= cost);
  return fitting.reduce((best, point) => (!best || point.value > best.value ? point : best), null);
}

function showPoint(point) {
  chosen = point;
  const panel = get("chosen");
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
  copy.onclick = () => copyText(point.command, copy);
  if (study.runs && point.run) {
    panel.append(" ");
    const link = make("a", "its run in MLflow", panel);
    link.href = study.runs + encodeURIComponent(point.run);
  }
  for (const row of document.querySelectorAll("#points tbody tr")) {
    row.setAttribute("aria-selected", String(study.points[Number(row.dataset.index)] === point));
  }
  const trace = chart.data.findIndex((each) => each.name === "chosen");
  Plotly.restyle(chart, { x: [[point.x]], y: [[point.y]] }, [trace]);
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

function showSlider(id, position) {
  const slider = get(id), output = get(`${id}-shown`);
  const values = study.sliders[id];
  const entry = values[Math.min(position, values.length - 1)];
  slider.value = String(position);
  slider.setAttribute("aria-valuetext", entry.shown);
  output.textContent = entry.shown;
  return entry.value;
}

function listen(id, choose) {
  const slider = get(id);
  slider.max = String(study.sliders[id].length - 1);
  slider.oninput = () => {
    const point = choose(showSlider(id, Number(slider.value)));
    if (point) showPoint(point);
  };
}

// ---- further charts -------------------------------------------------------------------------------------

function axis(title, more) {
  return Object.assign({ title: { text: title }, automargin: true, zeroline: false }, more);
}

const charts = {
  history(place) {
    const steps = study.progress;
    Plotly.newPlot(place, [{ x: steps.map((each) => each[0]), y: steps.map((each) => each[1]), mode: "lines", line: { shape: "hv" } }],
      { xaxis: axis("device-seconds spent"), yaxis: axis("hypervolume, share of the window", { rangemode: "tozero" }) }, study.config);
  },
  slices(place) {
    const select = make("select"), label = make("label", "setting ");
    label.append(select);
    place.before(label);
    for (const key of study.keys) make("option", key, select);
    const draw = () => {
      const key = select.value;
      const tried = study.trials.filter((trial) => trial.params[key] !== undefined && trial.value !== null);
      const values = tried.map((trial) => trial.params[key]);
      const numbers = values.every((value) => typeof value === "number");
      const wide = numbers && Math.min(...values) > 0 && Math.max(...values) > 20 * Math.min(...values);
      Plotly.react(place, [{ x: numbers ? values : values.map(String), y: tried.map((trial) => trial.value), mode: "markers",
        text: tried.map((trial) => `trial ${trial.number}`), marker: { color: tried.map((trial) => Math.log10(trial.cost)), showscale: true,
        colorbar: { title: { text: "log10 device-seconds" } } } }],
        { xaxis: axis(key, { type: numbers ? (wide ? "log" : "linear") : "category" }), yaxis: axis(study.measure) }, study.config);
      paint(place);
    };
    select.onchange = draw;
    draw();
  },
  parallel(place) {
    const tried = study.trials.filter((trial) => trial.value !== null);
    const dimensions = study.keys.map((key) => {
      const values = tried.map((trial) => trial.params[key]);
      if (values.every((value) => typeof value === "number")) return { label: key, values };
      const names = [...new Set(values.map(String))];
      return { label: key, values: values.map((value) => names.indexOf(String(value))), tickvals: names.map((_, index) => index), ticktext: names };
    });
    dimensions.push({ label: "log10 device-seconds", values: tried.map((trial) => Math.log10(trial.cost)) });
    dimensions.push({ label: study.measure, values: tried.map((trial) => trial.value) });
    Plotly.newPlot(place, [{ type: "parcoords", dimensions, line: { color: tried.map((trial) => trial.value), showscale: true } }],
      { margin: { l: 90, r: 60, t: 60, b: 30 } }, study.config);
  },
};

function openChart(name) {
  const place = get(name);
  if (drawn.has(name)) return;
  drawn.add(name);
  charts[name](place);
  paint(place);
}

// ---- light and dark ---------------------------------------------------------------------------------------

function paint(place) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const changes = { paper_bgcolor: colour("--paper"), plot_bgcolor: colour("--paper"), "font.color": colour("--ink") };
  for (const name of ["xaxis", "yaxis"]) {
    changes[`${name}.gridcolor`] = colour("--line");
    changes[`${name}.linecolor`] = colour("--line");
    changes[`${name}.tickfont.color`] = colour("--dim");
  }
  changes["hoverlabel.bgcolor"] = colour("--panel");
  Plotly.relayout(place, changes);
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  get("theme").textContent = name === "dark" ? "Light" : "Dark";
  for (const place of document.querySelectorAll(".js-plotly-plot")) paint(place);
}

// ---- the start --------------------------------------------------------------------------------------------

get("theme").onclick = () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
for (const details of document.querySelectorAll("details[data-chart]")) {
  details.ontoggle = () => { if (details.open) openChart(details.dataset.chart); };
}
for (const row of document.querySelectorAll("#points tbody tr")) {
  const point = study.points[Number(row.dataset.index)];
  row.onclick = () => showPoint(point);
  row.onkeydown = (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); showPoint(point); }
    if (event.key === "ArrowDown" && row.nextElementSibling) row.nextElementSibling.focus();
    if (event.key === "ArrowUp" && row.previousElementSibling) row.previousElementSibling.focus();
  };
}
if (study.points.length) {
  listen("at-least", chooseAtLeast);
  listen("within", chooseWithin);
  chart.on("plotly_click", (event) => {
    const key = event.points[0].customdata;
    const point = study.points.find((each) => each.key === key);
    if (point) showPoint(point);
  });
  const knee = study.points.findIndex((point) => point.knee);
  showSlider("at-least", 0);
  showSlider("within", study.sliders.within.length - 1);
  showPoint(study.points[knee < 0 ? study.points.length - 1 : knee]);
}
setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
