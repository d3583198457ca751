"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const MOST_FIELDS = 32;
  const MOST_CHOICES = 100;
  const MOST_ROWS = 12;
  // Beyond it, bounds say nothing of what is usual
  const WIDEST_RANGE = 1e6;
  // Linux takes no longer word of a command line
  const LONGEST_WORD = 100000;
  const byId = (id) => document.getElementById(id);

  // ---- the form: each control is made for a space, writes JSON text and can be filled from a value

  const isFloat = (space) => space.type === "Box" && space.dtype.startsWith("float");
  const count = (shape) => shape.reduce((product, size) => product * size, 1);
  const at = (bound, i) => (Array.isArray(bound) ? bound[i] : bound);

  function control(space, name) {
    if (space.type === "Dict" || space.type === "Tuple") return group(space, name);
    if (space.type === "Discrete" && space.n <= MOST_CHOICES) return choice(space, name);
    return count(space.shape) > MOST_FIELDS ? area(space, name) : fields(space, name);
  }

  function group(space, name) {
    const parts = Object.entries(space.spaces).map(([key, part]) => [key, control(part, `${name}.${key}`)]);
    const element = make("div");
    for (const [key, part] of parts) element.append(make("fieldset", {}, make("legend", {}, key), part.element));
    const inObject = space.type === "Dict";
    const texts = () => parts.map(([key, part]) => (inObject ? `${JSON.stringify(key)}: ` : "") + part.text());
    return {
      element,
      text: () => (inObject ? `{${texts().join(", ")}}` : `[${texts().join(", ")}]`),
      fill: (value) => parts.forEach(([key, part]) => part.fill(value[key])),
    };
  }

  function choice(space, name) {
    const element = make("select", { name, ariaLabel: name });
    for (let i = 0; i < space.n; i++) element.append(make("option", {}, String((space.start || 0) + i)));
    return { element, text: () => element.value, fill: (value) => { element.value = value; } };
  }

  function area(space, name) {
    const element = make("textarea", { name, spellcheck: false, ariaLabel: `${name} as JSON` });
    const note = make("span", { className: "field" }, `JSON of the shape [${space.shape.join(", ")}]`);
    return {
      element: make("label", {}, note, element),
      text: () => element.value,
      fill: (value) => { element.value = JSON.stringify(value); },
    };
  }

  function fields(space, name) {
    const inputs = Array.from({ length: count(space.shape) }, (_, i) => field(space, name, i));
    const element = make("div", { className: "fields" });
    inputs.forEach((input, i) => {
      const note = make("small", {}, range(at(space.low, i), at(space.high, i)));
      element.append(make("label", {}, make("b", {}, `[${index(i, space.shape).join(", ")}]`), " ", note, input));
    });
    return {
      element,
      text: () => written(inputs.map(typed), space.shape),
      fill: (value) => [value].flat(Infinity).forEach((each, i) => { inputs[i].value = each; }),
    };
  }

  function field(space, name, i) {
    const [low, high] = [at(space.low, i), at(space.high, i)];
    const input = make("input", { type: "number", name: `${name}[${i}]`, step: isFloat(space) ? "any" : "1" });
    if (low !== null) input.min = low;
    if (high !== null) input.max = high;
    input.inputMode = low !== null && low >= 0 ? "decimal" : "text";
    return input;
  }

  // What is no number is null, of which the server says what is wrong with it.
  function typed(input) {
    return Number.isFinite(input.valueAsNumber) ? String(input.valueAsNumber) : "null";
  }

  function range(low, high) {
    if (low === null) return high === null ? "" : `≤ ${short(high)}`;
    return high === null ? `≥ ${short(low)}` : `${short(low)} … ${short(high)}`;
  }

  function index(i, shape) {
    return shape.map((_, axis) => Math.floor(i / count(shape.slice(axis + 1))) % shape[axis]);
  }

  // Texts as nested lists of a shape, in JSON.
  function written(texts, shape) {
    const text = (nested) => (Array.isArray(nested) ? `[${nested.map(text).join(", ")}]` : nested);
    return text(folded(texts, shape));
  }

  function folded(values, shape) {
    if (!shape.length) return values[0];
    const width = count(shape.slice(1));
    return Array.from({ length: shape[0] }, (_, i) => folded(values.slice(i * width, (i + 1) * width), shape.slice(1)));
  }

  // ---- observations to fill it with

  function value(space, number) {
    if (space.type === "Tuple") return space.spaces.map((part) => value(part, number));
    if (space.type === "Dict") {
      return Object.fromEntries(Object.entries(space.spaces).map(([key, part]) => [key, value(part, number)]));
    }
    return folded(Array.from({ length: count(space.shape) }, (_, i) => number(space, i)), space.shape);
  }

  const zero = () => 0;

  function random(space, i) {
    const [low, high] = [at(space.low, i), at(space.high, i)];
    const narrow = low !== null && high !== null && high - low <= WIDEST_RANGE;
    if (!isFloat(space)) {
      return narrow ? low + Math.floor(Math.random() * (high - low + 1)) : Math.max(low, Math.round(9 * normal()));
    }
    const drawn = Number((narrow ? low + Math.random() * (high - low) : normal()).toPrecision(4));
    return Math.min(high ?? Infinity, Math.max(low ?? -Infinity, drawn));
  }

  function normal() {
    return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  }

  // ---- the request

  const observation = control(data.observation, "observation");
  const previous = Object.entries(data.previous).map(
    ([name, space]) => ({ name, space, control: control(space, name) }));
  let state = null;
  let steps = 0;

  function body() {
    const given = [["observations", `[${observation.text()}]`]];
    if (data.policy !== null) given.push(["policy", JSON.stringify(data.policy)]);
    (state || []).forEach((each, i) => given.push([`state_in_${i}`, JSON.stringify(each)]));
    for (const each of previous) given.push([each.name, `[${each.control.text()}]`]);
    if (byId("sample").checked) given.push(["deterministic", "false"]);
    return `{${given.map(([name, text]) => `"${name}": ${text}`).join(", ")}}`;
  }

  const address = new URL("invocations", location.href).href;

  function curl(text) {
    const start = `curl -sS ${quoted(address)} -H 'Content-Type: application/json'`;
    if (text.length < LONGEST_WORD) return `${start} -d ${quoted(text)}`;
    return `${start} --data-binary @- <<'EOF'\n${text}\nEOF`;
  }

  function quoted(word) {
    return `'${word.replace(/'/g, "'\\''")}'`;
  }

  async function ask(event) {
    event.preventDefault();
    const text = body();
    byId("ask").disabled = true;
    const began = performance.now();
    try {
      const headers = { "Content-Type": "application/json" };
      const response = await fetch(address, { method: "POST", headers, body: text });
      const answer = await response.text();
      const ms = performance.now() - began;
      show(response.ok ? answered(JSON.parse(answer).outputs, ms) : refused(response.status, answer));
    } catch (error) {
      show([complaint("No answer", `the server cannot be reached (${error.message})`)]);
    }
    byId("ask").disabled = false;
    byId("curl").textContent = curl(text);
  }

  function compose() {
    byId("curl").textContent = curl(body());
    byId("copied").textContent = "";
  }

  // ---- the answer

  function show(parts) {
    byId("answer").replaceChildren(...parts);
    byId("answer").parentElement.scrollIntoView({ block: "nearest" });
  }

  function answered(outputs, ms) {
    remember(outputs);
    const actions = data.actions.map((_, i) => outputs[`actions_${i}`][0]);
    const shown = actions.map((action) => said(action)).join(" · ");
    return [
      make("p", { className: "action" }, shown),
      make("p", { className: "latency" }, `answered in ${ms.toFixed(1)} ms, measured in this browser`),
      ...distributions(outputs, actions),
      numbers(outputs),
      make("details", {}, make("summary", {}, "The whole answer"), make("pre", {}, JSON.stringify(outputs))),
    ];
  }

  function said(action) {
    if (!Array.isArray(action)) return short(action);
    const values = action.flat(Infinity);
    return `[${values.slice(0, MOST_FIELDS).map(short).join(", ")}${values.length > MOST_FIELDS ? ", …" : ""}]`;
  }

  function refused(status, answer) {
    let text = answer;
    try { text = JSON.parse(answer).error; } catch (_) { /* it is no JSON: shown as it is */ }
    return [complaint(`Refused with ${status}`, text)];
  }

  function complaint(what, text) {
    return make("p", { className: "error", role: "alert" }, make("strong", {}, what), make("br"), text);
  }

  // What the network says of each part of the action: probabilities, means and deviations, or values.
  function distributions(outputs, actions) {
    if (outputs.q_values) {
      return [table("value of each action", [outputs.q_values[0]].flat(Infinity), (i) => i === actions[0], false, data.actions[0].start)];
    }
    if (data.unsampled !== null || !outputs.action_dist_inputs) return [];
    let inputs = outputs.action_dist_inputs[0];
    return data.actions.flatMap((space, part) => {
      const of = data.actions.length > 1 ? ` of part ${part}` : "";
      const take = (n) => { const taken = inputs.slice(0, n); inputs = inputs.slice(n); return taken; };
      if (space.type === "Box") return [normals(space, take(2 * count(space.shape)), actions[part], of)];
      const bits = space.type === "MultiBinary" ? Array(space.n).fill(2) : null;
      const widths = space.type === "MultiDiscrete" ? space.nvec : bits || [space.n];
      return widths.map((n, i) => {
        const chosen = [actions[part]].flat(Infinity)[i];
        const which = widths.length > 1 ? `${of} [${i}]` : of;
        return table(`probability of each action${which}`, softmax(take(n)), (k) => k === chosen, true, space.start);
      });
    });
  }

  function softmax(logits) {
    const most = Math.max(...logits);
    const weights = logits.map((logit) => Math.exp(logit - most));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  }

  // Of many values the largest only, for the others are of no interest.
  // ``start`` is what the first of them is called.
  function table(caption, values, isChosen, isShare, start = 0) {
    const order = values.map((_, i) => i);
    if (values.length > MOST_ROWS) order.sort((a, b) => values[b] - values[a]).splice(MOST_ROWS);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    const rows = make("tbody");
    for (const i of order) {
      const bar = make("span", { className: "bar" });
      bar.style.width = `${100 * (isShare ? values[i] : (values[i] - least) / (most - least || 1))}%`;
      rows.append(make("tr", { className: isChosen(start + i) ? "chosen" : "" },
        make("th", { scope: "row" }, String(start + i)), make("td", {}, bar),
        make("td", {}, isShare ? `${(100 * values[i]).toFixed(1)} %` : short(values[i]))));
    }
    const rest = values.length - order.length;
    const title = make("caption", {}, caption + (rest ? `, the ${MOST_ROWS} largest of ${values.length}` : ""));
    return make("table", { className: "bars" }, title, rows);
  }

  function normals(space, inputs, action, of) {
    const n = inputs.length / 2;
    const squashed = data.distribution === "SquashedGaussian" ? ", before tanh" : "";
    const titles = ["", "action", `mean${squashed}`, "deviation"];
    const head = make("tr", {}, ...titles.map((word) => make("th", { scope: "col" }, word)));
    const rows = make("tbody");
    [action].flat(Infinity).forEach((each, i) => {
      const cells = [each, inputs[i], Math.exp(inputs[n + i])].map((cell) => make("td", {}, short(cell)));
      rows.append(make("tr", {}, make("th", { scope: "row" }, `[${index(i, space.shape).join(", ")}]`), ...cells));
    });
    const made = make("table", {}, make("caption", {}, `distribution${of}`), make("thead", {}, head), rows);
    return n > MOST_ROWS ? make("div", { className: "long", tabIndex: 0 }, made) : made;
  }

  function numbers(outputs) {
    const list = make("dl");
    const dense = data.actions.some((space) => space.type === "Box");
    const names = {
      vf_preds: "value of the state",
      action_prob: dense ? "density of the action" : "probability of the action",
      action_logp: "its logarithm",
    };
    for (const [name, words] of Object.entries(names)) {
      if (outputs[name]) list.append(make("div", {}, make("dt", {}, words), make("dd", {}, short(outputs[name][0]))));
    }
    return list;
  }

  // ---- memory

  function remember(outputs) {
    if (!data.states) return;
    state = Array.from({ length: data.states }, (_, i) => outputs[`state_out_${i}`]);
    steps += 1;
    tellMemory();
  }

  function forget() {
    state = null;
    steps = 0;
    tellMemory();
    compose();
  }

  function tellMemory() {
    byId("remembered").textContent = steps
      ? `It remembers ${steps} ${steps === 1 ? "step" : "steps"}; the state goes with the next question.`
      : "It remembers nothing yet: the next question begins an episode.";
  }

  // ---- small things

  function make(kind, properties = {}, ...children) {
    const element = document.createElement(kind);
    Object.assign(element, properties);
    element.append(...children);
    return element;
  }

  function short(number) {
    if (number === null) return "not finite";
    const size = Math.abs(number);
    if (Number.isInteger(number) && size < 1e6) return String(number);
    return size >= 1e6 || size < 1e-3 ? number.toExponential(2) : String(Number(number.toPrecision(4)));
  }

  async function copy() {
    let done = true;
    try {
      await navigator.clipboard.writeText(byId("curl").textContent);
    } catch (_) { // a page of another machine without https has no clipboard but that of its selection
      getSelection().selectAllChildren(byId("curl"));
      done = document.execCommand("copy");
    }
    byId("copied").textContent = done ? "Copied." : "Selected: copy it with the keyboard.";
  }

  function fill(number) {
    observation.fill(value(data.observation, number));
    compose();
  }

  byId("observation").append(observation.element);
  for (const each of previous) {
    each.control.fill(value(each.space, zero));
    byId("previous").append(make("div", { className: "field" }, each.name), each.control.element);
  }
  byId("previous").hidden = !previous.length;
  byId("memory").hidden = !data.states;
  byId("sample").disabled = data.unsampled !== null;
  byId("unsampled").textContent = data.unsampled || "";
  byId("form").addEventListener("submit", ask);
  byId("form").addEventListener("input", compose);
  byId("zeros").addEventListener("click", () => fill(zero));
  byId("random").addEventListener("click", () => fill(random));
  byId("reset").addEventListener("click", forget);
  byId("copy").addEventListener("click", copy);
  tellMemory();
  fill(zero);
})();
