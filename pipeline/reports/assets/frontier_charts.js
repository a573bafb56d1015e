// The charts of a study's page: the large one, pairs of objectives, and those that a person opens. Needs plotly alone.
"use strict";
const GREY_LINE = "rgba(140, 140, 140, 0.35)";
const drawn = new Set();
let curves = []; // of each trial with points, in their order: the points of its curve

// ---- the large chart ----------------------------------------------------------------------------------------

/** Return the numbers of an array that Python sent as base64, of plain arrays themselves. */
function decodeNumbers(array) {
  if (!array || !array.bdata) return array || [];
  const bytes = Uint8Array.from(atob(array.bdata), (letter) => letter.charCodeAt(0));
  return new { f4: Float32Array, f8: Float64Array }[array.dtype](bytes.buffer);
}

/** Cut the one line of all curves at its gaps. */
function cutCurves(trace) {
  const across = decodeNumbers(trace.x), up = decodeNumbers(trace.y), found = [];
  let curve = [];
  for (let index = 0; index < across.length; index += 1) {
    if (Number.isNaN(across[index])) {
      found.push(curve);
      curve = [];
    } else {
      curve.push([across[index], up[index]]);
    }
  }
  return found;
}

function wrapText(text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.length - 1;
    if (lines[last] && lines[last].length + word.length >= width) lines.push(word);
    else lines[last] += (lines[last] ? " " : "") + word;
  }
  return lines;
}

