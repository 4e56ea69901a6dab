"use strict";
// The controls of the page. Names from a run folder only ever become text, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const all = (selector) => [...document.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Packed numbers: bytes, bits (the highest first), 16-bit integers in tenths of a pixel.
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const unpacked = new Map();
function pixels(text) {
  if (!unpacked.has(text)) {
    const view = new DataView(bytes(text).buffer);
    const read = (_, i) => view.getInt16(2 * i, true);
    unpacked.set(text, Array.from({ length: view.byteLength / 2 }, read));
  }
  return unpacked.get(text);
}

// Lists to choose from: each shows the panels of its group with the chosen number.
const chosen = {};
const after = {};
for (const list of all("select[data-chooses]")) {
  const group = list.dataset.chooses;
  const choose = () => {
    chosen[group] = Number(list.value);
    for (const panel of all(`[data-group="${group}"]`))
      panel.hidden = Number(panel.dataset.choice) !== chosen[group];
    after[group]?.();
  };
  chosen[group] = Number(list.value);
  list.addEventListener("change", choose);
}

// Dynamics: the slider moves what has frames.
const MISSING = -32768;
function frame(found, at, epochs) {
  if (found.dots) {
    const places = pixels(found.dots);
    const size = places.length / epochs;
    let d = "";
    for (let i = at * size; i < (at + 1) * size; i += 2)
      if (places[i] !== MISSING && places[i + 1] !== MISSING)
        d += `M${places[i] / 10} ${places[i + 1] / 10}h0`;
    return d;
  }
  const y = pixels(found.y);
  const points = found.x.length;
  let d = "";
  for (let curve = 0; curve < found.curves; curve++) {
    let pen = "M";
    for (let p = 0; p < points; p++) {
      const value = y[(at * found.curves + curve) * points + p];
      if (value !== MISSING) d += `${pen}${found.x[p]} ${value / 10}`;
      pen = value === MISSING ? "M" : "L";
    }
  }
  return d;
}

const slider = byId("epoch");
if (slider) {
  const move = () => {
    const contender = chosen.dynamics || 0;
    const at = Number(slider.value);
    byId("at").textContent = data.epochs[contender][at];
    for (const path of all("path[data-frames]")) {
      const key = path.dataset.frames;
      if (!key.startsWith(`${contender}-`)) continue;
      path.setAttribute("d", frame(data.frames[key], at, data.epochs[contender].length));
    }
    for (const words of all("[data-words]"))
      if (words.dataset.words.startsWith(`${contender}-`))
        words.textContent = data.words[words.dataset.words][at];
  };
  const byContender = () =>
    document.querySelector(`[data-group="dynamics"][data-choice="${chosen.dynamics}"]`);
  slider.addEventListener("input", move);
  const views = document.querySelector('select[data-chooses="view"]');
  after.dynamics = () => {
    if (views) views.parentElement.hidden = !byContender().querySelector('[data-group="view"]');
    slider.max = data.epochs[chosen.dynamics].length - 1;
    slider.value = slider.max;
    move();
  };
  after.dynamics();
}

// Learning curves: the values at the epoch that is pointed at.
const curves = byId("curves");
if (curves && data.curves) {
  const [start, end, low, high] = data.curves.x;
  const rule = byId("rule");
  const show = (event) => {
    const box = curves.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * curves.viewBox.baseVal.width;
    const raw = low + ((x - start) / (end - start)) * (high - low);
    const epoch = Math.round(Math.min(Math.max(raw, 1), data.curves.epochs));
    const at = start + ((epoch - low) / (high - low)) * (end - start);
    rule.setAttribute("x1", at);
    rule.setAttribute("x2", at);
    rule.removeAttribute("hidden");
    const told = data.curves.series.map((series) => {
      const row = series.rows[epoch - 1];
      const entry = el("span", {});
      if (!row) return entry;
      const range = row[1] === row[2] ? "" : ` (${row[1].toFixed(1)} to ${row[2].toFixed(1)})`;
      entry.append(`${series.name} ${row[0].toFixed(1)}${range}`);
      return entry;
    });
    byId("readout").replaceChildren(el("span", {}, `epoch ${epoch}:`), ...told);
  };
  curves.addEventListener("pointermove", show);
  curves.addEventListener("pointerdown", show);
}
