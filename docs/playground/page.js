"use strict";
// The page: it draws what the WebAssembly module says, and knows nothing of the protocol itself.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

/** Makes an element; `properties` are attributes, but `text` and handlers such as `onclick`. */
function make(name, properties = {}, ...children) {
  const [space, tag] = name.startsWith("svg:") ? [SVG, name.slice(4)] : ["http://www.w3.org/1999/xhtml", name];
  const element = document.createElementNS(space, tag);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// ---------------------------------------------------------------- the module

let module = null;
let exports = null;

async function start() {
  const packed = Uint8Array.from(atob($("wasm").textContent.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  module = await WebAssembly.compile(await new Response(stream).arrayBuffer());
  exports = (await WebAssembly.instantiate(module)).exports;
}

/** Asks the module. Four octets at a time go in and come out. */
function ask(call, parameters = {}) {
  const octets = new TextEncoder().encode(JSON.stringify({ call, ...parameters }));
  try {
    for (let place = 0; place < octets.length; place += 4) {
      const word = octets[place] | octets[place + 1] << 8 | octets[place + 2] << 16 | octets[place + 3] << 24;
      exports.push(word, Math.min(4, octets.length - place));
    }
    const answer = new Uint8Array(exports.call());
    for (let place = 0; place < answer.length; place += 4) {
      const word = exports.pull(place);
      for (let octet = 0; octet < 4 && place + octet < answer.length; octet += 1) answer[place + octet] = word >>> 8 * octet;
    }
    return JSON.parse(new TextDecoder().decode(answer));
  } catch (error) {
    // A trap leaves the module in no known state: take a new one, and say so.
    exports = new WebAssembly.Instance(module).exports;
    return { error: `the module stopped: ${error.message}` };
  }
}

// ---------------------------------------------------------------- state: the address, undo

const TABS = ["datagram", "exchange", "order", "quiz", "capture", "spec"];
/** Settings of the network, as the address names them. */
const SLIDERS = { loss: 30, delay: 40, jitter: 0, duplication: 0, wait: 1000, retries: 3 };
const state = { tab: "datagram", d: "", r: "", q: "1", seed: "10", peer: "", clause: "", ...SLIDERS };
let past = [];
let future = [];

function toAddress() {
  const parts = new URLSearchParams();
  if (state.tab !== "datagram") parts.set("tab", state.tab);
  parts.set("d", state.d);
  if (state.r) parts.set("r", state.r);
  if (state.tab === "exchange") {
    for (const name of Object.keys(SLIDERS)) parts.set(name, state[name]);
    parts.set("seed", state.seed);
    if (state.peer) parts.set("peer", state.peer);
  }
  if (state.tab === "quiz") parts.set("q", state.q);
  if (state.tab === "spec" && state.clause) parts.set("clause", state.clause);
  history.replaceState(null, "", `#${parts}`);
}

function fromAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  if (TABS.includes(parts.get("tab"))) state.tab = parts.get("tab");
  else state.tab = parts.has("clause") ? "spec" : "datagram";
  for (const name of ["d", "r", "q", "seed", "peer", "clause"]) if (parts.has(name)) state[name] = parts.get(name);
  if (parts.has("d") && !parts.has("r")) state.r = "";
  for (const name of Object.keys(SLIDERS)) {
    const value = Number(parts.get(name));
    const { min, max } = $(name);
    if (parts.has(name) && Number.isFinite(value)) state[name] = Math.min(Number(max), Math.max(Number(min), value));
  }
}

/** Shows another datagram; `asked` is the request that it answers, for a reply. */
function setDatagram(octets, asked = "") {
  if (octets === state.d && asked === state.r) return;
  past.push([state.d, state.r]);
  if (past.length > 200) past.shift();
  future = [];
  [state.d, state.r] = [octets, asked];
  show();
}

function travel(from, to) {
  if (from.length === 0) return;
  to.push([state.d, state.r]);
  [state.d, state.r] = from.pop();
  show();
}

// ---------------------------------------------------------------- colours and clauses

const colours = new Map();
/** Each name of a field has a colour, in the order in which they are first seen. */
function colour(name) {
  if (!colours.has(name)) colours.set(name, `k${colours.size % 8}`);
  return colours.get(name);
}

let clauses = new Map();

function clauseButton(clause) {
  return make("button", { type: "button", class: "clause", text: clause, title: `Clause ${clause} of the specification`,
    "aria-label": `clause ${clause}`, onclick: (event) => { event.stopPropagation(); openClause(clause); } });
}

function openClause(clause) {
  $("clause-title").textContent = `Clause ${clause}`;
  $("clause-text").replaceChildren(...(clauses.get(clause) ?? [make("p", { text: "The specification has no such clause." })]).map((node) => node.cloneNode(true)));
  $("clause-open").onclick = () => { $("clause").close(); Object.assign(state, { tab: "spec", clause }); show(); };
  $("clause").showModal();
}

// ---------------------------------------------------------------- the specification, from Markdown

function inline(text) {
  const nodes = [];
  const pattern = /`([^`]+)`|\*\*(.+?)\*\*|\*(.+?)\*|\[([^\]]+)\]\(([^)]+)\)/g;
  let last = 0;
  for (const match of text.matchAll(pattern)) {
    nodes.push(text.slice(last, match.index));
    if (match[1] !== undefined) nodes.push(make("code", { text: match[1] }));
    else if (match[2] !== undefined) nodes.push(make("strong", {}, ...inline(match[2])));
    else if (match[3] !== undefined) nodes.push(make("em", {}, ...inline(match[3])));
    else {
      const ready = match[5].match(/#(d=.*)$/);
      nodes.push(ready ? make("a", { href: `#${ready[1]}`, text: match[4] }) : match[4]);
    }
    last = match.index + match[0].length;
  }
  nodes.push(text.slice(last));
  return nodes.filter((node) => node !== "");
}

