// Samples: drawn in steps and rows, and stretched to the width of the page.
const NOTHING = 255; // A step without a label.
function strip(steps, rows, height, ...children) {
  const box = `0 0 ${steps} ${rows}`;
  const made = { viewBox: box, preserveAspectRatio: "none", class: "strip", height };
  return shape("svg", made, ...children);
}

const FEW = 24; // Steps up to which a mark is as wide as its step.
function raster(text, steps, rows) {
  const packed = bytes(text);
  const height = Math.min(Math.max(3.2 * rows, 26), 210);
  const few = steps <= FEW;
  let d = "";
  for (let t = 0; t < steps; t++)
    for (let row = 0; row < rows; row++) {
      const bit = t * rows + row;
      if (packed[bit >> 3] & (128 >> (bit & 7)))
        d += few ? `M${t + 0.2} ${row + 0.5}h.6` : `M${t + 0.5} ${row + 0.1}v.8`;
    }
  const spikes = shape("path", { d, class: "spikes" });
  const width = few ? (0.75 * height) / rows : Math.min(Math.max(160 / steps, 1.2), 2.6);
  spikes.style.strokeWidth = width;
  return strip(steps, rows, height, spikes);
}

const number = (value) => value.toFixed(2).replace("-", "\u2212");

const line = (text, class_) => {
  let d = "";
  bytes(text).forEach((value, t) => (d += `${t ? "L" : "M"}${t + 0.5} ${100 - (value / 255) * 100}`));
  return shape("path", { d, class: `trace ${class_}` });
};

function traced(curve, steps, height = 56) {
  const parts = [];
  if (curve.mark !== null && curve.mark !== undefined) {
    const d = `M0 ${100 - 100 * curve.mark}H${steps}`;
    parts.push(shape("path", { d, class: "threshold" }));
  }
  return strip(steps, 100, height, ...parts, line(curve.y, "s0"));
}

function image(found) {
  const canvas = el("canvas", { width: found.w, height: found.h, role: "img" });
  const drawing = canvas.getContext("2d");
  const made = drawing.createImageData(found.w, found.h);
  const levels = bytes(found.p);
  for (let i = 0; i < found.w * found.h; i++) {
    for (let c = 0; c < 3; c++)
      made.data[4 * i + c] = levels[i * found.channels + (found.channels === 3 ? c : 0)];
    made.data[4 * i + 3] = 255;
  }
  drawing.putImageData(made, 0, 0);
  const heat = found.kind === "heat";
  canvas.style.width = heat ? "100%" : `${Math.min(280, found.w * Math.ceil(160 / found.w))}px`;
  canvas.style.height = heat ? `${Math.min(Math.max(2 * found.h, 40), 160)}px` : "auto";
  return canvas;
}

function classes(text, steps, y) {
  const values = bytes(text);
  const paths = new Map();
  for (let t = 0; t < steps; ) {
    let until = t;
    while (until < steps && values[until] === values[t]) until++;
    if (values[t] !== NOTHING) {
      const d = `M${t} ${y}H${until}v10H${t}z`;
      paths.set(values[t], (paths.get(values[t]) || "") + d);
    }
    t = until;
  }
  return [...paths].map(([k, d]) => shape("path", { d, class: `class c${k % 10}` }));
}

function mistakes(found, steps, y) {
  const [wanted, answer] = [bytes(found.true), bytes(found.answer)];
  let d = "";
  for (let t = 0; t < steps; t++)
    if (wanted[t] !== NOTHING && wanted[t] !== answer[t]) d += `M${t} ${y}h1v3h-1z`;
  return shape("path", { d, class: "mistake" });
}

function titled(title, small, ...parts) {
  const heading = el("h3", {}, title);
  if (small) heading.append(el("small", {}, small));
  return el("div", { class: "row" }, heading, ...parts);
}

