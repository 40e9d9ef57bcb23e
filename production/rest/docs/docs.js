// Shows /openapi.json. It needs nothing but this file, and puts all text of the document into the page as text, never as HTML.
"use strict";

const el = (name, attrs = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attrs)) node.setAttribute(key, value);
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
};

// paragraphs understands what our descriptions use: blank lines, **bold**, and tables of two columns.
function paragraphs(text, anchors) {
  const out = [];
  for (const block of (text || "").trim().split(/\n\s*\n/)) {
    if (block.startsWith("|")) {
      const body = el("tbody");
      for (const line of block.split("\n").slice(2)) {
        const [code, meaning] = line.split("|").slice(1, 3).map((c) => c.trim());
        body.append(el("tr", anchors ? { id: code } : {}, el("td", {}, el("code", {}, code)), el("td", {}, meaning)));
      }
      out.push(el("table", {}, body));
      continue;
    }
    const p = el("p");
    block.split("**").forEach((part, i) => p.append(i % 2 ? el("b", {}, part) : part));
    out.push(p);
  }
  return out;
}

const refName = (schema) => schema.$ref.split("/").pop();

// typeOf names a type in a few words, with links to schemas.
function typeOf(schema) {
  if (schema.$ref) return el("a", { href: "#schema-" + refName(schema) }, refName(schema));
  const types = [].concat(schema.type || "any");
  const span = el("span");
  if (types.includes("array")) span.append("list of ", typeOf(schema.items || {}));
  else if (schema.additionalProperties && typeof schema.additionalProperties === "object") span.append("object of ", typeOf(schema.additionalProperties));
  else span.append(types.filter((t) => t !== "null").join(" or ") + (schema.format && !/^(int64|int32|double)$/.test(schema.format) ? " (" + schema.format + ")" : ""));
  if (types.includes("null")) span.append(" or null");
  return span;
}

// bounds says what values are allowed.
function bounds(s) {
  const out = [];
  if (s.enum) out.push(s.enum.join(" · "));
  if (s.items && s.items.enum) out.push(s.items.enum.join(" · "));
  if (s.minimum !== undefined && s.maximum !== undefined) out.push(s.minimum + " to " + s.maximum);
  else if (s.minimum !== undefined) out.push("at least " + s.minimum);
  if (s.maxLength !== undefined) out.push("at most " + s.maxLength + " characters");
  if (s.maxItems !== undefined) out.push("at most " + s.maxItems + " entries");
  if (s.default !== undefined) out.push("left out: " + s.default);
  return out.join("; ");
}

const row = (name, must, schema, text) =>
  el("tr", {}, el("td", { class: must ? "must" : "" }, el("code", {}, name)), el("td", {}, typeOf(schema)),
    el("td", {}, text || "", bounds(schema) ? el("div", { class: "dim" }, bounds(schema)) : null));

const table = (rows) => el("table", {}, el("tbody", {}, ...rows));

function operation(path, method, op) {
  const section = el("section", { id: op.operationId },
    el("h3", {}, el("span", { class: "method" }, method.toUpperCase()), " ", el("span", { class: "path" }, path)),
    el("p", {}, el("b", {}, op.summary || "")), ...paragraphs(op.description));
  const params = op.parameters || [];
  if (params.length) {
    const usual = /^(tenant|ticket|Idempotency-Key|If-Match|Device-Time|Person-Id|Person-Pin)$/;
    const line = (p) => row(p.name, p.required, p.schema || {}, p.description);
    const own = params.filter((p) => !usual.test(p.name));
    const common = params.filter((p) => usual.test(p.name));
    if (own.length) section.append(el("h4", {}, "Parameters"), table(own.map(line)));
    if (common.length) section.append(el("details", {}, el("summary", {}, "Common parameters: " + common.map((p) => p.name).join(", ")), table(common.map(line))));
  }
  for (const [media, content] of Object.entries((op.requestBody || {}).content || {}))
    section.append(el("h4", {}, "Body: " + media), el("p", {}, typeOf(content.schema || {})));
  section.append(el("h4", {}, "Answers"), table(Object.entries(op.responses || {}).sort().map(([status, answer]) => {
    const cell = el("td");
    Object.entries(answer.content || {}).forEach(([media, c], i) => cell.append(i ? ", " : "", typeOf(c.schema || {}), " ", el("span", { class: "dim" }, media)));
    return el("tr", {}, el("td", {}, status), el("td", {}, answer.description || ""), cell);
  })));
  return section;
}

function schemaSection(name, schema) {
  const must = new Set(schema.required || []);
  return el("section", { id: "schema-" + name }, el("h3", {}, name), ...paragraphs(schema.description),
    table(Object.entries(schema.properties || {}).map(([field, s]) => row(field, must.has(field), s, s.description))));
}

function render(doc) {
  const nav = document.getElementById("nav");
  const main = document.getElementById("main");
  main.replaceChildren(el("h1", {}, doc.info.title), el("p", { class: "dim" }, "Version " + doc.info.version + " · ",
    el("a", { href: "/openapi.json" }, "openapi.json")), ...paragraphs(doc.info.description, true));
  nav.append(el("b", {}, "Kentongan REST"));
  for (const tag of doc.tags || []) {
    nav.append(el("h2", {}, tag.name));
    main.append(el("h2", {}, tag.name), ...paragraphs(tag.description));
    for (const [path, item] of Object.entries(doc.paths))
      for (const method of ["get", "post", "put", "patch", "delete"]) {
        const op = item[method];
        if (!op || !(op.tags || []).includes(tag.name)) continue;
        nav.append(el("a", { href: "#" + op.operationId }, op.summary));
        main.append(operation(path, method, op));
      }
  }
  nav.append(el("h2", {}, "Schemas"));
  main.append(el("h2", {}, "Schemas"));
  for (const [name, schema] of Object.entries(doc.components.schemas)) {
    nav.append(el("a", { href: "#schema-" + name }, name));
    main.append(schemaSection(name, schema));
  }
  const wanted = decodeURIComponent(location.hash.slice(1)); // the browser looked for it before it was there
  if (wanted) document.getElementById(wanted)?.scrollIntoView();
}

fetch("/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error("HTTP " + answer.status))))
  .then(render)
  .catch((err) => document.getElementById("main").replaceChildren(el("p", {}, "The document cannot be shown: " + err.message)));