function escapeText(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function describeEnd(trial) {
  const head = `<b>${trial.shown} for ${trial.seconds} device-seconds</b>`;
  const epochs = trial.epochs === 1 ? "1 epoch" : `${trial.epochs} epochs`;
  const params = Object.entries(trial.params).map(([key, value]) => `${key} = ${value}`);
  const lines = [`trial ${trial.number}, ${epochs}, ${trial.state}`, ...params, "", ...wrapText(trial.command, 90)];
  return [head, ...lines.map(escapeText)].join("<br>");
}

/** Write what is shown of the trials that a trace has by their numbers. */
function writeHovers(figure) {
  for (const trace of figure.data) {
    if (Array.isArray(trace.customdata) && typeof trace.customdata[0] === "number") {
      trace.text = trace.customdata.map((number) => describeEnd(trials.get(number)));
    }
  }
}

/** Return what marks the chosen point. Neither is a trace: those of thousands of trials stay as they are. */
function makeMarks() {
  if (!chosen) return { shapes: [], annotations: [] };
  const curve = curves[curveNumbers.get(chosen.trial)] || [];
  const path = chosen.foreign || curve.length < 2 ? "" : `M${curve.map((pair) => pair.join(",")).join("L")}`;
  return {
    shapes: path ? [{ type: "path", path, xref: "x", yref: "y", layer: "below", line: { color: "#D55E00", width: 2 } }] : [],
    annotations: [{ x: Math.log10(chosen.x), y: Math.log10(chosen.y), xref: "x", yref: "y", text: "◆", showarrow: false,
      font: { size: 22, color: "#D55E00" } }],
  };
}

const NARROW = 900; // pixels of a page in which long titles stand in lines and legends below
const PRINTED = { width: 660, height: 430 }; // pixels between the margins of A4 and Letter

/** Return the layout for the width that there is: titles in lines, the legend below, fingers scroll the page. */
function fitLayout(layout, width) {
  const fitted = Object.assign({}, layout);
  if (matchMedia("(pointer: coarse)").matches) fitted.dragmode = false;
  const fitTitle = (title, letters) => Object.assign({}, title, { text: wrapText(title.text.replace(/<\/?b>/g, ""), letters).join("<br>") });
  for (const name of ["xaxis", "yaxis"]) {
    const { title } = layout[name];
    if (title) fitted[name] = Object.assign({}, layout[name], { title: fitTitle(title, Math.max(24, Math.floor((width - 60) / 7.5))) });
  }
  if (width >= NARROW) return fitted;
  if (layout.title) delete fitted.title; // it is the heading of the page
  fitted.font = Object.assign({}, layout.font, { size: 11 });
  fitted.margin = Object.assign({}, layout.margin, { l: 64, r: 12, t: 20, b: 90 });
  if (layout.legend) fitted.legend = Object.assign({}, layout.legend, { y: -0.24, yanchor: "top" });
  return fitted;
}

function drawFrontier() {
  const { figure } = study;
  curves = cutCurves(figure.data.find((trace) => trace.name === "curves"));
  writeHovers(figure);
  const shown = fitLayout(figure.layout, get("frontier").clientWidth || innerWidth);
  const layout = Object.assign({}, shown, { uirevision: "kept", autosize: true }, makeMarks());
  return plot(get("frontier"), figure.data, layout, Object.assign({ responsive: true }, study.config));
}

function drawPairs() {
  study.pairs.forEach((figure, index) => {
    writeHovers(figure);
    const place = get(`pair-${index + 1}`) || Object.assign(make("div", undefined, get("pairs")), { id: `pair-${index + 1}` });
    nameChart(place, `${figure.layout.yaxis.title.text} against ${figure.layout.xaxis.title.text}`);
    const width = Math.min(figure.layout.width, get("pairs").clientWidth || innerWidth);
    const layout = Object.assign({ uirevision: "kept" }, fitLayout(figure.layout, width), { width });
    plot(place, figure.data, layout, study.config);
  });
}

/** Draw a chart; its shapes are hidden from who cannot see them, its name and the buttons are not. */
function plot(place, traces, layout, config) {
  const hide = () => {
    const shapes = [...place.querySelectorAll("svg, canvas"), ...document.querySelectorAll("#js-plotly-tester")];
    for (const shape of shapes) shape.setAttribute("aria-hidden", "true");
  };
  return Plotly.react(place, traces, paintLayout(layout), config).then(() => {
    hide();
    if (!place.dataset.hides) place.on("plotly_afterplot", hide);
    place.dataset.hides = "yes";
  });
}

/** Say what a chart is to who cannot see it; its points are in the table. */
function nameChart(place, text) {
  place.setAttribute("role", "figure");
  place.setAttribute("aria-label", `Chart: ${text}`);
}

// ---- what a person opens --------------------------------------------------------------------------------------

function axis(title, more) {
  return Object.assign({ title: { text: title }, automargin: true, zeroline: false }, more);
}

function line(steps, name, more) {
  return { x: steps.map((step) => step[0]), y: steps.map((step) => step[1]), mode: "lines", name, line: Object.assign({ shape: "hv" }, more) };
}

const charts = {
  history(place) {
    const other = study.overlay;
    const lines = other
      ? [line(other.own_progress, "this study"), line(other.progress, other.study, { dash: "dash", color: "#009E73" })]
      : [line(study.progress, "this study")];
    nameChart(place, "hypervolume against device-seconds spent");
    const layout = { showlegend: Boolean(other), margin: { t: 40, r: 30 }, xaxis: axis("device-seconds spent"),
      yaxis: axis("hypervolume, share of the window", { rangemode: "tozero" }) };
    draw(place, lines, layout);
  },
  slices(place) {
    const select = get("slice") || makeSelect(place);
    for (const key of study.keys) {
      if (![...select.options].some((option) => option.value === key)) make("option", key, select);
    }
    const key = select.value;
    const tried = study.trials.filter((trial) => trial.params[key] !== undefined && trial.value !== null);
    const values = tried.map((trial) => trial.params[key]);
    const numbers = values.every((value) => typeof value === "number");
    const wide = numbers && Math.min(...values) > 0 && Math.max(...values) > 20 * Math.min(...values);
    const dots = { type: "scattergl", mode: "markers", x: numbers ? Float64Array.from(values) : values.map(String),
      y: Float64Array.from(tried, (trial) => trial.value), text: tried.map((trial) => `trial ${trial.number}`),
      marker: { color: tried.map((trial) => Math.log10(trial.cost)), showscale: true, colorbar: { title: { text: "log10 device-seconds" } } } };
    nameChart(place, `${study.measure} against ${key}, a dot for each trial`);
    const layout = { margin: { t: 40 }, xaxis: axis(key, { type: numbers ? (wide ? "log" : "linear") : "category" }), yaxis: axis(study.measure) };
    draw(place, [dots], layout);
  },
  parallel(place) {
    const tried = study.trials.filter((trial) => trial.value !== null);
    const dimensions = study.keys.map((key) => {
      const values = tried.map((trial) => trial.params[key]);
      if (values.every((value) => typeof value === "number")) return { label: key, values };
      const there = [...new Set(values.filter((value) => value !== undefined))];
      if (there.every((value) => typeof value === "number")) there.sort((first, second) => first - second);
      const names = [...(there.length && values.includes(undefined) ? ["not set"] : []), ...there.map(String)];
      const place = (value) => names.indexOf(value === undefined ? "not set" : String(value));
      return { label: key, values: values.map(place), tickvals: names.map((_, index) => index), ticktext: names };
    });
    dimensions.push({ label: "log10 device-seconds", values: tried.map((trial) => Math.log10(trial.cost)) });
    dimensions.push({ label: study.measure, values: tried.map((trial) => trial.value) });
    nameChart(place, "all settings of each trial, a line for each");
    const layout = { margin: { l: 90, r: 60, t: 60, b: 30 }, width: Math.max(place.clientWidth, 110 * dimensions.length) };
    plot(place, [{ type: "parcoords", dimensions, line: { color: tried.map((trial) => trial.value), showscale: true } }], layout, study.config);
  },
};

function draw(place, traces, layout) {
  plot(place, traces, fitLayout(layout, place.clientWidth || innerWidth), Object.assign({ responsive: true }, study.config));
}

function makeSelect(place) {
  const label = make("label", "setting "), select = make("select", undefined, label);
  select.id = "slice";
  select.onchange = () => charts.slices(place);
  place.before(label);
  return select;
}

function openChart(name) {
  drawn.add(name);
  charts[name](get(name));
}

// ---- light and dark ---------------------------------------------------------------------------------------------

/** Return the layout in the colours of the page. */
function paintLayout(layout) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const painted = Object.assign({}, layout, { paper_bgcolor: colour("--paper"), plot_bgcolor: colour("--paper"),
    font: Object.assign({}, layout.font, { color: colour("--ink") }),
    hoverlabel: Object.assign({}, layout.hoverlabel, { bgcolor: colour("--panel"), font: { color: colour("--ink"), family: "monospace" } }) });
  for (const name of ["xaxis", "yaxis"]) {
    painted[name] = Object.assign({}, layout[name], { gridcolor: colour("--line"), linecolor: colour("--line"),
      tickfont: Object.assign({}, layout[name] && layout[name].tickfont, { color: colour("--dim") }) });
  }
  return painted;
}

function drawCharts() {
  if (study.points.length || study.trials.some((trial) => trial.value !== null)) {
    drawFrontier();
    drawPairs();
  }
  for (const name of drawn) charts[name](get(name));
}
