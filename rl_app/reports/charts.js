"use strict";
(() => {
  const { live, goal, points, more } = JSON.parse(document.getElementById("data").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const LARGE = { top: 12, right: 12, bottom: 24, left: 56, height: 300, across: 90, down: 50 };
  const SMALL = { top: 8, right: 8, bottom: 20, left: 48, height: 120, across: 80, down: 40 };
  const RELOAD_MS = 5000;

  const AXES = {
    steps: { name: "env steps", format: short, steps: decimal },
    time: { name: "time", format: clock, steps: clockSteps },
    iteration: { name: "iterations", format: short, steps: (span, n) => Math.max(1, decimal(span, n)) },
  };

  const CHARTS = {
    reward: {
      line: points.mean,
      bands: [
        { name: "range", low: points.low, high: points.high },
        { name: "deviation", low: shifted(-1), high: shifted(1) },
      ],
      goal,
      key: "mean of the last episodes · dark: ± one standard deviation · light: lowest to highest",
      describe: (i) => [
        `reward ${number(points.mean[i])}` +
          (points.deviation[i] === null ? "" : ` ± ${number(points.deviation[i])}`),
        `${number(points.low[i])} to ${number(points.high[i])}`,
      ],
    },
    throughput: {
      line: points.throughput,
      bands: [],
      fromZero: true,
      key: "environment steps a second, within the iterations",
      describe: (i) => [`${number(points.throughput[i])} steps a second`],
    },
  };

  for (const [name, column] of Object.entries(more)) {
    const [low, high] = ["min", "max"].map((edge) => more[name.replace(/reward_mean$/, `reward_${edge}`)]);
    CHARTS[name] = {
      line: column,
      bands: low && low !== column ? [{ name: "range", low, high }] : [],
      sparse: true,
      describe: (i) => [`${name.replace("custom_metrics/", "")} ${precise(column[i])}`],
    };
  }

  // The standard deviation never shows more than there was.
  function shifted(sign) {
    return points.mean.map((mean, i) => {
      if (mean === null || points.deviation[i] === null) return null;
      const edge = mean + sign * points.deviation[i];
      return sign < 0 ? Math.max(edge, points.low[i]) : Math.min(edge, points.high[i]);
    });
  }

  function short(value) {
    const size = Math.abs(value);
    const [unit, letter] = size >= 1e9 ? [1e9, "G"] : size >= 1e6 ? [1e6, "M"] : size >= 1e4 ? [1e3, "k"] : [1, ""];
    return Number((value / unit).toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 4 }) + letter;
  }

  function tiny(value) {
    return value !== 0 && Math.abs(value) < 0.01 ? Number(value.toPrecision(2)).toExponential() : short(value);
  }

  function precise(value) {
    return value === null ? "–" : Number(value.toPrecision(5)).toString();
  }

  function number(value) {
    return value === null ? "–" : value.toLocaleString("en", { maximumFractionDigits: 2 });
  }

  function clock(seconds) {
    const whole = Math.round(seconds);
    const two = (n) => String(n).padStart(2, "0");
    const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
  }

  function decimal(span, n) {
    const rough = span / n;
    const power = 10 ** Math.floor(Math.log10(rough));
    return power * [1, 2, 5, 10].find((step) => step * power >= rough);
  }

  function clockSteps(span, n) {
    const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
    return steps.find((step) => step >= span / n) || Math.ceil(span / n / 86400) * 86400;
  }

  function ticks(low, high, step) {
    const found = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
    return found;
  }

  function add(parent, name, attributes = {}, text = "") {
    const node = parent.appendChild(document.createElementNS(SVG, name));
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text) node.textContent = text;
    return node;
  }

  function element(parent, name, className, text = "") {
    const node = parent.appendChild(document.createElement(name));
    node.className = className;
    node.textContent = text;
    return node;
  }

  // Runs of consecutive points that have a value; a gap stays a gap, but where values are sparse by nature.
  function runs(values, sparse = false) {
    const known = [...values.keys()].filter((i) => values[i] !== null);
    if (sparse) return known.length ? [known] : [];
    const found = [];
    values.forEach((value, i) => {
      if (value === null) return;
      if (i === 0 || values[i - 1] === null) found.push([]);
      found[found.length - 1].push(i);
    });
    return found;
  }

  function extent(chart) {
    const values = [chart.line, ...chart.bands.flatMap((band) => [band.low, band.high])].flat();
    if (Number.isFinite(chart.goal)) values.push(chart.goal);
    if (chart.fromZero) values.push(0);
    const known = values.filter((value) => value !== null);
    const [low, high] = [Math.min(...known), Math.max(...known)];
    const room = (high - low || Math.abs(high) || 1) * 0.04;
    return [chart.fromZero ? low : low - room, high + room];
  }

  function draw(holder, chart, axis) {
    const small = holder.classList.contains("small");
    const room = small ? SMALL : LARGE;
    const width = Math.max(small ? 180 : 280, holder.clientWidth);
    const height = small || width >= 500 ? room.height : 220;
    const xs = points[axis];
    const last = xs[xs.length - 1] || 1;
    const [low, high] = extent(chart);
    const x = (value) => room.left + (value / last) * (width - room.left - room.right);
    const y = (value) => height - room.bottom - ((value - low) / (high - low)) * (height - room.top - room.bottom);
    const at = (i, values) => `${x(xs[i]).toFixed(1)},${y(values[i]).toFixed(1)}`;

    holder.textContent = "";
    const svg = add(holder, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    svg.setAttribute("aria-label", `${holder.dataset.chart} over ${AXES[axis].name}: ${chart.describe(xs.length - 1)}`);

    const yStep = decimal(high - low, height / room.down);
    for (const value of ticks(low, high, yStep)) {
      add(svg, "line", { class: "grid", x1: room.left, x2: width - room.right, y1: y(value), y2: y(value) });
      add(svg, "text", { x: room.left - 8, y: y(value) + 4, "text-anchor": "end" }, tiny(value));
    }
    const format = AXES[axis].format;
    for (const value of ticks(0, last, AXES[axis].steps(last, width / room.across))) {
      const anchor = x(value) > width - 30 ? "end" : "middle";
      add(svg, "text", { x: x(value), y: height - 6, "text-anchor": anchor }, format(value));
    }

    for (const band of chart.bands) {
      for (const run of runs(band.low, chart.sparse)) {
        const edge = [...run.map((i) => at(i, band.high)), ...run.reverse().map((i) => at(i, band.low))];
        add(svg, "polygon", { class: band.name, points: edge.join(" ") });
      }
    }
    if (Number.isFinite(chart.goal)) {
      const level = y(chart.goal);
      add(svg, "line", { class: "goal", x1: room.left, x2: width - room.right, y1: level, y2: level });
      const label = { class: "goal-label", x: room.left + 6, y: level + (level < 30 ? 15 : -5) };
      add(svg, "text", label, `goal ${number(chart.goal)}`);
    }
    for (const run of runs(chart.line, chart.sparse)) {
      if (run.length === 1) add(svg, "circle", { class: "dot", cx: x(xs[run[0]]), cy: y(chart.line[run[0]]), r: 3 });
      else add(svg, "polyline", { class: "curve", points: run.map((i) => at(i, chart.line)).join(" ") });
    }
    if (chart.key) element(holder, "p", "key", `${chart.key} · over ${AXES[axis].name}`);
    follow(holder, svg, { xs, x, y, chart, width, height, room });
  }

  function follow(holder, svg, { xs, x, y, chart, width, height, room }) {
    const cursor = add(svg, "g", { visibility: "hidden" });
    const line = add(cursor, "line", { class: "cursor", y1: room.top, y2: height - room.bottom });
    const dot = add(cursor, "circle", { class: "dot", r: 4 });
    const tooltip = element(holder, "div", "tooltip");
    tooltip.hidden = true;

    function show(event) {
      const box = svg.getBoundingClientRect();
      const wanted = ((event.clientX - box.left) / box.width) * width;
      let i = 0;
      xs.forEach((value, j) => {
        if (chart.sparse && chart.line[j] === null) return;
        if ((chart.sparse && chart.line[i] === null) || Math.abs(x(value) - wanted) < Math.abs(x(xs[i]) - wanted)) i = j;
      });
      line.setAttribute("x1", x(xs[i]));
      line.setAttribute("x2", x(xs[i]));
      dot.setAttribute("visibility", chart.line[i] === null ? "hidden" : "inherit");
      if (chart.line[i] !== null) {
        dot.setAttribute("cx", x(xs[i]));
        dot.setAttribute("cy", y(chart.line[i]));
      }
      cursor.setAttribute("visibility", "visible");
      tooltip.textContent = [
        ...chart.describe(i),
        `iteration ${number(points.iteration[i])}`,
        `${number(points.steps[i])} steps, ${clock(points.time[i])}`,
      ].join("\n");
      tooltip.hidden = false;
      const left = (x(xs[i]) / width) * box.width;
      const fits = left + tooltip.offsetWidth + 12 < box.width;
      tooltip.style.left = `${fits ? left + 12 : Math.max(0, left - tooltip.offsetWidth - 12)}px`;
    }

    function hide() {
      cursor.setAttribute("visibility", "hidden");
      tooltip.hidden = true;
    }

    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", hide);
  }

  const holders = [...document.querySelectorAll(".chart[data-chart]")];

  function drawAll() {
    const axis = chosen();
    for (const holder of holders) draw(holder, CHARTS[holder.dataset.chart], axis);
    for (const button of document.querySelectorAll(".axes button")) {
      button.setAttribute("aria-pressed", button.value === axis);
    }
  }

  // In the address, so that a reload keeps it.
  function chosen() {
    const name = location.hash.slice(1);
    return name in AXES ? name : "steps";
  }

  if (holders.length) {
    const bar = document.createElement("div");
    bar.className = "axes";
    holders[0].before(bar);
    for (const [name, { name: text }] of Object.entries(AXES)) {
      const button = element(bar, "button", "", text);
      button.type = "button";
      button.value = name;
      button.addEventListener("click", () => location.replace(`#${name}`));
    }
    drawAll();
    addEventListener("hashchange", drawAll);
    let width = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth !== width) drawAll();
      width = innerWidth;
    });
  }

  if (live) {
    setInterval(() => {
      const watched = [...document.querySelectorAll("video")].some((video) => !video.paused);
      if (!watched && !document.hidden) location.reload();
    }, RELOAD_MS);
  }
})();