function cellsOf(line) {
  return line.trim().slice(1, -1).replaceAll("\\|", "\u0001").split("|").map((cell) => cell.trim().replaceAll("\u0001", "|"));
}

function renderSpecification(markdown) {
  const nodes = [];
  let clause = null;
  let tables = 0;
  const add = (node) => {
    nodes.push(node);
    if (clause) clauses.get(clause).push(node);
  };
  for (const block of markdown.split(/\n\s*\n/)) {
    const lines = block.split("\n").filter((line) => line.trim() !== "");
    if (lines.length === 0) continue;
    const heading = lines[0].match(/^(#+) (.*)$/);
    if (heading) {
      clause = null;
      add(make(heading[1].length === 1 ? "h2" : "h3", {}, ...inline(heading[2])));
    } else if (/^ {4}/.test(lines[0])) {
      add(make("pre", { tabindex: 0 }, make("code", { text: lines.map((line) => line.slice(4)).join("\n") })));
    } else if (lines[0].startsWith("|")) {
      const [head, , ...rows] = lines;
      const row = (line, cell) => make("tr", {}, ...cellsOf(line).map((text) => make(cell, {}, ...inline(text))));
      add(make("div", { class: "tables", tabindex: 0, role: "region", "aria-label": `Table ${tables += 1}` },
        make("table", {}, make("thead", {}, row(head, "th")), make("tbody", {}, ...rows.map((line) => row(line, "td"))))));
    } else {
      const text = lines.map((line) => line.trim()).join(" ");
      const numbered = text.match(/^\*\*(\d+\.\d+)/);
      if (numbered) {
        clause = numbered[1];
        clauses.set(clause, []);
      }
      add(make("p", { id: numbered ? `clause-${clause}` : undefined }, ...inline(text)));
    }
  }
  $("spec").replaceChildren(...nodes);
  for (const empty of $("spec").querySelectorAll("th:empty")) empty.replaceWith(make("td"));
}

// ---------------------------------------------------------------- the bit diagram

const SHOWN_ROWS = 40;
const wide = new Set();

/**
 * Draws a datagram as a bit diagram. `options`: `flip(bit)` makes it editable, `blanks` are places of fields whose names
 * stand without values, `hint(place)` is told which field is looked at, `key` names the diagram.
 */
function drawDiagram(host, datagram, options = {}) {
  const total = datagram.octets.length * 4;
  if (total === 0) {
    host.replaceChildren(make("p", { class: "hint", text: "no octets" }));
    return;
  }
  const width = Math.max(280, host.clientWidth || 1100);
  const perRow = width >= 620 ? 32 : 16;
  const margin = perRow === 32 ? 46 : 34;
  const unit = (width - margin - 4) / perRow;
  const height = 66;
  const top = 18;
  const rows = Math.ceil(total / perRow);
  const shown = wide.has(options.key) || rows <= SHOWN_ROWS + 4 ? rows : SHOWN_ROWS;
  const svg = make("svg:svg", { viewBox: `0 0 ${width} ${top + shown * height + 4}`, role: "group",
    "aria-label": `Bit diagram of the ${datagram.kind}`, class: options.flip ? "live" : "static" });
  for (let bit = 0; bit < perRow; bit += 1) {
    svg.append(make("svg:text", { x: margin + (bit + 0.5) * unit, y: 12, class: "ruler", "text-anchor": "middle", "aria-hidden": "true", text: bit }));
  }
  const octet = (place) => parseInt(datagram.octets.slice(place * 2, place * 2 + 2), 16);
  const bitAt = (bit) => octet(bit >> 3) >> (7 - bit % 8) & 1;
  for (let row = 0; row < shown; row += 1) {
    const offset = (row * perRow / 8).toString(16).padStart(4, "0");
    svg.append(make("svg:text", { x: margin - 8, y: top + row * height + 39, class: "offset", "text-anchor": "end", "aria-hidden": "true", text: offset }));
  }
  datagram.fields.forEach((field, place) => {
    const end = Math.min(field.bit + field.bits, shown * perRow);
    if (field.bit >= end) return;
    const blank = options.blanks?.includes(place);
    const wrong = datagram.faults.some((fault) => fault.severity === "wrong" && fault.bit !== null
      && fault.bit < field.bit + field.bits && field.bit < fault.bit + fault.bits);
    const words = fieldWords(field, blank);
    const group = make("svg:g", { class: `piece ${colour(field.name)}`, "data-place": place, role: "group", "aria-label": words });
    if (!options.flip) Object.entries({ tabindex: 0, role: "img" }).forEach(([key, value]) => group.setAttribute(key, value));
    group.addEventListener("mouseenter", () => options.hint?.(place));
    group.addEventListener("focusin", () => options.hint?.(place));
    // The part of the field with the most bits bears its name.
    const parts = [];
    for (let from = field.bit; from < end;) {
      const to = Math.min(end, (Math.floor(from / perRow) + 1) * perRow);
      parts.push([from, to]);
      from = to;
    }
    const named = parts.reduce((best, part) => (part[1] - part[0] > best[1] - best[0] ? part : best), parts[0]);
    for (const [from, to] of parts) {
      const [x, y] = [margin + (from % perRow) * unit, top + Math.floor(from / perRow) * height];
      const w = (to - from) * unit;
      group.append(make("svg:rect", { x: x + 1, y: y + 2, width: w - 2, height: height - 18, rx: 6, class: `cell${wrong ? " wrongly" : ""}${blank ? " blank" : ""}` }));
      if (from === named[0]) {
        const room = Math.floor((w - 4) / 7.4);
        const value = blank ? "?" : field.value;
        const full = value === "" ? field.label : `${field.label} = ${value}`;
        const text = full.length <= room ? full : field.label.length <= room ? field.label : field.letter.length <= room || room < 3 ? field.letter.slice(0, Math.max(1, room)) : `${field.label.slice(0, room - 1)}…`;
        group.append(make("svg:text", { x: x + w / 2, y: y + 19, class: "name", "text-anchor": "middle", "aria-hidden": "true", text }));
      }
    }
    for (let bit = field.bit; bit < end; bit += 1) {
      const [x, y] = [margin + (bit % perRow) * unit, top + Math.floor(bit / perRow) * height];
      const one = bitAt(bit);
      const element = make("svg:g", { class: `bit ${one ? "one" : "zero"}` },
        make("svg:rect", { class: "hit", x: x + 1.5, y: y + 24, width: unit - 3, height: 24, rx: 4 }),
        make("svg:text", { x: x + unit / 2, y: y + 41, class: "digit", "text-anchor": "middle", "aria-hidden": "true", text: one }));
      if (options.flip) {
        element.setAttribute("role", "switch");
        element.setAttribute("aria-checked", one === 1);
        element.setAttribute("aria-label", `bit ${bit} of ${field.label}: ${one}`);
        element.setAttribute("tabindex", -1);
        element.dataset.bit = bit;
        element.addEventListener("click", () => { keepFocus = [options.key, bit]; options.flip(bit); });
      }
      group.append(element);
      if (bit % 8 === 7) {
        group.append(make("svg:text", { x: x + unit - 4 * unit, y: y + 61, class: "hex", "text-anchor": "middle", "aria-hidden": "true", text: datagram.octets.slice((bit >> 3) * 2, (bit >> 3) * 2 + 2) }));
      }
    }
    svg.append(group);
  });
  const nodes = [svg];
  if (shown < rows) {
    nodes.push(make("p", {}, make("button", { type: "button", text: `Show ${rows - shown} more rows`, onclick: () => { wide.add(options.key); show(); } })));
  }
  host.replaceChildren(...nodes);
  if (options.flip) roving(svg, perRow, options.key);
}

let keepFocus = null;

/** One bit at a time is in the tab order; arrows move. */
function roving(svg, perRow, key) {
  const bits = [...svg.querySelectorAll("[data-bit]")].sort((a, b) => a.dataset.bit - b.dataset.bit);
  const go = (bit) => {
    const target = bits[Math.min(bits.length - 1, Math.max(0, bit))];
    bits.forEach((element) => element.setAttribute("tabindex", element === target ? 0 : -1));
    target.focus({ preventScroll: false });
  };
  const kept = keepFocus && keepFocus[0] === key ? keepFocus[1] : null;
  bits[Math.min(kept ?? 0, bits.length - 1)].setAttribute("tabindex", 0);
  if (kept !== null) go(kept);
  keepFocus = null;
  svg.addEventListener("keydown", (event) => {
    const element = event.target.closest("[data-bit]");
    if (!element || event.ctrlKey || event.metaKey || event.altKey) return;
    const bit = Number(element.dataset.bit);
    const fields = [...svg.querySelectorAll(".piece")].map((piece) => Number(piece.querySelector("[data-bit]").dataset.bit));
    const moves = {
      ArrowLeft: () => go(bit - 1), ArrowRight: () => go(bit + 1), ArrowUp: () => bit >= perRow && go(bit - perRow),
      ArrowDown: () => bit + perRow < bits.length && go(bit + perRow), Home: () => go(bit - bit % perRow), End: () => go(bit - bit % perRow + perRow - 1),
      PageDown: () => go(fields.find((first) => first > bit) ?? bit), PageUp: () => go(fields.filter((first) => first < bit).pop() ?? 0),
      " ": () => element.dispatchEvent(new MouseEvent("click")), Enter: () => element.dispatchEvent(new MouseEvent("click")),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  });
}

function fieldWords(field, blank = false) {
  const bits = field.bits === 1 ? `bit ${field.bit}` : `bits ${field.bit} to ${field.bit + field.bits - 1}`;
  const value = blank ? "to be filled in" : [field.value, field.meaning].filter((part) => part !== "").join(", ");
  return `${field.label}, ${bits}: ${value}, clause ${field.clause}`;
}

// ---------------------------------------------------------------- octets, fields, faults

function drawDump(host, datagram) {
  const octets = datagram.octets.match(/../g) ?? [];
  const owner = octets.map((_, place) => datagram.fields.findIndex((field) => field.bit <= place * 8 + 7 && place * 8 < field.bit + field.bits));
  const lines = [];
  for (let start = 0; start < octets.length; start += 8) {
    const line = make("div", {}, make("span", { class: "at", text: start.toString(16).padStart(4, "0") }));
    const part = octets.slice(start, start + 8);
    part.forEach((octet, index) => {
      const field = datagram.fields[owner[start + index]];
      line.append(make("span", { class: `o ${field ? colour(field.name) : ""}`, "data-place": owner[start + index], text: octet }), " ");
    });
    const ascii = part.map((octet) => parseInt(octet, 16)).map((code) => (code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : ".")).join("");
    line.append("   ".repeat(8 - part.length), make("span", { class: "ascii", text: ascii }));
    lines.push(line);
  }
  host.replaceChildren(...lines);
}

/** `edit(place, text)` gives an error or nothing; without it, the values are text. */
function drawFields(table, datagram, edit) {
  const head = make("thead", {}, make("tr", {}, ...["Field", "Value", "Meaning", "Clause"].map((text) => make("th", { scope: "col", text }))));
  const limit = 80;
  const rows = datagram.fields.slice(0, limit).map((field, place) => {
    const value = make("td", {});
    if (edit) {
      const input = make("input", { value: field.value, spellcheck: "false", "aria-label": `${field.label}: value`, "data-place": place });
      input.addEventListener("change", () => {
        const error = edit(place, input.value);
        input.setAttribute("aria-invalid", error ? "true" : "false");
        $("status").textContent = error ?? "";
      });
      value.append(input);
    } else value.append(make("span", { class: "mono", text: field.value }));
    return make("tr", { "data-place": place, class: colour(field.name) },
      make("td", {}, make("span", { class: "swatch", "aria-hidden": "true" }), field.label), value,
      make("td", { text: field.meaning }), make("td", {}, clauseButton(field.clause)));
  });
  if (datagram.fields.length > limit) rows.push(make("tr", {}, make("td", { colspan: 4, text: `and ${datagram.fields.length - limit} more` })));
  table.replaceChildren(head, make("tbody", {}, ...rows));
}

function drawFaults(host, faults) {
  host.replaceChildren(...faults.map((fault) => make("li", { class: fault.severity },
    make("strong", { text: fault.severity === "wrong" ? "Wrong: " : "Worth knowing: " }), `${fault.text} `, clauseButton(fault.clause))));
}

/** Lights a field everywhere in a card. */
function light(card, place) {
  for (const element of card.querySelectorAll("[data-place]")) {
    const lit = Number(element.dataset.place) === place;
    if (element.matches(".piece")) element.querySelectorAll(".cell").forEach((cell) => cell.classList.toggle("lit", lit));
    else element.classList.toggle("lit", lit);
  }
}

function detail(field) {
  const bits = field.bits === 1 ? `bit ${field.bit}` : `bits ${field.bit}–${field.bit + field.bits - 1}`;
  $("detail").replaceChildren(make("b", { text: field.label }), ` (${bits}) `,
    field.value !== "" ? make("span", { class: "mono", text: `= ${field.value} ` }) : "", field.meaning !== "" ? `${field.meaning} ` : "", clauseButton(field.clause),
    field.filter ? make("span", { class: "hint", text: ` in Wireshark: ${field.filter}` }) : "");
}

// ---------------------------------------------------------------- the Datagram part

let datagram = null;
let composing = false;

function showDatagram() {
  const asked = state.r || undefined;
  datagram = ask("explain", { octets: state.d, asked, direction: asked ? "reply" : undefined });
  if (datagram.error) {
    $("status").textContent = datagram.error;
    state.d = "";
    datagram = ask("explain", { octets: "" });
  } else $("status").textContent = "";
  const held = { octets: state.d, asked, direction: datagram.direction };
  $("request-title").textContent = datagram.direction === "reply" ? "Reply" : "Request";
  $("request-kind").textContent = datagram.kind;
  $("request-summary").textContent = datagram.summary;
  drawFaults($("request-faults"), datagram.faults);
  const card = $("request-diagram").closest(".card");
  const flip = (bit) => setDatagram(ask("flip", { octets: state.d, bit }).octets, state.r);
  const hint = (place) => { light(card, place); detail(datagram.fields[place]); };
  drawDiagram($("request-diagram"), datagram, { key: "request", flip, hint });
  drawDump($("request-dump"), datagram);
  drawFields($("request-fields"), datagram, (place, text) => {
    const edited = ask("edit", { ...held, place, text });
    if (edited.error) return edited.error;
    setDatagram(edited.octets, state.r);
    return null;
  });
  for (const element of card.querySelectorAll("tr[data-place], .o[data-place]")) {
    element.addEventListener("mouseenter", () => hint(Number(element.dataset.place)));
    element.addEventListener("focusin", () => hint(Number(element.dataset.place)));
  }
  if (datagram.fields.length > 0) detail(datagram.fields[0]);
  else $("detail").replaceChildren("Hover or focus a field to see what it says.");
  showAnswer(ask("answer", { octets: state.d }));
  if (!composing) showWish();
  if (document.activeElement !== $("hex")) $("hex").value = (state.d.match(/.{1,8}/g) ?? []).join(" ");
}

/** Fills the form with what would send the datagram, if anything would. */
function showWish() {
  const wish = ask("wish", { octets: state.d }) ?? {};
  $("compose-error").textContent = "";
  if (wish.line) {
    for (const name of ["operator", "operands", "form"]) $(name).value = wish[name];
    $("text").value = wish.text ? "1" : "";
  }
  showLine(wish);
}

function showLine({ line, why, requests }) {
  $("line").textContent = line ?? "no client sends these octets";
  $("copy-line").hidden = !line;
  $("why").textContent = [why ? `Extended, as ${why}.` : "", requests > 1 ? `The first of ${requests} requests.` : ""].join(" ").trim();
}

function compose() {
  const id = [...crypto.getRandomValues(new Uint8Array(8))].map((octet) => octet.toString(16).padStart(2, "0")).join("");
  const composed = ask("compose", { operator: $("operator").value, operands: $("operands").value, form: $("form").value, text: $("text").value === "1", id });
  $("compose-error").textContent = composed.error ?? "";
  if (composed.error) return;
  composing = true;
  setDatagram(composed.octets);
  composing = false;
  showLine(composed);
}

function showAnswer(answer) {
  const { reply, silence, because } = answer;
  $("answer-kind").replaceChildren(reply ? reply.kind : `silence: ${silence}`, ", decided by ", clauseButton(answer.decides));
  $("answer-summary").textContent = reply ? reply.summary : "nothing";
  const faults = because ? [{ severity: answer.result ? "remark" : "wrong", ...because }] : [];
  drawFaults($("answer-faults"), [...faults, ...(reply?.faults ?? [])]);
  const bound = Math.min(answer.by_request, answer.by_server);
  const scale = Math.max(bound, answer.reply_len, 1) * 1.04;
  const per = (octets) => `${(octets / scale * 100).toFixed(2)}%`;
  const text = reply ? `${answer.reply_len} of at most ${bound} octets` : `0 of at most ${bound} octets`;
  const reason = answer.by_request <= answer.by_server ? `three times the ${answer.request_len} octets of the request` : `the server's own limit; three times the request would be ${answer.by_request}`;
  const limit = make("p", {}, `At most ${bound} octets: ${reason} `, clauseButton(answer.clause));
  const bar = make("div", { class: "bar", role: "img", "aria-label": `The reply has ${text}; the request has ${answer.request_len}.` },
    make("i", { style: `width:${per(answer.reply_len)}` }), make("em", { style: `width:${per(answer.request_len)}`, title: "the length of the request" }), make("em", { style: `width:${per(bound)}` }),
    make("span", { text }));
  $("limit").replaceChildren(limit, bar);
  for (const part of ["answer-diagram", "answer-dump", "answer-fields"]) $(part).replaceChildren();
  $("answer-dump").closest(".two").hidden = !reply;
  if (!reply) return;
  const card = $("answer-diagram").closest(".card");
  const hint = (place) => light(card, place);
  drawDiagram($("answer-diagram"), reply, { key: "answer", hint });
  drawDump($("answer-dump"), reply);
  drawFields($("answer-fields"), reply);
  for (const element of card.querySelectorAll("tr[data-place], .o[data-place]")) element.addEventListener("mouseenter", () => hint(Number(element.dataset.place)));
}

// ---------------------------------------------------------------- ladders

/** Heights for times: far apart enough to be read, not so far as the times are. */
function heights(times, top) {
  const known = [...new Set(times)].sort((a, b) => a - b);
  const y = new Map();
  let at = top;
  known.forEach((time, index) => {
    if (index > 0) at += Math.min(90, Math.max(30, (time - known[index - 1]) * 0.25));
    y.set(time, at);
  });
  return { y, known, bottom: at };
}

/** Draws flights between two lines of life; gives a function that shows them up to a height. */
function drawLadder(host, flights, { left, right, timers = [], open }) {
  const width = Math.max(300, host.clientWidth || 800);
  const narrow = width < 520;
  const [x1, x2] = [narrow ? 58 : 100, width - (narrow ? 14 : 30)];
  const times = flights.flatMap((flight) => [flight.sent, ...(flight.arrives === null ? [] : [flight.arrives])]).concat(timers);
  const { y, known, bottom } = heights(times, 52);
  const svg = make("svg:svg", { viewBox: `0 0 ${width} ${bottom + 34}`, role: "group", "aria-label": "Ladder of the datagrams between client and server" });
  const clip = make("svg:rect", { x: 0, y: 0, width, height: bottom + 40 });
  svg.append(make("svg:defs", {}, make("svg:clipPath", { id: `${host.id}-clip` }, clip)));
  svg.append(make("svg:text", { x: x1, y: 18, class: "end", "text-anchor": "middle", text: left }), make("svg:text", { x: x2, y: 18, class: "end", "text-anchor": "end", text: right }));
  const body = make("svg:g", { "clip-path": `url(#${host.id}-clip)` });
  for (const x of [x1, x2]) body.append(make("svg:line", { class: "life", x1: x, x2: x, y1: 28, y2: bottom + 22 }));
  const clock = (time) => body.append(make("svg:text", { class: "time", x: x1 - 8, y: y.get(time) + 4, "text-anchor": "end", text: milliseconds(time) }));
  flights.forEach((flight, index) => {
    const lost = flight.arrives === null;
    const [from, to] = flight.from_client ? [x1, x2] : [x2, x1];
    const y1 = y.get(flight.sent);
    const y2 = lost ? y1 + 10 : Math.max(y.get(flight.arrives), y1 + (flight.arrives === flight.sent ? 8 : 0));
    const end = lost ? from + (to - from) * 0.55 : to;
    const kind = `flight${flight.from_client ? "" : " reply"}${lost ? " lost" : ""}${flight.ignored ? " ignored" : ""}`;
    const group = make("svg:g", { class: kind }, make("svg:line", { x1: from, y1, x2: end, y2 }));
    const direction = Math.sign(to - from);
    if (lost) group.append(make("svg:path", { d: `M${end - 6} ${y2 - 6}l12 12m0 -12l-12 12` }));
    else {
      const slope = Math.atan2(y2 - y1, end - from) * 180 / Math.PI;
      group.append(make("svg:path", { class: "head", d: "M0 0L-11 -5L-11 5Z", transform: `translate(${end} ${y2}) rotate(${slope})` }));
    }
    const room = Math.floor(Math.abs(x2 - x1) * (lost ? 0.5 : 0.86) / 7.7);
    const text = flight.label.length > room ? `${flight.label.slice(0, room - 1)}…` : flight.label;
    // A request's words stand above its beginning, a reply's below its: two that meet at one side do not cover each other.
    group.append(make("svg:text", flight.from_client ? { class: "label", x: x1 + 14, y: y1 - 7, text } : { class: "label", x: x2 - 14, y: y1 + 19, "text-anchor": "end", text }));
    if (flight.note) group.append(make("svg:text", { class: "note", x: to - direction * 12, y: flight.from_client ? y2 + 18 : y2 - 22, "text-anchor": direction > 0 ? "end" : "start", text: flight.note }));
    if (open) {
      group.append(make("svg:title", { text: "Show this datagram" }));
      group.style.cursor = "pointer";
      group.addEventListener("click", () => open(index));
    }
    body.append(group);
    if (flight.from_client) clock(flight.sent);
    else if (!lost) clock(flight.arrives);
  });
  for (const time of timers) {
    body.append(make("svg:line", { class: "timer", x1: x1 - 46, x2: x1 + 10, y1: y.get(time) - 12, y2: y.get(time) - 12 }),
      make("svg:text", { class: "note", x: x1 - 8, y: y.get(time) - 16, "text-anchor": "end", text: "timer" }));
  }
  svg.append(body);
  const now = make("svg:line", { class: "now", x1: x1 - 50, x2: x2 + 12, y1: 0, y2: 0, visibility: "hidden" });
  svg.append(now);
  host.replaceChildren(svg);
  const full = bottom + 30;
  return {
    full, start: 44, stops: known.map((time) => y.get(time) + 12).concat(full),
    timeAt(height) {
      const before = known.filter((time) => y.get(time) <= height).pop() ?? 0;
      const after = known.find((time) => y.get(time) > height);
      if (after === undefined) return known[known.length - 1] ?? 0;
      return before + (after - before) * Math.max(0, (height - y.get(before)) / (y.get(after) - y.get(before)));
    },
    until(height) {
      clip.setAttribute("height", Math.max(0, height));
      now.setAttribute("visibility", height >= full ? "hidden" : "visible");
      now.setAttribute("y1", height);
      now.setAttribute("y2", height);
    },
  };
}

function milliseconds(time) {
  if (time === 0) return "0 ms";
  return time >= 1000 ? `${(time / 1000).toFixed(3)} s` : `${time.toFixed(time < 10 ? 2 : 1)} ms`;
}

// ---------------------------------------------------------------- the Exchange part

let ladder = null;
let reached = 0;
let playing = 0;

const UNITS = { loss: "%", delay: " ms", jitter: " ms", duplication: "%", wait: " ms", retries: "" };

function showExchange(keep = false) {
  for (const name of Object.keys(SLIDERS)) {
    $(name).value = state[name];
    document.querySelector(`output[for="${name}"]`).textContent = `${state[name]}${UNITS[name]}`;
  }
  if ([...$("peer").options].some((option) => option.value === state.peer)) $("peer").value = state.peer;
  if (document.activeElement !== $("seed")) $("seed").value = state.seed;
  pause();
  const run = ask("run", { octets: state.d, seed: Number(state.seed) || 0, loss: state.loss, duplication: state.duplication, delay_ms: state.delay, jitter_ms: state.jitter,
    first_wait_ms: state.wait, retries: state.retries, server: $("peer").value });
  $("run-error").textContent = run.error ?? "";
  for (const part of ["ladder", "events"]) $(part).replaceChildren();
  $("run-summary").textContent = run.error ? "" : run.outcome;
  $("run-kind").textContent = run.error ? "" : `ended after ${milliseconds(run.ended_ms)}: ${run.transmissions} sent, ${run.repeats} of them repeats, ${run.ignored} ignored`;
  $("ladder").dataset.fingerprint = run.fingerprint ?? "";
  ladder = null;
  if (run.error) return;
  const times = (flight, index) => new Set(run.flights.slice(0, index + 1).filter((other) => other.from_client && other.octets === flight.octets).map((other) => other.transmission)).size;
  const flights = run.flights.map((flight, index) => ({ from_client: flight.from_client, sent: flight.sent_ms, arrives: flight.arrives_ms, octets: flight.octets,
    ignored: flight.note.startsWith("ignored"), note: flight.note === flight.summary ? "" : flight.note,
    label: [flight.summary, flight.from_client && times(flight, index) > 1 ? `(sent ${times(flight, index)} times)` : "",
      flight.identifier ? `#${flight.identifier.slice(-4)}` : ""].filter((part) => part !== "").join("  "), identifier: flight.identifier }));
  ladder = drawLadder($("ladder"), flights, { left: "client", right: "server", timers: run.timeouts_ms,
    open: (index) => flights[index].octets && openFlight(flights, index) });
  $("events").replaceChildren(...flights.map((flight, index) => make("li", {}, `${milliseconds(flight.sent)}: ${flight.from_client ? "client" : "server"} sends `,
    flight.octets ? make("button", { type: "button", text: flight.label, onclick: () => openFlight(flights, index) }) : flight.label,
    flight.identifier ? `, identifier ${flight.identifier}` : "",
    flight.arrives === null ? ", lost" : `, arrives at ${milliseconds(flight.arrives)}`, flight.note ? `: ${flight.note}` : "")));
  reach(keep ? Math.min(reached, ladder.full) : ladder.full);
}

/** Takes a datagram of the ladder to the Datagram part; a reply with the request before it. */
function openFlight(flights, index) {
  const flight = flights[index];
  const asked = flight.from_client ? "" : flights.slice(0, index).filter((other) => other.from_client && other.octets).pop()?.octets ?? "";
  state.tab = "datagram";
  setDatagram(flight.octets, asked);
  show();
}

function reach(height) {
  if (!ladder) return;
  reached = height;
  ladder.until(height);
  $("progress").value = Math.round((height - ladder.start) / (ladder.full - ladder.start) * 1000);
  $("clock").textContent = milliseconds(ladder.timeAt(height));
}

function pause() {
  cancelAnimationFrame(playing);
  playing = 0;
  $("play").textContent = "Play";
}

function play() {
  if (playing) return pause();
  if (!ladder) return undefined;
  if (reached >= ladder.full) reach(ladder.start);
  $("play").textContent = "Pause";
  let before = performance.now();
  const frame = (now) => {
    reach(Math.min(ladder.full, reached + (now - before) * 0.09));
    before = now;
    if (reached >= ladder.full) pause();
    else playing = requestAnimationFrame(frame);
  };
  playing = requestAnimationFrame(frame);
  return undefined;
}

function step() {
  pause();
  if (!ladder) return;
  if (reached >= ladder.full) reach(ladder.start);
  else reach(ladder.stops.find((stop) => stop > reached + 0.5) ?? ladder.full);
}

// ---------------------------------------------------------------- byte order, quiz

function showOrder() {
  const order = ask("byte-order", { octets: state.d });
  const bytes = (octets) => (octets.match(/../g) ?? []).map((octet, index) => make("span", { class: `byte k${index % 8}`, text: octet }));
  const reversed = (octets) => (octets.match(/../g) ?? []).map((octet, index, all) => make("span", { class: `byte k${(all.length - 1 - index) % 8}`, text: octet }));
  const head = ["", "Value", "Network byte order", "Little-endian", "Read in the wrong order"].map((text) => make(text ? "th" : "td", text ? { scope: "col", text } : {}));
  const none = !order.rows || order.rows.length === 0;
  $("order-none").hidden = !none;
  for (const part of ["order-rows", "order-result", "order-diagram", "order-take"]) $(part).hidden = none;
  if (none) return;
  $("order-rows").replaceChildren(make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...order.rows.map((row) => make("tr", {},
    make("th", { scope: "row", text: row.label }), make("td", { class: "mono", text: row.value }), make("td", { class: "mono" }, ...bytes(row.octets)),
    make("td", { class: "mono" }, ...reversed(row.swapped_octets)), make("td", { class: "mono", text: row.swapped_value })))));
  const says = (answer) => (answer.reply ? answer.reply.summary : "nothing");
  $("order-right").textContent = order.request;
  $("order-right-answer").textContent = says(order.right);
  $("order-wrong").textContent = order.asked.summary;
  $("order-wrong-answer").textContent = says(order.answer);
  $("order-misread").textContent = order.misread ?? "nothing to read";
  drawDiagram($("order-diagram"), order.asked, { key: "order" });
  $("order-take").onclick = () => { state.tab = "datagram"; setDatagram(order.asked.octets); show(); };
}

let quizBlanks = [];

function showQuiz() {
  const quiz = ask("quiz", { seed: Number(state.q) || 0 });
  if (document.activeElement !== $("quiz-seed")) $("quiz-seed").value = state.q;
  quizBlanks = quiz.blanks;
  $("quiz-kind").textContent = quiz.datagram.kind;
  $("quiz-score").textContent = "";
  drawDiagram($("quiz-diagram"), quiz.datagram, { key: "quiz", blanks: quiz.blanks });
  const blank = (label, hint) => make("label", { class: "field" }, label, make("input", { spellcheck: "false", autocapitalize: "off", placeholder: hint }), make("p", { class: "mark" }));
  $("quiz-blanks").replaceChildren(...quiz.blanks.map((place) => blank(quiz.datagram.fields[place].label, "value or meaning")),
    blank("What does a server answer?", "the result, error, or nothing"));
}

function checkQuiz(event) {
  event.preventDefault();
  const inputs = [...$("quiz-blanks").querySelectorAll("input")];
  const graded = ask("quiz-check", { seed: Number(state.q) || 0, answers: inputs.map((input) => input.value) });
  graded.marks.forEach((mark, index) => {
    const place = inputs[index].parentElement.querySelector(".mark");
    place.className = `mark ${mark.right ? "good" : "bad"}`;
    place.replaceChildren(mark.right ? "Right: " : "Not so: it is ", `${mark.answer} `, mark.clause ? clauseButton(mark.clause) : "");
  });
  $("quiz-score").textContent = `${graded.right} of ${graded.marks.length}`;
}

// ---------------------------------------------------------------- captures

let file = null;

async function openFile(chosen) {
  if (!chosen) return;
  if (chosen.size > 20e6) {
    $("capture-error").textContent = `${chosen.name} has ${chosen.size} octets; this page reads captures of up to 20 million`;
    return;
  }
  const octets = new Uint8Array(await chosen.arrayBuffer());
  const digits = [];
  for (const octet of octets) digits.push(octet.toString(16).padStart(2, "0"));
  file = { name: chosen.name, octets: digits.join("") };
  showCapture();
}

function showCapture(port) {
  const capture = ask("capture", { octets: file.octets, port });
  $("capture-error").textContent = capture.error ?? capture.damage ?? "";
  if (capture.error) return listDatagrams([], "");
  $("port").disabled = false;
  $("port").replaceChildren(...capture.ports.map((known) => make("option", { value: known, text: known, selected: known === capture.port })));
  return listDatagrams(capture.datagrams, `${file.name}: ${capture.datagrams.length} datagrams. ${capture.left_out}`);
}

function listDatagrams(datagrams, note) {
  $("capture-note").textContent = note;
  const requestOf = (datagram) => datagrams.find((other) => other.number === datagram.relation.request)?.octets ?? "";
  const open = (index) => {
    const chosen = datagrams[index];
    state.tab = "datagram";
    setDatagram(chosen.octets, chosen.direction === "reply" ? requestOf(chosen) : "");
    show();
  };
  const shown = datagrams.slice(0, 300);
  const flights = shown.map((datagram, index) => {
    const time = datagram.time_s === undefined ? index * 10 : datagram.time_s * 1000;
    return { from_client: datagram.direction === "request", sent: time, arrives: time, label: `#${datagram.number} ${datagram.summary}`, ignored: datagram.wrong,
      note: datagram.faults.find((fault) => fault.severity === "wrong")?.text.slice(0, 70) ?? "" };
  });
  // Datagrams of the same instant still stand one below the other.
  for (let index = 1; index < flights.length; index += 1) {
    if (flights[index].sent <= flights[index - 1].sent) flights[index].sent = flights[index].arrives = flights[index - 1].sent + 1e-4;
  }
  if (flights.length > 0) drawLadder($("rungs"), flights, { left: "client", right: "server", open });
  else $("rungs").replaceChildren();
  $("listed").replaceChildren(...shown.map((datagram, index) => make("li", {},
    make("button", { type: "button", text: `${datagram.kind}: ${datagram.summary}`, onclick: () => open(index) }),
    ` ${datagram.relation.words}${datagram.wrong ? "; wrong" : ""}`)));
}

function useHex() {
  const pasted = ask("paste", { text: $("hex").value });
  $("hex-error").textContent = pasted.error ?? "";
  if (pasted.error) return;
  if (pasted.datagrams.length === 1) {
    setDatagram(pasted.datagrams[0].octets);
    return;
  }
  state.tab = "capture";
  show();
  $("capture-error").textContent = "";
  listDatagrams(pasted.datagrams, `${pasted.datagrams.length} datagrams were pasted`);
}

// ---------------------------------------------------------------- all of it

function show() {
  for (const tab of TABS) {
    const chosen = tab === state.tab;
    $(`tab-${tab}`).setAttribute("aria-selected", chosen);
    $(`tab-${tab}`).setAttribute("tabindex", chosen ? 0 : -1);
    $(`panel-${tab}`).hidden = !chosen;
    if (chosen) $(`tab-${tab}`).scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  $("undo").disabled = past.length === 0;
  $("redo").disabled = future.length === 0;
  toAddress();
  if (state.tab === "datagram") showDatagram();
  else if (state.tab === "exchange") showExchange();
  else if (state.tab === "order") showOrder();
  else if (state.tab === "quiz") showQuiz();
  else if (state.tab === "spec") showSpecification();
}

function showSpecification() {
  for (const marked of document.querySelectorAll(".prose .target")) marked.classList.remove("target");
  const target = state.clause && $(`clause-${state.clause}`);
  if (!target) return;
  target.classList.add("target");
  target.scrollIntoView({ block: "center" });
}

async function copy(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // A page that was opened as a file may not use the clipboard: the old way still may.
    const area = make("textarea", { class: "hidden" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1200);
}

function themes() {
  const names = { "": "Auto", light: "Light", dark: "Dark" };
  const order = ["", "light", "dark"];
  let theme = "";
  try { theme = localStorage.getItem("theme") ?? ""; } catch { /* a file may have no storage */ }
  const apply = () => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    $("theme").textContent = names[theme] ?? "Auto";
    $("theme").setAttribute("aria-label", `Colours: ${names[theme] ?? "Auto"}`);
    try { localStorage.setItem("theme", theme); } catch { /* likewise */ }
  };
  $("theme").onclick = () => { theme = order[(order.indexOf(theme) + 1) % order.length]; apply(); };
  apply();
}

function listen() {
  for (const tab of TABS) {
    $(`tab-${tab}`).onclick = () => { state.tab = tab; show(); };
    $(`tab-${tab}`).onkeydown = (event) => {
      const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!move) return;
      state.tab = TABS[(TABS.indexOf(tab) + move + TABS.length) % TABS.length];
      show();
      $(`tab-${state.tab}`).focus();
    };
  }
  for (const name of ["operator", "form", "text"]) $(name).onchange = compose;
  $("operands").oninput = compose;
  $("compose").onsubmit = (event) => { event.preventDefault(); compose(); };
  $("use-hex").onclick = useHex;
  $("undo").onclick = () => travel(past, future);
  $("redo").onclick = () => travel(future, past);
  $("link").onclick = () => copy(location.href, $("link"));
  $("copy-line").onclick = () => copy($("line").textContent, $("copy-line"));
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.matches("input, textarea")) return;
    event.preventDefault();
    if (event.shiftKey) travel(future, past);
    else travel(past, future);
  });
  for (const name of Object.keys(SLIDERS)) $(name).oninput = () => { state[name] = Number($(name).value); show(); };
  $("peer").onchange = () => { state.peer = $("peer").value; show(); };
  $("seed").oninput = () => { state.seed = $("seed").value.replace(/\D/g, "").slice(0, 15); show(); };
  $("another").onclick = () => { state.seed = String(1 + Math.floor(Math.random() * 99999)); $("seed").value = state.seed; show(); };
  $("network").onsubmit = (event) => event.preventDefault();
  $("play").onclick = play;
  $("step").onclick = step;
  $("whole").onclick = () => { pause(); if (ladder) reach(ladder.full); };
  $("progress").oninput = () => { pause(); if (ladder) reach(ladder.start + (ladder.full - ladder.start) * Number($("progress").value) / 1000); };
  $("quiz").onsubmit = checkQuiz;
  $("quiz-next").onclick = () => { state.q = String((Number(state.q) || 0) + 1); show(); };
  $("quiz-seed").onchange = () => { state.q = $("quiz-seed").value.replace(/\D/g, "").slice(0, 15) || "1"; show(); };
  $("file").onchange = () => openFile($("file").files[0]);
  $("port").onchange = () => showCapture(Number($("port").value));
  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      $("drop").classList.toggle("over", kind === "dragover");
      if (kind !== "drop") return;
      state.tab = "capture";
      show();
      openFile(event.dataTransfer.files[0]);
    });
  }
  $("clause-close").onclick = () => $("clause").close();
  addEventListener("hashchange", () => { fromAddress(); show(); });
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; show(); } });
}

(async () => {
  themes();
  await start();
  const about = ask("about");
  $("operator").replaceChildren(...about.operators.map(({ symbol, word }) => make("option", { value: word, text: `${symbol}  ${word}` })));
  $("peer").replaceChildren(...about.servers.map(({ name, words }) => make("option", { value: name, text: words })));
  $("examples").replaceChildren(...about.examples.map(({ octets, words }) => make("button", { type: "button", text: words, onclick: () => setDatagram(octets) })));
  renderSpecification(about.specification);
  listen();
  fromAddress();
  if (!new URLSearchParams(location.hash.slice(1)).has("d")) compose();
  past = [];
  show();
  // For tests, and for whoever tries calls from the console.
  globalThis.playground = { ask };
  document.documentElement.dataset.ready = "";
})().catch((error) => { $("status").textContent = `The page could not start: ${error.message}`; });
