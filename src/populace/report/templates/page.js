"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const COLOR = /^(c\d|ink|muted|faint|line|grid|panel|paper|seq:[\d.]+)(?:\/([\d.]+))?$/;
  const PAPER_WIDTH = 680; // A4 between the margins, in CSS pixels
  let specs = JSON.parse(document.getElementById("specs").textContent);
  const charts = [...document.querySelectorAll("[data-chart]")];
  const hidden = {};
  let printing = false;

  // Colors are defined in the stylesheet alone: the browser resolves each name for the current theme.
  function palette() {
    const probe = document.body.appendChild(document.createElement("span"));
    const known = {};
    const channels = (name) => {
      if (!known[name]) {
        probe.style.color = `var(--${name})`;
        known[name] = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
      }
      return known[name];
    };
    const done = () => probe.remove();
    const color = (word) => {
      const parts = typeof word === "string" && COLOR.exec(word);
      if (!parts) return word;
      let rgb;
      if (parts[1].startsWith("seq:")) {
        const share = Math.min(1, Math.max(0, Number(parts[1].slice(4))));
        const low = channels("seq-low"), high = channels("seq-high");
        rgb = low.map((from, i) => Math.round(from + share * (high[i] - from)));
      } else {
        rgb = channels(parts[1]);
      }
      return `rgba(${rgb.join(",")},${parts[2] === undefined ? 1 : parts[2]})`;
    };
    return { color, done };
  }

  // Only values of color keys are colors: a recipe may be named "ink".
  function painted(value, key, color) {
    const isColor = /color(scale)?$/.test(key);
    if (Array.isArray(value)) return value.map((item) => painted(item, isColor ? "color" : "", color));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v, k, color)]));
    }
    return isColor ? color(value) : value;
  }

  function assign(target, path, value) {
    const keys = path.split(".");
    const last = keys.pop();
    keys.reduce((at, key) => (at[key] = at[key] || {}), target)[last] = value;
  }

  function draw(element) {
    const spec = specs[element.dataset.chart];
    const tones = palette();
    const traces = painted(spec.traces, "", tones.color);
    const layout = painted(spec.layout, "", tones.color);
    tones.done();
    (hidden[element.dataset.chart] || new Set()).forEach((i) => { traces[i].visible = false; });
    const small = element.closest(".multiples");
    const width = printing ? (small ? PAPER_WIDTH / 2 - 20 : PAPER_WIDTH) : element.clientWidth;
    layout.width = width;
    const height = width < 520 ? spec.narrow_height : spec.height;
    layout.height = printing && height > 340 && spec.legend.length ? 300 : height;
    element.style.minHeight = `${layout.height}px`;
    if (width < 520) Object.entries(spec.narrow).forEach(([path, value]) => assign(layout, path, value));
    // Scrolling the page by touch must not zoom the chart.
    if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false;
    return Plotly.react(element, traces, layout, {
      displayModeBar: false, doubleClick: "reset",
    });
  }

  function sample(entry) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("width", "22");
    svg.setAttribute("height", "12");
    svg.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS(SVG, entry.symbol ? "circle" : "line");
    const dash = { dash: "6 3", dot: "2 3", dashdot: "6 3 2 3", longdash: "9 3", longdashdot: "9 3 2 3" }[entry.dash];
    const set = (name, value) => shape.setAttribute(name, value);
    shape.style.stroke = `var(--${entry.color})`;
    set("stroke-width", "2.4");
    if (entry.symbol) {
      set("cx", "11"); set("cy", "6"); set("r", "4");
      shape.style.fill = entry.symbol.endsWith("open") ? "none" : `var(--${entry.color})`;
    } else {
      set("x1", "0"); set("x2", "22"); set("y1", "6"); set("y2", "6");
      if (dash) set("stroke-dasharray", dash);
    }
    svg.append(shape);
    return svg;
  }

  function legend(element) {
    const name = element.dataset.chart;
    const box = document.querySelector(`[data-legend="${name}"]`);
    hidden[name] = new Set();
    box.replaceChildren();
    if (specs[name].legend_heading && specs[name].legend.length) {
      const heading = document.createElement("span");
      heading.className = "legend-heading";
      heading.textContent = specs[name].legend_heading;
      box.append(heading);
    }
    for (const entry of specs[name].legend) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.append(sample(entry), entry.label);
      button.addEventListener("click", () => {
        const off = button.getAttribute("aria-pressed") === "true";
        button.setAttribute("aria-pressed", String(!off));
        entry.traces.forEach((i) => (off ? hidden[name].add(i) : hidden[name].delete(i)));
        draw(element);
      });
      for (const event of ["mouseenter", "focus"]) button.addEventListener(event, () => band(element, entry, true));
      for (const event of ["mouseleave", "blur"]) button.addEventListener(event, () => band(element, entry, false));
      box.append(button);
    }
  }

  // A live page asks for what has changed; a chart that was not there before needs its place in the page.
  const live = document.querySelector("[data-live]");
  async function refresh() {
    const lost = document.getElementById("live-lost");
    try {
      const answer = await fetch(`now.json?seen=${live.dataset.live}`);
      if (!answer.ok) throw new Error(answer.statusText);
      const now = await answer.json();
      lost.hidden = true;
      for (const [place, html] of Object.entries(now.parts)) {
        const element = document.getElementById(place);
        if (element.dataset.shown === html) continue;
        element.innerHTML = element.dataset.shown = html;
        element.querySelectorAll("table.sortable").forEach(sortable);
      }
      if (now.specs) {
        const old = specs;
        live.dataset.live = now.version;
        if (Object.keys(now.specs).join() !== Object.keys(old).join()) return location.reload();
        specs = now.specs;
        for (const element of charts) {
          const name = element.dataset.chart;
          if (JSON.stringify(specs[name].legend) !== JSON.stringify(old[name].legend)) legend(element);
        }
        redraw();
      }
    } catch {
      lost.hidden = false;
    }
    setTimeout(refresh, 2000);
  }

  // Many bands hide one another, so all but the first one's appear while their line or label is pointed at.
  function band(element, entry, shown) {
    const at = entry.traces[0];
    const { meta } = specs[element.dataset.chart].traces[at];
    if (!meta || !meta.fill || !element.data) return;
    const tones = palette();
    const fillcolor = tones.color(shown ? meta.fill : meta.fill.replace(/\/.*/, "/0"));
    tones.done();
    Plotly.restyle(element, { fillcolor }, [at]);
  }

  function bands(element) {
    const entries = specs[element.dataset.chart].legend;
    const of = (event) => entries.find((entry) => entry.traces.includes(event.points[0].curveNumber));
    element.on("plotly_hover", (event) => of(event) && band(element, of(event), true));
    element.on("plotly_unhover", (event) => of(event) && band(element, of(event), false));
  }

  // Among many lines, highlight the one under the pointer and fade the others.
  function fades(element) {
    if (!specs[element.dataset.chart].traces.some((trace) => trace.meta && trace.meta.fades)) return;
    const lines = specs[element.dataset.chart].traces.map((_, i) => i);
    element.on("plotly_hover", (event) => {
      const over = event.points[0].curveNumber;
      Plotly.restyle(element, { opacity: lines.map((i) => (i === over ? 1 : 0.15)) }, lines);
    });
    element.on("plotly_unhover", () => Plotly.restyle(element, { opacity: 1 }, lines));
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const numeric = head.classList.contains("num");
      const keyed = [...body.rows].map((row) => {
        const key = row.cells[column].dataset.key;
        const last = key === undefined || ("score" in head.dataset && row.classList.contains("diverged"));
        return { row, last, key: numeric && key !== undefined ? Number(key) : key };
      });
      const compare = (a, b) => {
        if (typeof a === "number") return a - b;
        return isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
      };
      keyed.sort((a, b) => {
        if (a.last || b.last) return a.last - b.last;
        return up ? compare(a.key, b.key) : compare(b.key, a.key);
      });
      body.append(...keyed.map(({ row }) => row));
    }));
  }

  function filter(input) {
    const rows = [...document.getElementById(input.dataset.filter).tBodies[0].rows];
    const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase());
    const count = document.getElementById(`${input.dataset.filter}-count`);
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, i) => {
        row.hidden = !words.every((word) => texts[i].includes(word));
        shown += !row.hidden;
      });
      count.textContent = `${shown} of ${rows.length}`;
    });
  }

  // The script of the charts is packed, and larger than all else on the page.
  async function unpacked(packed) {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  let redraw = () => {};
  async function start() {
    const script = document.createElement("script");
    script.textContent = await unpacked(document.getElementById("plotly").textContent);
    document.head.append(script);
    redraw = () => charts.forEach(draw);
    const drawn = charts.map((element) => {
      legend(element);
      const drawing = draw(element);
      const frame = element.parentElement;
      if (specs[element.dataset.chart].from_end) frame.scrollLeft = frame.scrollWidth;
      fades(element);
      bands(element);
      return drawing;
    });
    await Promise.all(drawn);
    document.documentElement.dataset.ready = "true";
    if (live) setTimeout(refresh, 2000);
  }

  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll("[data-filter]").forEach(filter);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

  let width = document.documentElement.clientWidth;
  let waiting = 0;
  addEventListener("resize", () => {
    if (printing || width === document.documentElement.clientWidth) return;
    width = document.documentElement.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(() => redraw(), 80);
  });

  let closed = [];
  addEventListener("beforeprint", () => {
    printing = true;
    document.documentElement.classList.add("paper");
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => { details.open = true; });
    redraw();
  });
  addEventListener("afterprint", () => {
    printing = false;
    document.documentElement.classList.remove("paper");
    closed.forEach((details) => { details.open = false; });
    redraw();
  });
  start();
})();