function time(steps) {
  const width = byId("sample-view").clientWidth || 800;
  const rough = steps / (width < 500 ? 3 : 6);
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) || 1;
  const axis = el("div", { class: "time" });
  for (let t = 0; t < steps; t += step) {
    const at = (t + 0.5) / steps;
    if ((1 - at) * width < 110) break;
    const tick = el("span", {}, t.toLocaleString("en"));
    tick.style.left = `${100 * at}%`;
    axis.append(tick);
  }
  const end = el("span", { class: "end" }, `timestep ${(steps - 1).toLocaleString("en")}`);
  end.style.left = "100%";
  axis.append(end);
  return axis;
}

function inputs(found, steps) {
  if (found.kind === "image" || found.kind === "heat") return [image(found)];
  if (found.kind === "raster") return [raster(found.spikes, steps, found.rows)];
  return found.rows.map((curve) => traced(curve, steps, 64));
}

function strips(found, steps) {
  if (found.kind === "labels")
    return [
      titled("labels", "", raster(found.true, steps, found.rows)),
      titled("answers", "", raster(found.answer, steps, found.rows)),
    ];
  if (found.kind === "values")
    return found.rows.map((row, k) =>
      titled(`value ${k}`, `from ${number(row.low)} to ${number(row.high)}; blue is true, orange the answer`,
        strip(steps, 100, 90, line(row.true, "s0"), line(row.answer, "s1"))));
  const legend = el("p", { class: "legend" });
  data.classes.forEach((name, k) => {
    legend.append(el("span", { class: "entry" }, el("i", { class: `mark c${k % 10}` }), name));
  });
  const told = el("p", { class: "readout" });
  const made = strip(steps, 24, 84, ...classes(found.true, steps, 0),
    mistakes(found, steps, 10.5), ...classes(found.answer, steps, 14));
  made.id = "steps";
  const [wanted, answer] = [bytes(found.true), bytes(found.answer)];
  const tell = (event) => {
    const box = made.getBoundingClientRect();
    const t = Math.floor(((event.clientX - box.left) / box.width) * steps);
    const at = Math.min(Math.max(t, 0), steps - 1);
    const label = wanted[at] === NOTHING ? "none" : data.classes[wanted[at]];
    told.textContent = `step ${at}: label ${label}, answer ${data.classes[answer[at]]}`;
  };
  made.addEventListener("pointermove", tell);
  made.addEventListener("pointerdown", tell);
  return [titled("labels above, answers below", "marks between them are mistakes", made, legend, told)];
}

function draw() {
  const view = byId("sample-view");
  const run = data.samples[chosen["sample-run"]];
  const at = Math.min(chosen.sample, run.labels.length - 1);
  const steps = run.steps[at];
  const answer = el("p", { class: "answer" }, run.answers[at]);
  if (run.answers[at].includes(", wrong: ")) answer.classList.add("wrong");
  const parts = [answer, titled(run.inputs[at].title, "", ...inputs(run.inputs[at], steps))];
  if (run.strips) parts.push(...strips(run.strips[at], steps));
  run.layers.forEach((layer, place) => {
    if (chosen["sample-layer"] && chosen["sample-layer"] - 1 !== place) return;
    parts.push(titled(layer.title, layer.rate, raster(layer.spikes[at], steps, layer.rows)));
    layer.traces[at].forEach((curve, k) => {
      const words = `membrane of ${layer.neurons[k]}, from ${number(curve.low)} to ${number(curve.high)}`;
      parts.push(el("div", { class: "row" }, el("p", {}, words), traced(curve, steps)));
    });
  });
  parts.push(time(steps));
  view.replaceChildren(...parts);
}

if (byId("sample-view") && data.samples) {
  for (const group of ["sample", "sample-layer"]) after[group] = draw;
  after["sample-run"] = () => {
    // Each contender has its own layers.
    const list = document.querySelector('select[data-chooses="sample-layer"]');
    const titles = ["all layers", ...data.samples[chosen["sample-run"]].layers.map((l) => l.title)];
    list.replaceChildren(...titles.map((title, i) => el("option", { value: i }, title)));
    chosen["sample-layer"] = 0;
    draw();
  };
  draw();
}
